"""The ledger part of the demo: waits until Dagster has imported by itself what there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from rich.console import Console
from sqlalchemy import Engine

from sync_pipelines.cli.demo_peers import step
from sync_pipelines.cli.ledger_runs import Replicated
from sync_pipelines.cli.ledgers import chosen_ledgers
from sync_pipelines.core.errors import SyncError
from sync_pipelines.engine.stopping import run_until_stopped
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.opening import open_ledger
from sync_pipelines.pipelines.ledger.runs import position_of
from sync_pipelines.pipelines.ledger.source import Tip
from sync_pipelines.pipelines.ledger.status import status_reply
from sync_pipelines.store.ledger import derivation, statuses

_SECONDS = 300.0
_LOOK_SECONDS = 0.5


def standings(engine: Engine) -> dict[str, Replicated]:
    """Return how far each ledger is, by the name of its connection."""
    return {one.name: _standing(engine, one) for one in chosen_ledgers(None)}


def until_replicated(
    engine: Engine, before: Mapping[str, Replicated], console: Console, check: Callable[[], None]
) -> list[Replicated]:
    """Wait until the sensors have had everything imported and derived that is committed now.

    Arguments:
        before: how far each ledger was at first.
        check: raises when it cannot come to that any more.

    Raises:
        SyncError: it does not come to that.
    """
    done = []
    for one in chosen_ledgers(None):
        with step(console, f"Ledger {one.name}") as say:
            started = time.monotonic()
            tip = run_until_stopped(_tip(one, engine))
            while not _is_through(engine, one, tip):
                check()
                if time.monotonic() - started > _SECONDS:
                    raise SyncError(f"the ledger {one.name} is not imported; its runs in the Dagster UI tell why")
                now = _standing(engine, one)
                say(f"{now.blocks} of {tip.blocks} blocks, {now.entries} entries")
                time.sleep(_LOOK_SECONDS)
            done.append(_difference(before[one.name], _standing(engine, one), tip, time.monotonic() - started))
    return done


async def _tip(one: LedgerConnection, engine: Engine) -> Tip:
    async with open_ledger(one, engine) as opened:
        return await opened.source.tip()


def _is_through(engine: Engine, one: LedgerConnection, tip: Tip) -> bool:
    position = position_of(engine, one.name)
    if position is None or (position.next_position or 0) < tip.end:
        return False
    with engine.connect() as connection:
        return not derivation.stale_days(connection, position.canister)


def _standing(engine: Engine, one: LedgerConnection) -> Replicated:
    position = position_of(engine, one.name)
    if position is None:
        return Replicated(one.name)
    with engine.connect() as connection:
        rows = {row.table_name: row.total_records_synced for row in statuses.read(connection, position.canister)}
    return Replicated(
        one.name,
        blocks=position.blocks,
        entries=position.entries,
        total_entries=position.entries,
        position=position.next_position or 0,
        created=rows,
        reply=status_reply(engine, one.name),
    )


def _difference(before: Replicated, now: Replicated, tip: Tip, seconds: float) -> Replicated:
    return replace(
        now,
        blocks=now.blocks - before.blocks,
        entries=now.entries - before.entries,
        tip_position=max(tip.end, now.position),
        created={table: number - before.created.get(table, 0) for table, number in now.created.items()},
        seconds=seconds,
    )
