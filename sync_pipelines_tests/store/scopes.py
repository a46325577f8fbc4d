"""Records and scopes for the tests of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.store.scopes import Scope, ensure_scope
from sync_pipelines.store.snapshots import Side, Snapshot, loading
from sync_pipelines.store.staging import BATCH


def scope_of(engine: Engine, pair: str = "pair", name: str = "one") -> Scope:
    """Return a scope, made when it is new."""
    with engine.begin() as connection:
        return ensure_scope(connection, pair, name)


def records(count: int, **content: Any) -> list[Record]:
    """Return plain records k00000, k00001, ..."""
    return [Record(f"k{n:05}", f"k{n:05}", {"name": f"record {n}", **content}) for n in range(count)]


def load(
    engine: Engine,
    scope: Scope,
    side: Side,
    rows: Iterable[Record],
    *,
    sweep: Sweep | None = None,
    keys: Sequence[str] | None = None,
    batch: int = BATCH,
) -> Snapshot:
    """Load one snapshot."""
    rows = list(rows)
    with loading(engine, scope, side, batch=batch) as loader:
        for start in range(0, len(rows), 1000):
            loader.add(rows[start : start + 1000])
        return loader.finish(sweep or Sweep("me", declared=len(rows), seen=len(rows)), run_id="a run", keys=keys)


def rows_of(engine: Engine, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Run a query and return its rows as tuples."""
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(text(statement), parameters)]
