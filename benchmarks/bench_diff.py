"""How fast what changed is found: our diff inside PostgreSQL, and other tools on the same data with the same answer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, text

from benchmarks import data
from benchmarks.bench_load import load
from benchmarks.measure import Report, run
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines.store import unequal
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines.store.scopes import Scope, ensure_scope
from sync_pipelines.store.statements import statement

RECORDS = 1_000_000
CHANGED_EVERY = 100
MOST_SECONDS = 1.0
FIELDS = ("sku", "name", "description", "stock", "price", "weight", "active", "region")
_ASKED = {"keys": None, "force": False, "untracked": False, "renames": False}
_AGREE = """
INSERT INTO sync.base (scope_id, left_key, right_key, natural_key, left_fingerprint, right_fingerprint, left_content,
                       right_content, linked_by, agreed_at)
SELECT l.scope_id, l.key, r.key, l.natural_key, l.fingerprint, r.fingerprint, l.content, r.content, 'adopt', now()
  FROM sync.record l JOIN sync.record r USING (scope_id, natural_key)
 WHERE l.side = 'left' AND r.side = 'right'
"""
_ROWS = """
CREATE TABLE public.{name} AS
SELECT key AS sku, content->>'name' AS name, content->>'description' AS description,
       (content->>'stock')::bigint AS stock, (content->>'price')::numeric AS price,
       (content->>'weight')::numeric AS weight, (content->>'active')::boolean AS active, content->>'region' AS region
  FROM sync.record WHERE side = 'left'
