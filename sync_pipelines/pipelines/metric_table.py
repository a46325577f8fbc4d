"""Every metric that is exported: its name, its type and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sync_pipelines.core.errors import FailureKind

Kind = Literal["counter", "gauge", "histogram"]
PREFIXES: Mapping[str, str] = {
    "offerings": "offering_sync",
    "deployments": "blacksmith_reconciler",
    "commerce_woocommerce": "commerce_woocommerce",
    "commerce_odoo": "commerce_odoo",
}
"""Pair -> what its own metrics begin with. Importing them from the pipelines would load those."""
PLACE = ("pipeline", "connection")
ERRORS = "sync_peer_errors_total"
ZEROED = ("sync_retries_total", "sync_guard_trips_total")
"""Counters of every scope that exist in the database only once something happened."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric.

    Attributes:
        meaning: a sentence's beginning, for people.
        labels: what tells its series apart.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = PLACE


_OF_EACH_PAIR: tuple[tuple[str, Kind, str], ...] = (
    ("total", "counter", "attempts to write a record"),
    ("successful", "counter", "attempts that succeeded"),
    ("failed", "counter", "attempts that failed"),
    ("dead_lettered", "counter", "records that were given up"),
    ("drift_detected", "counter", "records that the target had changed or lost"),
    ("reconciliations", "counter", "comparisons of a whole connection"),
    ("events_received", "counter", "events of the source"),
    ("events_processed", "counter", "events whose records were looked at"),
    ("events_dropped", "counter", "events that were lost; a whole comparison made up for them"),
    ("queue_depth", "gauge", "records that are not in agreement"),
    ("active_syncs", "gauge", "writes under way"),
    ("dead_letter_size", "gauge", "open dead letters"),
    ("duration_seconds", "histogram", "how long attempts took"),
)
_OF_DEPLOYMENTS: tuple[tuple[str, Kind, str], ...] = (
    ("runs_total", "counter", "runs of the reconciler that ended"),
    ("runs_successful", "counter", "runs that succeeded"),
    ("runs_failed", "counter", "runs that failed"),
    ("deployments_total", "counter", "deployments that were scanned"),
    ("instances_found_total", "counter", "service instances among them"),
    ("instances_synced_total", "counter", "instances in agreement at the end of a run"),
    ("errors_total", "counter", "errors of runs"),
    ("last_run_duration_seconds", "gauge", "how long the last run took"),
    ("average_run_duration_seconds", "gauge", "average of the last 100 runs"),
)
_OF_ALL = (
    Family("sync_queue_depth", "gauge", "records that are not in agreement"),
    Family("sync_retries_total", "counter", "attempts at a record after a failed one"),
    Family("sync_retries_waiting", "gauge", "records that wait for their next attempt"),
    Family("sync_conflicts_open", "gauge", "conflicts that nobody settled"),
    Family("sync_orphans", "gauge", "records of the target that nothing at the source stands for"),
    Family("sync_dead_letters_open", "gauge", "records that were given up and not taken up again"),
    Family("sync_guard_trips_total", "counter", "plans that were held for a person's approval, each counted once"),
    Family("sync_plans_waiting", "gauge", "plans that wait for approval"),
    Family(ERRORS, "counter", "failed attempts by class of the peer's error", (*PLACE, "class")),
    Family("sync_lag_seconds", "gauge", "age of the oldest work that is not done; how far what was read lags behind"),
    Family("sync_last_success_timestamp_seconds", "gauge", "when the connection was last brought up to date"),
    Family("sync_last_apply_duration_seconds", "gauge", "how long the last plan took to apply"),
    Family("sync_ledger_bytes_behind", "gauge", "bytes of the ledger that are not replicated"),
    Family("sync_item_errors_open", "gauge", "orders and products of a marketplace that could not be read"),
    Family("sync_webhooks_waiting", "gauge", "deliveries of webhooks that were not handled"),
    Family("sync_peer_failures", "gauge", "failures of a peer in a row", ("peer",)),
    Family("sync_peer_breaker_open", "gauge", "1 while requests to a peer are held back, 0 otherwise", ("peer",)),
)


def _families() -> Iterator[Family]:
    for pair, prefix in PREFIXES.items():
        own = _OF_EACH_PAIR + (_OF_DEPLOYMENTS if pair == "deployments" else ())
        yield from (Family(f"{prefix}_{name}", kind, meaning) for name, kind, meaning in own)
    yield from _OF_ALL


FAMILIES: Mapping[str, Family] = {family.name: family for family in _families()}
"""By name."""
CLASSES = tuple(kind.value for kind in FailureKind)
"""Values of the label ``class``."""


def markdown() -> str:
    """Return all of them as a markdown table."""
    rows = ["| metric | type | labels | |", "|---|---|---|---|"]
    rows += [f"| `{f.name}` | {f.kind} | {', '.join(f.labels)} | {f.meaning} |" for f in FAMILIES.values()]
    return "\n".join(rows)
