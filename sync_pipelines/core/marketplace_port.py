"""What a marketplace has to be able to do, to be pulled from: the port that every adapter fills in.

An adapter reads; it neither stores nor remembers. Where it goes on from is handed to it, as the state that came with
the last page that was stored. What it meets is told by :class:`~sync_pipelines.core.errors.PeerError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from sync_pipelines.core.marketplaces import ItemError, Order, Product

RecordT = TypeVar("RecordT", Order, Product)


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a stream was read, by the marketplace's own times.

    Attributes:
        state: what the adapter needs to go on from here, as JSON (times as ISO texts): a time of change, days that
            were read, an open window with the token of its next page. Only the adapter understands it.
        through: everything that changed up to this time has been read. It may stand still from page to page, and is
            what the lag is measured by; ``None`` while a first reading is under way.
    """

    state: Mapping[str, Any]
    through: datetime | None


@dataclass(frozen=True, slots=True)
class Scan:
    """Part of a complete reading of all keys of a stream, by which deletions show.

    Attributes:
        id: the same for all pages of one scan, and another for the next.
        keys: ``Order.key`` or ``Product.key`` of everything on this page, unreadable records included.
        ends: whether this page ends the scan; what was not seen in it is marked deleted then, unless the scan is not
            to be trusted (nothing seen, or another number than ``total``).
        total: how many keys the marketplace says there are, when it says so.
        ordered_from: orders older than this are not in the scan and stay as they are.
    """

    id: str
    keys: tuple[str, ...]
    ends: bool = False
    total: int | None = None
    ordered_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[RecordT]):
    """A part of a stream. Its records, its errors and its watermark are stored in one transaction.

    Attributes:
        records: whole orders with all their items, and all variants of a product together: an item or a variant that
            is not with its order or product any more is taken away. The same record may come several times.
        watermark: handed to the next run once this page is stored. It must be safe to go on from: whatever is not on
            this page or an earlier one comes after it, overlaps included.
        errors: records that could not be read. What is odd about the readable ones is found by the pull itself.
        gone: keys that the marketplace itself says are deleted.
        scan: when the page belongs to a complete reading.
    """

    records: tuple[RecordT, ...]
    watermark: Watermark
    errors: tuple[ItemError, ...] = ()
    gone: tuple[str, ...] = ()
    scan: Scan | None = None


class Adapter(Protocol):
    """One account of one marketplace.

    Overlaps are the adapter's: it knows how late its marketplace's lists are. All methods read only. They end when
    nothing more is due, and raise

    - ``PeerError`` of kind ``AUTH`` when the credentials are refused: the connection is ``expired`` until they work;
    - ``PeerUnavailable`` of kind ``RATE_LIMITED`` when the budget that all runs share is used up (the throttle raises
      it): what was read is kept, and the next run goes on from the last watermark. That is no failure;
    - any other ``PeerError`` when the stream cannot be read. The other stream is read all the same.
    """

    def orders_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Order]]:
        """Read what changed since a watermark; everything the marketplace still tells of when there is none."""

    def products_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Product]]:
        """Read what changed since a watermark, or all products where changes cannot be asked for."""

    def orders_between(self, first: datetime, last: datetime) -> AsyncIterator[Page[Order]]:
        """Read the orders placed or changed in a window of time, ``first`` included, ``last`` not.

        For days that are to be read again; the pages' watermarks are not stored.
        """

    async def check(self) -> list[str]:
        """Return what is wrong with the connection, in an operator's words; empty when nothing is."""


@dataclass(frozen=True, slots=True)
class CallLimit:
    """How often one operation of a marketplace may be called, over all runs that share an account.

    Attributes:
        rate: calls per second, ``None`` for no limit; 0.0056 is one in three minutes.
        burst: calls at once after a pause.
        longest_wait: seconds that a call waits for its turn; for a longer wait it is refused, and the run leaves the
            rest to the next one.
    """

    rate: float | None
    burst: float = 1.0
    longest_wait: float = 60.0
