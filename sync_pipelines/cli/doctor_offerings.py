"""The doctor at a connection of the offerings pipeline: its chain and its Waldur."""

from __future__ import annotations

from sync_pipelines.cli.finding import Finding
from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.offerings.pair import OpenConnection


async def examine(opened: OpenConnection, name: str) -> list[Finding]:
    """Try both peers.

    Arguments:
        name: what the connection is called in the findings.
    """
    connection = opened.connection
    chain, waldur = f"{name}: chain", f"{name}: waldur"
    found = []
    try:
        tip = await opened.chain.check()
        offerings = len(await opened.chain.list_offerings(connection.provider))
        told = f"{tip.chain_id} at height {tip.height}, CometBFT {tip.node_version}, {offerings} offerings"
        found.append(Finding(chain, True, told if tip.tx_index else told + "; without tx_index, events are slow"))
    except SyncError as error:
        found.append(Finding(chain, False, str(error)))
    try:
        problems = await opened.waldur.check(
            connection.waldur.customer_uuid,
            category_uuids=sorted(set(connection.category_map.values())),
            offering_type=connection.waldur.offering_type,
        )
    except SyncError as error:
        problems = [str(error)]
    found += [Finding(waldur, False, problem) for problem in problems]
    if not problems:
        publishing = "publishes" if opened.waldur.can_publish else "no staff token: new offerings wait in Draft"
        found.append(Finding(waldur, True, f"{connection.waldur.url}, {publishing}"))
    return found