"""


def measure(records: int) -> Report:
    """Diff a scope whose sides agree, then with one record in a hundred changed on the left."""
    report = Report()
    with fresh_server() as server, fresh_database(server) as engine:
        scope = _agreeing(engine, records)
        first, found = _ours(engine, scope, anew=True)
        assert not found
        nothing, found = _ours(engine, scope)
        assert not found
        load(engine, scope, "left", data.pages(records, CHANGED_EVERY), records)
        _sql(engine, _ROWS.format(name="after"), "ALTER TABLE public.after ADD PRIMARY KEY (sku)", "VACUUM ANALYZE")
        seconds, found = _ours(engine, scope)
        expected = {data.row(number)["sku"] for number in range(0, records, CHANGED_EVERY)}
        assert found == expected
        report.at_most(f"diff {records:,} records, 1 % changed", _inside(engine, scope), MOST_SECONDS, "s")
        report.plain("the same, until the last row is read in Python", seconds, "s")
        report.at_most(f"proof that nothing changed in {records:,} records", nothing, MOST_SECONDS, "s")
        report.plain(f"the same, every one of the {records:,} records compared anew", first, "s")
        for name, theirs in _others(engine, server):
            spent, answer = theirs
            assert answer == expected, f"{name} finds {len(answer)} keys, not {len(expected)}"
            report.plain(f"the same 1 % found by {name}", spent, "s", f"ours takes {seconds / spent:.2g} x")
    report.notes.append(
        "Diff: `sql/statements/diff.sql`, both contents and the base of every changed record included, as PostgreSQL "
        "times it itself (EXPLAIN ANALYZE) and until the rows are read; the median of 5, after VACUUM, as autovacuum "
        "leaves the tables within a minute of a load. What is written to is noted by triggers in the transaction that "
        "writes it, and only that is looked at; the load pays for it, and its times include it. "
        '"Compared anew" is what a first, a forced and a very large comparison does: it holds two sides against the '
        "base, so it joins three sets where the others join two. polars, pandas and duckdb have both sets in memory "
        "already (reading them out of PostgreSQL is not counted) and compare every field; reladiff compares two tables "
        "of typed columns inside PostgreSQL."
    )
    return report


def _agreeing(engine: Engine, records: int) -> Scope:
    with engine.begin() as connection:
        scope = ensure_scope(connection, "bench", "diff")
    load(engine, scope, "left", data.pages(records), records)
    _sql(
        engine,
        # The target's keys are in another order than the source's, as they are at a real one.
        "INSERT INTO sync.record (scope_id, side, key, natural_key, fingerprint, detail, content, snapshot_id) "
        "SELECT scope_id, 'right', md5(key), natural_key, fingerprint, detail, content, snapshot_id FROM sync.record",
        _AGREE,
        _ROWS.format(name="before"),
        "ALTER TABLE public.before ADD PRIMARY KEY (sku)",
        "VACUUM ANALYZE",
    )
    return scope


def _sql(engine: Engine, *statements: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for one in statements:
            connection.execute(text(one))


def _ours(engine: Engine, scope: Scope, *, anew: bool = False) -> tuple[float, set[str]]:
    times, keys = [], set()
    for _ in range(5):
        with engine.begin() as connection:
            began = time.perf_counter()
            noted = unequal.narrow(connection, scope, anew=anew)
            asked = {**_ASKED, "scope_id": scope.id, "everything": not noted}
            rows = connection.execute(text(statement("diff")), asked).all()
            times.append(time.perf_counter() - began)
            keys = {row.key for row in rows}
    return statistics.median(times), keys


def _inside(engine: Engine, scope: Scope) -> float:
    """Seconds of the server alone, as it times itself."""
    times = []
    for _ in range(5):
        with engine.begin() as connection:
            began = time.perf_counter()
            noted = unequal.narrow(connection, scope)
            narrowed = time.perf_counter() - began
            explain = text("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + statement("diff"))
            (plan,) = connection.execute(
                explain, {**_ASKED, "scope_id": scope.id, "everything": not noted}
            ).scalar_one()
            times.append(narrowed + float(plan["Planning Time"] + plan["Execution Time"]) / 1000)
    return statistics.median(times)


def _others(engine: Engine, server: EmbeddedServer) -> list[tuple[str, tuple[float, set[str]]]]:
    before, after = (_rows(engine, name) for name in ("before", "after"))
    return [
        ("polars", _polars(before, after)),
        ("duckdb", _duckdb(before, after)),
        ("pandas", _pandas(before, after)),
        ("reladiff", _reladiff(server)),
    ]


def _rows(engine: Engine, name: str) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT {', '.join(FIELDS)} FROM public.{name}")).all()
    columns: dict[str, list[Any]] = {
        field: list(column) for field, column in zip(FIELDS, zip(*rows, strict=True), strict=True)
    }
    # Exact money, without a decimal type that only some of them have.
    for field in ("price", "weight"):
        columns[field] = [int(value * 1000) for value in columns[field]]
    return columns


def _timed(work: Callable[[], set[str]]) -> tuple[float, set[str]]:
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def _polars(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> tuple[float, set[str]]:
    import polars

    one, other = polars.DataFrame(before), polars.DataFrame(after)

    def work() -> set[str]:
        moved = polars.any_horizontal(
            polars.col(name).ne_missing(polars.col(f"{name}_right")) for name in FIELDS if name != "sku"
        )
        joined = one.join(other, on="sku", how="full", coalesce=True)
        return set(joined.filter(moved)["sku"].to_list())

    return _timed(work)


def _pandas(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> tuple[float, set[str]]:
    import pandas

    one, other = pandas.DataFrame(before), pandas.DataFrame(after)

    def work() -> set[str]:
        joined = one.merge(other, on="sku", how="outer", suffixes=("", "_right"))
        moved = pandas.Series(False, index=joined.index)
        for name in FIELDS[1:]:
            mine, theirs = joined[name], joined[f"{name}_right"]
            moved |= (mine != theirs) & ~(mine.isna() & theirs.isna())
        return set(joined.loc[moved, "sku"])

    return _timed(work)


def _duckdb(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> tuple[float, set[str]]:
    import duckdb
    import pandas

    frames = {"one": pandas.DataFrame(before), "other": pandas.DataFrame(after)}
    with duckdb.connect() as connection:
        for name, frame in frames.items():
            connection.register("frame", frame)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
        moved = " OR ".join(f"one.{name} IS DISTINCT FROM other.{name}" for name in FIELDS)
        query = f"SELECT coalesce(one.sku, other.sku) FROM one FULL JOIN other ON one.sku = other.sku WHERE {moved}"
        return _timed(lambda: {key for (key,) in connection.execute(query).fetchall()})


def _reladiff(server: EmbeddedServer) -> tuple[float, set[str]]:
    import reladiff

    place = {
        "driver": "postgresql",
        "host": str(server.socket_dir),
        "port": server.port,
        "user": "sync",
        "password": "",
        "database": "bench",
    }

    def work() -> set[str]:
        one, other = (
            reladiff.connect_to_table(place, f"public.{name}", "sku", extra_columns=FIELDS[1:])
            for name in ("before", "after")
        )
        return {row[0] for _, row in reladiff.diff_tables(one, other)}

    return _timed(work)


if __name__ == "__main__":
    run(measure, records=RECORDS)
