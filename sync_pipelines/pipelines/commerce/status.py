"""Where a shop stands: records, conflicts, retries and dead letters of each entity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from sync_pipelines.core.lifecycle import State
from sync_pipelines.pipelines.commerce.conflict_rows import open_conflicts
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.one_way import PAIRS
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.store import plans, states
from sync_pipelines.store.scopes import ensure_scope

_RECORDS = text(
    # What a run has just made stands in the base of its side until the next merge takes it over.
    "SELECT count(*) AS records, count(*) FILTER (WHERE "
    "(m.left_key IS NOT NULL "
    "OR EXISTS (SELECT FROM sync.base b WHERE b.scope_id = :woocommerce AND b.left_key = m.key)) "
    "AND (m.right_key IS NOT NULL OR EXISTS (SELECT FROM sync.base b WHERE b.scope_id = :odoo AND b.left_key = m.key))"
    ") AS linked, count(*) FILTER (WHERE NOT disputed) AS undisputed, count(*) FILTER (WHERE NOT disputed AND "
    "(SELECT count(*) FROM sync.record_state r WHERE r.scope_id IN (:woocommerce, :odoo) AND r.key = m.key "
    "AND r.state = 'synced') = 2) AS agreed "
    "FROM sync.merged m CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM sync.sync_conflict c WHERE "
    "c.scope_id = :scope_id AND c.applied_at IS NULL AND c.record_key IN "
    "(m.key, 'woocommerce:' || m.key, 'odoo:' || m.key, m.natural_key)) AS disputed) d "
    "WHERE m.scope_id = :scope_id AND m.gone IS NULL"
)


@dataclass(frozen=True, slots=True)
class EntityStatus:
    """Where an entity of a shop stands.

    Attributes:
        records: merged ones.
        linked: those of them that are known to be in both systems.
        agreed: those about which both systems say the same, and no conflict is open.
        left_alone: those that neither agree nor stand as a conflict: they wait for another record, for a system to
            be mended, or for what only a person can do there.
        synced: those that agree, by system.
        retrying, dead_letters: of both systems together.
        conflicts: open ones, those included that are settled and not carried out yet.
        held: hashes of plans that wait for an approval.
        last_sync: when both systems were last brought into agreement, ``None`` for never.
    """

    shop: str
    entity: str
    records: int
    linked: int
    agreed: int
    left_alone: int
    synced: dict[str, int]
    retrying: int
    dead_letters: int
    conflicts: int
    held: tuple[str, ...]
    last_sync: datetime | None


def statuses(engine: Engine, connection: ShopConnection) -> list[EntityStatus]:
    """Return where the entities of a shop stand."""
    with engine.begin() as store:
        applied = [plans.last_applied(store, pair) for pair in PAIRS]
        return [_status(store, connection, entity, applied) for entity in connection.entities]


def _status(
    store: Connection, connection: ShopConnection, entity: EntityType, applied: list[dict[str, datetime]]
) -> EntityStatus:
    name = connection.scope(entity)
    scopes = {peer: ensure_scope(store, f"{NAME}_{peer}", name) for peer in PEERS}
    ids = {peer: scope.id for peer, scope in scopes.items()}
    counts = store.execute(_RECORDS, {"scope_id": ensure_scope(store, NAME, name).id, **ids}).one()
    tallies = {peer: states.tally(store, scope) for peer, scope in scopes.items()}
    moments = [one[name] for one in applied if name in one]
    return EntityStatus(
        shop=connection.name,
        entity=entity.value,
        records=counts.records,
        linked=counts.linked,
        agreed=counts.agreed,
        left_alone=counts.undisputed - counts.agreed,
        synced={peer: tally[State.SYNCED] for peer, tally in tallies.items()},
        retrying=sum(tally[State.RETRYING] for tally in tallies.values()),
        dead_letters=sum(tally[State.DEAD_LETTERED] for tally in tallies.values()),
        conflicts=len(open_conflicts(store, connection, [entity])),
        held=tuple(plan.hash[:12] for pair in PAIRS for plan in plans.held(store, pair, name)),
        last_sync=min(moments) if len(moments) == len(PEERS) else None,
    )


def retry_dead_letters(engine: Engine, connection: ShopConnection, entities: list[EntityType], by: str) -> int:
    """Give the dead-lettered records of some entities a new life. Returns how many there were."""
    with engine.begin() as store:
        return sum(
            len(states.reprocess(store, ensure_scope(store, pair, connection.scope(entity)), None, by))
            for entity in entities
            for pair in PAIRS
        )
