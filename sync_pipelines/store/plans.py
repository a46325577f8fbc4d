"""Plans and their changes: stored with what they were planned against, so that they can wait for an approval."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, Row

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.errors import PlanRefused
from sync_pipelines.core.plan import Action, Change, PlanCounts
from sync_pipelines.store import metrics
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import Part, execute, text

GUARD_TRIPS = "sync_guard_trips_total"
"""Counter of plans that were held, in all pairs."""


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan as kept in the database. ``state`` is open, held, approved, applying, applied or superseded."""

    id: int
    hash: str
    pair: str
    scope: str
    state: str
    run_id: str
    left_snapshot: int
    right_snapshot: int
    created_at: datetime
    counts: dict[str, Any]
    held_reasons: tuple[str, ...]
    keys: tuple[str, ...] | None
    approved_by: str | None
    approved_at: datetime | None
    applied_at: datetime | None
    outcome: dict[str, Any] | None

    @property
    def changes(self) -> int:
        """Number of changes."""
        return sum(int(self.counts.get(action, 0)) for action in Action)


CHUNK = 1000
"""Changes that are read at once."""
_COPY_CHANGES = (
    "COPY sync.plan_change (plan_id, key, action, natural_key, right_key, before, after, fields, reason, adopts, "
    "destructive, blocked) FROM STDIN"
)
_DIGITS = re.compile("[0-9a-f]{6,32}")
_SELECT = (
    "SELECT p.id, p.hash, s.pair, s.name AS scope, p.state, p.run_id, p.left_snapshot, p.right_snapshot, p.created_at, "
    "p.counts, p.held_reasons, p.keys, p.approved_by, p.approved_at, p.applied_at, p.outcome "
    "FROM sync.plan p JOIN sync.scope s ON s.id = p.scope_id "
)


def open_plan(
    connection: Connection,
    scope: Scope,
    *,
    run_id: str,
    left_snapshot: int,
    right_snapshot: int,
    keys: Sequence[str] | None,
) -> int:
    """Make room for a plan whose changes and hash follow. Returns its id."""
    return int(
        connection.execute(
            text(
                "INSERT INTO sync.plan (hash, scope_id, state, run_id, left_snapshot, right_snapshot, counts, keys) "
                "VALUES ('', :scope_id, 'open', :run_id, :left, :right, '{}', :keys) RETURNING id"
            ),
            {
                "scope_id": scope.id,
                "run_id": run_id,
                "left": left_snapshot,
                "right": right_snapshot,
                "keys": None if keys is None else list(keys),
            },
        ).scalar_one()
    )


