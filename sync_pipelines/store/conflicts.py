"""Conflicts between two systems: kept with both values until they are settled in both systems."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.conflicts import Kind, Resolution
from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.two_way import Contest
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import text


class ConflictUnsettled(SyncError):
    """A conflict cannot be settled as somebody asked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """A conflict as the merge found it.

    Attributes:
        record: key of the merged record; the natural key where that is what is contested.
        item: natural key of the record.
        reason: what is wrong, for people.
        fields: contested fields; empty where no field can settle it.
        seen: digest of what may not move until a person's decision is carried out, in hexadecimal.
        given_up: it is about a write that is not tried any more, unless a person says so.
    """

    record: str
    item: str
    kind: Kind
    reason: str
    fields: Mapping[str, Contest] = dataclass_field(default_factory=dict)
    seen: str | None = None
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """A conflict as it is kept. ``open``: nobody has settled it, or what was settled is not in both systems yet."""

    id: str
    scope: str
    org: str
    record: str
    item: str
    entity: str
    kind: Kind
    data: Mapping[str, Any]
    is_resolved: bool
    resolution: Resolution | None
    resolved_data: Mapping[str, Any] | None
    resolved_by: str | None
    resolved_at: datetime | None
    applied_at: datetime | None
    closed_because: str | None
    history: Sequence[Mapping[str, Any]]
    created_at: datetime

    @property
    def fields(self) -> dict[str, Contest]:
        """The contested fields with their values."""
        return {name: Contest(**values) for name, values in self.data.get("fields", {}).items()}

    @property
    def can_be_settled(self) -> bool:
        """Whether a decision can end it. Others end when the record, or the access, is mended in its system."""
        if self.kind in (Kind.VALIDATION_ERROR, Kind.DUPLICATE_KEY):
            return self.given_up
        return self.kind is not Kind.AUTH_ERROR

    @property
    def given_up(self) -> bool:
        """Whether it is about a write that is not tried any more, unless a person says so."""
        return bool(self.data.get("given_up"))


_SELECT = (
    "SELECT c.id, s.name AS scope, c.org_id AS org, c.record_key AS record, c.item_id AS item, "
    "c.entity_type AS entity, c.conflict_type AS kind, c.data, c.is_resolved, "
    "c.resolution_action AS resolution, c.resolved_data, "
    "c.resolved_by, c.resolved_at, c.applied_at, c.closed_because, c.history, c.created_at "
    "FROM sync.sync_conflict c JOIN sync.scope s ON s.id = c.scope_id "
)


def note(connection: Connection, scope: Scope, org: str, entity: str, found: Sequence[Found]) -> None:
    """Let conflicts stand. One that stands already keeps its id; with other values a settlement of it is void."""
    if not found:
        return
    connection.execute(
        text(
            "INSERT INTO sync.sync_conflict AS c "
            "(scope_id, org_id, record_key, item_id, entity_type, conflict_type, data) "
            "SELECT :scope_id, :org, g.record, g.item, :entity, g.kind, CAST(g.data AS jsonb) "
            "FROM unnest(CAST(:records AS text[]), CAST(:items AS text[]), CAST(:kinds AS text[]), "
            "CAST(:data AS text[])) AS g(record, item, kind, data) "
            "ON CONFLICT (scope_id, record_key, conflict_type) WHERE applied_at IS NULL DO UPDATE SET "
            "item_id = EXCLUDED.item_id, data = EXCLUDED.data, updated_at = now(), "
            "history = CASE WHEN c.data = EXCLUDED.data AND NOT c.is_resolved THEN c.history ELSE c.history || "
            "jsonb_build_object('at', now(), 'was', c.data, 'resolution', c.resolution_action, "
            "'by', c.resolved_by) END, "
            "is_resolved = false, resolution_action = NULL, resolved_data = NULL, resolved_by = NULL, "
            "resolved_at = NULL "
            "WHERE c.is_resolved OR c.data <> EXCLUDED.data OR c.item_id <> EXCLUDED.item_id"
        ),
        {
            "scope_id": scope.id,
            "org": org,
            "entity": entity,
            "records": [one.record for one in found],
            "items": [one.item for one in found],
            "kinds": [one.kind.value for one in found],
            "data": [canonical_json(_data(one)) for one in found],
        },
    )


