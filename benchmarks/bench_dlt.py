"""dlt merging the same rows into the same PostgreSQL, beside our loader."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import text

from benchmarks import data
from benchmarks.bench_load import Loaded, load
from benchmarks.measure import Report, run
from benchmarks.server import fresh_database, fresh_server
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines.store.scopes import ensure_scope

RECORDS = 200_000
TIMES_DLT = 10.0


def measure(records: int) -> Report:
    """Merge the same rows twice with each: into nothing, and onto themselves."""
    report = Report()
    with fresh_server() as server:
        ours = _ours(server, records)
        usual, csv = _dlt(server, records, "insert_values"), _dlt(server, records, "csv")
    for number, what in enumerate(("first time", "nothing changed")):
        rate = ours[number].per_second_made
        name = f"load {records:,} records, {what}: ours to dlt"
        for seconds, way in ((usual[number], ""), (csv[number], ", dlt told to use CSV")):
            theirs = records / seconds
            compared = f"{rate:,.0f} : {theirs:,.0f} rows/s"
            if way:
                report.plain(name + way, rate / theirs, "x", compared)
            else:
                report.at_least(name, rate / theirs, TIMES_DLT, "x", compared)
    report.notes.append(
        "dlt: `pipeline.run` of a resource with `write_disposition='merge'` and a primary key, into a durable "
        "server of the same settings; once as it is for PostgreSQL (`insert_values`), and once told to write CSV, "
        "which it then loads by COPY. Ours with the Record objects made of the same rows. dlt does more: it infers "
        "and evolves a schema, normalizes nested rows into tables of typed columns that anybody can query, keeps "
        "load packages that can be resumed, and works with two dozen destinations. Ours knows one table and "
        "compares before it writes."
    )
    return report


def _ours(server: EmbeddedServer, records: int) -> list[Loaded]:
    with fresh_database(server, "ours") as engine:
        with engine.begin() as connection:
            scope = ensure_scope(connection, "bench", "dlt")
        return [load(engine, scope, "left", data.pages(records), records) for _ in range(2)]


def _dlt(server: EmbeddedServer, records: int, file_format: Literal["insert_values", "csv"]) -> list[float]:
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    import dlt

    pages = list(data.pages(records))

    @dlt.resource(name="items", write_disposition="merge", primary_key="sku")
    def items() -> Iterator[list[dict[str, Any]]]:
        yield from ([dict(row) for row in page] for page in pages)

    with fresh_database(server, file_format) as engine, tempfile.TemporaryDirectory() as folder:
        url = f"postgresql://sync:unused@localhost:{server.port}/{file_format}?host={server.socket_dir}"
        pipeline = dlt.pipeline(
            f"bench_{file_format}",
            destination=dlt.destinations.postgres(credentials=url),
            dataset_name="items",
            pipelines_dir=str(Path(folder)),
        )
        seconds = []
        for _ in range(2):
            began = time.perf_counter()
            pipeline.run(items(), loader_file_format=file_format)
            seconds.append(time.perf_counter() - began)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM items.items")).scalar_one() == records
    return seconds


if __name__ == "__main__":
    run(measure, records=RECORDS)
