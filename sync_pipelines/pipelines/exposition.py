"""All metrics in the text format of Prometheus, computed from the database at each scrape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from sync_pipelines.pipelines.metric_table import CLASSES, ERRORS, FAMILIES, PREFIXES, ZEROED, Family
from sync_pipelines.store.measured import Measured, measure
from sync_pipelines.store.metrics import BUCKETS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_HEAD = re.compile(r"^(# (?:HELP|TYPE) )(\w+)_total ", re.MULTILINE)


class DatabaseCollector(Collector):
    """Reads all numbers from the database; nothing is counted in the process, so no restart loses anything."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> list[Metric]:
        """Tell the registry no names: it would ask the database for them."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return every metric, also those without a series."""
        found = measure(self._engine)
        metrics = {name: _metric(family) for name, family in FAMILIES.items()}
        places = {(one.pair, one.scope) for one in found.gauges if one.pair in PREFIXES}
        for one in (*_zeros(places, found.counted), *found.counted, *found.gauges):
            name = f"{PREFIXES[one.pair]}_{one.name}" if _is_of_pair(one) else one.name
            # The database may know names of another release.
            if (family := FAMILIES.get(name)) is not None and family.kind != "histogram":
                metrics[name].add_sample(name, _labels(family, one), one.value)
        for name, family in FAMILIES.items():
            if family.kind == "histogram":
                _histogram(metrics[name], [one for one in found.counted if one.name == name])
        yield from metrics.values()


def exposition(engine: Engine) -> str:
    """Return all metrics as text.

    A registry of its own is made for each scrape: the process-global one would add numbers of this process.

    Raises:
        DBAPIError: the database cannot be used, or took too long.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DatabaseCollector(engine))
    written = generate_latest(registry).decode()
    # The library heads every counter as "<name>_total"; most counters of the offering sync's guide end otherwise.
    return _HEAD.sub(lambda head: f"{head[1]}{_told(head[2])} ", written)


def _told(name: str) -> str:
    total = f"{name}_total"
    return total if total in FAMILIES else name


def _metric(family: Family) -> Metric:
    is_total = family.kind == "counter" and family.name.endswith("_total")
    return Metric(family.name.removesuffix("_total") if is_total else family.name, family.meaning, family.kind)


def _is_of_pair(one: Measured) -> bool:
    return one.pair in PREFIXES and one.name not in FAMILIES


def _labels(family: Family, one: Measured) -> dict[str, str]:
    given = {"pipeline": one.pair, "connection": one.scope, "peer": one.scope, "class": one.bucket}
    return {name: given[name] for name in family.labels}


def _zeros(places: set[tuple[str, str]], counted: tuple[Measured, ...]) -> Iterator[Measured]:
    """Return counters that did not begin yet: without them the first rise would not show as one."""
    known = {(one.name, one.pair, one.scope, one.bucket) for one in counted}
    for pair, scope in sorted(places):
        for name, bucket in [*((name, "") for name in ZEROED), *((ERRORS, kind) for kind in CLASSES)]:
            if (name, pair, scope, bucket) not in known:
                yield Measured(name, pair, scope, bucket, 0.0)


def _histogram(metric: Metric, counted: list[Measured]) -> None:
    """Add the series of each connection. Every bucket holds what took at most so long, as Prometheus wants it."""
    by_place: dict[tuple[str, str], dict[str, float]] = {}
    for one in counted:
        by_place.setdefault((one.pair, one.scope), {})[one.bucket] = one.value
    for (pair, scope), values in by_place.items():
        labels: Mapping[str, str] = {"pipeline": pair, "connection": scope}
        for bound in BUCKETS:
            metric.add_sample(f"{metric.name}_bucket", {**labels, "le": str(bound)}, values.get(str(bound), 0.0))
        count = values.get("count", 0.0)
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": "+Inf"}, count)
        metric.add_sample(f"{metric.name}_count", dict(labels), count)
        metric.add_sample(f"{metric.name}_sum", dict(labels), values.get("sum", 0.0))
