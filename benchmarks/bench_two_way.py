"""How fast two systems are merged that both may be edited: what moved is found, merged, and planned for either."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from sqlalchemy import Engine

from benchmarks import data
from benchmarks.bench_load import load
from benchmarks.measure import Report, peak_memory, run
from benchmarks.memory_pair import Nothing
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine.compare import compare
from sync_pipelines.engine.context import working_on
from sync_pipelines.engine.merge_record import Merges
from sync_pipelines.engine.merging import merge
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.engine.two_way import TwoWayPair, scopes_of, show_merged
from sync_pipelines.store.scopes import ensure_scope

RECORDS = 200_000
PER_SECOND = 20_000
MANY_EVERY = 10
MOST_MEMORY = 400


@dataclass(frozen=True, slots=True)
class Measured:
    """What one pass took.

    Attributes:
        merging: seconds of the merge.
        merge_cpu: seconds of this process for the merge.
        planning: seconds until both plans stood, the merge left out.
        cpu: seconds of this process for both.
        planned: writes in both plans.
    """

    merges: Merges
    merging: float
    merge_cpu: float
    planning: float
    cpu: float
    planned: int


def measure(records: int) -> Report:
    """Merge as many records of two systems: as new, unchanged, and with few or many changed in one of them."""
    report = Report()
    pair = _pair()
    with fresh_server() as server, fresh_database(server) as engine:
        for side in Side:
            _load(engine, pair, side, records)
        first = asyncio.run(_pass(engine, pair))
        assert first.merges.new == records
        asyncio.run(_pass(engine, pair))
        nothing = asyncio.run(_pass(engine, pair))
        assert nothing.merges.looked_at == nothing.planned == 0
        _load(engine, pair, Side.LEFT, records, changed_every=100)
        few = asyncio.run(_pass(engine, pair))
        assert few.merges.changed == few.planned == len(range(0, records, 100))
        _load(engine, pair, Side.LEFT, records)
        asyncio.run(_pass(engine, pair))
        _load(engine, pair, Side.LEFT, records, changed_every=MANY_EVERY)
        many = asyncio.run(_pass(engine, pair))
        assert many.merges.changed == many.planned == len(range(0, records, MANY_EVERY))
    number = f"{records:,} record pairs"
    report.at_least(f"merge {number}, nothing changed", records / nothing.merging, PER_SECOND, "pairs/s")
    report.at_least(f"merge {number}, 1 % changed", records / few.merging, PER_SECOND, "pairs/s")
    report.plain(f"merge {number}, 10 % changed: pairs that changed", many.merges.changed / many.merging, "pairs/s")
    report.plain(f"merge {number} for the first time", records / first.merging, "pairs/s")
    for name, one in (("nothing", nothing), ("1 %", few), ("10 %", many)):
        report.plain(f"the same with {name} changed, until both plans stand", one.merging + one.planning, "s")
        report.plain("CPU of this process for that, PostgreSQL's not counted", one.cpu, "s")
    report.at_most(f"memory of the merging process, {number}", peak_memory(), MOST_MEMORY, "MB")
    report.notes.append(
        "Two ways: `merge()` of what two snapshots in the store show, without peers; what was merged is then planned "
        "for both systems as every run does it."
    )
    return report


def _pair() -> TwoWayPair:
    nothing = Nothing()
    return TwoWayPair(
        name="bench",
        scope="bench",
        entity="products",
        org="bench",
        left=nothing,
        right=nothing,
        peers=("shop", "erp"),
        rules={},
        natural_key=lambda content: str(content["sku"]),
    )


def _load(engine: Engine, pair: TwoWayPair, side: Side, records: int, changed_every: int = 0) -> None:
    with engine.begin() as connection:
        scope = ensure_scope(connection, f"{pair.name}_{pair.peer(side)}", pair.scope)
    load(engine, scope, "right", data.pages(records, changed_every), records)


async def _pass(engine: Engine, pair: TwoWayPair) -> Measured:
    log = logging.getLogger("benchmarks")
    sides = {side: pair.one_way(side, engine) for side in Side}
    async with (
        working_on(engine, sides[Side.LEFT], "bench", log) as left,
        working_on(engine, sides[Side.RIGHT], "bench", log) as right,
    ):
        runs = {Side.LEFT: left, Side.RIGHT: right}
        cpu, began = time.process_time(), time.perf_counter()
        merges = await in_thread(merge, pair, scopes_of(engine, pair, runs), runs)
        merged, merge_cpu = time.perf_counter(), time.process_time() - cpu
        planned = 0
        for one in runs.values():
            await show_merged(one)
            planned += (await in_thread(compare, one)).changes
        done = time.perf_counter()
        return Measured(merges, merged - began, merge_cpu, done - merged, time.process_time() - cpu, planned)


if __name__ == "__main__":
    run(measure, records=RECORDS)
