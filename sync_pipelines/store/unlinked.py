"""Life cycle of records without a link that the source does not have (any more).

What is at the target only is nobody's business, and has no state, unless the pair retires it: then it is known by its
natural key, for the key that its source would have is not known.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from sync_pipelines.core.lifecycle import INITIAL, Event, State, target_of
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import text

_TO_REST = (
    "UPDATE sync.record_state r SET state = :target, reason = {reason}, failures = 0, first_error = NULL, "
    "first_failed_at = NULL, next_retry_at = NULL, updated_at = now() {given}"
    "WHERE r.scope_id = :scope_id AND r.state <> ALL (CAST(:kept AS text[])) "
)
_AT_REST = target_of(Event.AGREED)
"""The table lets every state come to agreement."""


def introduce(connection: Connection, scope: Scope, reasons: Sequence[tuple[str, str]]) -> int:
    """Give records (natural key, reason) that are to be retired their initial state. Returns how many were new."""
    if not reasons:
        return 0
    return connection.execute(
        text(
            "INSERT INTO sync.record_state (scope_id, key, state, reason) SELECT :scope_id, g.key, :initial, g.reason "
            "FROM unnest(CAST(:keys AS text[]), CAST(:reasons AS text[])) AS g(key, reason) ON CONFLICT DO NOTHING"
        ),
        {
            "scope_id": scope.id,
            "keys": [key for key, _ in reasons],
            "reasons": [reason for _, reason in reasons],
            "initial": INITIAL.value,
        },
    ).rowcount


def leave(connection: Connection, scope: Scope, reasons: Sequence[tuple[str, str]]) -> int:
    """Move records (natural key, reason) to synced, dead letters too: they are not to be retired any more.

    Returns how many.
    """
    if not reasons:
        return 0
    given = "FROM unnest(CAST(:keys AS text[]), CAST(:reasons AS text[])) AS given(key, reason) "
    return connection.execute(
        text(_TO_REST.format(reason="given.reason", given=given) + "AND r.key = given.key"),
        {
            "scope_id": scope.id,
            "target": _AT_REST.value,
            "kept": [State.SYNCED.value],
            "keys": [key for key, _ in reasons],
            "reasons": [reason for _, reason in reasons],
        },
    ).rowcount


def settle_returned(connection: Connection, scope: Scope) -> int:
    """Move records that were to be retired to synced, dead letters too, when their source is there after all.

    From then on they go by the key of their source. Returns how many.
    """
    return connection.execute(
        text(
            _TO_REST.format(reason="'at the source as ' || l.key", given="FROM sync.record l ")
            + "AND l.scope_id = r.scope_id AND l.side = 'left' AND l.natural_key = r.key AND l.key <> r.key "
            "AND NOT EXISTS (SELECT FROM sync.record own WHERE own.scope_id = r.scope_id AND own.side = 'left' "
            "AND own.key = r.key) "
            "AND NOT EXISTS (SELECT FROM sync.base b WHERE b.scope_id = r.scope_id AND b.left_key = r.key)"
        ),
        {"scope_id": scope.id, "target": _AT_REST.value, "kept": [State.SYNCED.value]},
    ).rowcount


def settle_gone(connection: Connection, scope: Scope, *, untracked: bool) -> int:
    """Move records that are neither at the source nor linked any more to synced: nothing is left to do for them.

    Dead letters stay: they are dropped by nobody. Returns how many.

    Arguments:
        untracked: what is at the target only may be retired: a record that goes by its natural key stays where it is
            as long as the target has it.
    """
    return connection.execute(
        text(
            _TO_REST.format(reason="'gone at the source, and linked to nothing'", given="")
            + "AND NOT EXISTS (SELECT FROM sync.record l WHERE l.scope_id = r.scope_id AND l.side = 'left' "
            "AND l.key = r.key) "
            "AND NOT EXISTS (SELECT FROM sync.base b WHERE b.scope_id = r.scope_id AND b.left_key = r.key) "
            "AND NOT (:untracked AND EXISTS (SELECT FROM sync.record x WHERE x.scope_id = r.scope_id "
            "AND x.side = 'right' AND x.natural_key = r.key))"
        ),
        {
            "scope_id": scope.id,
            "target": _AT_REST.value,
            "kept": [State.SYNCED.value, State.DEAD_LETTERED.value],
            "untracked": untracked,
        },
    ).rowcount
