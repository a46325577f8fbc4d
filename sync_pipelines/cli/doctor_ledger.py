"""The doctor at a ledger: its network, its canister, and how far the replica is."""

from __future__ import annotations

from sqlalchemy import Engine

from sync_pipelines.cli.finding import Finding
from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.opening import OpenLedger, open_ledger
from sync_pipelines.pipelines.ledger.runs import position_of, what_waits
from sync_pipelines.systems.internet_computer import MethodNotOffered
from sync_pipelines.systems.throttle import NoThrottle


async def examine_ledger(connection: LedgerConnection, engine: Engine, name: str) -> list[Finding]:
    """Try the canister.

    Arguments:
        name: what the connection is called in the findings.
    """
    # Past the shared breakers: a dead URL found here must not stop runs, and an open breaker must not hide the cause.
    patient = connection.model_copy(update={"max_retries": 0})
    try:
        async with open_ledger(patient, engine, throttle=NoThrottle()) as opened:
            return await _canister(opened, engine, name)
    except SyncError as error:
        return [Finding(f"{name}: canister", False, str(error))]


async def _canister(opened: OpenLedger, engine: Engine, name: str) -> list[Finding]:
    connection = opened.connection
    tip = await opened.source.tip()
    proved = "answers proved by node signatures" if connection.verify_queries else "answers of one node, not proved"
    told = f"{connection.canister_id}: {tip.blocks} blocks up to position {tip.end}, {proved}"
    found = [Finding(f"{name}: canister", True, told)]
    position = position_of(engine, connection.name)
    if position is not None and position.canister_id != connection.canister_id:
        other = f"so far {position.canister_id} was imported under this name; give the other canister a name of its own"
        return [*found, Finding(f"{name}: replica", False, other)]
    behind = position is not None and tip.end < (position.next_position or 0)
    found.append(Finding(f"{name}: replica", not behind, what_waits(position, tip)))
    if connection.live:
        found.append(await _live(opened, f"{name}: live view"))
    return found


async def _live(opened: OpenLedger, check: str) -> Finding:
    try:
        page = await opened.canister.next_block_entries(None, 0, 1)
    except MethodNotOffered:
        return Finding(check, False, "this canister does not show its block in the making; set live: false")
    except SyncError as error:
        return Finding(check, False, str(error))
    return Finding(check, True, f"{page.total_count} entries are not committed yet")
