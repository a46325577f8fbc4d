"""The doctor at a marketplace account: is it reached, and is it let in?"""

from __future__ import annotations

from sqlalchemy import Engine

from sync_pipelines.cli.finding import Finding
from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.opening import open_adapter
from sync_pipelines.systems.throttle import NoThrottle


async def examine_account(connection: MarketplaceConnection, engine: Engine, name: str) -> list[Finding]:
    """Try an account.

    Arguments:
        name: what the connection is called in the findings.
    """
    if not connection.active:
        return [Finding(name, True, f"{connection.kind.title}: inactive; it is not pulled")]
    # Past the shared breakers: a dead URL found here must not stop runs, and an open breaker must not hide the cause.
    try:
        async with open_adapter(connection, engine, throttle=NoThrottle()) as adapter:
            problems = await adapter.check()
    except SyncError as error:
        return [Finding(name, False, str(error))]
    if problems:
        return [Finding(name, False, problem) for problem in problems]
    return [Finding(name, True, f"{connection.kind.title}, account {connection.account} of {connection.organization}")]
