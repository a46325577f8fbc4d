"""How the runs of a connection went, in the terms of Blacksmith's reconciler: its metrics and its status.

A run is counted when it is over, by how it ended: a failed one is no successful one, and one that somebody stopped is
neither.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from sync_pipelines.core.errors import DatabaseUnavailable, RunStopped, SyncError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.deployments.scan import DirectorScan
from sync_pipelines.store import metrics, run_summaries
from sync_pipelines.store.outage import outages_in_words
from sync_pipelines.store.run_summaries import Outcome, RunSummary
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.storable import storable_text

METRIC_PREFIX = "blacksmith_reconciler"
COUNTERS = (
    "runs_total",
    "runs_successful",
    "runs_failed",
    "deployments_total",
    "instances_found_total",
    "instances_synced_total",
    "errors_total",
)
"""Counters after the prefix, as the reconciler had them. Durations are gauges: the last, and the average of 100."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """How a connection stands.

    Attributes:
        counters: since the beginning, by the names of :data:`COUNTERS`.
        last: the last run; ``None`` before the first.
        average_seconds: of the last 100 runs.
        history: the last runs, newest first.
    """

    counters: dict[str, int]
    last: RunSummary | None
    average_seconds: float
    history: list[RunSummary]

    @property
    def last_run_at(self) -> datetime | None:
        """When the last run ended."""
        return None if self.last is None else self.last.ended_at

    def last_number(self, name: str) -> int:
        """Return what the last run counted: ``deployments``, ``instances_found``, ``instances_synced``, ``errors``."""
        return int(self.last.numbers.get(name, 0)) if self.last else 0


def status_of(connection: Connection, scope: Scope) -> Status:
    """Return how a connection stands, from the database alone."""
    samples = {
        sample.name: int(sample.value)
        for sample in metrics.counters(connection, scope.pair)
        if sample.scope == scope.name and not sample.bucket
    }
    history = run_summaries.latest(connection, scope)
    return Status(
        counters={name: samples.get(f"{METRIC_PREFIX}_{name}", 0) for name in COUNTERS},
        last=history[0] if history else None,
        average_seconds=sum(run.seconds for run in history) / len(history) if history else 0.0,
        history=history,
    )


class RunCount:
    """Counts one run of a connection, if it becomes one: who only looks at something is not counted.

    Arguments:
        is_run: whether this is a run. ``True``: also a connection that cannot even be opened is a failed one;
            ``False``: nothing is counted, whatever is done; ``None``: it is one when the Director is scanned.

    Attributes:
        scope: of the connection.
        scan: set as soon as there is one.
    """

    def __init__(self, engine: Engine, scope: Scope, *, is_run: bool | None) -> None:
        self._is_run = is_run
        self.scan: DirectorScan | None = None
        self._engine = engine
        self.scope = scope
        self._started = time.monotonic()

    async def end(self, error: BaseException | None, redactor: Redactor) -> None:
        """Count the run, by the error that it ended with."""
        if self._is_run is False:
            return
        opening_failed = self._is_run and self.scan is None and isinstance(error, SyncError)
        if not opening_failed and (self.scan is None or self.scan.began is None):
            return
        outcome = _outcome(error)
        reason = storable_text(redactor.text(str(error))) if error is not None else None
        try:
            await in_thread(self._store, outcome, reason)
        except DatabaseUnavailable as outage:
            _log.warning("%s: the run could not be counted: %s", self.scope.lease, outage)

    def numbers(self, connection: Connection | None = None) -> dict[str, int]:
        """Return what the run counted so far.

        Arguments:
            connection: to the database. Only with one it is known how many are in agreement, and which changes failed.
        """
        seen = self.scan.seen if self.scan else []
        synced = [one.name for one in seen if one.is_synced]
        return {
            "deployments": len(seen),
            "instances_found": len(synced),
            "instances_synced": run_summaries.synced_among(connection, self.scope, synced) if connection else 0,
            "errors": sum(bool(one.problems) for one in seen) + self._failed_changes(connection),
        }

    def _failed_changes(self, connection: Connection | None) -> int:
        began = self.scan.began if self.scan else None
        if connection is None or began is None:
            return 0
        # The first pass begins under the lease, so whatever was applied since is of this run.
        return run_summaries.failed_changes(connection, self.scope, time.monotonic() - began)

    def _store(self, outcome: Outcome, reason: str | None) -> None:
        with outages_in_words(self._engine), self._engine.begin() as connection:
            numbers = self.numbers(connection)
            failed = outcome == "failed"
            numbers["errors"] += failed
            seconds = time.monotonic() - self._started
            run_summaries.add(connection, self.scope, seconds=seconds, outcome=outcome, reason=reason, numbers=numbers)
            amounts = {
                "runs_total": 1,
                "runs_successful": outcome == "successful",
                "runs_failed": failed,
                **{f"{name}_total": number for name, number in numbers.items()},
            }
            metrics.add(
                connection, self.scope, {(f"{METRIC_PREFIX}_{name}", ""): float(n) for name, n in amounts.items()}
            )


def _outcome(error: BaseException | None) -> Outcome:
    if error is None:
        return "successful"
    return "stopped" if isinstance(error, RunStopped | asyncio.CancelledError | KeyboardInterrupt) else "failed"
