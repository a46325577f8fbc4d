"""``sync-pipelines dead-letter``: records that were given up, and how to take them up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from sqlalchemy import Connection, Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.options import Chosen, connection_option, pair_option, scopes_of
from sync_pipelines.cli.pipelines import PIPELINES
from sync_pipelines.cli.reconcile import reconcile_now, tell
from sync_pipelines.cli.runs import Options
from sync_pipelines.cli.session import connections, open_store, operator
from sync_pipelines.cli.shops import chosen_entities, entity_of
from sync_pipelines.cli.summary import Summary
from sync_pipelines.core.errors import SyncError
from sync_pipelines.engine import by_hand
from sync_pipelines.pipelines.commerce.one_way import PAIRS
from sync_pipelines.store import states
from sync_pipelines.store.lookup import natural_keys
from sync_pipelines.store.scopes import ensure_scope, find_scope
from sync_pipelines.store.states import DeadLetter

if TYPE_CHECKING:
    from sync_pipelines.cli.commerce_runs import ShopRun

Letter = tuple[str, DeadLetter]
"""A pipeline and a dead letter of it."""


@click.group(name="dead-letter")
def dead_letter() -> None:
    """Look at records that were given up, and take them up again."""


@dead_letter.command(name="list")
@pair_option
@connection_option
@click.option("--all", "every", is_flag=True, help="Closed ones as well: they are never dropped.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(pipeline: str | None, wanted: str | None, every: bool, as_json: bool) -> None:
    """List dead letters, oldest first."""
    with open_store() as engine, engine.connect() as connection:
        found = _letters(connection, scopes_of(pipeline, wanted), every=every)
        called = _called(connection, found)
    if as_json:
        output.print_json([{"pipeline": name, **asdict(letter)} for name, letter in found])
        return
    if not found:
        output.note("There are no dead letters.")
        return
    columns = ["id", "connection", "record", "action", "attempts", "given up", "state", "last error"]
    rows = [
        (x.id, name, called.get(x.id, x.key), x.action, x.attempts, x.dead_lettered_at, x.state, x.last_error)
        for name, (_, x) in zip(output.names([(name, x.scope) for name, x in found]), found, strict=True)
    ]
    output.show(output.table("Dead letters", columns, rows, numbers=["id", "attempts"]))


@dead_letter.command()
@click.argument("id_", metavar="[ID]", required=False)
@pair_option
@click.option("--all", "every", is_flag=True, help="All open ones.")
@click.option("--no-run", is_flag=True, help="Only reset them: the next reconcile takes them up.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def reprocess(id_: str | None, pipeline: str | None, every: bool, no_run: bool, as_json: bool) -> None:
    """Take records up again that were given up.

    ID is the dead letter's number, or the record as it is listed. The source is read again before anything is written:
    what failed back then is not repeated, but what the source says now is brought through.
    """
    if bool(id_) == every:
        raise click.UsageError("give either one ID or --all")
    with open_store() as engine:
        with engine.begin() as connection:
            chosen = _chosen(connection, scopes_of(pipeline, None), id_)
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
        of_shops = [one for one in chosen if one[0] in PAIRS]
        others = [one for one in chosen if one not in of_shops]
        rows = _reconcile(engine, others)
        runs = _synchronize(of_shops)
    if runs:
        from sync_pipelines.cli.commerce_runs import show_runs

        show_runs(runs, as_json=as_json)
    if others:
        tell(rows, as_json=as_json)
    if any(entity.failed for run in runs for entity in run.entities):
        raise SyncError("a system refuses again; 'sync-pipelines commerce conflicts' tells why")
    if any(run.problem for run in runs):
        click.get_current_context().exit(1)


def _letters(connection: Connection, chosen: Sequence[Chosen], *, every: bool) -> list[Letter]:
    """Return the dead letters of some pairs, oldest first."""
    found = [
        (one.pair, letter)
        for one in chosen
        for letter in states.letters(connection, one.pair, scope=one.scope, open_only=not every)
    ]
    return sorted(found, key=lambda one: one[1].id)


def _called(connection: Connection, found: Sequence[Letter]) -> dict[int, str]:
    """Return what people call the records of shops, by dead letter: the keys of merged ones mean nothing to them."""
    called = {}
    for pair, letter in found:
        if pair in PAIRS and (scope := find_scope(connection, pair, letter.scope)):
            called[letter.id] = natural_keys(connection, scope, [letter.key])[letter.key]
    return called


def _chosen(connection: Connection, among: Sequence[Chosen], id_: str | None) -> list[Letter]:
    open_letters = _letters(connection, among, every=False)
    if id_ is None:
        return open_letters
    if chosen := _meant(connection, open_letters, id_):
        return chosen
    if closed := _meant(connection, _letters(connection, among, every=True), id_):
        last = closed[-1][1]
        raise SyncError(f"dead letter {id_} is not open: it was {last.state} by {last.closed_by}")
    raise SyncError(f"there is no dead letter {id_}; 'sync-pipelines dead-letter list' shows those there are")


def _meant(connection: Connection, letters: Sequence[Letter], id_: str) -> list[Letter]:
    called = _called(connection, letters)
    return [(name, x) for name, x in letters if id_ in (str(x.id), x.key, called.get(x.id))]


def _reset(connection: Connection, pipeline: str, name: str, keys: Sequence[str]) -> None:
    key_field = PIPELINES[pipeline].audit_name if pipeline in PIPELINES else "key"
    by_hand.reprocess(
        connection, pipeline, name, keys, {"action": "reprocess", "success": True, "by": operator()}, key_field
    )


def _synchronize(chosen: Sequence[Letter]) -> list[ShopRun]:
    """Synchronize the entities of shops that some dead letters are of."""
    if not chosen:
        return []
    from sync_pipelines.cli.commerce_runs import synchronize_shop

    meant = [entity_of(scope) for scope in sorted({letter.scope for _, letter in chosen})]
    return [
        synchronize_shop(shop, chosen_entities(shop, tuple(entity for one, entity in meant if one.name == name)))
        for name, shop in {shop.name: shop for shop, _ in meant}.items()
    ]


def _reconcile(engine: Engine, chosen: Sequence[Letter]) -> list[Summary]:
    if not chosen:
        return []
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
