"""Records that turned up at the source under another key: what is known of them goes on under the new one."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from sync_pipelines.core.lifecycle import INITIAL, State
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import text

_GIVEN = "unnest(CAST(:old AS text[]), CAST(:new AS text[])) AS g(old, new)"


def follow(connection: Connection, scope: Scope) -> dict[str, str]:
    """Let links follow their source to another key: the old one is gone, and one record claims the natural key now.

    With the link go the state, the open dead letter and the writes of which nobody knows what became of them. So do
    those of a record that has no link yet; what identifies it is known from its writes. A new key that has a state or
    a dead letter of its own keeps them.

    Call after writes that a killed run left were taken over, and before new records are introduced.

    Returns the new keys by the old ones.
    """
    renamed = _move_links(connection, scope) | _renamed_without_link(connection, scope)
    if renamed:
        _carry(connection, scope, renamed)
    return renamed


def _move_links(connection: Connection, scope: Scope) -> dict[str, str]:
    rows = connection.execute(
        text(
            "UPDATE sync.base b SET left_key = l.key FROM sync.record l "
            "WHERE b.scope_id = :scope_id AND b.natural_key <> '' AND l.scope_id = b.scope_id AND l.side = 'left' "
            "AND l.natural_key = b.natural_key AND l.key <> b.left_key "
            "AND NOT EXISTS (SELECT FROM sync.record old WHERE old.scope_id = b.scope_id AND old.side = 'left' "
            "AND old.key = b.left_key) "
            "AND NOT EXISTS (SELECT FROM sync.base other WHERE other.scope_id = b.scope_id AND other.left_key = l.key) "
            "AND NOT EXISTS (SELECT FROM sync.record twin WHERE twin.scope_id = b.scope_id AND twin.side = 'left' "
            "AND twin.natural_key = b.natural_key AND twin.key <> l.key) "
            "AND NOT EXISTS (SELECT FROM sync.base twin WHERE twin.scope_id = b.scope_id "
            "AND twin.natural_key = b.natural_key AND twin.left_key <> b.left_key) "
            "RETURNING l.key AS new, (SELECT was.left_key FROM sync.base was WHERE was.scope_id = b.scope_id "
            "AND was.right_key = b.right_key) AS old"
        ),
        {"scope_id": scope.id},
    )
    return {row.old: row.new for row in rows}


def _renamed_without_link(connection: Connection, scope: Scope) -> dict[str, str]:
    # What goes by its natural key was never at the source, and is no former name of what is there now.
    rows = connection.execute(
        text(
            "WITH known AS ("
            "SELECT e.key, e.natural_key FROM sync.effect e "
            "WHERE e.scope_id = :scope_id AND e.state IN ('intended', 'in_doubt') "
            "UNION SELECT s.key, e.natural_key FROM sync.record_state s CROSS JOIN LATERAL "
            "(SELECT w.natural_key FROM sync.effect w WHERE w.scope_id = s.scope_id AND w.key = s.key "
            "ORDER BY w.id DESC LIMIT 1) e "
            "WHERE s.scope_id = :scope_id AND s.state <> 'synced') "
            "SELECT k.key AS old, min(l.key) AS new FROM known k JOIN sync.record l ON l.scope_id = :scope_id "
            "AND l.side = 'left' AND l.natural_key = k.natural_key "
            "WHERE k.natural_key NOT IN ('', k.key) AND NOT EXISTS (SELECT FROM sync.record old "
            "WHERE old.scope_id = :scope_id AND old.side = 'left' AND old.key = k.key) "
            "AND NOT EXISTS (SELECT FROM sync.base b WHERE b.scope_id = :scope_id AND b.left_key IN (k.key, l.key)) "
            "GROUP BY k.key HAVING count(*) = 1"
        ),
        {"scope_id": scope.id},
    )
    return {row.old: row.new for row in rows}


def _carry(connection: Connection, scope: Scope, renamed: Mapping[str, str]) -> None:
    keys = {"scope_id": scope.id, "old": list(renamed), "new": list(renamed.values())}
    # One that was only introduced, or that rests from a former life, says nothing about the record.
    connection.execute(
        text(
            f"DELETE FROM sync.record_state s USING {_GIVEN} JOIN sync.record_state o ON o.scope_id = :scope_id "
            "AND o.key = g.old WHERE s.scope_id = :scope_id AND s.key = g.new "
            "AND (s.state = :initial AND s.last_attempt_at IS NULL OR s.state = :at_rest)"
        ),
        {**keys, "initial": INITIAL.value, "at_rest": State.SYNCED.value},
    )
    connection.execute(
        text(
            "UPDATE sync.record_state s SET key = n.new FROM (SELECT DISTINCT ON (g.new) g.old, g.new "
            f"FROM {_GIVEN} JOIN sync.record_state o ON o.scope_id = :scope_id AND o.key = g.old "
            "ORDER BY g.new, o.updated_at DESC) n WHERE s.scope_id = :scope_id AND s.key = n.old "
            "AND NOT EXISTS (SELECT FROM sync.record_state own WHERE own.scope_id = :scope_id AND own.key = n.new)"
        ),
        keys,
    )
    # A dead letter is open as long as its record is given up: it goes where the state went.
    connection.execute(
        text(
            f"UPDATE sync.dead_letter d SET key = g.new FROM {_GIVEN} WHERE d.scope_id = :scope_id AND d.key = g.old "
            "AND d.state = 'open' AND NOT EXISTS (SELECT FROM sync.record_state s WHERE s.scope_id = :scope_id "
            "AND s.key = g.old) AND NOT EXISTS (SELECT FROM sync.dead_letter own WHERE own.scope_id = :scope_id "
            "AND own.key = g.new AND own.state = 'open')"
        ),
        keys,
    )
    # All of them: whatever may still be running at the peer concerns this record.
    connection.execute(
        text(
            "UPDATE sync.effect e SET key = g.new, planned_key = coalesce(e.planned_key, e.key) "
            f"FROM {_GIVEN} WHERE e.scope_id = :scope_id AND e.key = g.old AND e.state IN ('intended', 'in_doubt')"
        ),
        keys,
    )