def add_changes(connection: Connection, plan_id: int, changes: Iterable[Change]) -> None:
    """Store changes of a plan, by COPY: a first run plans to create everything there is."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor, cursor.copy(_COPY_CHANGES) as copy:
        for change in changes:
            copy.write_row(
                (
                    plan_id,
                    change.key,
                    change.action.value,
                    change.natural_key,
                    change.right_key,
                    None if change.before is None else canonical_json(change.before),
                    None if change.after is None else canonical_json(change.after),
                    list(change.fields),
                    change.reason,
                    change.adopts,
                    change.destructive,
                    list(change.blocked),
                )
            )


def close_plan(
    connection: Connection,
    scope: Scope,
    plan_id: int,
    *,
    hash_: str,
    counts: PlanCounts,
    held_reasons: Sequence[str],
    beside: int | None = None,
) -> StoredPlan:
    """Finish a plan: its address, its numbers, and whether it is held.

    A held plan waits until it is approved, until the same plan is made again (which then takes its place, approval
    included), or until a full plan shows that there is nothing to hold any more. A plan that is open but was not
    applied, or whose run was killed while it applied, is superseded by the next one. An approval is not used up by a
    run that was killed before it changed anything: then the same plan is made again.

    Arguments:
        beside: a plan of the same comparison, which stays as it is.
    """
    same = {"scope_id": scope.id, "hash": hash_, "id": plan_id}
    approval = connection.execute(
        text(
            "SELECT approved_by, approved_at FROM sync.plan WHERE scope_id = :scope_id AND hash = :hash "
            "AND (state = 'approved' OR state = 'applying' AND approved_at IS NOT NULL) AND id < :id "
            "ORDER BY id DESC LIMIT 1"
        ),
        same,
    ).one_or_none()
    state = "open" if not held_reasons else "approved" if approval else "held"
    if state == "held" and not _is_held(connection, same):
        metrics.count(connection, scope, GUARD_TRIPS)
    full = read_plan(connection, plan_id).keys is None
    connection.execute(
        text(
            "UPDATE sync.plan SET state = 'superseded' WHERE scope_id = :scope_id AND id < :id "
            "AND id IS DISTINCT FROM CAST(:beside AS bigint) "
            "AND ((state IN ('open', 'applying') AND (:full OR keys IS NOT NULL)) "
            "OR (state IN ('held', 'approved') AND (hash = :hash OR :nothing_to_hold)))"
        ),
        {**same, "full": full, "nothing_to_hold": full and not held_reasons, "beside": beside},
    )
    connection.execute(
        text(
            "UPDATE sync.plan SET hash = :hash, state = :state, counts = CAST(:counts AS jsonb), "
            "held_reasons = :reasons, approved_by = :approved_by, approved_at = :approved_at WHERE id = :id"
        ),
        {
            "id": plan_id,
            "hash": hash_,
            "state": state,
            "counts": canonical_json(asdict(counts)),
            "reasons": list(held_reasons),
            "approved_by": approval.approved_by if approval else None,
            "approved_at": approval.approved_at if approval else None,
        },
    )
    return read_plan(connection, plan_id)


def _is_held(connection: Connection, same: Mapping[str, Any]) -> bool:
    """Say whether an earlier plan with the same changes is held already."""
    found: bool = connection.execute(
        text(
            "SELECT EXISTS (SELECT FROM sync.plan WHERE scope_id = :scope_id AND hash = :hash AND state = 'held' "
            "AND id < :id)"
        ),
        same,
    ).scalar_one()
    return found


def drop(connection: Connection, plan_id: int) -> None:
    """Forget a plan that was opened and is not needed."""
    connection.execute(text("DELETE FROM sync.plan WHERE id = :id"), {"id": plan_id})


def take_over(connection: Connection, plan: StoredPlan, into: int) -> None:
    """Move the changes of an approved plan into another one, which carries them out. That uses the approval up."""
    connection.execute(
        text("UPDATE sync.plan_change SET plan_id = :into WHERE plan_id = :id"), {"id": plan.id, "into": into}
    )
    connection.execute(text("UPDATE sync.plan SET state = 'superseded' WHERE id = :id"), {"id": plan.id})


def read_plan(connection: Connection, plan_id: int) -> StoredPlan:
    """Return a plan by its id."""
    return _plan(connection.execute(text(_SELECT + "WHERE p.id = :id"), {"id": plan_id}).one())


def find_plan(connection: Connection, hash_: str) -> StoredPlan:
    """Return the newest plan whose hash starts with the given digits.

    Raises:
        PlanRefused: there is none, the digits fit several plans, or they are too few.
    """
    digits = hash_.strip().lower()
    if not _DIGITS.fullmatch(digits):
        raise PlanRefused(f"{hash_!r} is not a plan's hash: give at least its first 6 hexadecimal digits")
    hashes = (
        connection.execute(
            text("SELECT DISTINCT hash FROM sync.plan WHERE hash LIKE :prefix AND hash <> '' LIMIT 3"),
            {"prefix": digits + "%"},
        )
        .scalars()
        .all()
    )
    if not hashes:
        raise PlanRefused(f"no plan has the hash {hash_!r}; 'sync-pipelines plan list' shows the plans there are")
    if len(hashes) > 1:
        raise PlanRefused(f"several plans start with {hash_!r}; give more digits")
    return _plan(
        connection.execute(text(_SELECT + "WHERE p.hash = :hash ORDER BY p.id DESC LIMIT 1"), {"hash": hashes[0]}).one()
    )


def list_plans(
    connection: Connection, *, pair: str | None = None, scope: str | None = None, limit: int = 20
) -> list[StoredPlan]:
    """Return the newest plans first."""
    rows = connection.execute(
        text(
            _SELECT + "WHERE (CAST(:pair AS text) IS NULL OR s.pair = :pair) "
            "AND (CAST(:scope AS text) IS NULL OR s.name = :scope) AND p.hash <> '' ORDER BY p.id DESC LIMIT :limit"
        ),
        {"pair": pair, "scope": scope, "limit": limit},
    )
    return [_plan(row) for row in rows]


def changes(
    connection: Connection,
    plan_id: int,
    *,
    state: str | None = None,
    limit: int | None = None,
    after: str | None = None,
    actions: Collection[Action] = tuple(Action),
) -> Iterator[Change]:
    """Yield the changes of a plan in the order of their keys, read as they are asked for.

    Arguments:
        state: only changes of which this became: planned, applied, stale, failed or skipped.
        limit: how many at most, ``None`` for all.
        after: only changes whose key comes after this one.
        actions: only these.
    """
    rows = connection.execute(
        text(
            "SELECT * FROM sync.plan_change WHERE plan_id = :plan_id "
            # Not as one more alternative: the primary key has to lead to the first row.
            f"{'' if after is None else 'AND key > :after '}"
            "AND (CAST(:state AS text) IS NULL OR state = :state) AND action = ANY (CAST(:actions AS text[])) "
            "ORDER BY key LIMIT CAST(:limit AS bigint)"
        ),
        {"plan_id": plan_id, "state": state, "limit": limit, "actions": list(actions)}
        | ({} if after is None else {"after": after}),
        # A cursor of the server takes three more statements: not for what fits into one answer.
        execution_options={"yield_per": CHUNK} if limit is None or limit > CHUNK else {},
    )
    with rows:
        for row in rows:
            yield change_of(row)


def count_changes(connection: Connection, plan_id: int, state: str) -> int:
    """Return the number of changes of which this became, see :func:`changes`."""
    query = "SELECT count(*) FROM sync.plan_change WHERE plan_id = :plan_id AND state = :state"
    return int(connection.execute(text(query), {"plan_id": plan_id, "state": state}).scalar_one())


def held(connection: Connection, pair: str, scope: str) -> list[StoredPlan]:
    """Return the plans of a scope that wait for an approval, newest first."""
    rows = connection.execute(
        text(_SELECT + "WHERE s.pair = :pair AND s.name = :scope AND p.state = 'held' ORDER BY p.id DESC"),
        {"pair": pair, "scope": scope},
    )
    return [_plan(row) for row in rows]


def find_change(connection: Connection, plan_id: int, key: str) -> Change | None:
    """Return what a plan does about a record, ``None`` when it leaves it alone."""
    row = connection.execute(
        text("SELECT * FROM sync.plan_change WHERE plan_id = :plan_id AND key = :key"), {"plan_id": plan_id, "key": key}
    ).one_or_none()
    return None if row is None else change_of(row)


def change_of(row: Row[Any]) -> Change:
    """Return the change that a row of ``sync.plan_change`` keeps."""
    return Change(
        action=Action(row.action),
        key=row.key,
        natural_key=row.natural_key,
        right_key=row.right_key,
        before=row.before,
        after=row.after,
        fields=tuple(row.fields),
        reason=row.reason,
        adopts=row.adopts,
        destructive=row.destructive,
        blocked=tuple(row.blocked),
    )


def last_applied(connection: Connection, pair: str) -> dict[str, datetime]:
    """Return when each scope was last fully reconciled: scope name -> time."""
    rows = connection.execute(
        text(
            "SELECT s.name, max(p.applied_at) AS at FROM sync.plan p JOIN sync.scope s ON s.id = p.scope_id "
            "WHERE s.pair = :pair AND p.state = 'applied' AND p.keys IS NULL AND p.outcome->>'stopped' IS NULL "
            "GROUP BY s.name"
        ),
        {"pair": pair},
    )
    return {row.name: row.at for row in rows}


def marking(plan_id: int, keys: Sequence[str], state: str) -> Part:
    """Say what became of changes: applied, stale or failed."""
    return Part(
        "UPDATE sync.plan_change SET state = :state WHERE plan_id = :plan_id AND key = ANY (CAST(:keys AS text[]))",
        {"plan_id": plan_id, "keys": list(keys), "state": state},
    )


def mark_changes(connection: Connection, plan_id: int, keys: Sequence[str], state: str) -> None:
    """Say what became of changes, as :func:`marking`."""
    execute(connection, marking(plan_id, keys, state))


def skip_rest(connection: Connection, plan_id: int) -> int:
    """Mark every change that was not tried as skipped. Returns how many."""
    return connection.execute(
        text("UPDATE sync.plan_change SET state = 'skipped' WHERE plan_id = :plan_id AND state = 'planned'"),
        {"plan_id": plan_id},
    ).rowcount


def _plan(row: Row[Any]) -> StoredPlan:
    values = dict(row._mapping)
    values["held_reasons"] = tuple(values["held_reasons"])
    values["keys"] = None if values["keys"] is None else tuple(values["keys"])
    return StoredPlan(**values)
