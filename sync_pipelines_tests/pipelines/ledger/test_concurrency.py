"""Several at once on one ledger: an import keeps others out, and whoever derives meanwhile derives nothing wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import LeaseHeld, LeaseLost
from sync_pipelines.pipelines.ledger.importing import Ending, ImportSettings
from sync_pipelines.pipelines.ledger.projecting import derive_stale
from sync_pipelines.pipelines.ledger.resync import resync_ledger
from sync_pipelines.pipelines.ledger.source import Chunk
from sync_pipelines.pipelines.ledger.verify import verify_ledger
from sync_pipelines_tests.pipelines.ledger import written
from sync_pipelines_tests.pipelines.ledger.sources import (
    CANISTER,
    LOG,
    MemorySource,
    Writer,
    imported,
    small_ledger,
    small_source,
)
from sync_pipelines_tests.pipelines.ledger.stored import everything

SECONDS = 120
SETTINGS = ImportSettings(batch_size=10)


@dataclass
class Interrupted(MemorySource):
    """Something else happens before one of the answers."""

    happens: Callable[[], object] = field(default=lambda: None)
    before: int = 8

    async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
        if sum(request.startswith("fetch") for request in self.requests) == self.before:
            await asyncio.to_thread(self.happens)
        return await super().fetch(position, bytes_before)


def _interrupted(happens: Callable[[], object]) -> Interrupted:
    return Interrupted(small_ledger(), 5_000, happens=happens)


def _undisturbed(engine: Engine) -> dict[str, list[str]]:
    asyncio.run(imported(engine, small_source()))
    derive_stale(engine, "main", LOG)
    assert verify_ledger(engine, "main").sound
    return everything(engine)


def test_given_a_second_import_meanwhile_it_is_kept_out_and_the_first_one_ends_as_alone(engine: Engine) -> None:
    refused: list[str] = []

    def second() -> None:
        with pytest.raises(LeaseHeld) as held:
            asyncio.run(imported(engine, small_source()))
        refused.append(str(held.value))

    outcome = asyncio.run(imported(engine, _interrupted(second), settings=SETTINGS))

    assert (outcome.ending, outcome.entries, len(refused)) == (Ending.CAUGHT_UP, 467, 1)
    assert verify_ledger(engine, "main").sound


def test_given_an_import_that_lost_its_lease_to_another_it_stores_nothing_more(engine: Engine) -> None:
    def taken_over() -> None:
        with engine.begin() as connection:
            connection.execute(text("UPDATE sync.lease SET expires_at = clock_timestamp()"))
        assert asyncio.run(imported(engine, small_source())).ending is Ending.CAUGHT_UP

    with pytest.raises(LeaseLost):
        asyncio.run(imported(engine, _interrupted(taken_over), settings=SETTINGS))

    found = verify_ledger(engine, "main")
    assert (found.sound, found.entries) == (True, 467)


def test_given_tables_derived_while_an_import_is_under_way_they_end_as_if_derived_once(engine: Engine) -> None:
    counted: list[int] = []

    def derived() -> None:
        counted.append(derive_stale(engine, "main", LOG)[1].blocks)
        assert verify_ledger(engine, "main").sound

    asyncio.run(imported(engine, _interrupted(derived), settings=SETTINGS))
    derive_stale(engine, "main", LOG)
    after = everything(engine)
    with engine.begin() as connection:
        connection.execute(
            text(
                "DO $$ DECLARE t text; BEGIN FOR t IN SELECT table_name FROM information_schema.tables "
                "WHERE table_schema = 'sync' AND table_type = 'BASE TABLE' "
                "AND table_name NOT IN ('migration', 'scope') "
                "LOOP EXECUTE format('TRUNCATE sync.%I CASCADE', t); END LOOP; END $$"
            )
        )

    assert 0 < counted[0] < 40
    assert after == _undisturbed(engine)


def test_given_a_resync_and_derivations_at_once_the_tables_follow_from_the_blocks_that_stay(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))
    fork = Writer.after_small(23)
    for number in range(3):
        fork.add([written.entry("RepAge", b"", b"\0" + written.u64(number))], 1_704_400_000_000_000_000 + number)
    ready = threading.Barrier(3)

    def deriving() -> None:
        ready.wait(SECONDS)
        for _ in range(3):
            derive_stale(engine, "main", LOG)

    def resyncing() -> None:
        ready.wait(SECONDS)
        asyncio.run(resync_ledger(engine, fork.source(), "main", CANISTER, run_id="a test", log=LOG))

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work) for work in (deriving, deriving, resyncing)]:
            done.result(SECONDS)
    derive_stale(engine, "main", LOG)

    found = verify_ledger(engine, "main")
    assert (found.sound, found.findings, found.underived) == (True, [], [])
    with engine.connect() as connection:
        beyond = "SELECT count(*) FROM sync.ledger_transfers t LEFT JOIN sync.ledger_blocks b USING (block_offset)"
        assert connection.execute(text(f"{beyond} WHERE b.block_offset IS NULL")).scalar() == 0
        assert connection.execute(text("SELECT count(*) FROM sync.ledger_blocks")).scalar() == 26
