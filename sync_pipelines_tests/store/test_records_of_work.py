"""What is kept beside the snapshots: findings, watermarks, the audit log, record states, links, effects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.lifecycle import IllegalTransition, State
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Record
from sync_pipelines.store import audit, base, effects, findings, metrics, states, watermarks
from sync_pipelines.store.attempts import standings
from sync_pipelines.store.findings import ORPHAN, Finding
from sync_pipelines_tests.store.scopes import load, records, rows_of, scope_of

ONE, TWO = Finding(ORPHAN, "r1", "n1", "at the target only"), Finding("duplicate", "n2", "n2", "2 claims")


def _standing(engine: Engine) -> list[tuple[str, str, str]]:
    with engine.begin() as connection:
        return [(found.kind, found.key, found.detail) for found in findings.standing(connection, "pair")]


def test_findings_stand_as_long_as_they_are_found_and_keep_the_time_they_were_first_seen(engine: Engine) -> None:
    scope = scope_of(engine)
    with engine.begin() as connection:
        findings.note_findings(connection, scope, [ONE, TWO])
        assert findings.drop_findings(connection, scope) == 0
    ((first_seen,),) = rows_of(engine, "SELECT first_seen FROM sync.finding WHERE key = 'r1'")
    with engine.begin() as connection:
        findings.note_findings(connection, scope, [Finding(ORPHAN, "r1", "n1", "still there")])
        assert findings.drop_findings(connection, scope) == 1

    assert _standing(engine) == [(ORPHAN, "r1", "still there")]
    assert rows_of(engine, "SELECT first_seen FROM sync.finding") == [(first_seen,)]
    with engine.begin() as connection:
        findings.note_findings(connection, scope, [])
        findings.drop_findings(connection, scope)
    assert _standing(engine) == []


def test_a_selective_comparison_replaces_the_findings_of_its_keys_and_no_orphans(engine: Engine) -> None:
    scope = scope_of(engine)
    three = Finding("duplicate", "n3", "n3", "3 claims")
    with engine.begin() as connection:
        findings.note_findings(connection, scope, [ONE, TWO, three])
    with engine.begin() as connection:
        findings.drop_findings(connection, scope, keys=["n1", "n2"], orphans=False)

    assert {key for _, key, _ in _standing(engine)} == {"r1", "n3"}


def test_a_watermark_moves_with_the_transaction_it_belongs_to(engine: Engine) -> None:
    with engine.begin() as connection:
        assert watermarks.read(connection, "chain") is None
        watermarks.move(connection, "chain", {"height": 7, "share": Decimal("0.10")})
    with engine.connect() as connection:
        watermarks.move(connection, "chain", {"height": 8})
        connection.rollback()
    with engine.begin() as connection:
        assert watermarks.read(connection, "chain") == {"height": 7, "share": Decimal("0.1")}


def test_writers_of_one_audit_chain_keep_it_whole_and_chains_are_apart(engine: Engine) -> None:
    def write(number: int) -> None:
        for n in range(5):
            with engine.begin() as connection:
                entry = {"action": "update", "n": n, "seconds": 1e-7, "price": Decimal("1.50"), "text": "é\n\U0001f600"}
                audit.append(connection, f"chain {number % 2}", entry, key=f"k{n}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))

    with engine.begin() as connection:
        assert audit.chains(connection) == ["chain 0", "chain 1"]
        for chain in audit.chains(connection):
            assert (audit.verify(connection, chain).intact, audit.verify(connection, chain).entries) == (True, 10)
        assert len(list(audit.entries(connection, "chain 0", key="k3"))) == 2
        assert audit.verify(connection, "unknown").entries == 0


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("UPDATE sync.audit SET entry = entry || '{\"n\": 9}' WHERE number = 2", "entry 2 was altered"),
        ("UPDATE sync.audit SET hash = repeat('a', 64) WHERE number = 2", "entry 2 was altered"),
        ("DELETE FROM sync.audit WHERE number = 2", "entry 2 is missing"),
        ("DELETE FROM sync.audit WHERE number = 4", "entries 4 to 4 are missing at the end"),
        ("DELETE FROM sync.audit", "entries 1 to 4 are missing at the end"),
        ("UPDATE sync.audit_head SET hash = repeat('a', 64)", "the last entry is not the one"),
    ],
)
def test_damage_to_the_audit_log_is_found(engine: Engine, damage: str, reason: str) -> None:
    with engine.begin() as connection:
        for n in range(4):
            audit.append(connection, "chain", {"n": n})
        connection.execute(text(damage))
        report = audit.verify(connection, "chain")

    assert not report.intact
    assert reason in (report.reason or "")


def test_reading_the_audit_log_leaves_the_connection_as_it_was(engine: Engine) -> None:
    with engine.begin() as connection:
        audit.append(connection, "chain", {"n": 1})
        assert audit.verify(connection, "chain").intact
        assert "yield_per" not in connection.get_execution_options()


def test_the_newest_entries_of_one_record_are_read_in_their_order(engine: Engine) -> None:
    with engine.begin() as connection:
        for n in range(6):
            audit.append(connection, "chain", {"n": n}, key="k" if n % 2 else "other")
        audit.append(connection, "other chain", {"n": 6}, key="k")
        newest = audit.latest(connection, "chain", key="k", limit=2)
        everything = audit.latest(connection, "chain", key="k", limit=10)
        assert newest == list(audit.entries(connection, "chain", key="k"))[-2:]
    assert [entry.entry["n"] for entry in newest] == [3, 5]
    assert len(everything) == 3


def test_what_is_not_in_the_table_of_transitions_is_refused(engine: Engine) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", records(1))
    with engine.begin() as connection:
        assert states.introduce(connection, scope) == 1
        assert states.introduce(connection, scope) == 0
        states.fail(connection, scope, "k00000", "no", counted=True, retry_seconds=None)
        states.bury(connection, scope, "k00000", action="create", payload_hash="x", plan_hash=None)
    with pytest.raises(IllegalTransition), engine.begin() as connection:
        states.fail(connection, scope, "k00000", "again", counted=True, retry_seconds=None)
    with engine.begin() as connection:
        assert states.mark_drifted(connection, scope, [("k00000", "moved")]) == 0
        assert states.tally(connection, scope)[State.DEAD_LETTERED] == 1


def test_a_hand_made_map_links_each_record_once_and_contradicts_no_claim(engine: Engine) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", records(4))
    load(engine, scope, "right", [Record("r1", "", {}), Record("r2", "k00002", {}), Record("r3", "k00000", {})])
    with engine.begin() as connection:
        given = {"k00000": "r1", "k00001": "r1", "k00002": "r2", "k00003": "r3", "unknown": "r3"}
        assert base.accept_map(connection, scope, given) == 2
        assert base.accept_map(connection, scope, {"k00000": "r2"}) == 0
        assert base.holders(connection, scope, ["r1", "r2", "r3"]) == {"r1": "k00000", "r2": "k00002"}
        assert base.count_linked(connection, scope) == 2
        link = base.find_link(connection, scope, "k00000")
    assert link is not None
    assert (link.linked_by, link.agreed_at) == ("map", None)


@pytest.mark.parametrize(
    ("action", "right_key", "forbids_a_create"),
    [
        (Action.CREATE, None, True),
        (Action.CREATE, "the one that was lost", True),
        (Action.UPDATE, "r1", False),
        (Action.RETIRE, "r1", False),
    ],
)
def test_what_a_killed_run_left_behind_is_taken_over_once(
    engine: Engine, action: Action, right_key: str | None, forbids_a_create: bool
) -> None:
    scope = scope_of(engine)
    change = Change(action, "k", "nk", right_key, None, {}, (), "")
    with engine.begin() as connection:
        effects.intend_all(connection, scope, [(change, 1)], plan_id=1, run_id="the killed run")
    with engine.begin() as connection:
        (found,) = effects.recover(connection, scope, 60.0)
        assert (found.key, found.run_id) == ("k", "the killed run")
        assert effects.recover(connection, scope, 60.0) == []
        assert standings(connection, scope, {"k": None})["k"].in_doubt is forbids_a_create
        last = effects.latest(connection, scope, "k")
    assert last is not None
    assert last.state == "in_doubt"


def test_counters_and_histograms_add_up(engine: Engine) -> None:
    scope = scope_of(engine)
    for seconds in (0.04, 0.3, 99.0):
        with engine.begin() as connection:
            metrics.count(connection, scope, "sync_total")
            metrics.add(connection, scope, metrics.duration("sync_seconds", [seconds]))
    with engine.begin() as connection:
        samples = {(sample.name, sample.bucket): sample.value for sample in metrics.counters(connection, "pair")}
    assert samples["sync_total", ""] == 3
    assert samples["sync_seconds", "count"] == 3
    assert samples["sync_seconds", "sum"] == pytest.approx(99.34)
    assert (samples["sync_seconds", "0.05"], samples["sync_seconds", "0.5"], samples["sync_seconds", "60.0"]) == (
        1,
        2,
        2,
    )


def test_gauges_count_what_stands_in_each_scope(engine: Engine) -> None:
    busy, idle = scope_of(engine), scope_of(engine, name="two")
    load(engine, busy, "left", records(3))
    with engine.begin() as connection:
        states.introduce(connection, busy)
        states.fail(connection, busy, "k00000", "no", counted=True, retry_seconds=None)
        states.bury(connection, busy, "k00000", action="create", payload_hash="x", plan_hash=None)
        change = Change(Action.CREATE, "k00001", "nk", None, None, {}, (), "")
        effects.intend_all(connection, busy, [(change, 1)], plan_id=1, run_id="a run")
        found = {(sample.scope, sample.name): sample.value for sample in metrics.gauges(connection, "pair", "x")}
        assert metrics.gauges(connection, "another pair", "x") == []
    names = ("x_queue_depth", "x_active_syncs", "x_dead_letter_size")
    assert [found[busy.name, name] for name in names] == [2, 1, 1]
    assert [found[idle.name, name] for name in names] == [0, 0, 0]
