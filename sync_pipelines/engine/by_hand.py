"""What people do to a scope outside of its runs: let a plan through, take records up again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from sync_pipelines.store import audit, leases, plan_states, snapshots, states
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.scopes import ensure_scope

_LEASE_SECONDS = 60.0


def approve(connection: Connection, plan: StoredPlan, entry: Mapping[str, object]) -> StoredPlan:
    """Let a held plan through, once; the next run of its scope that makes the same plan applies it.

    Arguments:
        connection: in a transaction, within which the scope's lease is taken and given back: no run may be about to
            give the plan up meanwhile.
        entry: for the audit log; ``by`` is who lets it through.

    Raises:
        LeaseHeld: a run is at work there.
        PlanRefused: the plan is not held.
    """
    scope = ensure_scope(connection, plan.pair, plan.scope)
    lease = leases.take(connection, scope.lease, f"approval-{uuid.uuid4()}", _LEASE_SECONDS)
    approved = plan_states.approve(connection, plan, str(entry["by"]))
    snapshots.seal_snapshots(connection, [plan.left_snapshot, plan.right_snapshot])
    audit.append(connection, plan.pair, {**entry, "plan": plan.hash}, scope=plan.scope)
    leases.release(connection, lease)
    return approved


def reprocess(
    connection: Connection, pair: str, name: str, keys: Sequence[str], entry: Mapping[str, object], key_field: str
) -> list[str]:
    """Reset records of a scope that were given up, within the current transaction, and return their keys.

    The next reconcile takes them up. What is not open any more is left out.

    Arguments:
        entry: for the audit log, one for each record; ``by`` is who asks for it.
        key_field: what the entry calls the record's key.
    """
    reset = states.reprocess(connection, ensure_scope(connection, pair, name), keys, str(entry["by"]))
    for key in reset:
        audit.append(connection, pair, {**entry, key_field: key}, scope=name, key=key)
    return reset
