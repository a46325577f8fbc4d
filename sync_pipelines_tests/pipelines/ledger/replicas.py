"""A replica whose ledger goes to a database, of which some blocks are stored and others wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.importing import ImportOutcome, ImportSettings, import_ledger
from sync_pipelines.pipelines.ledger.opening import open_ledger
from sync_pipelines.sandbox.internet_computer import MAINNET_CANISTER, InternetComputerStandIn, LedgerWorld
from sync_pipelines.systems.throttle import NoThrottle

LOG = logging.getLogger("ledger-faults")
BLOCKS, STORED = 5, 2


@dataclass
class Replica:
    """A stand-in whose ledger goes to a database. The first blocks are stored, others wait."""

    engine: Engine
    stand_in: InternetComputerStandIn
    url: str

    def imported(self, **changes: Any) -> ImportOutcome:
        """Import as a run would, asking again at once. ``changes`` are fields of the connection."""
        row = {"name": "main", "canister_id": MAINNET_CANISTER, "url": self.url, "max_retries": 0, **changes}
        connection = LedgerConnection.model_validate(row, context={"environment": {}})
        return asyncio.run(self._import(connection))

    async def _import(self, connection: LedgerConnection) -> ImportOutcome:
        opening = open_ledger(connection, self.engine, throttle=NoThrottle(), read_delay=0.001, first_retry=0.001)
        async with opening as opened:
            settings = ImportSettings(batch_size=1)
            known = (self.engine, opened.source, connection.name, connection.canister_id)
            return await import_ledger(*known, run_id="a test", log=LOG, settings=settings)

    def heal(self) -> None:
        """Switch every fault off."""
        self.stand_in.faults.clear()
        self.stand_in.replica.rejects.clear()
        self.stand_in.replica.skew_seconds = 0.0
        self.stand_in.canister.short_by = 0
        self.stand_in.replica.add(self.stand_in.canister)
        self.stand_in.world.catch_up()

    def stored(self) -> list[tuple[Any, ...]]:
        """Return the position and the number of entries."""
        with self.engine.connect() as connection:
            query = "SELECT next_position, blocks, (SELECT count(*) FROM sync.ledger_entries) FROM sync.ledger_position"
            return [tuple(row) for row in connection.execute(text(query))]

    def notes(self) -> list[str]:
        """Return what is noted about damaged blocks."""
        with self.engine.connect() as connection:
            return list(connection.execute(text("SELECT reason FROM sync.import_errors")).scalars())


@contextlib.contextmanager
def served_ledger() -> Iterator[tuple[InternetComputerStandIn, str]]:
    """Serve a ledger in small chunks; gives the stand-in and its URL."""
    stand_in = InternetComputerStandIn(LedgerWorld.grown(BLOCKS), chunk=2_000)
    with stand_in.running() as url:
        yield stand_in, url


@contextlib.contextmanager
def half_stored(engine: Engine, stand_in: InternetComputerStandIn, url: str) -> Iterator[Replica]:
    """Store the first blocks of a served ledger, and put it in order again afterwards."""
    replica = Replica(engine, stand_in, url)
    stand_in.world.lag(BLOCKS - STORED)
    replica.imported()
    stand_in.world.catch_up()
    yield replica
    replica.heal()
