"""The base: links between left and right keys, with both contents as last agreed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from sync_pipelines.core.canonical import canonical_json, fingerprint
from sync_pipelines.core.records import Content
from sync_pipelines.store.scopes import Scope


@dataclass(frozen=True, slots=True)
class Link:
    """One row of the base."""

    left_key: str
    right_key: str
    natural_key: str
    linked_by: str
    linked_at: datetime
    agreed_at: datetime | None
    retired_at: datetime | None


def put_link(
    connection: Connection,
    scope: Scope,
    *,
    left_key: str,
    right_key: str,
    natural_key: str,
    left: Content,
    right: Content,
    linked_by: str,
    agreed: bool = True,
    retired: bool = False,
) -> None:
    """Link two records and store what they agreed on.

    Linking a left record anew replaces its old link. ``linked_by`` ("create", "adopt", "map") is kept from the first.

    Arguments:
        left, right: both contents. A field that is absent here was never agreed on: the next plan looks at it.
        agreed: ``False`` when fields are absent, so that the comparison takes the record up again.
        retired: the right record was taken out of service because the left one is gone.
    """
    connection.execute(
        text(
            "INSERT INTO sync.base AS b (scope_id, left_key, right_key, natural_key, left_fingerprint, "
            "right_fingerprint, left_content, right_content, linked_by, agreed_at, retired_at) VALUES (:scope_id, "
            ":left_key, :right_key, :natural_key, :left_fingerprint, :right_fingerprint, CAST(:left AS jsonb), "
            "CAST(:right AS jsonb), :linked_by, CASE WHEN :agreed THEN now() END, CASE WHEN :retired THEN now() END) "
            "ON CONFLICT (scope_id, left_key) DO UPDATE SET right_key = EXCLUDED.right_key, "
            "natural_key = EXCLUDED.natural_key, left_fingerprint = EXCLUDED.left_fingerprint, "
            "right_fingerprint = EXCLUDED.right_fingerprint, left_content = EXCLUDED.left_content, "
            "right_content = EXCLUDED.right_content, agreed_at = coalesce(EXCLUDED.agreed_at, b.agreed_at), "
            "retired_at = EXCLUDED.retired_at"
        ),
        {
            "scope_id": scope.id,
            "left_key": left_key,
            "right_key": right_key,
            "natural_key": natural_key,
            "left_fingerprint": fingerprint(left) if agreed else b"",
            "right_fingerprint": fingerprint(right) if agreed else b"",
            "left": canonical_json(left),
            "right": canonical_json(right),
            "linked_by": linked_by,
            "agreed": agreed,
            "retired": retired,
        },
    )


def drop_link(connection: Connection, scope: Scope, left_key: str) -> None:
    """Forget a link whose both ends are gone."""
    connection.execute(
        text("DELETE FROM sync.base WHERE scope_id = :scope_id AND left_key = :left_key"),
        {"scope_id": scope.id, "left_key": left_key},
    )


def find_link(connection: Connection, scope: Scope, left_key: str) -> Link | None:
    """Return the link of a left record."""
    row = connection.execute(
        text(
            "SELECT left_key, right_key, natural_key, linked_by, linked_at, agreed_at, retired_at FROM sync.base "
            "WHERE scope_id = :scope_id AND left_key = :left_key"
        ),
        {"scope_id": scope.id, "left_key": left_key},
    ).one_or_none()
    return None if row is None else Link(*row)


def holder(connection: Connection, scope: Scope, right_key: str) -> str | None:
    """Return the left key that a right record is linked to."""
    left_key: str | None = connection.execute(
        text("SELECT left_key FROM sync.base WHERE scope_id = :scope_id AND right_key = :right_key"),
        {"scope_id": scope.id, "right_key": right_key},
    ).scalar()
    return left_key


def links(connection: Connection, scope: Scope) -> dict[str, str]:
    """Return all links of a scope, left key -> right key."""
    rows = connection.execute(
        text("SELECT left_key, right_key FROM sync.base WHERE scope_id = :scope_id"), {"scope_id": scope.id}
    )
    return {row.left_key: row.right_key for row in rows}


def count_linked(connection: Connection, scope: Scope) -> int:
    """Return how many records are linked and not retired."""
    return int(
        connection.execute(
            text("SELECT count(*) FROM sync.base WHERE scope_id = :scope_id AND retired_at IS NULL"),
            {"scope_id": scope.id},
        ).scalar_one()
    )


def accept_map(connection: Connection, scope: Scope, pairs: Mapping[str, str]) -> int:
    """Take links from a hand-made map (left key -> right key) for records that are not linked yet.

    Both keys must have been seen in the newest snapshots, and the right record must not claim to be another one: a map
    that contradicts the records is not followed. Returns the number of new links.
    """
    left_keys = sorted(pairs)
    return connection.execute(
        text(
            "INSERT INTO sync.base (scope_id, left_key, right_key, natural_key, left_fingerprint, "
            "right_fingerprint, left_content, right_content, linked_by) "
            "SELECT :scope_id, l.key, r.key, l.natural_key, '', '', '{}', '{}', 'map' "
            "FROM unnest(CAST(:left_keys AS text[]), CAST(:right_keys AS text[])) AS given(left_key, right_key) "
            "JOIN sync.record l ON l.scope_id = :scope_id AND l.side = 'left' AND l.key = given.left_key "
            "JOIN sync.record r ON r.scope_id = :scope_id AND r.side = 'right' AND r.key = given.right_key "
            "AND r.natural_key IN (l.natural_key, '') ORDER BY l.key ON CONFLICT DO NOTHING"
        ),
        {"scope_id": scope.id, "left_keys": left_keys, "right_keys": [pairs[key] for key in left_keys]},
    ).rowcount
