"""What goes into the audit log and the metrics when something happens to a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.records import Content
from sync_pipelines.engine.context import Run
from sync_pipelines.store import audit, metrics


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one record, for its audit entry.

    Attributes:
        action: create, update, adopt, retire, forget.
        seconds: how long the attempt took at the peer.
        retry_count: failures in a row before this attempt.
        content: what was wanted at the target, for the checksum.
    """

    action: str
    key: str
    right_key: str | None
    seconds: float
    retry_count: int
    content: Content | None = None
    fields: tuple[str, ...] = ()


def succeeded(connection: Connection, run: Run, attempt: Attempt, note: str | None = None) -> None:
    """Audit and count a successful attempt."""
    _audit_attempt(connection, run, attempt, success=True, note=note)
    _count(connection, run, attempt, "successful")


def failed(connection: Connection, run: Run, attempt: Attempt, error: str) -> None:
    """Audit and count a failed attempt."""
    _audit_attempt(connection, run, attempt, success=False, error=error)
    _count(connection, run, attempt, "failed")


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


def _audit_attempt(
    connection: Connection,
    run: Run,
    attempt: Attempt,
    *,
    success: bool,
    error: str | None = None,
    note: str | None = None,
) -> None:
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
    optional = {"fields": list(attempt.fields) or None, "error": error, "note": note}
    entry |= {name: value for name, value in optional.items() if value}
    audit.append(connection, run.pair.name, entry, scope=run.pair.scope, key=attempt.key)


def _count(connection: Connection, run: Run, attempt: Attempt, outcome: str) -> None:
    prefix = run.pair.metric_prefix
    metrics.count(connection, run.scope, f"{prefix}_total")
    metrics.count(connection, run.scope, f"{prefix}_{outcome}")
    metrics.observe(connection, run.scope, f"{prefix}_duration_seconds", attempt.seconds)
