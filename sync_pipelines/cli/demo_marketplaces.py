"""The marketplaces part of the demo: what is stored of each account, and how its pulls ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx
from rich.table import Table
from sqlalchemy import Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.accounts import accounts
from sync_pipelines.cli.runs import run_job
from sync_pipelines.cli.session import dagster_instance, operator
from sync_pipelines.orchestration.dagster_ui import DagsterUi
from sync_pipelines.sandbox.demo_marketplaces import MarketplacePeers


@dataclass(frozen=True, slots=True)
class AccountOutcome:
    """Where an account stands after the demo's first pulls.

    Attributes:
        orders, products: stored ones; of products variants.
        changes: noted in the history since the demo was started.
        sync_status, last_error: of the last pull.
        failures: what pulls since the demo's start failed with, the last one included.
    """

    connection: str
    marketplace: str
    orders: int
    products: int
    changes: int
    sync_status: str
    last_error: str | None
    failures: Sequence[str]


def pulled_twice(peers: MarketplacePeers) -> list[str]:
    """Pull all accounts here, let something happen at each marketplace, and pull again. Returns what went wrong."""
    from sync_pipelines.pipelines.marketplaces.asset_keys import CYCLE_JOB, CYCLE_TAG

    with dagster_instance() as instance:
        first = run_job(instance, CYCLE_JOB, CYCLE_TAG, {})
        for name in ("takealot", "shopify", "amazon"):
            url = f"{getattr(peers, name)}/_sandbox/{name}/next"
            httpx.post(url, timeout=30, trust_env=False).raise_for_status()
        second = run_job(instance, CYCLE_JOB, CYCLE_TAG, {})
    return [f"marketplaces: {run.reason}" for run in (first, second) if run.reason]


def launched_pull(ui: DagsterUi) -> dict[str, str]:
    """Launch one run over all accounts. Returns what it is called by its id."""
    from sync_pipelines.orchestration.spec import SCOPE_TAG
    from sync_pipelines.pipelines.marketplaces.asset_keys import CYCLE_JOB, CYCLE_TAG

    return {ui.launch(CYCLE_JOB, None, {SCOPE_TAG: CYCLE_TAG, "user": operator()}): "marketplaces"}


def accounts_outcome(engine: Engine, since: datetime) -> list[AccountOutcome]:
    """Return what the database says about the demo's accounts.

    Arguments:
        since: earlier changes and failures are not counted.
    """
    from sync_pipelines.store.marketplaces import connections, reports

    names = [one.name for one in accounts()]
    with engine.connect() as store:
        states = [state for state in connections.states(store) if state.name in names]
        stored = {(one.connection, one.stream): one.records for one in reports.stream_reports(store, names)}
        changes = reports.changes_since(store, since)
        errors = [error for cycle in connections.cycles_since(store, since) for error in cycle.result["errors"]]
    return [
        AccountOutcome(
            one.name,
            one.marketplace,
            stored[one.name, "orders"],
            stored[one.name, "products"],
            changes.get(one.name, 0),
            one.sync_status or "",
            one.last_error,
            [error["error"] for error in errors if error["connectionId"] == one.name],
        )
        for one in states
    ]


def accounts_table(outcome: Sequence[AccountOutcome]) -> Table:
    """Return where each account stands as a table."""
    columns = ["connection", "orders", "products", "changes", "sync", "failures until now"]
    rows = [
        (one.connection, one.orders, one.products, one.changes, one.sync_status, "\n".join(one.failures))
        for one in outcome
    ]
    return output.table("Marketplaces", columns, rows, numbers=["orders", "products", "changes"])
