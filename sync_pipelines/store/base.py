"""The base: links between left and right keys, with both contents as last agreed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sync_pipelines.core.canonical import canonical_json, fingerprint
from sync_pipelines.core.records import Content
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import Part, execute, text


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


@dataclass(frozen=True, slots=True)
class NewLink:
    """Two records to be linked, and what they agreed on.

    Attributes:
        left, right: both contents. A field that is absent here was never agreed on: the next plan looks at it.
        linked_by: "create", "adopt" or "map"; kept from the first time.
        agreed: ``False`` when fields are absent, so that the comparison takes the record up again.
        retired: the right record was taken out of service because the left one is gone.
    """

    left_key: str
    right_key: str
    natural_key: str
    left: Content
    right: Content
    linked_by: str
    agreed: bool = True
    retired: bool = False


def linking(scope: Scope, links: Sequence[NewLink]) -> Part:
    """Link records. Linking a left record anew replaces its old link."""
    return Part(
        (
            "INSERT INTO sync.base AS b (scope_id, left_key, right_key, natural_key, left_fingerprint, "
            "right_fingerprint, left_content, right_content, linked_by, agreed_at, retired_at) "
            "SELECT :scope_id, g.left_key, g.right_key, g.natural_key, g.left_fingerprint, g.right_fingerprint, "
            "CAST(g.left_content AS jsonb), CAST(g.right_content AS jsonb), g.linked_by, "
            "CASE WHEN g.agreed THEN now() END, CASE WHEN g.retired THEN now() END "
            "FROM unnest(CAST(:left_keys AS text[]), CAST(:right_keys AS text[]), CAST(:natural_keys AS text[]), "
            "CAST(:left_fingerprints AS bytea[]), CAST(:right_fingerprints AS bytea[]), CAST(:lefts AS text[]), "
            "CAST(:rights AS text[]), CAST(:linked_by AS text[]), CAST(:agreed AS boolean[]), "
            "CAST(:retired AS boolean[])) AS g(left_key, right_key, natural_key, left_fingerprint, right_fingerprint, "
            "left_content, right_content, linked_by, agreed, retired) "
            "ON CONFLICT (scope_id, left_key) DO UPDATE SET right_key = EXCLUDED.right_key, "
            "natural_key = EXCLUDED.natural_key, left_fingerprint = EXCLUDED.left_fingerprint, "
            "right_fingerprint = EXCLUDED.right_fingerprint, left_content = EXCLUDED.left_content, "
            "right_content = EXCLUDED.right_content, agreed_at = coalesce(EXCLUDED.agreed_at, b.agreed_at), "
            "retired_at = EXCLUDED.retired_at"
        ),
        {
            "scope_id": scope.id,
            "left_keys": [link.left_key for link in links],
            "right_keys": [link.right_key for link in links],
            "natural_keys": [link.natural_key for link in links],
            "left_fingerprints": [fingerprint(link.left) if link.agreed else b"" for link in links],
            "right_fingerprints": [fingerprint(link.right) if link.agreed else b"" for link in links],
            "lefts": [canonical_json(link.left) for link in links],
            "rights": [canonical_json(link.right) for link in links],
            "linked_by": [link.linked_by for link in links],
            "agreed": [link.agreed for link in links],
            "retired": [link.retired for link in links],
        },
    )


def put_links(connection: Connection, scope: Scope, links: Sequence[NewLink]) -> None:
    """Link records, as :func:`linking`."""
    execute(connection, linking(scope, links))


def drop_links(connection: Connection, scope: Scope, left_keys: Sequence[str]) -> None:
    """Forget links whose both ends are gone."""
    connection.execute(
        text("DELETE FROM sync.base WHERE scope_id = :scope_id AND left_key = ANY (CAST(:left_keys AS text[]))"),
        {"scope_id": scope.id, "left_keys": list(left_keys)},
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


def holders(connection: Connection, scope: Scope, right_keys: Sequence[str]) -> dict[str, str]:
    """Return the left keys that right records are linked to: right key -> left key, unlinked ones left out."""
    rows = connection.execute(
        text(
            "SELECT right_key, left_key FROM sync.base "
            "WHERE scope_id = :scope_id AND right_key = ANY (CAST(:right_keys AS text[]))"
        ),
        {"scope_id": scope.id, "right_keys": list(right_keys)},
    )
    return {row.right_key: row.left_key for row in rows}


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
