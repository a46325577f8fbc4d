"""Snapshots: loaded by COPY, merged set by set; only what moved is rewritten."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import LeaseLost
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.store import leases, observations, snapshots
from sync_pipelines_tests.store.scopes import load, records, rows_of, scope_of

_OTHERS = (
    "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)


def test_given_a_first_and_a_second_load_what_was_added_changed_and_removed_is_counted(engine: Engine) -> None:
    scope = scope_of(engine)
    rows = records(30)

    first = load(engine, scope, "left", rows)
    second = load(engine, scope, "left", [*rows[:28], replace(rows[28], content={"name": "new"}), Record("z", "z", {})])

    assert (first.added, first.changed, first.removed, first.records, first.sealed) == (30, 0, 0, 30, True)
    assert (second.added, second.changed, second.removed, second.records) == (1, 1, 1, 30)


def test_given_an_unchanged_load_no_row_is_rewritten(engine: Engine) -> None:
    scope = scope_of(engine)
    rows = [replace(row, meta={"version": Decimal("1.10")}) for row in records(50)]
    rows.append(Record("odd", "natural", {}, withheld="a draft", invalid="no price"))
    load(engine, scope, "right", rows)
    before = rows_of(engine, "SELECT key, xmin::text FROM sync.record ORDER BY key")

    again = load(engine, scope, "right", reversed(rows))

    assert (again.added, again.changed, again.removed) == (0, 0, 0)
    assert rows_of(engine, "SELECT key, xmin::text FROM sync.record ORDER BY key") == before


@pytest.mark.parametrize(
    "change",
    [
        {"content": {"name": "new"}},
        {"natural_key": "moved"},
        {"meta": {"version": 2}},
        {"withheld": "a draft"},
        {"invalid": "no price"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_given_any_part_of_a_record_that_moved_it_is_rewritten_alone(engine: Engine, change: dict[str, object]) -> None:
    scope = scope_of(engine)
    rows = records(3)
    load(engine, scope, "left", rows)

    moved = load(engine, scope, "left", [rows[0], replace(rows[1], **change), rows[2]])  # type: ignore[arg-type]  # any

    assert (moved.added, moved.changed) == (0, 1)


def test_given_a_key_twice_the_later_row_counts_and_the_pass_is_incomplete_without_a_declared_number(
    engine: Engine,
) -> None:
    scope = scope_of(engine)
    twice = [Record("a", "a", {"n": 1}), Record("b", "b", {}), Record("a", "a", {"n": 2})]

    snapshot = load(engine, scope, "left", twice, sweep=Sweep("me", seen=3))

    assert (snapshot.records, snapshot.complete) == (2, False)
    assert rows_of(engine, "SELECT content->>'n' FROM sync.record WHERE key = 'a'") == [("2",)]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Record("k", "k", {"name": "NUL \x00"}), "NUL"),
        (Record("k", "k", {"NUL \x00": 1}), "NUL"),
        (Record("k", "k", {}, meta={"name": "NUL \x00"}), "NUL"),
        (Record("k", "k", {"name": ["half \ud800"]}), "surrogate"),
        (Record("k", "n\udfff", {}), "surrogate"),
        (Record("k", "n\x00", {}), "NUL"),
        (Record("k", "".join(chr(0x4E00 + 7919 * n % 20000) for n in range(5000)), {}), "longer than 1000 bytes"),
        (Record("k", "k", {"price": float("nan")}), "not a finite number"),
        (Record("k", "k", {"price": Decimal("1e99999")}), "out of range"),
    ],
)
def test_given_a_record_that_cannot_be_stored_it_becomes_invalid_and_the_others_are_stored(
    engine: Engine, broken: Record, why: str
) -> None:
    scope = scope_of(engine)

    snapshot = load(engine, scope, "left", [*records(3), broken])

    assert snapshot.records == 4
    ((content, invalid),) = rows_of(engine, "SELECT content, invalid FROM sync.record WHERE key = 'k'")
    assert content == {}
    assert why in invalid
    assert load(engine, scope, "left", [*records(3), broken]).changed == 0


def test_given_reasons_that_cannot_be_stored_they_are_mended(engine: Engine) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", [Record("k\x00", "k", {}, withheld="draft \ud800", invalid="what is \x00?")])

    assert rows_of(engine, "SELECT key, withheld, invalid FROM sync.record") == [
        ("k\N{REPLACEMENT CHARACTER}", "draft ?", "the record contains a NUL character")
    ]
    load(engine, scope, "left", [Record("k", "k", {}, invalid="what is \x00?")])
    assert rows_of(engine, "SELECT invalid FROM sync.record") == [("what is \N{REPLACEMENT CHARACTER}?",)]


def test_given_keys_too_long_for_an_index_that_differ_at_their_end_both_are_kept(engine: Engine) -> None:
    scope = scope_of(engine)
    start = "".join(chr(0x4E00 + 7919 * n % 20000) for n in range(5000))

    load(
        engine, scope, "left", [Record(start + "a", "a", {}), Record(start + "b", "b", {}), Record("c" * 1000, "c", {})]
    )

    kept = rows_of(engine, "SELECT natural_key, length(key), invalid IS NULL FROM sync.record ORDER BY natural_key")
    assert kept == [("a", 69, False), ("b", 69, False), ("c", 1000, True)]


@pytest.mark.parametrize("harmless", ["a backslash and \\u0000", "tab\there", "\\N null", '"quoted"', "\U0001f600"])
def test_given_text_that_only_looks_dangerous_it_is_stored_as_it_is(engine: Engine, harmless: str) -> None:
    scope = scope_of(engine)

    load(engine, scope, "left", [Record("k", harmless, {"name": harmless})])

    assert rows_of(engine, "SELECT natural_key, content->>'name', invalid FROM sync.record") == [
        (harmless, harmless, None)
    ]


def test_given_exact_numbers_they_come_back_exactly(engine: Engine) -> None:
    scope = scope_of(engine)
    content = {"big": 2**63 + 1, "exact": Decimal("0.1000000000000000055511151231257827"), "float": 0.1}
    load(engine, scope, "left", [Record("k", "k", content)])

    ((stored,),) = rows_of(engine, "SELECT content FROM sync.record")
    assert stored == {**content, "float": Decimal("0.1")}


def test_given_an_incomplete_pass_nothing_is_removed(engine: Engine) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", records(10))

    snapshot = load(engine, scope, "left", records(4), sweep=Sweep("me", declared=10, seen=4))

    assert (snapshot.removed, snapshot.complete, snapshot.sealed) == (0, False, False)
    assert rows_of(engine, "SELECT count(*) FROM sync.record") == [(10,)]


def test_given_a_selective_pass_only_its_keys_are_concerned(engine: Engine) -> None:
    scope = scope_of(engine)
    rows = records(5)
    load(engine, scope, "left", rows)

    looked_at = load(engine, scope, "left", rows[1:2], sweep=Sweep("me"), keys=["k00001", "k00002"])

    assert (looked_at.selective, looked_at.removed) == (True, 1)
    assert [key for (key,) in rows_of(engine, "SELECT key FROM sync.record ORDER BY key")] == [
        "k00000",
        "k00001",
        "k00003",
        "k00004",
    ]


def test_given_two_scopes_and_sides_they_do_not_see_each_other(engine: Engine) -> None:
    one, two = scope_of(engine), scope_of(engine, name="two")
    for scope, side in ((one, "left"), (one, "right"), (two, "left")):
        load(engine, scope, side, records(3))  # type: ignore[arg-type]  # the loop widens the literal

    load(engine, one, "left", [], sweep=Sweep("me", declared=0))

    assert rows_of(engine, "SELECT scope_id, side, count(*) FROM sync.record GROUP BY 1, 2 ORDER BY 1, 2") == [
        (one.id, "right", 3),
        (two.id, "left", 3),
    ]


def test_given_a_pass_that_breaks_off_nothing_changes_and_the_next_starts_afresh(engine: Engine) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", records(3))

    with snapshots.loading(engine, scope, "left") as loader:
        loader.add(records(500))

    assert rows_of(engine, "SELECT count(*) FROM sync.record") == [(3,)]
    assert load(engine, scope, "left", records(2)).records == 2


@pytest.mark.parametrize("stored", [0, 2], ids=["the first pass", "a later one"])
def test_given_batches_that_are_written_no_transaction_stays_open_until_the_next(engine: Engine, stored: int) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", records(stored))
    with snapshots.loading(engine, scope, "left", batch=2) as loader:
        loader.add(records(4))
        deadline = time.monotonic() + 10
        while (states := rows_of(engine, _OTHERS)) != [("idle",)] and time.monotonic() < deadline:
            time.sleep(0.01)
    assert states == [("idle",)]


def test_given_a_lost_lease_the_snapshot_is_not_stored(engine: Engine) -> None:
    scope = scope_of(engine)
    with engine.begin() as connection:
        lease = leases.take(connection, scope.lease, "a run", 60)
        connection.execute(text("UPDATE sync.lease SET token = token + 1"))

    with snapshots.loading(engine, scope, "left", lease=lease) as loader:
        loader.add(records(3))
        with pytest.raises(LeaseLost):
            loader.finish(Sweep("me"), run_id="a run")

    assert rows_of(engine, "SELECT count(*) FROM sync.record") == [(0,)]
    assert rows_of(engine, "SELECT count(*) FROM sync.snapshot") == [(0,)]


def test_given_withheld_or_invalid_records_their_fingerprint_equals_nothing(engine: Engine) -> None:
    scope = scope_of(engine)
    plain = Record("a", "a", {"n": 1})
    load(engine, scope, "left", [plain, replace(plain, key="b", withheld="x"), replace(plain, key="c", invalid="x")])

    with engine.begin() as connection:
        found = snapshots.fingerprints(connection, scope, "left", ["a", "b", "c", "nobody"])

    assert found == {"a": plain.fingerprint, "b": b"", "c": b""}


def test_given_an_observation_after_a_write_it_replaces_what_was_known(engine: Engine) -> None:
    scope = scope_of(engine)
    snapshot = load(engine, scope, "right", [Record("r1", "n", {"n": 1})])

    with engine.begin() as connection:
        seen = [Record("r1", "n", {"n": 2}), Record("r2", "m", {"n": 3}, withheld="a draft")]
        observations.put_records(connection, scope, "right", seen, snapshot.id)
        observations.put_records(connection, scope, "right", [Record("gone", "o", {})], snapshot.id)
        observations.drop_records(connection, scope, "right", ["gone", "nobody"])

    again = load(engine, scope, "right", seen)
    assert (again.added, again.changed, again.removed) == (0, 0, 0)


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_given_any_size_of_batches_the_outcome_is_the_same(engine: Engine, batch: int) -> None:
    scope = scope_of(engine)
    rows = records(10)
    first = load(engine, scope, "left", rows, batch=batch)
    later = [*rows[:7], replace(rows[7], content={"name": "new"}), replace(rows[8], withheld="a draft")]

    second = load(engine, scope, "left", [*later, Record("z", "z", {}, meta={"v": 1})], batch=batch)
    third = load(engine, scope, "left", [*later, Record("z", "z", {}, meta={"v": 1})], batch=batch)

    assert (first.added, first.changed, first.removed, first.records) == (10, 0, 0, 10)
    assert (second.added, second.changed, second.removed, second.records) == (1, 2, 1, 10)
    assert (third.added, third.changed, third.removed, third.records) == (0, 0, 0, 10)
    assert rows_of(engine, "SELECT key, content->>'name', withheld, meta->>'v' FROM sync.record ORDER BY key")[6:] == [
        ("k00006", "record 6", None, None),
        ("k00007", "new", None, None),
        ("k00008", "record 8", "a draft", None),
        ("z", None, None, "1"),
    ]


@pytest.mark.parametrize("batch", [1, 2, 4, 1000])
@pytest.mark.parametrize("stored", [[], [1, 2], [1, 5]], ids=["nothing", "first values", "first and last"])
def test_given_keys_that_come_again_in_later_batches_the_last_row_counts(
    engine: Engine, batch: int, stored: list[int]
) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", [Record(key, key, {"n": n}) for key, n in zip("ab", stored, strict=False)])
    rows = [Record(key, key, {"n": n}) for n, key in enumerate("abacb", 1)]

    snapshot = load(engine, scope, "left", rows, sweep=Sweep("me", declared=3, seen=5), batch=batch)

    assert (snapshot.records, snapshot.complete, snapshot.added) == (3, True, 3 - len(stored))
    assert rows_of(engine, "SELECT key, content->>'n' FROM sync.record ORDER BY key") == [
        ("a", "3"),
        ("b", "5"),
        ("c", "4"),
    ]


def test_given_batches_written_while_a_pass_breaks_off_nothing_changes(engine: Engine) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", records(3))

    with snapshots.loading(engine, scope, "left", batch=2) as loader:
        loader.add(records(9))

    assert rows_of(engine, "SELECT count(*) FROM sync.record") == [(3,)]
    assert load(engine, scope, "left", records(2), batch=1).records == 2


def test_given_a_first_pass_that_breaks_off_no_snapshot_shows_it_and_the_next_one_finds_its_records(
    engine: Engine,
) -> None:
    scope = scope_of(engine)
    with snapshots.loading(engine, scope, "left", batch=2) as loader:
        loader.add(records(5))

    assert rows_of(engine, "SELECT count(*) FROM sync.snapshot") == [(0,)]
    again = load(engine, scope, "left", records(4)[1:], batch=2)
    assert (again.records, again.added, again.changed, again.removed) == (3, 0, 0, 1)


def test_given_a_lease_lost_in_the_middle_of_a_first_pass_its_later_batches_are_not_stored(engine: Engine) -> None:
    scope = scope_of(engine)
    with engine.begin() as connection:
        lease = leases.take(connection, scope.lease, "a run", 60)

    def pass_over() -> None:
        with snapshots.loading(engine, scope, "left", batch=2, lease=lease) as loader:
            loader.add(records(2))
            loader.add([])
            with engine.begin() as connection:
                connection.execute(text("UPDATE sync.lease SET token = token + 1"))
            loader.add(records(9)[2:])
            loader.finish(Sweep("me"), run_id="a run")

    with pytest.raises(LeaseLost):
        pass_over()

    assert rows_of(engine, "SELECT count(*) FROM sync.record") in ([(0,)], [(2,)])
    assert rows_of(engine, "SELECT count(*) FROM sync.snapshot") == [(0,)]


def test_given_a_newer_run_that_added_the_same_records_the_lost_lease_is_what_is_said(engine: Engine) -> None:
    scope = scope_of(engine)
    with engine.begin() as connection:
        lease = leases.take(connection, scope.lease, "a run", 60)
    with snapshots.loading(engine, scope, "left", lease=lease) as loader:
        loader.add(records(3))
        load(engine, scope, "left", records(3))
        with engine.begin() as connection:
            connection.execute(text("UPDATE sync.lease SET token = token + 1"))

        with pytest.raises(LeaseLost):
            loader.finish(Sweep("me"), run_id="a run")

    assert rows_of(engine, "SELECT count(*) FROM sync.snapshot") == [(1,)]


def test_given_rows_of_every_length_in_many_batches_all_that_moved_is_found(engine: Engine) -> None:
    """PostgreSQL puts a short row into whatever earlier page has room for it, beside those of other batches."""
    scope = scope_of(engine)
    keys = [f"{n}-{hashlib.blake2b(str(n).encode()).hexdigest() * 9}"[: 8 + n * n % 900] for n in range(3000)]
    load(engine, scope, "left", [Record(key, "n", {"n": 1}) for key in keys])

    moved = load(engine, scope, "left", [Record(key, "n", {"n": 2}) for key in [*keys, *"abc"]], batch=100)

    assert (moved.added, moved.changed, moved.removed) == (3, 3000, 0)
