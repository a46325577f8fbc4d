"""``sync-pipelines reconcile``: bring connections into agreement now."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import click
from sqlalchemy import Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.options import connection_option
from sync_pipelines.cli.pipelines import Configured
from sync_pipelines.cli.runs import Options, run_reconcile
from sync_pipelines.cli.session import choose, connections, dagster_instance, open_store
from sync_pipelines.cli.summary import Summary, summarise, summary_table
from sync_pipelines.core.errors import ConfigurationError, SelectsNothing, SyncError

Job = tuple[Configured, Options]
"""A connection and what its run is asked to do."""

Part = tuple[Configured, list[str]]
"""A connection and its keys; none stand for all of it."""


@click.command()
@click.argument("what", nargs=-1, metavar="[WHAT]...")
@connection_option
@click.option("--plan", "plan_only", is_flag=True, help="Write the plan and change nothing.")
@click.option("--keys", metavar="ID", multiple=True, help="Only this record; may be given several times.")
@click.option("--force-full", is_flag=True, help="Compare field by field, whatever was agreed before.")
@click.option("--verbose", is_flag=True, help="Print the run's log to stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def reconcile(
    what: tuple[str, ...],
    wanted: str | None,
    plan_only: bool,
    keys: tuple[str, ...],
    force_full: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Bring connections into agreement now, as Dagster runs.

    WHAT is a pipeline (offerings, deployments) or a connection (NAME or PIPELINE/NAME); without it, everything.

    Each connection is one run of its pipeline's job, carried out here and seen in the Dagster UI. Ends with 0 only when
    everything that was planned was done; 1 when a run failed, a plan is held, or a change failed.

    Keys are offering ids, or for deployments instance ids, service:NAME and plan:NAME.
    """
    configured = connections()
    named = [one for word in what for one in choose(configured, word)] if what else configured
    chosen = choose(list(dict.fromkeys(named)), wanted)
    parts = split(chosen, keys)
    with open_store() as engine:
        jobs = [(one, Options(plan_only, own, force_full=force_full)) for one, own in holding(engine, parts)]
        rows = reconcile_now(engine, jobs, verbose=verbose)
    tell(rows, as_json=as_json)


def reconcile_now(engine: Engine, jobs: Sequence[Job], *, verbose: bool = False) -> list[Summary]:
    """Run one reconcile after the other, with a progress display, and return what came of them."""
    console = output.progress_console()
    rows = []
    with dagster_instance() as instance, console.status("starting") as status:
        for one, options in jobs:
            status.update(f"reconciling {one.full_name}")
            ended = run_reconcile(instance, one, options, verbose=verbose, say=status.update)
            with engine.connect() as connection:
                rows.append(
                    summarise(
                        connection,
                        one.pipeline.name,
                        one.name,
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
    if as_json:
        output.print_json(rows)
    else:
        output.show(summary_table("Reconciled", rows))
    advise(rows)
    if not all(row.done for row in rows):
        click.get_current_context().exit(1)


def advise(rows: Sequence[Summary]) -> None:
    """Print what to do next."""
    for row in rows:
        for line in row.advice():
            output.note(line)


def split(chosen: Sequence[Configured], keys: Sequence[str]) -> list[Part]:
    """Give each connection its own keys; without keys each gets everything."""
    if not keys:
        return [(one, []) for one in chosen]
    wanted: dict[Configured, list[str]] = {}
    for key in keys:
        for one in _holders(chosen, key):
            wanted.setdefault(one, []).append(key)
    return [(one, wanted[one]) for one in chosen if one in wanted]


def holding(engine: Engine, parts: Sequence[Part]) -> list[Part]:
    """Leave out the connections in which a key stands for nothing, as long as it stands for something in another.

    Only keys that name no connection are looked up, and only when several connections were given them.

    Raises:
        SelectsNothing: a key stands for nothing anywhere.
    """
    unsure = [(one, keys) for one, keys in parts if keys and one.pipeline.owner is None]
    if len(unsure) < 2:
        return list(parts)
    refused = {one.full_name: _refused(engine, one, keys) for one, keys in unsure}
    for key in dict.fromkeys(key for _, keys in unsure for key in keys):
        asked = [refused[one.full_name] for one, keys in unsure if key in keys]
        if all(key in errors for errors in asked):
            raise asked[0][key]
    for name, errors in refused.items():
        for error in errors.values():
            output.note(f"{name}: {error}")
    left = [(one, [key for key in keys if key not in refused.get(one.full_name, ())]) for one, keys in parts]
    return [(one, keys) for one, keys in left if keys]


def _refused(engine: Engine, one: Configured, keys: Sequence[str]) -> dict[str, SelectsNothing]:
    """Return why keys stand for nothing in a connection. What else is wrong with it, its run tells."""
    from sync_pipelines.engine.stopping import run_until_stopped

    refused: dict[str, SelectsNothing] = {}

    async def ask() -> None:
        async with one.pipeline.open(one.connection, engine, is_run=False) as opened:
            for key in keys:
                try:
                    await one.pipeline.select(opened, [key])
                except SelectsNothing as nothing:
                    refused[key] = nothing

    with suppress(SyncError):
        run_until_stopped(ask())
    return refused


def _holders(chosen: Sequence[Configured], key: str) -> list[Configured]:
    """Return the connections that may have a record: the one it names, else all of a pipeline whose ids name none."""
    refused: ConfigurationError | None = None
    open_to_all = []
    names_another = False
    for one in chosen:
        if one.pipeline.owner is None:
            open_to_all.append(one)
            continue
        try:
            if one.pipeline.owner(key) == one.alias:
                return [other for other in chosen if (other.pipeline, other.alias) == (one.pipeline, one.alias)]
            names_another = True
        except ConfigurationError as error:
            refused = error
    if open_to_all and not names_another:
        return open_to_all
    names = ", ".join(one.full_name for one in chosen)
    raise refused or ConfigurationError(f"{key} belongs to no connection that was asked for ({names})")
