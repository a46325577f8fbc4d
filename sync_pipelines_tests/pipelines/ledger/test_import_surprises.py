"""The import when nodes or the database misbehave on the way: nothing is lost, and what is told is true."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from psycopg.errors import CheckViolation
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.ledger.importing import Diverged, Ending, ImportSettings, UnexpectedBytes
from sync_pipelines.pipelines.ledger.source import Chunk, Tip
from sync_pipelines.pipelines.ledger.verify import verify_ledger
from sync_pipelines.store.ledger import positions, statuses
from sync_pipelines_tests.pipelines.ledger.sources import (
    START,
    MemorySource,
    expected,
    imported,
    small_ledger,
    small_source,
)
from sync_pipelines_tests.pipelines.ledger.stored import everything


def _position(engine: Engine, name: str = "main") -> positions.Position:
    with engine.connect() as connection:
        found = positions.find(connection, name)
        assert found is not None
        return found


def _count(engine: Engine, name: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM sync.{name}")).scalar_one())


class _Silenced(MemorySource):
    """Tells its tip and no bytes."""

    async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
        raise PeerError("the replica", FailureKind.TRANSIENT, "it went away")


class _DamagedOnce(MemorySource):
    """One answer ends in a byte that is not the ledger's, within a block."""

    async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
        chunk = await super().fetch(position, bytes_before)
        if sum(request.startswith("fetch") for request in self.requests) != 2:
            return chunk
        return replace(chunk, data=chunk.data[:-1] + bytes([chunk.data[-1] ^ 1]))


def test_given_a_damaged_answer_that_ends_within_a_block_it_is_not_taken_for_another_history(engine: Engine) -> None:
    outcome = asyncio.run(imported(engine, _DamagedOnce(small_ledger(), chunk=5_000)))

    assert (outcome.ending, outcome.entries, _count(engine, "import_errors")) == (Ending.CAUGHT_UP, 467, 0)


def test_given_a_ledger_that_grew_since_its_tip_was_told_the_rest_is_no_broken_block(engine: Engine) -> None:
    class Grown(MemorySource):
        async def tip(self) -> Tip:
            return replace(await super().tip(), end=expected()["blocks"][20]["offset"])

    outcome = asyncio.run(imported(engine, Grown(small_ledger(), chunk=25_000)))

    assert (outcome.ending, outcome.reason) == (Ending.CAUGHT_UP, "")
    assert 20 < outcome.blocks < 40


@pytest.mark.parametrize(
    "told", [Tip(START, 2**63, 1, b"", 0), Tip(START, START + 1, 2**63, b"", 0), Tip(START, START + 1, 1, b"", 2**63)]
)
def test_given_an_end_that_no_ledger_has_it_is_refused(engine: Engine, told: Tip) -> None:
    class Boundless(MemorySource):
        async def tip(self) -> Tip:
            return told

    with pytest.raises(UnexpectedBytes, match="no ledger has"):
        asyncio.run(imported(engine, Boundless(small_ledger())))
    assert _count(engine, "ledger_entries") == 0


def test_given_a_batch_that_cannot_be_stored_nothing_behind_it_is_and_its_error_is_told(engine: Engine) -> None:
    refused = expected()["blocks"][15]["offset"]
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE sync.ledger_blocks ADD CHECK (block_offset <> {refused})"))

    with pytest.raises(CheckViolation):
        asyncio.run(imported(engine, small_source(chunk=2_000), settings=ImportSettings(batch_size=1)))

    assert (_position(engine).blocks, _position(engine).next_position) == (15, refused)
    assert verify_ledger(engine, "main").sound


@pytest.mark.parametrize("copied", ["ledger_entries", "ledger_blocks"])
def test_given_a_database_that_breaks_off_in_the_middle_of_a_copy_the_same_import_goes_on(
    engine: Engine, copied: str
) -> None:
    with engine.begin() as connection:
        # What a sequence has given stays given, also when the transaction is gone: it breaks off once.
        connection.execute(text("CREATE SEQUENCE sync.rows_copied"))
        connection.execute(
            text(
                "CREATE FUNCTION sync.break_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "IF nextval('sync.rows_copied') = 15 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; "
                "RETURN NEW; END $$"
            )
        )
        trigger = f"CREATE TRIGGER t BEFORE INSERT ON sync.{copied} FOR EACH ROW EXECUTE FUNCTION sync.break_off()"
        connection.execute(text(trigger))

    outcome = asyncio.run(imported(engine, small_source(chunk=2_000), settings=ImportSettings(batch_size=40)))

    assert (outcome.ending, outcome.entries, _count(engine, "ledger_entries")) == (Ending.CAUGHT_UP, 467, 467)
    assert verify_ledger(engine, "main").sound


def test_given_a_ledger_that_begins_elsewhere_it_is_another_one(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source(20)))
    before = everything(engine)

    class Elsewhere(MemorySource):
        async def tip(self) -> Tip:
            return replace(await super().tip(), data_start=START + 16)

    with pytest.raises(Diverged, match=f"begins at position {START + 16}, ours at {START}"):
        asyncio.run(imported(engine, Elsewhere(small_ledger())))
    assert {**everything(engine), "import_errors": []} == before


def _status(engine: Engine) -> tuple[int, str | None]:
    with engine.connect() as connection:
        (status,) = statuses.read(connection, 1)
        return status.sync_errors, status.last_error


def test_given_a_canister_that_does_not_answer_the_status_says_so_until_it_does(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source(20)))
    with pytest.raises(PeerError):
        asyncio.run(imported(engine, _Silenced(small_ledger())))

    told = _status(engine)
    asyncio.run(imported(engine, small_source(20)))

    assert (told[0], told[1]) == (1, "the replica: it went away")
    assert _status(engine) == (0, None)


def test_given_a_false_alarm_the_error_is_gone_with_the_next_answer_that_fits(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))
    with pytest.raises(Diverged):
        asyncio.run(imported(engine, replace(small_source(), hash=bytes(range(32)))))
    with pytest.raises(PeerError):
        asyncio.run(imported(engine, _Silent(small_ledger())))
    alarmed = _status(engine)

    asyncio.run(imported(engine, small_source()))

    assert "its last block has the hash" in str(alarmed[1])
    assert (_status(engine), _count(engine, "import_errors")) == ((0, None), 0)


class _Silent(MemorySource):
    async def tip(self) -> Tip:
        raise PeerError("the replica", FailureKind.TRANSIENT, "it went away")
