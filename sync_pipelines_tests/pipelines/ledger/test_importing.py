"""The import: every sound block is stored once, exactly as it is, and nothing of what comes after a bad one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import ConfigurationError, FailureKind, LeaseHeld, PeerError
from sync_pipelines.pipelines.ledger.importing import Diverged, Ending, ImportSettings, UnexpectedBytes, import_ledger
from sync_pipelines.pipelines.ledger.source import Chunk
from sync_pipelines.store import leases
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines.store.ledger import errors, positions, statuses
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.pipelines.ledger import written
from sync_pipelines_tests.pipelines.ledger.sources import (
    CANISTER,
    DATA,
    LOG,
    START,
    MemorySource,
    Writer,
    expected,
    imported,
    small_ledger,
    small_source,
)
from sync_pipelines_tests.pipelines.ledger.stored import everything, table

DAY = 86_400 * 10**9
FAULTS: list[dict[str, Any]] = json.loads((DATA / "corrupt" / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shared_engine(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[Engine]:
    """A database for many ledgers, each under a name of its own."""
    with fresh_engine(postgres_server, migrated_template) as engine:
        yield engine


def _position(engine: Engine, name: str = "main") -> positions.Position:
    with engine.connect() as connection:
        found = positions.find(connection, name)
        assert found is not None
        return found


def _count(engine: Engine, name: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM sync.{name}")).scalar_one())


@pytest.mark.parametrize(("chunk", "batch_size"), [(37, 50), (1_000, 1), (1024 * 1024, 20_000)])
def test_given_chunks_and_batches_of_any_size_every_entry_is_stored_as_it_is(
    engine: Engine, chunk: int, batch_size: int
) -> None:
    outcome = asyncio.run(imported(engine, small_source(chunk=chunk), settings=ImportSettings(batch_size=batch_size)))

    rows = expected()["tables"]["ledger_entries"]
    columns = [column for column in rows[0] if column != "signature_valid"]
    assert table(engine, "ledger_entries", columns) == [{name: row[name] for name in columns} for row in rows]
    end, position = expected()["position"], _position(engine)
    assert (outcome.ending, outcome.blocks, outcome.entries) == (Ending.CAUGHT_UP, 40, 467)
    assert (position.next_position, position.last_block_offset) == (end["next_position"], end["last_block_offset"])
    assert (position.last_hash.hex(), position.last_timestamp) == (
        end["latest_block_hash"],
        end["latest_block_timestamp_ns"],
    )


def test_given_nothing_new_one_request_is_all_it_takes(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))
    before = everything(engine)

    again = small_source()
    outcome = asyncio.run(imported(engine, again))

    assert (outcome.ending, outcome.entries, again.requests) == (Ending.CAUGHT_UP, 0, ["tip"])
    assert everything(engine) == before


def test_given_a_growing_ledger_each_import_takes_what_is_new(engine: Engine) -> None:
    for blocks in (1, 2, 17, None):
        asyncio.run(imported(engine, small_source(blocks, chunk=1_000)))
    grown = everything(engine)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE sync.ledger_position, sync.ledger_blocks, sync.ledger_entries"))
        status = statuses.read(connection, 1)

    asyncio.run(imported(engine, small_source()))

    assert grown == everything(engine)
    assert [(row.table_name, row.total_records_synced) for row in status] == [("ledger_entries", 467)]


class _Failing(MemorySource):
    """Answers so many questions for bytes, then fails."""

    answers = 0

    async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
        self.answers -= 1
        if self.answers < 0:
            raise PeerError("the replica", FailureKind.TRANSIENT, "it went away")
        return await super().fetch(position, bytes_before)


def test_given_a_failure_after_any_chunk_the_next_import_goes_on_and_ends_the_same(engine: Engine) -> None:
    chunk, settings = 6_000, ImportSettings(batch_size=10)
    chunks = -(-len(small_ledger()) // chunk)
    reached = []
    for answers in range(chunks):
        name, source = f"failed after {answers}", _Failing(small_ledger(), chunk)
        source.answers = answers
        with pytest.raises(PeerError):
            asyncio.run(imported(engine, source, name=name, settings=settings))
        reached.append(_position(engine, name).blocks)
        outcome = asyncio.run(imported(engine, small_source(chunk=chunk), name=name, settings=settings))
        assert (outcome.ending, reached[-1] + outcome.blocks) == (Ending.CAUGHT_UP, 40)

    assert reached[0] == 0
    assert reached == sorted(reached)
    assert len(set(reached)) > 8
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT count(*), count(DISTINCT (block_offset, entry_index, operation, label, key, value)) "
                "FROM sync.ledger_entries"
            )
        ).one()
    assert tuple(rows) == (chunks * 467, 467)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault["file"]).removeprefix("corrupt/"))
def test_given_a_damaged_ledger_the_import_stops_before_the_damage_and_says_so(
    shared_engine: Engine, fault: dict[str, Any]
) -> None:
    engine, name = shared_engine, fault["file"]
    data = (DATA / fault["file"]).read_bytes()[: fault["end_position"] - START]
    source = MemorySource(data, chunk=1_500)

    outcome = asyncio.run(imported(engine, source, name=name))
    stored = _numbers(engine)
    asyncio.run(imported(engine, source, name=name))

    position = _position(engine, name)
    assert (position.blocks, position.entries) == (fault["must_import_blocks"], fault["entries_imported"])
    assert position.next_position == fault["must_stay_at_position"]
    assert position.last_hash.hex() == fault["last_good_block_hash"]
    endings = {
        "stop": Ending.DAMAGED,
        "stop_or_report": Ending.DAMAGED,
        "end_of_chain": Ending.END_OF_CHAIN,
        "wait": Ending.INCOMPLETE,
        "accept": Ending.CAUGHT_UP,
    }
    assert outcome.ending is endings[fault["expect"]]
    assert _numbers(engine) == stored
    with engine.connect() as connection:
        told = errors.standing(connection, position.canister)
        (status,) = statuses.read(connection, position.canister)
    bad = not outcome.sound
    assert [(error.block_offset, error.kind) for error in told] == [
        (position.next_position, f"block_{outcome.ending}")
    ] * bad
    assert (status.sync_errors, status.last_error is not None) == (int(bad), bad)


def _numbers(engine: Engine) -> tuple[int, ...]:
    return tuple(_count(engine, name) for name in ("ledger_blocks", "ledger_entries", "import_errors"))


def test_given_a_damaged_answer_of_one_node_the_next_answer_counts(engine: Engine) -> None:
    class Flaky(MemorySource):
        async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
            chunk = await super().fetch(position, bytes_before)
            first = sum(request.startswith("fetch") for request in self.requests) == 1
            return replace(chunk, data=chunk.data[:9_000] + b"?" + chunk.data[9_001:]) if first else chunk

    outcome = asyncio.run(imported(engine, Flaky(small_ledger())))

    assert (outcome.ending, outcome.entries, _count(engine, "import_errors")) == (Ending.CAUGHT_UP, 467, 0)


def test_given_a_mended_block_the_error_is_gone_with_the_next_import(engine: Engine) -> None:
    fault = FAULTS[0]
    asyncio.run(imported(engine, MemorySource((DATA / fault["file"]).read_bytes())))
    assert _count(engine, "import_errors") == 1

    asyncio.run(imported(engine, small_source()))

    assert _count(engine, "import_errors") == 0
    with engine.connect() as connection:
        (status,) = statuses.read(connection, 1)
    assert (status.sync_errors, status.last_error, status.total_records_synced) == (0, None, 467)


def test_given_a_node_that_lags_nothing_is_taken_back(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))
    before = everything(engine)

    outcome = asyncio.run(imported(engine, small_source(30)))

    assert (outcome.ending, outcome.sound) == (Ending.LAGGING, True)
    assert everything(engine) == before


def test_given_a_node_that_lags_behind_its_own_metadata_what_it_has_is_stored(engine: Engine) -> None:
    source = small_source(chunk=5_000)
    source.ends = expected()["blocks"][20]["offset"]

    outcome = asyncio.run(imported(engine, source))

    assert (outcome.ending, outcome.blocks, _position(engine).blocks) == (Ending.LAGGING, 20, 20)


def test_given_a_chain_that_stays_shorter_it_counts_as_cut(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))
    asyncio.run(imported(engine, small_source(30)))

    with pytest.raises(Diverged, match=r"no node that lags.*ledger resync"):
        asyncio.run(imported(engine, small_source(30), settings=ImportSettings(lag_seconds=-1)))


def _fork(at: int) -> Writer:
    """The small ledger up to a block, and a block of another history behind it."""
    fork = Writer.after_small(at)
    fork.add([written.entry("Other", b"key", bytes(99))], expected()["blocks"][at]["timestamp_ns"])
    return fork


@pytest.mark.parametrize("longer", [False, True])
def test_given_a_rewritten_ledger_nothing_changes_and_the_error_names_the_way_out(engine: Engine, longer: bool) -> None:
    asyncio.run(imported(engine, small_source()))
    before = everything(engine)
    fork = _fork(20)
    while longer and len(fork.data) < len(small_ledger()) + 100:
        fork.add([written.entry("Other", b"key", bytes(range(256)) * 30)], 0)

    with pytest.raises(Diverged, match="ledger resync"):
        asyncio.run(imported(engine, fork.source()))

    assert {**everything(engine), "import_errors": []} == before
    with engine.connect() as connection:
        assert connection.execute(text("SELECT kind FROM sync.import_errors")).scalars().all() == ["diverged"]


def test_given_a_fork_of_equal_length_its_hash_gives_it_away(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))

    with pytest.raises(Diverged, match="its last block has the hash"):
        asyncio.run(imported(engine, replace(small_source(), hash=bytes(range(32)))))


def test_given_bytes_of_another_position_they_are_refused(engine: Engine) -> None:
    class Elsewhere(MemorySource):
        async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
            return replace(await super().fetch(position, bytes_before), position=position + 1)

    with pytest.raises(UnexpectedBytes):
        asyncio.run(imported(engine, Elsewhere(small_ledger())))
    assert _count(engine, "ledger_entries") == 0


def test_given_another_import_of_the_connection_it_is_told_who_works_there(engine: Engine) -> None:
    with engine.begin() as connection:
        leases.take(connection, "ledger/main", "the other run", 60)

    with pytest.raises(LeaseHeld, match="the other run"):
        asyncio.run(imported(engine, small_source()))


def test_given_another_canister_under_the_same_name_it_is_refused(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source(2)))

    with pytest.raises(ConfigurationError, match="connection of another name"):
        asyncio.run(import_ledger(engine, small_source(), "main", "another-cai", run_id="r", log=LOG))


def test_given_two_connections_their_ledgers_stand_side_by_side(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source(), name="one"))
    asyncio.run(import_ledger(engine, small_source(5), "two", "another-cai", run_id="r", log=LOG))

    with engine.connect() as connection:
        counts = connection.execute(text("SELECT count(*) FROM sync.ledger_blocks GROUP BY canister ORDER BY canister"))
        assert counts.scalars().all() == [40, 5]


def test_given_a_day_with_no_end_of_entries_a_label_with_nul_and_a_long_key_all_is_stored(engine: Engine) -> None:
    ledger = Writer()
    odd = [written.entry("nul\0label", b"", b"1"), written.entry("Long", bytes(5_000), bytes(200_000))]
    ledger.add(odd, 2**63 - 1)
    ledger.add([written.entry("Long", bytes(5_000), b"", operation=1)], 5)

    outcome = asyncio.run(imported(engine, ledger.source()))

    assert (outcome.ending, outcome.labels) == (Ending.CAUGHT_UP, {"nul\0label": 1, "Long": 2})
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT label, label_bytes, octet_length(key), operation FROM sync.ledger_entries ORDER BY migrated_at"
            )
        )
        assert {tuple(row) for row in rows} == {
            ("nul\N{REPLACEMENT CHARACTER}label", b"nul\0label", 0, "INSERT"),
            ("Long", b"", 5_000, "INSERT"),
            ("Long", b"", 5_000, "DELETE"),
        }


def test_given_a_time_that_no_bigint_holds_the_import_stops_there(engine: Engine) -> None:
    ledger = Writer()
    ledger.add([written.entry("A", b"", b"")], DAY)
    bad = ledger.add([written.entry("B", b"", b"")], 2**63)

    outcome = asyncio.run(imported(engine, ledger.source()))

    assert (outcome.ending, outcome.position.next_position) == (Ending.DAMAGED, bad)
    assert "after the year 2262" in outcome.reason
    assert CANISTER in outcome.position.canister_id
