"""Chain events: read, kept, and turned into the offerings to look at. They say "look now", nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Engine, text

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.pair import METRIC_PREFIX, NAME
from sync_pipelines.store import metrics, owed, watermarks
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines.store.storable import storable_text
from sync_pipelines.systems.cometbft.errors import HeightPruned
from sync_pipelines.systems.cometbft.events import EventsRead, MalformedEvent, OfferingEvent
from sync_pipelines.systems.cometbft.source import ChainSource

LARGEST_SEQUENCE = 2**63 - 1
"""The chain counts in 64 bits without a sign, a column of the database in 63; no honest count gets there."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a chain's events were read: the height, and the last number of the module's own count of events."""

    height: int
    sequence: int | None


@dataclass(frozen=True, slots=True)
class Ingested:
    """Events of a range of heights.

    Attributes:
        events: offering events by sequence.
        missed: why events may have been missed, so that a full reconcile is needed; empty when none were.
    """

    from_height: int
    to_height: int
    events: tuple[OfferingEvent, ...]
    missed: tuple[str, ...]

    def offerings_of(self, provider: str) -> list[str]:
        """Return the ids of a provider's offerings that the events name."""
        return sorted({event.offering_id for event in self.events if event.provider == provider})


def stream(chain_id: str) -> str:
    """Return the name of a chain's watermark."""
    return f"{NAME}/events/{chain_id}"


def position(connection: Connection, chain_id: str) -> Position | None:
    """Return how far a chain's events were read."""
    found = watermarks.read(connection, stream(chain_id))
    return None if found is None else Position(int(found["height"]), found["sequence"])


def begin_at(connection: Connection, chain_id: str, height: int) -> None:
    """Start reading events after a height; what lies before is the full reconcile's business."""
    watermarks.move(connection, stream(chain_id), {"height": height, "sequence": None})


async def peek(
    engine: Engine, chain: ChainSource, chain_id: str, from_height: int, to_height: int, *, indexed: bool
) -> Ingested:
    """Look into a range of heights without keeping anything.

    When there is nothing to do, no offering event and nothing missed, the watermark moves past the range.

    Arguments:
        indexed: the node has an index of transactions, which answers in one request instead of one a height.
    """
    try:
        read = _keepable(await (chain.search_events if indexed else chain.events)(from_height, to_height))
    except HeightPruned as pruned:
        return _pruned(from_height, to_height, pruned)
    with engine.begin() as connection:
        missed = _missed(read, position(connection, chain_id))
        if not read.events and not missed:
            _move(connection, chain_id, to_height, read.last_sequence)
    return Ingested(from_height, to_height, read.events, missed)


async def ingest(
    engine: Engine,
    chain: ChainSource,
    connections: Sequence[OfferingsConnection],
    from_height: int,
    to_height: int,
    *,
    run_id: str,
) -> Ingested:
    """Read the events of a range of heights and keep them, moving the watermark in the same transaction.

    That transaction also notes, for every connection that the events concern, that it is owed a reconcile; who makes
    it calls :func:`reconciled`. A run that dies in between leaves the note, and the retry sensor finds it.

    Reading a range again changes nothing. A number missing in the module's count, a malformed event, or a height that
    the node has pruned means that something may have been missed.

    Arguments:
        connections: connections on this chain; their counters are raised.
        from_height, to_height: the range, both ends included.
        run_id: the run that is going to reconcile.
    """
    chain_id = connections[0].chain.chain_id
    indexed = connections[0].chain.events_from == "tx_search"
    try:
        read = _keepable(await (chain.search_events if indexed else chain.events)(from_height, to_height))
    except HeightPruned as pruned:
        with engine.begin() as connection:
            # The count is taken up anew: the gap was told of here, the next range need not tell of it again.
            _move(connection, chain_id, to_height, None, forget_sequence=True)
            seen = _pruned(from_height, to_height, pruned)
            _owe(connection, connections, seen, run_id)
        return seen
    with engine.begin() as connection:
        known = position(connection, chain_id)
        missed = _missed(read, known)
        fresh = _keep(connection, chain_id, read.events)
        _count(connection, connections, fresh, dropped=len(_malformed(read, known)))
        _move(connection, chain_id, to_height, read.last_sequence)
        seen = Ingested(from_height, to_height, read.events, missed)
        _owe(connection, connections, seen, run_id)
    return seen


def _owe(connection: Connection, connections: Sequence[OfferingsConnection], seen: Ingested, run_id: str) -> None:
    for configured in connections:
        if seen.missed or seen.offerings_of(configured.provider):
            scope = ensure_scope(connection, NAME, configured.name)
            owed.owe(connection, scope, f"events of heights {seen.from_height} to {seen.to_height}", run_id)


