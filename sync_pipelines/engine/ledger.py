"""What goes into the audit log and the metrics when something happens to a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.records import Content
from sync_pipelines.engine.context import Run
from sync_pipelines.store import audit, metrics
from sync_pipelines.store.audit import NewEntry
from sync_pipelines.store.statements import Part, execute

COUNTERS = (
    "total",
    "successful",
    "failed",
    "dead_lettered",
    "drift_detected",
    "reconciliations",
    "events_received",
    "events_processed",
    "events_dropped",
)
"""Counters of every pair, after its prefix."""
RETRIES, PEER_ERRORS = "sync_retries_total", "sync_peer_errors_total"
"""Counters that have one name in all pairs; the second has the class of the error in place of a bucket."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one record, for its audit entry.

    Attributes:
        action: create, update, adopt, retire, forget.
        seconds: how long the attempt took at the peer.
        retry_count: failures in a row before this attempt.
        content: what was wanted at the target, for the checksum.
        interrupted_run: the killed run that began this, when another one found or finished it.
    """

    action: str
    key: str
    right_key: str | None
    seconds: float
    retry_count: int
    content: Content | None = None
    fields: tuple[str, ...] = ()
    interrupted_run: str | None = None


def succeeded(connection: Connection, run: Run, *attempts: Attempt) -> None:
    """Audit and count successful attempts."""
    if attempts:
        execute(connection, *succeeding(connection, run, attempts))


def succeeding(connection: Connection, run: Run, attempts: Sequence[Attempt]) -> list[Part]:
    """Audit and count successful attempts, at least one, together with other statements."""
    return _recording(connection, run, attempts, "successful")


def failed(connection: Connection, run: Run, attempt: Attempt, error: str, *, kind: FailureKind | None = None) -> None:
    """Audit and count a failed attempt; with the class of the peer's error, where a peer said something."""
    execute(connection, *_recording(connection, run, [attempt], "failed", error=error))
    if kind is not None:
        metrics.add(connection, run.scope, {(PEER_ERRORS, kind.value): 1.0})


def dead_lettered(connection: Connection, run: Run, key: str, error: str, *, attempts: int) -> None:
    """Audit and count a record that was given up."""
    key_name, _, scope_name = run.pair.audit_names
    entry = {
        key_name: key,
        scope_name: run.pair.audit_scope,
        "action": "dead_lettered",
        "success": False,
        "total_attempts": attempts,
        "last_error": error,
        "run_id": run.run_id,
    }
    audit.append(connection, run.pair.name, entry, scope=run.pair.scope, key=key)
    metrics.count(connection, run.scope, f"{run.pair.metric_prefix}_dead_lettered")


def event(connection: Connection, run: Run, action: str, **facts: Any) -> None:
    """Audit something that concerns the whole scope: a reconciliation, an approval."""
    entry = {run.pair.audit_names[2]: run.pair.audit_scope, "action": action, "run_id": run.run_id, **facts}
    audit.append(connection, run.pair.name, entry, scope=run.pair.scope)


def _recording(
    connection: Connection, run: Run, attempts: Sequence[Attempt], outcome: str, *, error: str | None = None
) -> list[Part]:
    entries = [
        NewEntry(_entry(run, attempt, success=error is None, error=error), run.pair.scope, attempt.key)
        for attempt in attempts
    ]
    prefix, number = run.pair.metric_prefix, float(len(attempts))
    counted = {(f"{prefix}_total", ""): number, (f"{prefix}_{outcome}", ""): number}
    if retries := sum(attempt.retry_count > 0 for attempt in attempts):
        counted[(RETRIES, "")] = float(retries)
    durations = metrics.duration(f"{prefix}_duration_seconds", [attempt.seconds for attempt in attempts])
    return [
        *audit.appending(connection, run.pair.name, entries),
        metrics.adding(run.scope, counted | durations),
    ]


def _entry(run: Run, attempt: Attempt, *, success: bool, error: str | None) -> dict[str, Any]:
    key_name, right_name, scope_name = run.pair.audit_names
    entry: dict[str, Any] = {
        key_name: attempt.key,
        right_name: attempt.right_key,
        "action": attempt.action,
        "success": success,
        "duration_ns": round(attempt.seconds * 1e9),
        "retry_count": attempt.retry_count,
        scope_name: run.pair.audit_scope,
        "checksum": None if attempt.content is None else f"blake2b:{fingerprint(attempt.content).hex()}",
        "run_id": run.run_id,
    }
    optional = {"fields": list(attempt.fields) or None, "interrupted_run": attempt.interrupted_run, "error": error}
    return entry | {name: value for name, value in optional.items() if value}
