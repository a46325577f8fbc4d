"""``sync-pipelines deployments``: how the reconciler stands, what was matched how, and backups of instances."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
from sqlalchemy import Connection, Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.pipelines import PIPELINES, Configured
from sync_pipelines.cli.session import choose, choose_one, connections, open_store
from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.core.seal import Sweep
from sync_pipelines.store import leases
from sync_pipelines.store.scopes import Scope, find_scope

if TYPE_CHECKING:
    from sync_pipelines.pipelines.deployments.deployment_record import Seen
    from sync_pipelines.pipelines.deployments.pair import OpenConnection

PIPELINE = "deployments"
_T = TypeVar("_T")


@click.group()
def deployments() -> None:
    """Look at service instances, and put them back from backups."""


@deployments.command()
@click.argument("wanted", metavar="[CONNECTION]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the last 100 runs.")
def status(wanted: str | None, as_json: bool) -> None:
    """Tell how the reconciler stands: its runs, how long they took, what they found."""
    with open_store() as engine, engine.connect() as connection:
        documents = [
            _status_document(connection, one, find_scope(connection, PIPELINE, one.name)) for one in _chosen(wanted)
        ]
    if as_json:
        output.print_json(documents)
        return
    for document in documents:
        shown = {name.replace("_", " "): value for name, value in document.items() if name != "history"}
        output.show(output.facts(shown), "")


@deployments.command()
@click.argument("wanted", metavar="[CONNECTION]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def matches(wanted: str | None, as_json: bool) -> None:
    """Scan the Director, and tell what each deployment was taken for.

    Nothing is written to the peers. Deployments that need review, and those whose details cannot be read, say why.
    """
    with open_store() as engine:
        found = [(one, on_connection(one, engine, _scan)) for one in _chosen(wanted)]
    rows = [_match_document(one, seen) for one, scanned in found for seen in scanned]
    if as_json:
        output.print_json(rows)
        return
    columns = ["connection", "deployment", "as", "plan", "confidence", "how", "remarks"]
    whose = output.names([(PIPELINE, row["connection"]) for row in rows])
    cells = [
        (name, row["deployment"], row["as"], row["plan_id"], row["confidence"], row["strategy"], row["remarks"])
        for name, row in zip(whose, rows, strict=True)
    ]
    output.show(output.table("Deployments", columns, cells, numbers=["confidence"]))
    for kind, number in _tally(rows).items():
        output.note(f"{number} {kind}")


def chosen_one(wanted: str) -> Configured:
    """Return one connection of this pipeline.

    Raises:
        ConfigurationError: there is none of this name.
    """
    return choose_one(_configured(), wanted)


def on_connection(one: Configured, engine: Engine, work: Callable[[OpenConnection], Awaitable[_T]]) -> _T:
    """Do something with the open peers of a connection that is not to be counted as a run of the reconciler.

    Raises:
        RunStopped: Ctrl-C or SIGTERM ended it.
    """
    from sync_pipelines.engine.stopping import run_until_stopped

    async def run() -> _T:
        async with one.pipeline.open(one.connection, engine, is_run=False) as opened:
            return await work(opened)

    return run_until_stopped(run())


def _configured() -> list[Configured]:
    found = [one for one in connections() if one.pipeline is PIPELINES[PIPELINE]]
    if not found:
        raise ConfigurationError(f"there is no enabled connection under {PIPELINE!r} in the connections file")
    return found


def _chosen(wanted: str | None) -> list[Configured]:
    return choose(_configured(), wanted)


async def _scan(opened: OpenConnection) -> list[Seen]:
    async for _ in opened.scan.sweep(Sweep()):
        pass
    return sorted(opened.scan.seen, key=lambda seen: seen.name)


def _match_document(one: Configured, seen: Seen) -> dict[str, Any]:
    from sync_pipelines.pipelines.deployments.matches import Match, NeedsReview, NoMatch

    outcome = seen.outcome
    is_none = isinstance(outcome, NoMatch)
    kind = "no instance" if is_none and not seen.is_record else "instance" if seen.is_synced else "needs review"
    if isinstance(outcome, Match) and not seen.is_synced:
        kind = "waits"
    reasons = (outcome.reason,) if isinstance(outcome, NoMatch) else outcome.reasons
    told = [seen.withheld] if seen.withheld else list(reasons)
    told += [problem for problem in seen.problems if problem not in " ".join(told)]
    return {
        "connection": one.name,
        "deployment": seen.name,
        "as": kind,
        "instance_id": outcome.instance_id,
        "service_id": outcome.service_id if isinstance(outcome, Match | NeedsReview) else None,
        "plan_id": outcome.plan_id if isinstance(outcome, Match | NeedsReview) else None,
        "strategy": outcome.strategy.value if isinstance(outcome, Match | NeedsReview) else None,
        "confidence": outcome.confidence if isinstance(outcome, Match | NeedsReview) else None,
        "reasons": list(reasons),
        "problems": list(seen.problems),
        "withheld": seen.withheld,
        "locked": seen.is_locked,
        "remarks": "; ".join([*told, *(["locked"] if seen.is_locked else [])]),
    }


def _tally(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    kinds = [str(row["as"]) for row in rows]
    words = {"instance": "instances", "needs review": "to be reviewed", "waits": "waiting", "no instance": "others"}
    return {words[kind]: kinds.count(kind) for kind in words if kind in kinds}


def _status_document(connection: Connection, one: Configured, scope: Scope | None) -> dict[str, Any]:
    from sync_pipelines.pipelines.deployments.run_status import COUNTERS, status_of

    if scope is None:
        return {"connection": one.name, "running": False, "last_run_at": None, **dict.fromkeys(COUNTERS, 0)}
    found = status_of(connection, scope)
    last = found.last
    return {
        "connection": one.name,
        "running": leases.is_held(connection, scope.lease),
        "last_run_at": found.last_run_at,
        "last_run_outcome": last.outcome if last else None,
        "last_run_reason": last.reason if last else None,
        "last_run_duration_seconds": round(last.seconds, 3) if last else None,
        "average_run_duration_seconds": round(found.average_seconds, 3),
        "last_run_deployments": found.last_number("deployments"),
        "last_run_instances_found": found.last_number("instances_found"),
        "last_run_instances_synced": found.last_number("instances_synced"),
        "last_run_errors": found.last_number("errors"),
        **found.counters,
        "history": [asdict(run) for run in found.history],
    }


def unix_time(moment: int) -> str:
    """Return the time of a backup as an operator reads it."""
    return output.moment(datetime.fromtimestamp(moment, UTC))
