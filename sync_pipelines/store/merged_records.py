"""Merged records: what two systems make of their records together, kept with what is agreed on with either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.records import Content
from sync_pipelines.core.two_way import Agreement, Side
from sync_pipelines.store import base
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import statement, text


@dataclass(frozen=True, slots=True)
class Scopes:
    """The three scopes of a two-way pair: its own, and one for each system."""

    pair: Scope
    left: Scope
    right: Scope

    def of(self, side: Side) -> Scope:
        """The scope in which a system is the target."""
        return self.left if side is Side.LEFT else self.right

    @property
    def ids(self) -> dict[str, int]:
        """Parameters of the statements."""
        return {"scope_id": self.pair.id, "left_scope": self.left.id, "right_scope": self.right.id}


@dataclass(frozen=True, slots=True)
class Unclear:
    """A natural key of which nobody can tell whose it is.

    Attributes:
        left_keys, right_keys: keys of the records that claim it.
        is_double: merged records share it, and so none of them may be written.
    """

    natural_key: str
    left_keys: tuple[str, ...]
    right_keys: tuple[str, ...]
    is_double: bool


@dataclass(frozen=True, slots=True)
class Update:
    """A merged record as it is now; ``None`` in a fingerprint: that system does not have it."""

    key: str
    natural_key: str
    left_key: str | None
    right_key: str | None
    content: Content
    left_agreed: Mapping[str, Sequence[Any]]
    right_agreed: Mapping[str, Sequence[Any]]
    left_fingerprint: bytes | None
    right_fingerprint: bytes | None
    contested: Sequence[str] = ()
    gone: Side | None = None
    withheld: str | None = None


def plan_for(connection: Connection, *, everything: bool) -> None:
    """Tell the planner what a transaction is going to look at: its statistics are behind what a run has just stored.

    Arguments:
        everything: all records of the pair, which are to be joined set with set; otherwise a few by their keys.
    """
    unwanted = ["nestloop"] if everything else ["seqscan", "bitmapscan", "hashjoin", "mergejoin"]
    for way in unwanted:
        connection.execute(text(f"SET LOCAL enable_{way} = off"))


def take_statistics(connection: Connection) -> None:
    """Let the planner know of many new records.

    Of a scope that it has never heard of it expects one row. Then every index that begins with the scope looks as good
    as the right one, and each look-up reads the whole scope: minutes for 10,000 records.
    """
    connection.execute(text("ANALYZE sync.merged (scope_id, key, natural_key, left_key, right_key)"))
    connection.execute(text("ANALYZE sync.base (scope_id, left_key, right_key, natural_key)"))


def take_keys(connection: Connection, scopes: Scopes) -> int:
    """Note under which keys the systems have what was created there. Returns the number of keys."""
    taken = 0
    for side in Side:
        taken += connection.execute(
            text(
                f"UPDATE sync.merged m SET {side}_key = b.right_key FROM sync.base b "
                f"WHERE m.scope_id = :scope_id AND m.{side}_key IS NULL AND b.scope_id = :side_scope "
                f"AND b.left_key = m.key AND NOT EXISTS (SELECT FROM sync.merged o WHERE o.scope_id = :scope_id "
                f"AND o.{side}_key = b.right_key)"
            ),
            {"scope_id": scopes.pair.id, "side_scope": scopes.of(side).id},
        ).rowcount
    return taken


def succeed(connection: Connection, scopes: Scopes, side: Side) -> int:
    """Give the place of records that a system has no more to those that came in their stead, under another key.

    Only where there is no doubt: one record has the natural key now, and one merged record had it. Nothing was agreed
    on with the new one. Call for a system that was read beyond doubt. Returns how many there were.
    """
    ids = {"scope_id": scopes.pair.id, "side_scope": scopes.of(side).id}
    rows = connection.execute(
        text(
            "WITH lost AS MATERIALIZED ("
            f"SELECT m.key, m.{side}_key AS was FROM sync.merged m WHERE m.scope_id = :scope_id "
            f"AND m.{side}_key IS NOT NULL AND NOT EXISTS (SELECT FROM sync.record r WHERE r.scope_id = :side_scope "
            f"AND r.side = 'right' AND r.key = m.{side}_key)), "
            "heir AS MATERIALIZED (SELECT l.key, min(r.key) AS new FROM lost l "
            "JOIN sync.merged m ON m.scope_id = :scope_id AND m.key = l.key AND m.natural_key <> '' "
            "JOIN sync.record r ON r.scope_id = :side_scope AND r.side = 'right' AND r.natural_key = m.natural_key "
            "WHERE NOT EXISTS (SELECT FROM sync.merged o WHERE o.scope_id = :scope_id "
            "AND o.natural_key = m.natural_key AND o.key <> m.key) "
            "GROUP BY l.key HAVING count(*) = 1) "
            f"UPDATE sync.merged m SET {side}_key = h.new, {side}_fingerprint = NULL, {side}_agreed = '{{}}', "
            f"gone = nullif(m.gone, '{side}') FROM heir h JOIN sync.record r ON r.scope_id = :side_scope "
            "AND r.side = 'right' AND r.key = h.new AND r.withheld IS NULL AND r.invalid IS NULL "
            "WHERE m.scope_id = :scope_id AND m.key = h.key AND NOT EXISTS (SELECT FROM sync.merged o "
            f"WHERE o.scope_id = :scope_id AND o.{side}_key = h.new) RETURNING m.key"
        ),
        ids,
    ).all()
    base.drop_links(connection, scopes.of(side), [row.key for row in rows])
    return len(rows)


def give_links(connection: Connection, scopes: Scopes) -> int:
    """Link merged records with what stands for them in either system, where they are not yet. Returns how many.

    A link of a merged record that was forgotten gives way, and links go by the natural key that the record has now.
    """
    made = 0
    for side in Side:
        ids = {"scope_id": scopes.pair.id, "side_scope": scopes.of(side).id}
        missing = connection.execute(
            text(
                f"SELECT m.key, m.{side}_key AS side_key FROM sync.merged m "
                f"WHERE m.scope_id = :scope_id AND m.{side}_key IS NOT NULL AND NOT EXISTS (SELECT FROM sync.base b "
                "WHERE b.scope_id = :side_scope AND b.left_key = m.key)"
            ),
            ids,
        ).all()
        if missing:
            made += _link(connection, ids, [(row.key, row.side_key) for row in missing])
        connection.execute(
            text(
                "UPDATE sync.base b SET natural_key = m.natural_key FROM sync.merged m WHERE b.scope_id = :side_scope "
                "AND m.scope_id = :scope_id AND m.key = b.left_key AND m.natural_key <> b.natural_key"
            ),
            ids,
        )
    return made


def _link(connection: Connection, ids: Mapping[str, int], missing: Sequence[tuple[str, str]]) -> int:
    given = "unnest(CAST(:keys AS text[]), CAST(:side_keys AS text[])) AS g(key, side_key)"
    values = {**ids, "keys": [key for key, _ in missing], "side_keys": [side_key for _, side_key in missing]}
    connection.execute(
        text(
            f"DELETE FROM sync.base b USING {given} WHERE b.scope_id = :side_scope AND b.right_key = g.side_key "
            "AND NOT EXISTS (SELECT FROM sync.merged m WHERE m.scope_id = :scope_id AND m.key = b.left_key)"
        ),
        values,
    )
    return connection.execute(
        text(
            "INSERT INTO sync.base (scope_id, left_key, right_key, natural_key, left_fingerprint, "
            "right_fingerprint, left_content, right_content, linked_by) "
            "SELECT :side_scope, m.key, r.key, m.natural_key, '', '', '{}', '{}', 'adopt' "
            f"FROM {given} JOIN sync.merged m ON m.scope_id = :scope_id AND m.key = g.key JOIN sync.record r "
            "ON r.scope_id = :side_scope AND r.side = 'right' AND r.key = g.side_key ON CONFLICT DO NOTHING"
        ),
        values,
    ).rowcount


def identify(connection: Connection, scopes: Scopes) -> tuple[int, int]:
    """Find out by natural keys which records belong together. Returns how many were attached, and how many are new."""
    row = connection.execute(text(statement("merged_identify")), scopes.ids).one()
    return row.attached, row.made


def unclear(connection: Connection, scopes: Scopes) -> list[Unclear]:
    """Return the natural keys of which nobody can tell whose they are."""
    rows = connection.execute(text(statement("merged_unclear")), scopes.ids)
    return [
        Unclear(row.natural_key, tuple(row.left_keys or ()), tuple(row.right_keys or ()), row.is_double) for row in rows
    ]


def hold_doubles(connection: Connection, scopes: Scopes, reasons: Mapping[str, str]) -> int:
    """Keep merged records that share a natural key from being written, and let go those that do not any more.

    Arguments:
        reasons: natural key -> why.

    Returns how many that changed.
    """
    values = {"scope_id": scopes.pair.id, "natural_keys": list(reasons), "reasons": list(reasons.values())}
    held = connection.execute(
        text(
            "UPDATE sync.merged m SET unclear = g.reason "
            "FROM unnest(CAST(:natural_keys AS text[]), CAST(:reasons AS text[])) AS g(natural_key, reason) "
            "WHERE m.scope_id = :scope_id AND m.natural_key = g.natural_key AND m.unclear IS DISTINCT FROM g.reason"
        ),
        values,
    ).rowcount
    return (
        held
        + connection.execute(
            text(
                "UPDATE sync.merged SET unclear = NULL WHERE scope_id = :scope_id AND unclear IS NOT NULL "
                "AND natural_key <> ALL (CAST(:natural_keys AS text[]))"
            ),
            {"scope_id": scopes.pair.id, "natural_keys": list(reasons)},
        ).rowcount
    )


def moved(connection: Connection, scopes: Scopes) -> list[str]:
    """Return the keys of the merged records about which something has to be decided, in their order."""
    return list(connection.execute(text(statement("merged_moved")), scopes.ids).scalars())


def rows(connection: Connection, scopes: Scopes, keys: Sequence[str]) -> Sequence[Row[Any]]:
    """Return merged records with what either system shows of them, as ``merged_rows.sql`` describes."""
    return connection.execute(text(statement("merged_rows")), {**scopes.ids, "keys": list(keys)}).all()


def agreements(stored: Mapping[str, Sequence[Any]]) -> dict[str, Agreement]:
    """Read agreements as they are stored."""
    return {name: Agreement(merged, shown) for name, (merged, shown) in stored.items()}


def update(connection: Connection, scopes: Scopes, updates: Sequence[Update]) -> None:
    """Store merged records as they are now."""
    if not updates:
        return
    connection.execute(
        text(
            "UPDATE sync.merged m SET natural_key = g.natural_key, left_key = g.left_key, right_key = g.right_key, "
            "content = CAST(g.content AS jsonb), left_agreed = CAST(g.left_agreed AS jsonb), "
            "right_agreed = CAST(g.right_agreed AS jsonb), left_fingerprint = g.left_fingerprint, "
            "right_fingerprint = g.right_fingerprint, contested = ARRAY (SELECT jsonb_array_elements_text("
            "CAST(g.contested AS jsonb))), gone = g.gone, withheld = g.withheld, changed_at = now() "
            "FROM unnest(CAST(:keys AS text[]), CAST(:natural_keys AS text[]), CAST(:left_keys AS text[]), "
            "CAST(:right_keys AS text[]), CAST(:contents AS text[]), CAST(:left_agreed AS text[]), "
            "CAST(:right_agreed AS text[]), CAST(:left_fingerprints AS bytea[]), "
            "CAST(:right_fingerprints AS bytea[]), CAST(:contested AS text[]), CAST(:gone AS text[]), "
            "CAST(:withheld AS text[])) AS g(key, natural_key, left_key, right_key, content, left_agreed, "
            "right_agreed, left_fingerprint, right_fingerprint, contested, gone, withheld) "
            "WHERE m.scope_id = :scope_id AND m.key = g.key"
        ),
        {
            "scope_id": scopes.pair.id,
            "keys": [one.key for one in updates],
            "natural_keys": [one.natural_key for one in updates],
            "left_keys": [one.left_key for one in updates],
            "right_keys": [one.right_key for one in updates],
            "contents": [canonical_json(one.content) for one in updates],
            "left_agreed": [canonical_json(_stored(one.left_agreed)) for one in updates],
            "right_agreed": [canonical_json(_stored(one.right_agreed)) for one in updates],
            "left_fingerprints": [one.left_fingerprint for one in updates],
            "right_fingerprints": [one.right_fingerprint for one in updates],
            "contested": [canonical_json(list(one.contested)) for one in updates],
            "gone": [one.gone for one in updates],
            "withheld": [one.withheld for one in updates],
        },
    )


def drop(connection: Connection, scopes: Scopes, keys: Sequence[str]) -> None:
    """Forget merged records that neither system has any more."""
    if keys:
        connection.execute(
            text("DELETE FROM sync.merged WHERE scope_id = :scope_id AND key = ANY (CAST(:keys AS text[]))"),
            {"scope_id": scopes.pair.id, "keys": list(keys)},
        )


def revision(connection: Connection, scope: Scope) -> int:
    """Return how many statements changed merged records of the pair so far."""
    found = connection.execute(
        text("SELECT revision FROM sync.merged_revision WHERE scope_id = :scope_id"), {"scope_id": scope.id}
    ).scalar()
    return 0 if found is None else int(found)


def page(connection: Connection, scope: Scope, side: Side, *, after: str, size: int = 2000) -> Sequence[Row[Any]]:
    """Return merged records that a system is to have, contested fields left out, by key; none that is not merged yet.

    Rows have ``key``, ``natural_key``, ``content``, ``withheld``, and ``there``: whether the system has it.

    Arguments:
        after: key behind which to go on, ``""`` at first.
    """
    return connection.execute(
        text(
            "SELECT key, natural_key, content - contested AS content, coalesce(withheld, unclear) AS withheld, "
            f"{side}_key IS NOT NULL AS there FROM sync.merged WHERE scope_id = :scope_id "
            "AND gone IS NULL AND content <> '{}' AND key > :after ORDER BY key LIMIT :size"
        ),
        {"scope_id": scope.id, "after": after, "size": size},
    ).all()


def count(connection: Connection, scope: Scope) -> int:
    """Return how many merged records the systems are to have."""
    return int(
        connection.execute(
            text("SELECT count(*) FROM sync.merged WHERE scope_id = :scope_id AND gone IS NULL AND content <> '{}'"),
            {"scope_id": scope.id},
        ).scalar_one()
    )


def _stored(agreed: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    # Plain lists: what is a subclass is written in a slower way.
    return {name: [*pair] for name, pair in agreed.items()}
