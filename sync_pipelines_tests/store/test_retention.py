"""Retention: what the policy no longer keeps goes, what the next run needs stays, and the audit log stays proven."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.audit import GENESIS, chain_hash
from sync_pipelines.core.errors import ConfigurationError, SyncError
from sync_pipelines.store import audit
from sync_pipelines.store.audit_archive import verify_archives
from sync_pipelines.store.retention import Pruned, prune
from sync_pipelines.store.retention_policy import RetentionPolicy, load_retention_policy
from sync_pipelines_tests.store.scopes import rows_of, scope_of

# Rounds 1 to 6 are 600, 500, ... 100 days old; each has a snapshot a side and a plan.
_HISTORY = """
INSERT INTO sync.snapshot (scope_id, side, selective, run_id, started_at, sealed_at, records, identity, complete)
SELECT :scope, side, n = 6, 'r' || n, now() - make_interval(days => 700 - n * 100),
       CASE WHEN n < 5 THEN now() END, 1, 'me', true
  FROM generate_series(1, 6) n, unnest(ARRAY['left', 'right']) side ORDER BY n, side;
INSERT INTO sync.plan (hash, scope_id, state, run_id, left_snapshot, right_snapshot, created_at, counts, keys,
                       applied_at, outcome)
SELECT repeat(n::text, 32), :scope,
       (ARRAY['applied', 'held', 'applied', 'applied', 'superseded', 'applied'])[n], 'r' || n, n * 2 - 1, n * 2,
       now() - make_interval(days => 700 - n * 100), '{}', CASE WHEN n = 6 THEN ARRAY['k'] END, NULL, '{}'
  FROM generate_series(1, 6) n ORDER BY n;