def _data(found: Found) -> dict[str, Any]:
    data: dict[str, Any] = {"reason": found.reason, "fields": _stored(found.fields)}
    if found.seen is not None:
        data["seen"] = found.seen
    return {**data, "given_up": True} if found.given_up else data


def settled(connection: Connection, scope: Scope, records: Collection[str]) -> dict[str, list[Conflict]]:
    """Return what was settled by people and is not carried out yet, by the key of the merged record."""
    rows = connection.execute(
        text(
            _SELECT + "WHERE c.scope_id = :scope_id AND c.applied_at IS NULL AND c.is_resolved "
            "AND c.record_key = ANY (CAST(:records AS text[]))"
        ),
        {"scope_id": scope.id, "records": list(records)},
    )
    found: dict[str, list[Conflict]] = {}
    for row in rows:
        found.setdefault(row.record, []).append(_conflict(row))
    return found


def close(
    connection: Connection,
    scope: Scope,
    records: Collection[str],
    because: str,
    *,
    kinds: Collection[Kind] = tuple(Kind),
    keep_settled: bool = False,
) -> int:
    """Close the open conflicts of some records. Returns how many there were.

    Arguments:
        records: keys of merged records, or natural keys that were contested.
        keep_settled: leave those that a person settled, because that is still to be carried out.
    """
    if not records:
        return 0
    return connection.execute(
        text(
            "UPDATE sync.sync_conflict SET applied_at = now(), updated_at = now(), "
            "closed_because = CASE WHEN is_resolved THEN 'settled by ' || resolved_by ELSE :because END "
            "WHERE scope_id = :scope_id AND applied_at IS NULL AND NOT (is_resolved AND :keep_settled) "
            "AND record_key = ANY (CAST(:records AS text[])) AND conflict_type = ANY (CAST(:kinds AS text[]))"
        ),
        {
            "scope_id": scope.id,
            "records": list(records),
            "because": because,
            "kinds": [kind.value for kind in kinds],
            "keep_settled": keep_settled,
        },
    ).rowcount


def standing(connection: Connection, org: str, *, scope: Scope | None = None) -> list[Conflict]:
    """Return the open conflicts of an organization, oldest first."""
    rows = connection.execute(
        text(
            _SELECT + "WHERE c.org_id = :org AND c.applied_at IS NULL "
            "AND (CAST(:scope_id AS integer) IS NULL OR c.scope_id = :scope_id) ORDER BY c.created_at, c.id"
        ),
        {"org": org, "scope_id": None if scope is None else scope.id},
    )
    return [_conflict(row) for row in rows]


def of_scopes(
    connection: Connection, org: str, scope_ids: Sequence[int], *, since: datetime | None, until: datetime | None
) -> list[Conflict]:
    """Return the conflicts of an organization in some scopes that stood in a span of time, oldest first."""
    rows = connection.execute(
        text(
            _SELECT + "WHERE c.org_id = :org AND c.scope_id = ANY (CAST(:scope_ids AS integer[])) "
            "AND (c.applied_at IS NULL OR c.applied_at >= CAST(:since AS timestamptz)) "
            "AND (CAST(:until AS timestamptz) IS NULL OR c.created_at <= CAST(:until AS timestamptz)) "
            "ORDER BY c.created_at, c.id"
        ),
        {"org": org, "scope_ids": list(scope_ids), "since": since, "until": until},
    )
    return [_conflict(row) for row in rows]


def find(connection: Connection, org: str, conflict_id: str) -> Conflict | None:
    """Return a conflict of an organization; those of others do not exist for it."""
    row = connection.execute(
        text(_SELECT + "WHERE c.id = :id AND c.org_id = :org"), {"id": conflict_id, "org": org}
    ).one_or_none()
    return None if row is None else _conflict(row)


