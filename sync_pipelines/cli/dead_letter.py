"""``sync-pipelines dead-letter``: records that were given up, and how to take them up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click
from sqlalchemy import Connection, Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.options import connection_option, pipeline_option, scope_of
from sync_pipelines.cli.pipelines import PIPELINES
from sync_pipelines.cli.reconcile import reconcile_now, tell
from sync_pipelines.cli.runs import Options
from sync_pipelines.cli.session import connections, open_store, operator
from sync_pipelines.cli.summary import Summary
from sync_pipelines.core.errors import SyncError
from sync_pipelines.store import audit, states
from sync_pipelines.store.lookup import natural_keys
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.store.states import DeadLetter

Letter = tuple[str, DeadLetter]
"""A pipeline and a dead letter of it."""


@click.group(name="dead-letter")
def dead_letter() -> None:
    """Look at records that were given up, and take them up again."""


@dead_letter.command(name="list")
@pipeline_option
@connection_option
@click.option("--all", "every", is_flag=True, help="Closed ones as well: they are never dropped.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(pipeline: str | None, wanted: str | None, every: bool, as_json: bool) -> None:
    """List dead letters, oldest first."""
    chosen, scope = scope_of(pipeline, wanted)
    with open_store() as engine, engine.connect() as connection:
        found = _letters(connection, chosen, scope, every=every)
    if as_json:
        output.print_json([{"pipeline": name, **asdict(letter)} for name, letter in found])
        return
    if not found:
        output.note("There are no dead letters.")
        return
    columns = ["id", "connection", "record", "action", "attempts", "given up", "state", "last error"]
    rows = [
        (x.id, name, x.key, x.action, x.attempts, x.dead_lettered_at, x.state, x.last_error)
        for name, (_, x) in zip(output.names([(name, x.scope) for name, x in found]), found, strict=True)
    ]
    output.show(output.table("Dead letters", columns, rows, numbers=["id", "attempts"]))


@dead_letter.command()
@click.argument("id_", metavar="[ID]", required=False)
@pipeline_option
@click.option("--all", "every", is_flag=True, help="All open ones.")
@click.option("--no-run", is_flag=True, help="Only reset them: the next reconcile takes them up.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def reprocess(id_: str | None, pipeline: str | None, every: bool, no_run: bool, as_json: bool) -> None:
    """Take records up again that were given up.

    ID is the dead letter's number, or the record's key. The source is read again before anything is written: what
    failed back then is not repeated, but what the source says now is brought through.
    """
    if bool(id_) == every:
        raise click.UsageError("give either one ID or --all")
    with open_store() as engine:
        with engine.begin() as connection:
            chosen = _chosen(connection, pipeline, id_)
            for name, scope in sorted({(name, letter.scope) for name, letter in chosen}):
                _reset(connection, name, scope, [x.key for its, x in chosen if (its, x.scope) == (name, scope)])
        if not chosen:
            output.note("There are no open dead letters.")
        if no_run or not chosen:
            if as_json:
                output.print_json({"reprocessed": [letter.key for _, letter in chosen]})
            for name, letter in chosen:
                output.note(f"{letter.key}: reset; the next reconcile of {name}/{letter.scope} takes it up")
            return
        rows = _reconcile(engine, chosen)
    tell(rows, as_json=as_json)


def _letters(connection: Connection, chosen: Sequence[str], scope: str | None, *, every: bool) -> list[Letter]:
    """Return the dead letters of some pipelines, oldest first."""
    found = [
        (name, letter)
        for name in chosen
        for letter in states.letters(connection, name, scope=scope, open_only=not every)
    ]
    return sorted(found, key=lambda one: one[1].id)


def _chosen(connection: Connection, pipeline: str | None, id_: str | None) -> list[Letter]:
    among = [pipeline] if pipeline else list(PIPELINES)
    open_letters = _letters(connection, among, None, every=False)
    if id_ is None:
        return open_letters
    chosen = [(name, letter) for name, letter in open_letters if id_ in (str(letter.id), letter.key)]
    if chosen:
        return chosen
    closed = [x for _, x in _letters(connection, among, None, every=True) if id_ in (str(x.id), x.key)]
    if closed:
        last = closed[-1]
        raise SyncError(f"dead letter {id_} is not open: it was {last.state} by {last.closed_by}")
    raise SyncError(f"there is no dead letter {id_}; 'sync-pipelines dead-letter list' shows those there are")


def _reset(connection: Connection, pipeline: str, name: str, keys: Sequence[str]) -> None:
    scope = ensure_scope(connection, pipeline, name)
    for key in states.reprocess(connection, scope, keys, operator()):
        entry = {"action": "reprocess", PIPELINES[pipeline].audit_name: key, "success": True, "by": operator()}
        audit.append(connection, pipeline, entry, scope=name, key=key)


def _reconcile(engine: Engine, chosen: Sequence[Letter]) -> list[Summary]:
    configured = {(one.pipeline.name, one.name): one for one in connections()}
    jobs = []
    for whose in sorted({(name, letter.scope) for name, letter in chosen}):
        keys = [letter.key for name, letter in chosen if (name, letter.scope) == whose]
        if whose not in configured:
            for key in keys:
                output.note(f"{key}: reset, but the connection {'/'.join(whose)} is not in the connections file")
            continue
        with engine.connect() as connection:
            identities = natural_keys(connection, ensure_scope(connection, *whose), keys)
        jobs.append((configured[whose], Options(keys=[identities[key] for key in keys])))
    return reconcile_now(engine, jobs)
