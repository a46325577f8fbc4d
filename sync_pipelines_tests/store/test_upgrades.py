"""Upgrades: a database that was filled under any earlier release comes forward with all that is in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.audit import GENESIS, chain_hash
from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.store import audit
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.migrations import migrate, read_migrations
from sync_pipelines.store.scopes import find_scope
from sync_pipelines.store.statements import sql_folder
from sync_pipelines_tests.store.scopes import load, records, rows_of

# What a release wrote into the tables that are there from the first one on.
_FILL = """
INSERT INTO sync.scope (pair, name) VALUES ('pair', :name);
INSERT INTO sync.snapshot (scope_id, side, selective, run_id, started_at, sealed_at, records, identity, complete)
SELECT max(id), side, false, 'r', now(), now(), 2, 'me', true FROM sync.scope, unnest(ARRAY['left', 'right']) side
 GROUP BY side;
INSERT INTO sync.record (scope_id, side, key, natural_key, fingerprint, detail, content, snapshot_id)
SELECT scope_id, side, key, key, '\\x01', '\\x02', '{"name": "n"}', id FROM sync.snapshot,
       unnest(ARRAY['k1', 'k2']) key WHERE scope_id = (SELECT max(id) FROM sync.scope);
INSERT INTO sync.base (scope_id, left_key, right_key, natural_key, left_fingerprint, right_fingerprint, left_content,
                       right_content, linked_by, agreed_at)
SELECT max(id), 'k1', 'k1', 'k1', '\\x01', '\\x01', '{"name": "n"}', '{"name": "n"}', 'create', now() FROM sync.scope;
INSERT INTO sync.plan (hash, scope_id, state, run_id, left_snapshot, right_snapshot, counts)
SELECT md5(:name), scope_id, 'held', 'r', min(id), max(id), '{"create": 1}' FROM sync.snapshot
 WHERE scope_id = (SELECT max(id) FROM sync.scope) GROUP BY scope_id;
INSERT INTO sync.plan_change (plan_id, key, action, natural_key, after, fields, reason, adopts, destructive)
SELECT max(id), 'k2', 'update', 'k2', '{"name": "n"}', '{name}', 'moved', false, false FROM sync.plan;
INSERT INTO sync.effect (scope_id, plan_id, key, natural_key, action, state, attempt, run_id)
SELECT scope_id, id, 'k2', 'k2', 'update', 'in_doubt', 1, 'r' FROM sync.plan
 WHERE scope_id = (SELECT max(id) FROM sync.scope);
INSERT INTO sync.record_state (scope_id, key, state, reason)
SELECT max(id), 'k2', 'out_of_sync', 'moved' FROM sync.scope;
INSERT INTO sync.dead_letter (scope_id, key, action, first_error, last_error, attempts, first_attempt_at,
                              last_attempt_at, payload_hash)
SELECT max(id), 'k3', 'create', 'e', 'e', 5, now(), now(), 'h' FROM sync.scope;
INSERT INTO sync.finding (scope_id, kind, key, natural_key, detail)
SELECT max(id), 'orphan', 'o', 'o', 'at the target only' FROM sync.scope;
INSERT INTO sync.owed_reconcile (scope_id, reason, run_id) SELECT max(id), 'asked', 'r' FROM sync.scope;
INSERT INTO sync.watermark (stream, position) VALUES (:name, '{"height": 7}');
INSERT INTO sync.metric (name, pair, scope, value) VALUES ('changes', 'pair', :name, 3);
"""
_FILLED = {
    "scope": 1,
    "snapshot": 2,
    "record": 4,
    "base": 1,
    "plan": 1,
    "plan_change": 1,
    "effect": 1,
    "record_state": 1,
    "dead_letter": 1,
    "finding": 1,
    "owed_reconcile": 1,
    "watermark": 1,
    "metric": 1,
}
_SHAPE = """
SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
 WHERE table_schema = 'sync'
UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'sync'
UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint
 WHERE connamespace = 'sync'::regnamespace
ORDER BY 1, 2, 3
"""


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    engine = connect_engine(empty_database_url)
    yield engine
    engine.dispose()


def _fill(engine: Engine, name: str, previous: str) -> str:
    """Write what a release would have; returns the hash of its audit entry."""
    entry = {"action": "update", "release": name}
    hash_ = chain_hash(previous, entry)
    with engine.begin() as connection:
        for one in _FILL.split(";\n"):
            if one.strip():
                connection.execute(text(one), {"name": name})
        connection.execute(
            text(
                "INSERT INTO sync.audit (chain, number, at, entry, previous, hash) "
                "SELECT 'pair', count(*) + 1, now(), CAST(:entry AS jsonb), :previous, :hash FROM sync.audit"
            ),
            {"entry": canonical_json(entry), "previous": previous, "hash": hash_},
        )
        connection.execute(
            text(
                "INSERT INTO sync.audit_head (chain, number, hash) VALUES ('pair', 1, :hash) "
                "ON CONFLICT (chain) DO UPDATE SET number = sync.audit_head.number + 1, hash = :hash"
            ),
            {"hash": hash_},
        )
    return hash_


def test_given_rows_of_every_earlier_release_then_all_of_them_are_there_and_of_use_at_the_end(
    empty: Engine, engine: Engine, tmp_path: Path
) -> None:
    released = read_migrations()
    previous = GENESIS
    for migration in released:
        shutil.copy(sql_folder() / f"{migration.name}.sql", tmp_path)
        assert migrate(empty, tmp_path) == [migration.name]
        previous = _fill(empty, migration.name, previous)

    assert migrate(empty) == []
    for table, rows in _FILLED.items():
        assert rows_of(empty, f"SELECT count(*) FROM sync.{table}") == [(rows * len(released),)], table
    assert rows_of(empty, _SHAPE) == rows_of(engine, _SHAPE)
    with empty.begin() as connection:
        report = audit.verify(connection, "pair")
        assert (report.intact, report.entries) == (True, len(released))
        oldest = find_scope(connection, "pair", released[0].name)
        assert oldest is not None
    snapshot = load(empty, oldest, "left", records(3))
    assert (snapshot.added, snapshot.removed) == (3, 2)
