"""A Director over real HTTP, a mount of a real Vault, and what a test wants to do with the pipeline between them."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Engine, text

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.reconcile import Reconciled, reconcile
from sync_pipelines.pipelines.deployments.connection import DeploymentsConnection
from sync_pipelines.pipelines.deployments.pair import NAME, OpenConnection, open_connection
from sync_pipelines.pipelines.deployments.run_status import Status, status_of
from sync_pipelines.sandbox.bosh import DEMO_PASSWORD, DEMO_USER, DirectorStandIn, DirectorWorld
from sync_pipelines.settings import Secret
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines_tests.engine.worlds import approve_and_apply
from sync_pipelines_tests.pipelines.deployments.demo_data import DATA
from sync_pipelines_tests.vaults import Mounted

NAME_OF_ONE = "lab"
log = logging.getLogger("sync_pipelines.test")
_T = TypeVar("_T")


@dataclass
class Fleet:
    """Both peers, served, and the database of the pipeline between them.

    Attributes:
        url: of the Director.
        ahead: how far the pipeline's clock is ahead.
    """

    engine: Engine
    director: DirectorStandIn
    url: str
    vault: Mounted
    ahead: timedelta = timedelta()

    @property
    def world(self) -> DirectorWorld:
        """The Director's state."""
        return self.director.world

    def connection(self, **changes: Any) -> DeploymentsConnection:
        """Return the connection. A change of ``director`` or ``vault`` is merged into the usual one.

        One instance is more than a fifth of a handful, so the guard lets small numbers through.
        """
        usual: dict[str, Any] = {
            "name": NAME_OF_ONE,
            "director": {"url": self.url, "user": DEMO_USER, "password": Secret(DEMO_PASSWORD), "auth": "basic"},
            "vault": {"url": self.vault.url, "mount": self.vault.path, "token": Secret(self.vault.token)},
            "catalog": str(DATA / "catalog.json"),
            "guard": {"ignore_up_to": 3},
        }
        for name, value in changes.items():
            usual[name] = usual[name] | value if name in ("director", "vault") else value
        return DeploymentsConnection.model_validate(usual, context={"environment": {}})

    def opened(
        self, work: Callable[[OpenConnection], Awaitable[_T]], connection: DeploymentsConnection | None = None
    ) -> _T:
        """Do something with the open connection."""

        async def run() -> _T:
            chosen = connection or self.connection()
            async with open_connection(chosen, self.engine, read_delay=0.0, clock=self.now) as opened:
                return await work(opened)

        return asyncio.run(run())

    def now(self) -> datetime:
        """Return the pipeline's present time."""
        return datetime.now(UTC) + self.ahead

    def reconcile(
        self,
        connection: DeploymentsConnection | None = None,
        *,
        keys: Sequence[str] | None = None,
        plan_only: bool = False,
    ) -> Reconciled:
        """Run one reconcile in this process, as a Dagster run would."""

        async def run(opened: OpenConnection) -> Reconciled:
            run_id = uuid.uuid4().hex[:8]
            return await reconcile(self.engine, opened.pair, run_id=run_id, log=log, keys=keys, plan_only=plan_only)

        return self.opened(run, connection)

    def approve(self, plan_hash: str, connection: DeploymentsConnection | None = None) -> Reconciled:
        """Approve a held plan and carry it out."""

        async def run(opened: OpenConnection) -> Reconciled:
            return await approve_and_apply(self.engine, opened.pair, plan_hash, run_id="approval", log=log)

        return self.opened(run, connection)

    def scan(
        self, connection: DeploymentsConnection | None = None, keys: Sequence[str] | None = None
    ) -> tuple[dict[str, Record], Sweep]:
        """Read the left side alone; gives the records by deployment, and the reader's report."""

        async def run(opened: OpenConnection) -> tuple[dict[str, Record], Sweep]:
            sweep = Sweep()
            pages = opened.scan.sweep(sweep) if keys is None else opened.scan.look(keys, sweep)
            return {record.key: record async for page in pages for record in page}, sweep

        return self.opened(run, connection)

    def asked(self) -> list[str]:
        """Return the paths asked of the Director since the last call."""
        paths = [request.path for request in self.world.requests]
        self.world.requests.clear()
        return paths

    def status(self) -> Status:
        """Return how the connection stands."""
        with self.engine.begin() as connection:
            return status_of(connection, ensure_scope(connection, NAME, NAME_OF_ONE))

    def index(self) -> dict[str, Any]:
        """Return the index as it is in Vault; empty when there is none."""
        return self.vault.read("db") or {}

    def versions(self) -> dict[str, int]:
        """Return the version of every secret in Vault."""
        return self.vault.with_kv(_versions)

    def let_time_pass(self) -> None:
        """Make everything due that waits for a time."""
        with self.engine.begin() as connection:
            for statement in (
                "UPDATE sync.record_state SET next_retry_at = now() - interval '1 s' WHERE state = 'retrying'",
                "UPDATE sync.effect SET quiet_until = now() - interval '1 s' WHERE quiet_until IS NOT NULL",
                "DELETE FROM sync.peer",
            ):
                connection.execute(text(statement))

    def grow_old(self, seconds: float = 3600.0) -> None:
        """Let what was kept of the Director grow old."""
        with self.engine.begin() as connection:
            connection.execute(
                text("UPDATE sync.peer_cache SET stored_at = stored_at - make_interval(secs => :seconds)"),
                {"seconds": seconds},
            )


async def _versions(kv: Any) -> dict[str, int]:
    found = {}
    for path in await kv.list_all():
        versions = await kv.versions(path)
        found[path] = versions.current if versions else 0
    return found


@contextmanager
def opened_fleet(engine: Engine, director: DirectorStandIn, vault: Mounted) -> Iterator[Fleet]:
    """Serve the Director until the block is left."""
    with director.running() as url:
        yield Fleet(engine, director, url, vault)
