"""``sync-pipelines reconcile``: bring connections into agreement now."""

from __future__ import annotations

from collections.abc import Sequence

import click
from sqlalchemy import Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.runs import Options, run_reconcile
from sync_pipelines.cli.session import choose, connections, dagster_instance, open_store, provider_of
from sync_pipelines.cli.summary import Summary, summarise, summary_table
from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection

Job = tuple[str, Options]
"""A connection's name and what its run is asked to do."""


@click.group()
def reconcile() -> None:
    """Bring connections into agreement now, as Dagster runs."""


@reconcile.command()
@click.option("--provider", metavar="NAME", help="Only this connection: its name or its provider's address.")
@click.option("--plan", "plan_only", is_flag=True, help="Write the plan and change nothing.")
@click.option("--keys", metavar="ID", multiple=True, help="Only this offering; may be given several times.")
@click.option("--force-full", is_flag=True, help="Compare field by field, whatever was agreed before.")
@click.option("--verbose", is_flag=True, help="Print the run's log to stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def offerings(
    provider: str | None, plan_only: bool, keys: tuple[str, ...], force_full: bool, verbose: bool, as_json: bool
) -> None:
    """Bring the chain's offerings and Waldur into agreement.

    Each connection is one run of the job offerings_reconcile, carried out here and seen in the Dagster UI. Ends with 0
    only when everything that was planned was done; 1 when a run failed, a plan is held, or a change failed.
    """
    chosen = choose(connections(), provider)
    split = _split(chosen, keys)
    jobs = [(name, Options(plan_only=plan_only, keys=wanted, force_full=force_full)) for name, wanted in split]
    with open_store() as engine:
        rows = reconcile_now(engine, jobs, verbose=verbose)
    tell(rows, as_json=as_json)


def reconcile_now(engine: Engine, jobs: Sequence[Job], *, verbose: bool = False) -> list[Summary]:
    """Run one reconcile after the other, with a progress display, and return what came of them."""
    console = output.progress_console()
    rows = []
    with dagster_instance() as instance, console.status("starting") as status:
        for name, options in jobs:
            status.update(f"reconciling {name}")
            ended = run_reconcile(instance, name, options, verbose=verbose, say=status.update)
            with engine.connect() as connection:
                rows.append(
                    summarise(
                        connection,
                        name,
                        run_id=ended.run_id,
                        success=ended.success,
                        reason=ended.reason,
                        seconds=ended.seconds,
                        plan_only=options.plan_only,
                        approved=options.approve or None,
                    )
                )
    return rows


def tell(rows: Sequence[Summary], *, as_json: bool) -> None:
    """Print what came of the runs and what to do next; end with 1 unless everything was done."""
    print_rows(rows, as_json=as_json)
    if not all(row.done for row in rows):
        click.get_current_context().exit(1)


def print_rows(rows: Sequence[Summary], *, as_json: bool) -> None:
    """Print what came of the runs and what to do next."""
    if as_json:
        output.print_json(rows)
    else:
        output.show(summary_table("Reconciled", rows))
    for row in rows:
        for line in row.advice():
            output.note(line)


def _split(chosen: Sequence[OfferingsConnection], keys: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Give each connection its own keys; without keys each gets everything."""
    if not keys:
        return [(connection.name, []) for connection in chosen]
    foreign = [key for key in keys if provider_of(key) not in {connection.provider for connection in chosen}]
    if foreign:
        raise ConfigurationError(
            f"{foreign[0]} belongs to no connection that was asked for ({', '.join(c.name for c in chosen)})"
        )
    split = [(c.name, [key for key in keys if provider_of(key) == c.provider]) for c in chosen]
    return [(name, wanted) for name, wanted in split if wanted]