def _keepable(read: EventsRead) -> EventsRead:
    """Count events that PostgreSQL cannot hold among the malformed ones: one of them must not stop all others."""
    bad = [event for event in read.events if event.sequence > LARGEST_SEQUENCE or not _storable(event)]
    if not bad:
        return read
    return replace(
        read,
        events=tuple(event for event in read.events if event not in bad),
        sequences=tuple(number for number in read.sequences if number <= LARGEST_SEQUENCE),
        malformed=(*read.malformed, *(MalformedEvent(e.height, e.tx_index, "it cannot be stored") for e in bad)),
    )


def _storable(event: OfferingEvent) -> bool:
    return all(storable_text(text) == text for text in (event.event_id, event.offering_id))


def _pruned(from_height: int, to_height: int, pruned: HeightPruned) -> Ingested:
    reason = f"the node has pruned heights of {from_height} to {to_height} ({pruned.message})"
    return Ingested(from_height, to_height, (), (reason,))


def _missed(read: EventsRead, known: Position | None) -> tuple[str, ...]:
    """Say what may have been missed, as far as it is news: what lies below the watermark was dealt with."""
    goes_on = known is not None and read.from_height <= known.height + 1 <= read.to_height
    seen_sequence = known.sequence if known is not None and goes_on else None
    reasons = [f"an event at height {e.height} cannot be read ({e.reason})" for e in _malformed(read, known)]
    numbers = [number for number in read.sequences if seen_sequence is None or number > seen_sequence]
    for before, number in pairwise([*([] if seen_sequence is None else [seen_sequence]), *numbers]):
        if number != before + 1:
            reasons.append(f"events {before + 1} to {number - 1} are missing in the chain's count")
    if known is not None and read.from_height > known.height + 1:
        reasons.append(f"heights {known.height + 1} to {read.from_height - 1} were never read")
    return tuple(reasons)


def _malformed(read: EventsRead, known: Position | None) -> list[MalformedEvent]:
    """Return malformed events that were not told of before."""
    goes_on = known is not None and read.from_height <= known.height + 1 <= read.to_height
    seen_height = known.height if known is not None and goes_on else 0
    return [event for event in read.malformed if event.height > seen_height]


def _keep(connection: Connection, chain_id: str, events: Sequence[OfferingEvent]) -> list[OfferingEvent]:
    """Store events that are not known yet and return these."""
    if not events:
        return []
    new = set(
        connection.execute(
            text(
                "INSERT INTO sync.chain_event (chain_id, sequence, height, event_type, event_id, offering_id, "
                "provider, payload) SELECT :chain_id, e.sequence, e.height, e.kind, e.event_id, e.offering_id, "
                "e.provider, jsonb_build_object('tx_index', e.tx_index) "
                "FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS e("
                "sequence bigint, height bigint, tx_index int, kind text, event_id text, offering_id text, "
                "provider text) ON CONFLICT DO NOTHING RETURNING sequence"
            ),
            {"chain_id": chain_id, "events": canonical_json([_row(event) for event in events])},
        ).scalars()
    )
    return [event for event in events if event.sequence in new]


def _row(event: OfferingEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in OfferingEvent.__dataclass_fields__}


def _count(
    connection: Connection,
    connections: Sequence[OfferingsConnection],
    fresh: Sequence[OfferingEvent],
    *,
    dropped: int,
) -> None:
    if dropped:
        # Whose offering an unreadable event names is unknown; it is counted once, for the chain's first connection.
        scope = ensure_scope(connection, NAME, connections[0].name)
        metrics.count(connection, scope, f"{METRIC_PREFIX}_events_dropped", dropped)
    for configured in connections:
        mine = sum(event.provider == configured.provider for event in fresh)
        if mine:
            scope = ensure_scope(connection, NAME, configured.name)
            metrics.count(connection, scope, f"{METRIC_PREFIX}_events_received", mine)


def reconciled(
    connection: Connection, configured: OfferingsConnection, events: Sequence[OfferingEvent], run_id: str
) -> None:
    """Note that the offerings of these events were looked at, and count the events."""
    scope = ensure_scope(connection, NAME, configured.name)
    owed.pay(connection, scope, run_id)
    mine = sum(event.provider == configured.provider for event in events)
    if mine:
        metrics.count(connection, scope, f"{METRIC_PREFIX}_events_processed", mine)


def _move(
    connection: Connection, chain_id: str, height: int, sequence: int | None, *, forget_sequence: bool = False
) -> None:
    known = position(connection, chain_id)
    if known is not None and known.height >= height:
        return  # an older window was read again; the stream itself is further on
    last = known.sequence if sequence is None and known is not None and not forget_sequence else sequence
    watermarks.move(connection, stream(chain_id), {"height": height, "sequence": last})
