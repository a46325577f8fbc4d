"""Reading the marketplace's events out of transaction results.

The module counts all its events in one ``sequence``, orders and bids included. Only offering events are returned, but
every sequence number is: a number that is missing is an event that was missed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sync_pipelines.systems.cometbft.rpc import RawAttribute, RawEvent, TxResult

OFFERING_KINDS = frozenset({"offering_created", "offering_updated", "offering_terminated"})

Found = tuple[tuple[int, int, TxResult], ...]
"""Height, position in the block, and result of transactions."""


@dataclass(frozen=True, slots=True)
class OfferingEvent:
    """An offering was created, updated or terminated. It only says *look now*: it carries no content.

    Attributes:
        sequence: position in the module's own count, from 1; the order of events.
        height: height of the block.
        tx_index: position of the transaction in the block.
        kind: ``offering_created``, ``offering_updated`` or ``offering_terminated``.
        event_id: the module's id of the event.
        offering_id: ``<provider>/<sequence>``.
        provider: address of the provider.
    """

    sequence: int
    height: int
    tx_index: int
    kind: str
    event_id: str
    offering_id: str
    provider: str


@dataclass(frozen=True, slots=True)
class MalformedEvent:
    """A marketplace event that cannot be read. ``reason`` names the attribute and is free of the payload's content."""

    height: int
    tx_index: int
    reason: str


@dataclass(frozen=True, slots=True)
class EventsRead:
    """The events of a closed range of heights.

    Attributes:
        from_height, to_height: the range, both ends included.
        events: offering events by ascending sequence.
        sequences: sequence numbers of all readable marketplace events, of other kinds too, ascending.
        malformed: events that could not be read.
    """

    from_height: int
    to_height: int
    events: tuple[OfferingEvent, ...]
    sequences: tuple[int, ...]
    malformed: tuple[MalformedEvent, ...]

    @property
    def last_sequence(self) -> int | None:
        """Highest sequence number seen, ``None`` when there was no event."""
        return self.sequences[-1] if self.sequences else None


class _Unreadable(ValueError):
    """Why an event cannot be read."""


@dataclass(frozen=True, slots=True)
class EventReader:
    """Reads results of one chain.

    Attributes:
        event_type: ABCI type of the marketplace's events.
        base64_attributes: whether the node codes attributes, see :func:`has_base64_attributes`.
    """

    event_type: str
    base64_attributes: bool

    def keep(self, height: int, results: Sequence[TxResult]) -> Found:
        """Return what :meth:`read` would read of a block: little of one, so that a long range can be held."""
        return tuple(
            (height, index, result.model_copy(update={"events": own}))
            for index, result in enumerate(results)
            if (own := self._own(result))
        )

    def read(self, from_height: int, to_height: int, results: Iterable[tuple[int, int, TxResult]]) -> EventsRead:
        """Return the events of ``(height, tx_index, result)``, in whatever order they come."""
        events: list[OfferingEvent] = []
        sequences: set[int] = set()
        malformed: list[MalformedEvent] = []
        for height, tx_index, result in results:
            for raw in self._own(result):
                try:
                    sequence, event = self._parse(raw, height, tx_index)
                except _Unreadable as problem:
                    malformed.append(MalformedEvent(height, tx_index, str(problem)))
                    continue
                if event is not None and sequence not in sequences:
                    events.append(event)
                sequences.add(sequence)
        events.sort(key=lambda event: event.sequence)
        malformed.sort(key=lambda event: (event.height, event.tx_index))
        return EventsRead(from_height, to_height, tuple(events), tuple(sorted(sequences)), tuple(malformed))

    def _own(self, result: TxResult) -> tuple[RawEvent, ...]:
        # Failed transactions are published and indexed, but did nothing.
        return () if result.code else tuple(raw for raw in result.events or () if raw.type == self.event_type)

    def _parse(self, raw: RawEvent, height: int, tx_index: int) -> tuple[int, OfferingEvent | None]:
        attributes = self._attributes(raw.attributes or ())
        sequence = _positive(attributes, "sequence")
        kind = _text(attributes, "event_type")
        if kind not in OFFERING_KINDS:
            return sequence, None
        offering_id = _offering_id(_text(attributes, "payload_json"))
        provider, slash, number = offering_id.partition("/")
        if not (provider and slash and number.isdecimal()):
            raise _Unreadable(f"offering_id {offering_id[:100]!r} is not <provider>/<sequence>")
        event_id = _text(attributes, "event_id")
        return sequence, OfferingEvent(sequence, height, tx_index, kind, event_id, offering_id, provider)

    def _attributes(self, raw: Sequence[RawAttribute]) -> dict[str, str]:
        decode = _from_base64 if self.base64_attributes else str
        found: dict[str, str] = {}
        for attribute in raw:
            found.setdefault(decode(attribute.key or ""), decode(attribute.value or ""))
        return found


def has_base64_attributes(node_version: str) -> bool:
    """Tell whether a node of this version codes event attributes as base64: those up to 0.34 do.

    The version decides, not the look of a value: ``offering`` is valid base64 as well.
    """
    major, _, rest = node_version.lstrip("v").partition(".")
    minor = rest.partition(".")[0]
    return major == "0" and minor.isdecimal() and int(minor) <= 34


def _text(attributes: dict[str, str], name: str) -> str:
    if not (value := attributes.get(name, "")):
        raise _Unreadable(f"{name} is missing")
    return value


def _positive(attributes: dict[str, str], name: str) -> int:
    text = _text(attributes, name)
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise _Unreadable(f"{name} {text[:40]!r} is not a positive number")
    return int(text)


def _offering_id(payload: str) -> str:
    try:
        document = json.loads(payload)
    except ValueError:
        raise _Unreadable("payload_json is not JSON") from None
    offering_id = document.get("offering_id") if isinstance(document, dict) else None
    if not isinstance(offering_id, str):
        raise _Unreadable("payload_json has no offering_id")
    return offering_id


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise _Unreadable("an attribute is not base64 of UTF-8, as a node of this version should send") from None