def open_records(connection: Connection, scope: Scope, kind: Kind) -> set[str]:
    """Return the records of which the merge found a conflict of a kind that is open: see :attr:`Found.record`.

    Those of records that were given up are left out: they end when the record is written.
    """
    rows = connection.execute(
        text(
            "SELECT record_key FROM sync.sync_conflict WHERE scope_id = :scope_id AND applied_at IS NULL "
            "AND conflict_type = :kind AND NOT data ? 'given_up'"
        ),
        {"scope_id": scope.id, "kind": kind.value},
    )
    return {row.record_key for row in rows}


def settle(
    connection: Connection,
    org: str,
    conflict_id: str,
    resolution: Resolution,
    by: str,
    custom: Mapping[str, Any] | None = None,
) -> Conflict:
    """Write down how a person settles a conflict; the next run carries it out in both systems.

    Arguments:
        org: organization of the person; the conflicts of others do not exist for it.
        custom: field -> value, for :attr:`Resolution.CUSTOM`: all contested fields and no other.

    Raises:
        ConflictUnsettled: there is no such open conflict in the organization, no decision can settle it, or the values
            do not fit it.
    """
    row = connection.execute(
        text(_SELECT + "WHERE c.id = :id AND c.org_id = :org FOR UPDATE OF c"), {"id": conflict_id, "org": org}
    ).one_or_none()
    if row is None:
        raise ConflictUnsettled(f"there is no conflict {conflict_id}; the open ones are listed by `commerce conflicts`")
    conflict = _conflict(row)
    if conflict.applied_at is not None:
        raise ConflictUnsettled(f"{conflict_id} is over since {conflict.applied_at:%Y-%m-%d %H:%M} UTC")
    if not conflict.can_be_settled:
        raise ConflictUnsettled(
            f"a decision does not settle {conflict.kind}: mend {conflict.item} in its system, and the next run closes "
            f"the conflict; {conflict.data['reason']}"
        )
    values = _values(conflict, resolution, custom)
    connection.execute(
        text(
            "UPDATE sync.sync_conflict SET is_resolved = true, resolution_action = :resolution, "
            "resolved_data = CAST(:values AS jsonb), resolved_by = :by, resolved_at = now(), updated_at = now() "
            "WHERE id = :id"
        ),
        {"id": conflict_id, "resolution": resolution, "values": canonical_json(values), "by": by},
    )
    return _conflict(connection.execute(text(_SELECT + "WHERE c.id = :id"), {"id": conflict_id}).one())


def _values(conflict: Conflict, resolution: Resolution, custom: Mapping[str, Any] | None) -> dict[str, Any]:
    fields = conflict.fields
    if resolution is not Resolution.CUSTOM:
        if custom:
            raise ConflictUnsettled("values of your own go with the resolution custom only")
        return {
            name: contest.left if resolution is Resolution.ACCEPT else contest.right for name, contest in fields.items()
        }
    given = dict(custom or {})
    if not fields:
        raise ConflictUnsettled(
            f"{conflict.kind} of {conflict.item} cannot be settled by values: accept or reject it, or mend the record"
        )
    if missing := sorted(fields.keys() - given.keys()):
        raise ConflictUnsettled(f"no value for {', '.join(missing)}: all contested fields have to be settled")
    if strange := sorted(given.keys() - fields.keys()):
        raise ConflictUnsettled(f"{', '.join(strange)} is not contested; contested: {', '.join(sorted(fields))}")
    return given


def _stored(fields: Mapping[str, Contest]) -> dict[str, dict[str, Any]]:
    return {name: {"left": one.left, "right": one.right, "base": one.base} for name, one in fields.items()}


def _conflict(row: Any) -> Conflict:
    values = dict(row._mapping)
    values["kind"] = Kind(row.kind)
    values["resolution"] = None if row.resolution is None else Resolution(row.resolution)
    return Conflict(**values)
