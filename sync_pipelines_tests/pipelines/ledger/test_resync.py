"""Resync: what both ledgers have in common stays, what was replaced is kept apart, and the rest is imported."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.ledger.importing import Diverged, Ending, ImportSettings
from sync_pipelines.pipelines.ledger.projecting import derive_stale
from sync_pipelines.pipelines.ledger.resync import NodeBehind, ResyncOutcome, plan_resync, resync_ledger
from sync_pipelines.pipelines.ledger.source import BlockSource, Chunk, Tip
from sync_pipelines.pipelines.ledger.verify import verify_ledger
from sync_pipelines.store import audit
from sync_pipelines.store.ledger import statuses
from sync_pipelines_tests.pipelines.ledger import written
from sync_pipelines_tests.pipelines.ledger.sources import (
    CANISTER,
    LOG,
    MemorySource,
    Writer,
    expected,
    imported,
    small_source,
)
from sync_pipelines_tests.pipelines.ledger.stored import everything


async def _resynced(engine: Engine, source: BlockSource) -> ResyncOutcome:
    return await resync_ledger(engine, source, "main", CANISTER, run_id="a test", log=LOG)


def _fork(common: int, blocks: int) -> Writer:
    fork = Writer.after_small(common)
    for number in range(blocks):
        time = 1_704_400_000_000_000_000 + number
        fork.add([written.entry("RepAge", b"", b"\0" + written.u64(number))], time)
    return fork


@pytest.mark.parametrize(("common", "blocks"), [(0, 1), (1, 30), (23, 30), (39, 1), (39, 30)])
def test_given_a_rewritten_ledger_it_goes_on_from_the_last_common_block(
    engine: Engine, common: int, blocks: int
) -> None:
    asyncio.run(imported(engine, small_source()))
    derive_stale(engine, "main", LOG)
    source = _fork(common, blocks).source(chunk=4_000)

    outcome = asyncio.run(_resynced(engine, source))

    listed = expected()["blocks"]
    gone = sum(len(block["entries"]) for block in listed[common:])
    assert (outcome.kept, outcome.superseded_blocks, outcome.superseded_entries) == (common, 40 - common, gone)
    assert (outcome.generation, outcome.imported.ending, outcome.imported.blocks) == (2, Ending.CAUGHT_UP, blocks)
    derive_stale(engine, "main", LOG)
    assert verify_ledger(engine, "main").sound
    with engine.connect() as connection:
        kept_apart = connection.execute(
            text("SELECT generation, hash FROM sync.ledger_superseded_blocks ORDER BY block_offset")
        ).all()
        entries = connection.execute(text("SELECT count(*) FROM sync.ledger_superseded_entries")).scalar()
    assert [(row.generation, row.hash.hex()) for row in kept_apart] == [(1, block["hash"]) for block in listed[common:]]
    assert entries == gone
    assert asyncio.run(imported(engine, source)).entries == 0


def test_given_a_resync_the_derived_tables_are_those_of_the_ledger_as_it_is_now(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))
    derive_stale(engine, "main", LOG)
    source = _fork(23, 3).source()

    asyncio.run(_resynced(engine, source))
    between = verify_ledger(engine, "main")
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
    asyncio.run(imported(engine, source))
    derive_stale(engine, "main", LOG)

    assert between.sound
    assert len(between.underived) == 1
    assert everything(engine) == after


def test_given_a_ledger_that_has_not_diverged_a_resync_is_an_import(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source(20)))

    outcome = asyncio.run(_resynced(engine, small_source()))

    assert (outcome.kept, outcome.superseded_blocks, outcome.generation, outcome.imported.blocks) == (20, 0, 1, 20)


def test_given_a_block_that_was_damaged_when_it_was_read_a_resync_mends_it(engine: Engine) -> None:
    altered = Writer.after_small(6)
    altered.add([written.entry("RepAge", b"", b"altered")], expected()["blocks"][6]["timestamp_ns"])
    asyncio.run(imported(engine, altered.source()))
    with pytest.raises(Diverged):
        asyncio.run(imported(engine, small_source()))

    outcome = asyncio.run(_resynced(engine, small_source()))

    assert (outcome.kept, outcome.superseded_blocks, outcome.imported.position.blocks) == (6, 1, 40)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sync.import_errors")).scalar() == 0


def test_given_a_node_that_lags_a_resync_takes_nothing_out_before_all_answers_have_lagged_for_long(
    engine: Engine,
) -> None:
    asyncio.run(imported(engine, small_source()))
    before = everything(engine)

    lagging = asyncio.run(_resynced(engine, small_source(30)))
    plan = asyncio.run(plan_resync(engine, small_source(30), "main"))
    after = everything(engine)
    patient = ImportSettings(lag_seconds=-1)
    cut = asyncio.run(
        resync_ledger(engine, small_source(30), "main", CANISTER, run_id="a test", log=LOG, settings=patient)
    )

    assert (lagging.superseded_blocks, lagging.generation, lagging.imported.ending) == (0, 1, Ending.LAGGING)
    assert after == before
    assert (plan.kept, plan.superseded_blocks, plan.shorter) == (30, 10, True)
    assert "may lag" in str(plan)
    assert (cut.kept, cut.superseded_blocks, cut.imported.ending) == (30, 10, Ending.CAUGHT_UP)


@pytest.mark.parametrize("ends", [10, 39])
def test_given_bytes_of_a_node_that_lags_behind_the_tip_a_resync_changes_nothing(engine: Engine, ends: int) -> None:
    asyncio.run(imported(engine, small_source()))
    before = everything(engine)
    source = _fork(39, 3).source()
    source.ends = expected()["blocks"][ends]["offset"]

    with pytest.raises(NodeBehind, match="it lags"):
        asyncio.run(_resynced(engine, source))

    assert everything(engine) == before


def test_given_one_damaged_answer_a_resync_does_not_give_up_a_good_block(engine: Engine) -> None:
    class Flaky(MemorySource):
        damaged = 0

        async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
            chunk = await super().fetch(position, bytes_before)
            if position != expected()["blocks"][22]["offset"] or bytes_before is not None or self.damaged:
                return chunk
            self.damaged += 1
            return replace(chunk, data=chunk.data[:100] + b"?" + chunk.data[101:])

    asyncio.run(imported(engine, small_source()))
    fork = _fork(23, 30)
    source = Flaky(fork.data, hash=fork.hash, blocks=fork.blocks)

    assert (asyncio.run(_resynced(engine, source)).kept, source.damaged) == (23, 1)


def test_given_a_resync_status_and_audit_log_tell_of_it_even_when_the_canister_falls_silent_then(
    engine: Engine,
) -> None:
    class FallsSilent(MemorySource):
        async def tip(self) -> Tip:
            if "tip" in self.requests:
                raise PeerError("the replica", FailureKind.TRANSIENT, "it went away")
            return await super().tip()

    asyncio.run(imported(engine, small_source()))
    fork = _fork(23, 3)

    with pytest.raises(PeerError):
        asyncio.run(_resynced(engine, FallsSilent(fork.data, hash=fork.hash, blocks=fork.blocks)))

    kept = expected()["blocks"][:23]
    with engine.connect() as connection:
        (status,) = [row for row in statuses.read(connection, 1) if row.table_name == "ledger_entries"]
        (entry,) = [item.entry for item in audit.entries(connection, "ledger")]
    assert status.last_synced_block_offset == kept[-1]["offset"]
    assert status.total_records_synced == sum(len(block["entries"]) for block in kept)
    assert (entry["action"], entry["run_id"], entry["superseded_blocks"]) == ("ledger_resync", "a test", 17)
    assert asyncio.run(imported(engine, fork.source())).blocks == 3


def test_given_an_emptied_canister_everything_is_kept_apart(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source(9)))
    derive_stale(engine, "main", LOG)

    outcome = asyncio.run(_resynced(engine, Writer().source()))

    assert (outcome.kept, outcome.superseded_blocks, outcome.imported.ending) == (0, 9, Ending.CAUGHT_UP)
    assert {name: rows for name, rows in everything(engine).items() if rows} == {}
