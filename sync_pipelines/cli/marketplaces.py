"""``sync-pipelines marketplaces``: pull accounts, see where they stand, and what is wrong with single records."""

from __future__ import annotations

from dataclasses import asdict

import click

from sync_pipelines.cli import output
from sync_pipelines.cli.accounts import chosen_accounts
from sync_pipelines.cli.runs import run_job
from sync_pipelines.cli.session import dagster_instance, open_store

SHOWN_ERRORS = 1000

_wanted = click.option(
    "--connection", "wanted", multiple=True, metavar="NAME", help="Only this connection; may be given several times."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def marketplaces() -> None:
    """Pull orders and products of marketplaces into tables."""


@marketplaces.command()
@_wanted
@_json
def status(wanted: tuple[str, ...], as_json: bool) -> None:
    """Tell where every connection stands, and how far each stream was read."""
    from sync_pipelines.pipelines.marketplaces.cycle import register
    from sync_pipelines.store.marketplaces import connections, reports

    names = [one.name for one in chosen_accounts(wanted)]
    with open_store() as engine:
        register(engine, chosen_accounts(()))
        with engine.connect() as connection:
            states = [state for state in connections.states(connection) if state.name in names]
            streams = reports.stream_reports(connection, names)
            cycle = connections.last_cycle(connection)
    if as_json:
        documents = [
            {
                **{name: value for name, value in asdict(state).items() if name != "id"},
                "streams": {one.stream: asdict(one) for one in streams if one.connection == state.name},
            }
            for state in states
        ]
        output.print_json({"connections": documents, "last_cycle": None if cycle is None else dict(cycle.result)})
        return
    columns = ["connection", "marketplace", "status", "sync", "last synced", "last error"]
    said = [one.sync_status if one.active else "inactive" for one in states]
    rows = [
        (one.name, one.marketplace, one.status, sync_status, one.last_synced_at, one.last_error)
        for one, sync_status in zip(states, said, strict=True)
    ]
    output.show(output.table("Connections", columns, rows))
    columns = ["connection", "stream", "records", "read up to", "read at", "item errors", "waits"]
    lines = [
        (one.connection, one.stream, one.records, one.through, one.read_at, one.errors, one.waits) for one in streams
    ]
    output.show(output.table("Streams", columns, lines, numbers=["records", "item errors"]))


@marketplaces.command()
@_wanted
@click.option("--stream", "streams", multiple=True, type=click.Choice(["orders", "products"]), help="Only this stream.")
@click.option("--anew", is_flag=True, help="Read everything that the marketplaces still tell of, from the start.")
@click.option("--verbose", is_flag=True, help="Print the run's log to stderr.")
@_json
def sync(wanted: tuple[str, ...], streams: tuple[str, ...], anew: bool, verbose: bool, as_json: bool) -> None:
    """Pull what changed since the last time.

    It is a run of the cycle job, carried out here and seen in the Dagster UI. Ends with 1 when a connection failed.
    """
    from sync_pipelines.pipelines.marketplaces.asset_keys import CYCLE_JOB, CYCLE_STEP, CYCLE_TAG
    from sync_pipelines.store.marketplaces import connections

    chosen = chosen_accounts(wanted)
    options: dict[str, object] = {"connections": [one.name for one in chosen]} if wanted else {}
    options |= {"streams": list(streams)} if streams else {}
    options |= {"anew": True} if anew else {}
    config = {"ops": {CYCLE_STEP: {"config": options}}} if options else {}
    console = output.progress_console()
    with dagster_instance() as instance, console.status("pulling") as told:
        ended = run_job(instance, CYCLE_JOB, CYCLE_TAG, config, verbose=verbose, say=told.update)
    with open_store() as engine, engine.connect() as connection:
        cycle = connections.last_cycle(connection)
    result = dict(cycle.result) if cycle is not None and cycle.run_id == ended.run_id else None
    if as_json:
        output.print_json({"run_id": ended.run_id, "problem": ended.reason, "result": result})
    elif result is not None:
        errors = result.pop("errors")
        output.show(output.facts(result))
        if errors:
            columns = ["connection", "marketplace", "error"]
            output.show(output.table("Errors", columns, [tuple(error.values()) for error in errors]))
    if ended.reason:
        output.note(ended.reason)
    if ended.reason or result is None or result["failedConnections"]:
        click.get_current_context().exit(1)


@marketplaces.command()
@_wanted
@_json
def errors(wanted: tuple[str, ...], as_json: bool) -> None:
    """List what is wrong with single records; each stays until its record arrives without it."""
    from sync_pipelines.store.marketplaces import item_errors

    names = {one.name for one in chosen_accounts(wanted)}
    with open_store() as engine, engine.connect() as connection:
        found = [one for one in item_errors.open_errors(connection, limit=SHOWN_ERRORS) if one.connection in names]
    if as_json:
        output.print_json(found)
        return
    rows = [(one.connection, one.stream, one.kind, one.key, one.part, one.message, one.first_seen_at) for one in found]
    columns = ["connection", "stream", "what", "record", "part", "message", "since"]
    output.show(output.table("Item errors", columns, rows) if rows else "no item errors are open")
