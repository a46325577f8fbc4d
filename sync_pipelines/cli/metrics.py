"""``sync-pipelines metrics``: how much was done, what waits, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from sqlalchemy import Connection

from sync_pipelines.cli import output
from sync_pipelines.cli.session import open_store
from sync_pipelines.engine.ledger import COUNTERS
from sync_pipelines.pipelines.metric_table import PREFIXES
from sync_pipelines.store import metrics as kept
from sync_pipelines.store.metrics import BUCKETS, Sample

_DURATION = "duration_seconds"


@click.command()
@click.option(
    "--pipeline",
    type=click.Choice(list(PREFIXES)),
    help="Only this pipeline; all of them by default. What is written to either system of a shop has its own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; of the histogram also the buckets.")
@click.option("--prometheus", is_flag=True, help="Print what the service answers at /metrics, of all pipelines.")
def metrics(pipeline: str | None, as_json: bool, prometheus: bool) -> None:
    """List counters, gauges and the histogram of each connection.

    Each bucket of the histogram counts the syncs that took at most so many seconds. In SQL the same numbers are in
    sync.metric and sync.gauge.
    """
    if prometheus and (pipeline or as_json):
        raise click.UsageError("--prometheus prints all pipelines, as text; leave out --pipeline and --json")
    with open_store() as engine:
        if prometheus:
            # Only here: the library is not needed for anything else that the command line does.
            from sync_pipelines.pipelines.exposition import exposition

            click.echo(exposition(engine), nl=False)
            return
        with engine.connect() as connection:
            documents = [
                document
                for name in ([pipeline] if pipeline else PREFIXES)
                for document in _of_pipeline(connection, name)
            ]
    if as_json:
        output.print_json(documents)
    elif not documents:
        output.note("Nothing was measured yet: no connection was reconciled.")
    else:
        _show(documents)


def _of_pipeline(connection: Connection, pipeline: str) -> list[dict[str, Any]]:
    counted = kept.counters(connection, pipeline)
    prefix = PREFIXES[pipeline]
    gauges = kept.gauges(connection, pipeline, prefix)
    # Every scope has gauges, even one of which only events were read.
    names = list(dict.fromkeys(sample.scope for sample in gauges))
    return [
        {
            "connection": name,
            "pipeline": pipeline,
            "metrics": _of_connection(
                prefix, [s for s in counted if s.scope == name], [s for s in gauges if s.scope == name]
            ),
        }
        for name in names
    ]


def _of_connection(prefix: str, counted: Sequence[Sample], gauges: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Return metric name -> type and numbers. What never happened is shown as 0."""
    values = {(sample.name, sample.bucket): sample.value for sample in counted}
    counters = dict.fromkeys(f"{prefix}_{name}" for name in COUNTERS)
    # A pipeline may count more than every pipeline does.
    counters |= dict.fromkeys(sample.name for sample in counted if not sample.bucket)
    duration = f"{prefix}_{_DURATION}"
    found: dict[str, dict[str, Any]] = {
        name: {"type": "counter", "value": int(values.get((name, ""), 0))} for name in counters
    }
    found |= {gauge.name: {"type": "gauge", "value": _measured(gauge)} for gauge in gauges}
    found[duration] = {
        "type": "histogram",
        "count": int(values.get((duration, "count"), 0)),
        "sum": values.get((duration, "sum"), 0.0),
        "buckets": {str(bound): int(values.get((duration, str(bound)), 0)) for bound in BUCKETS},
    }
    return found


def _measured(gauge: Sample) -> int | float:
    """Return a gauge's value: most are counts, and those of seconds are not."""
    return round(gauge.value, 3) if gauge.name.endswith("_seconds") else int(gauge.value)


def _show(documents: Sequence[Mapping[str, Any]]) -> None:
    whose = output.names([(document["pipeline"], document["connection"]) for document in documents])
    rows = [
        (connection, name, metric["type"], _value(metric))
        for connection, document in zip(whose, documents, strict=True)
        for name, metric in document["metrics"].items()
    ]
    output.show(output.table("Metrics", ["connection", "metric", "type", "value"], rows, numbers=["value"]))


def _value(metric: Mapping[str, Any]) -> str:
    if metric["type"] == "histogram":
        return f"{metric['count']} in {metric['sum']:.1f} s"
    return str(metric["value"])