INSERT INTO sync.plan_change (plan_id, key, action, natural_key, fields, reason, adopts, destructive)
SELECT id, 'k', 'update', 'k', '{}', 'r', false, false FROM sync.plan;
"""
_DAYS = {"SYNC_KEEP_SNAPSHOTS_DAYS": "30", "SYNC_KEEP_PLANS_DAYS": "30", "SYNC_KEEP_EFFECTS_DAYS": "30"}


def _policy(folder: Path, **days: str) -> RetentionPolicy:
    return load_retention_policy({**_DAYS, "SYNC_AUDIT_ARCHIVE": str(folder / "archive"), **days})


def _run(engine: Engine, sql: str, **parameters: object) -> None:
    with engine.begin() as connection:
        for one in sql.split(";"):
            if one.strip():
                connection.execute(text(one), parameters)


def _ids(engine: Engine, table: str) -> list[int]:
    return [row[0] for row in rows_of(engine, f"SELECT id FROM sync.{table} ORDER BY id")]


def test_given_old_plans_and_snapshots_then_what_the_next_run_needs_stays(engine: Engine, tmp_path: Path) -> None:
    _run(engine, _HISTORY, scope=scope_of(engine).id)
    counted = prune(engine, _policy(tmp_path), dry_run=True)
    assert (len(_ids(engine, "plan")), len(_ids(engine, "snapshot"))) == (6, 12)

    assert prune(engine, _policy(tmp_path)) == counted == Pruned(effects=0, plans=3, snapshots=4, audit=0)

    # 2 is held, 4 the newest full applied one, 6 the newest. Snapshots: those of kept plans, and 9 and 10 the newest
    # full ones.
    assert _ids(engine, "plan") == [2, 4, 6]
    assert rows_of(engine, "SELECT count(*) FROM sync.plan_change") == [(3,)]
    assert _ids(engine, "snapshot") == [3, 4, 7, 8, 9, 10, 11, 12]
    assert prune(engine, _policy(tmp_path)) == Pruned(0, 0, 0, 0)


@pytest.mark.parametrize(
    "needed",
    [
        "INSERT INTO sync.effect (scope_id, plan_id, key, natural_key, action, state, attempt, run_id) "
        "VALUES (:scope, 1, 'k', 'k', 'update', 'in_doubt', 1, 'r1')",
        "INSERT INTO sync.dead_letter (scope_id, key, action, first_error, last_error, attempts, first_attempt_at, "
        "last_attempt_at, payload_hash, plan_hash) VALUES (:scope, 'k', 'update', 'e', 'e', 1, now(), now(), 'h', "
        "repeat('1', 32))",
        "INSERT INTO sync.sync_orchestration (sync_id, org_id, shop, systems, entity_types, status, config, "
        "started_by) VALUES ('r1', 'o', 's', '[]', '[]', 'paused', '{}', 'ada')",
    ],
    ids=["a write in doubt", "an open dead letter", "a sync that is not over"],
)
def test_given_something_that_rests_on_an_old_plan_then_the_plan_and_its_snapshots_stay(
    engine: Engine, tmp_path: Path, needed: str
) -> None:
    scope = scope_of(engine).id
    _run(engine, _HISTORY, scope=scope)
    _run(engine, needed, scope=scope)
    prune(engine, _policy(tmp_path))
    assert _ids(engine, "plan") == [1, 2, 4, 6]
    assert {1, 2} <= set(_ids(engine, "snapshot"))


def test_given_old_writes_then_the_newest_of_a_record_and_the_unsettled_stay(engine: Engine, tmp_path: Path) -> None:
    _run(
        engine,
        "INSERT INTO sync.effect (scope_id, plan_id, key, natural_key, action, state, attempt, run_id, intended_at, "
        "settled_at) SELECT :scope, 1, k, k, 'update', state, 1, 'r', now() - interval '1 year', "
        "CASE WHEN state <> 'intended' THEN now() - interval '1 year' END FROM (VALUES ('a', 'settled'), "
        "('a', 'failed'), ('b', 'intended'), ('b', 'resolved')) AS g(k, state)",
        scope=scope_of(engine).id,
    )
    assert prune(engine, _policy(tmp_path, SYNC_KEEP_EFFECTS_DAYS="0")).effects == 0
    assert prune(engine, _policy(tmp_path)).effects == 1
    assert rows_of(engine, "SELECT key, state FROM sync.effect ORDER BY id") == [
        ("a", "failed"),
        ("b", "intended"),
        ("b", "resolved"),
    ]


def _log(engine: Engine, count: int, *, old: int) -> None:
    with engine.begin() as connection:
        for n in range(count):
            audit.append(connection, "chain", {"action": "update", "n": n, "price": Decimal("1.50"), "text": "é\n"})
        connection.execute(text("UPDATE sync.audit SET at = now() - interval '2 years' WHERE number <= :n"), {"n": old})


def test_given_old_audit_entries_then_they_are_exported_and_the_chain_goes_on(engine: Engine, tmp_path: Path) -> None:
    _log(engine, 6, old=4)
    policy = _policy(tmp_path)
    assert prune(engine, policy, dry_run=True) == Pruned(0, 0, 0, audit=4)
    assert not policy.archive_folder.exists()

    (file,) = prune(engine, policy).files

    previous = GENESIS
    for number, line in enumerate(Path(file).read_text("utf-8").splitlines(), start=1):
        entry = json.loads(line, parse_float=Decimal)
        assert (entry.pop("pipeline"), entry.pop("number"), entry.pop("previous_hash")) == ("chain", number, previous)
        said = entry.pop("hash")
        assert chain_hash(previous, entry) == said
        previous = said
    assert Path(file).stat().st_mode & 0o777 == 0o600
    with engine.begin() as connection:
        report = audit.verify(connection, "chain")
        # 5, 6, and the one that tells of the export.
        assert (report.intact, report.entries) == (True, 3)
        archive = audit.newest_archive(connection, "chain")
        assert archive is not None
        assert (archive.first, archive.last, archive.hash) == (1, 4, previous)
        (*_, told) = audit.entries(connection, "chain")
        assert (told.entry["action"], told.entry["digest"]) == ("archive", archive.digest)
        assert verify_archives(connection, "chain") == []
    assert prune(engine, policy).files == ()

    _run(engine, "UPDATE sync.audit SET at = now() - interval '2 years'")
    assert len(prune(engine, policy).files) == 1
    with engine.begin() as connection:
        assert audit.verify(connection, "chain").intact
        assert verify_archives(connection, "chain") == []


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("DELETE FROM sync.audit WHERE number = 5", "entry 5 is missing"),
        ("UPDATE sync.audit_archive SET hash = repeat('a', 64)", "entry 5 does not follow the entry before it"),
        ("DELETE FROM sync.audit_archive", "entry 1 is missing"),
        ("UPDATE sync.audit_archive SET last = 5", "entry 6 is missing"),
    ],
)
def test_given_a_pruned_log_that_was_tampered_with_then_verify_says_so(
    engine: Engine, tmp_path: Path, damage: str, reason: str
) -> None:
    _log(engine, 6, old=4)
    prune(engine, _policy(tmp_path))
    _run(engine, damage)
    with engine.begin() as connection:
        report = audit.verify(connection, "chain")
    assert not report.intact
    assert reason in (report.reason or "")


def test_given_a_file_that_was_altered_or_lost_then_the_archives_are_not_whole(engine: Engine, tmp_path: Path) -> None:
    _log(engine, 6, old=4)
    (file,) = prune(engine, _policy(tmp_path)).files
    path = Path(file)
    path.write_bytes(path.read_bytes().replace(b"update", b"delete", 1))
    with engine.begin() as connection:
        assert "was altered" in verify_archives(connection, "chain")[0]
        path.unlink()
        assert "cannot be read" in verify_archives(connection, "chain")[0]


def test_given_a_broken_log_or_a_folder_that_is_none_then_nothing_is_taken_away(engine: Engine, tmp_path: Path) -> None:
    _log(engine, 6, old=4)
    (tmp_path / "file").write_text("")
    with pytest.raises(SyncError, match="cannot be written, and the audit log was left whole"):
        prune(engine, _policy(tmp_path, SYNC_AUDIT_ARCHIVE=str(tmp_path / "file")))
    _run(engine, "UPDATE sync.audit SET entry = '{}' WHERE number = 2")
    with pytest.raises(SyncError, match="is broken and was left as it is: entry 2 was altered"):
        prune(engine, _policy(tmp_path))
    assert rows_of(engine, "SELECT count(*) FROM sync.audit") == [(6,)]


@pytest.mark.parametrize("value", ["-1", "a month", "1.5", "40000"])
def test_days_that_cannot_be_meant_are_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"SYNC_KEEP_PLANS_DAYS={value}: must be a whole number of days"):
        load_retention_policy({"SYNC_KEEP_PLANS_DAYS": value})
