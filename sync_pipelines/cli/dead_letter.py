"""``sync-pipelines dead-letter``: records that were given up, and how to take them up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click
from sqlalchemy import Connection, Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.reconcile import reconcile_now, tell
from sync_pipelines.cli.runs import Options
from sync_pipelines.cli.session import PIPELINE, choose, connections, open_store, operator
from sync_pipelines.cli.summary import Summary
from sync_pipelines.core.errors import SyncError
from sync_pipelines.store import audit, states
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.store.states import DeadLetter

_pipeline = click.option(
    "--pipeline", type=click.Choice([PIPELINE]), default=PIPELINE, show_default=True, help="Which pipeline."
)


@click.group(name="dead-letter")
def dead_letter() -> None:
    """Look at records that were given up, and take them up again."""


@dead_letter.command(name="list")
@_pipeline
@click.option("--provider", metavar="NAME", help="Only this connection: its name or its provider's address.")
@click.option("--all", "every", is_flag=True, help="Closed ones as well: they are never dropped.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(pipeline: str, provider: str | None, every: bool, as_json: bool) -> None:
    """List dead letters, oldest first."""
    scope = choose(connections(), provider)[0].name if provider else None
    with open_store() as engine, engine.connect() as connection:
        found = states.letters(connection, pipeline, scope=scope, open_only=not every)
    if as_json:
        output.print_json([asdict(letter) for letter in found])
        return
    if not found:
        output.note("There are no dead letters.")
        return
    columns = ["id", "connection", "record", "action", "attempts", "given up", "state", "last error"]
    rows = [(x.id, x.scope, x.key, x.action, x.attempts, x.dead_lettered_at, x.state, x.last_error) for x in found]
    output.show(output.table("Dead letters", columns, rows, numbers=["id", "attempts"]))


@dead_letter.command()
@click.argument("id_", metavar="[ID]", required=False)
@_pipeline
@click.option("--all", "every", is_flag=True, help="All open ones.")
@click.option("--no-run", is_flag=True, help="Only reset them: the next reconcile takes them up.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def reprocess(id_: str | None, pipeline: str, every: bool, no_run: bool, as_json: bool) -> None:
    """Take records up again that were given up.

    ID is the dead letter's number, or the id of the offering. The source is read again before anything is written: what
    failed back then is not repeated, but what the source says now is brought through.
    """
    if bool(id_) == every:
        raise click.UsageError("give either one ID or --all")
    with open_store() as engine:
        with engine.begin() as connection:
            chosen = _chosen(connection, pipeline, id_)
            for scope in sorted({letter.scope for letter in chosen}):
                _reset(connection, pipeline, scope, [letter.key for letter in chosen if letter.scope == scope])
        if not chosen:
            output.note("There are no open dead letters.")
        if no_run or not chosen:
            if as_json:
                output.print_json({"reprocessed": [letter.key for letter in chosen]})
            for letter in chosen:
                output.note(f"{letter.key}: reset; the next reconcile of {letter.scope} takes it up")
            return
        rows = _reconcile(engine, chosen)
    tell(rows, as_json=as_json)


def _chosen(connection: Connection, pipeline: str, id_: str | None) -> list[DeadLetter]:
    open_letters = states.letters(connection, pipeline)
    if id_ is None:
        return open_letters
    chosen = [letter for letter in open_letters if id_ in (str(letter.id), letter.key)]
    if chosen:
        return chosen
    closed = [x for x in states.letters(connection, pipeline, open_only=False) if id_ in (str(x.id), x.key)]
    if closed:
        last = closed[-1]
        raise SyncError(f"dead letter {id_} is not open: it was {last.state} by {last.closed_by}")
    raise SyncError(f"there is no dead letter {id_}; 'sync-pipelines dead-letter list' shows those there are")


def _reset(connection: Connection, pipeline: str, name: str, keys: Sequence[str]) -> None:
    scope = ensure_scope(connection, pipeline, name)
    for key in states.reprocess(connection, scope, keys, operator()):
        entry = {"action": "reprocess", "offering_id": key, "success": True, "by": operator()}
        audit.append(connection, pipeline, entry, scope=name, key=key)


def _reconcile(engine: Engine, chosen: Sequence[DeadLetter]) -> list[Summary]:
    names = {connection.name for connection in connections()}
    for letter in chosen:
        if letter.scope not in names:
            output.note(f"{letter.key}: reset, but the connection {letter.scope} is not in the connections file")
    # On this pair a record's key is also what identifies it on both sides.
    by_scope = {name: [letter.key for letter in chosen if letter.scope == name] for name in sorted(names)}
    return reconcile_now(engine, [(name, Options(keys=keys)) for name, keys in by_scope.items() if keys])
