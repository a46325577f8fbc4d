"""``sync-pipelines metrics``: how much was done, what waits, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from sync_pipelines.cli import output
from sync_pipelines.cli.session import PIPELINE, open_store
from sync_pipelines.engine.ledger import COUNTERS
from sync_pipelines.store import metrics as kept
from sync_pipelines.store.metrics import BUCKETS, Sample

_DURATION = "duration_seconds"


@click.command()
@click.option("--pipeline", default=PIPELINE, show_default=True, type=click.Choice([PIPELINE]), help="Whose metrics.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; of the histogram also the buckets.")
def metrics(pipeline: str, as_json: bool) -> None:
    """List counters, gauges and the histogram of each connection.

    Each bucket of the histogram counts the syncs that took at most so many seconds. In SQL the same numbers are in
    sync.metric and sync.gauge.
    """
    from sync_pipelines.pipelines.offerings.pair import METRIC_PREFIX

    with open_store() as engine, engine.connect() as connection:
        counted = kept.counters(connection, pipeline)
        gauges = kept.gauges(connection, pipeline, METRIC_PREFIX)
    # Every scope has gauges, even one of which only events were read.
    names = list(dict.fromkeys(sample.scope for sample in gauges))
    documents = [
        {
            "connection": name,
            "pipeline": pipeline,
            "metrics": _of_connection(
                METRIC_PREFIX, [s for s in counted if s.scope == name], [s for s in gauges if s.scope == name]
            ),
        }
        for name in names
    ]
    if as_json:
        output.print_json(documents)
    elif not documents:
        output.note(f"Nothing was measured yet: no connection of {pipeline} was reconciled.")
    else:
        _show(documents)


def _of_connection(prefix: str, counted: Sequence[Sample], gauges: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Return metric name -> type and numbers. What never happened is shown as 0."""
    values = {(sample.name, sample.bucket): sample.value for sample in counted}
    counters = [f"{prefix}_{name}" for name in COUNTERS]
    duration = f"{prefix}_{_DURATION}"
    found: dict[str, dict[str, Any]] = {
        name: {"type": "counter", "value": int(values.get((name, ""), 0))} for name in counters
    }
    found |= {gauge.name: {"type": "gauge", "value": int(gauge.value)} for gauge in gauges}
    found[duration] = {
        "type": "histogram",
        "count": int(values.get((duration, "count"), 0)),
        "sum": values.get((duration, "sum"), 0.0),
        "buckets": {str(bound): int(values.get((duration, str(bound)), 0)) for bound in BUCKETS},
    }
    return found


def _show(documents: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (document["connection"], name, metric["type"], _value(metric))
        for document in documents
        for name, metric in document["metrics"].items()
    ]
    output.show(output.table("Metrics", ["connection", "metric", "type", "value"], rows, numbers=["value"]))


def _value(metric: Mapping[str, Any]) -> str:
    if metric["type"] == "histogram":
        return f"{metric['count']} in {metric['sum']:.1f} s"
    return str(metric["value"])
