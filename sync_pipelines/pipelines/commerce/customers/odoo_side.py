"""Customers in Odoo: partners that are contacts, with their delivery addresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.customers.mapping import (
    ADDRESS,
    PARTNER_ROWS,
    STAFF,
    PartnerRow,
    ShopMark,
    record_of_odoo,
)
from sync_pipelines.pipelines.commerce.customers.writing import delivery_values, odoo_values
from sync_pipelines.pipelines.commerce.geography import Geography
from sync_pipelines.pipelines.commerce.values import done_or_raise
from sync_pipelines.systems.odoo import PARTNERS, PEER, OdooClient, Partner
from sync_pipelines.systems.odoo.listing import raise_malformed

MODEL = "res.partner"
PAGE_SIZE = 1000
_CHUNK = 200
_CONTACT = ["type", "=", "contact"]
_DELIVERY = [["type", "=", "delivery"], ["parent_id", "!=", False]]

Deliveries = dict[int, list[Partner]]
T = TypeVar("T", str, int)


class OdooCustomers:
    """Reads and writes the contacts of an Odoo database.

    Arguments:
        geography: its countries and states.
        mark: which partners are the shop's, and which are its guests.
    """

    def __init__(self, client: OdooClient, geography: Geography, mark: ShopMark | None = None) -> None:
        self._client = client
        self._geography = geography
        self._mark = mark or ShopMark()
        self._staff: frozenset[int] | None = None

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all contacts, archived ones included; those who are no customers are withheld."""
        sweep.identity = "contacts"
        deliveries: Deliveries = defaultdict(list)
        # An address may stand on another page than its contact.
        async for part in self._client.sweep(PARTNERS, sweep, domain=_DELIVERY, page_size=PAGE_SIZE):
            sweep.ignored += len(part.rows)
            _collect(part.rows, deliveries)
        async for page in self._client.sweep(PARTNER_ROWS, sweep, domain=[_CONTACT], page_size=PAGE_SIZE):
            yield await self._records(page.rows, deliveries)

    async def changed(self, since: datetime, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the contacts that were written since a moment of the server's time, or whose addresses were.

        A change of a delivery address does not move its contact's time.
        """
        sweep.identity = "contacts"
        moved: Deliveries = defaultdict(list)
        async for part in self._client.sweep(PARTNERS, sweep, domain=_DELIVERY, since=since, page_size=PAGE_SIZE):
            sweep.ignored += len(part.rows)
            _collect(part.rows, moved)
        async for page in self._client.sweep(PARTNER_ROWS, sweep, domain=[_CONTACT], since=since, page_size=PAGE_SIZE):
            for row in page.rows:
                moved.pop(row.partner.id, None)
            yield await self._with_deliveries(page.rows)
        for chunk in _chunks(sorted(moved)):
            found = await self._client.find(PARTNER_ROWS, [_CONTACT, ["id", "in", chunk]])
            sweep.seen += len(found.rows)
            yield await self._with_deliveries(found.rows)

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the contacts with these e-mail addresses."""
        sweep.identity = "contacts"
        for chunk in _chunks(natural_keys):
            records = await self._having(chunk)
            sweep.seen += len(records)
            yield records

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every contact with an e-mail address."""
        return await self._having([natural_key])

    async def read(self, right_key: str) -> Record | None:
        """Return one contact; ``None`` when it is gone, or became an address."""
        page = await self._client.read(PARTNER_ROWS, [int(right_key)])
        raise_malformed(page)
        contacts = [row for row in page.rows if row.partner.type == "contact"]
        records = await self._with_deliveries(contacts)
        return records[0] if records else None

    async def create(self, natural_key: str, content: Content) -> str:
        """Create the contact with one request; a shipping address of its own is written afterwards."""
        wanted = {"name": None, **dict.fromkeys(ADDRESS), **content, "email": natural_key}
        fields = [name for name in wanted if name != "shipping"]
        values = odoo_values(wanted, fields, self._geography)
        return str(done_or_raise(await self._client.create(MODEL, [values])))

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Bring the named fields to what is wanted: the contact with one request, and its shipping address.

        Raises:
            PeerError: the company of a contact of a company cannot be written (permanent); the rest was.
        """
        wanted = {**current.content, **content}
        company = "company" in fields and current.meta["of_company"]
        names = [name for name in fields if name != "shipping" and not (company and name == "company")]
        values = odoo_values(wanted, names, self._geography)
        if values:
            done_or_raise(await self._client.write(MODEL, [(int(current.key), values)]))
        if "shipping" in fields:
            await self._write_delivery(int(current.key), wanted)
        if company:
            message = "it is a contact of a company in Odoo, whose name is not changed for it; decide about that there"
            raise PeerError(PEER, FailureKind.PERMANENT, message, key=current.key)

    async def retire(self, current: Record) -> None:
        """Archive a contact: its orders need it."""
        done_or_raise(await self._client.archive(MODEL, [int(current.key)]))

    async def _write_delivery(self, contact: int, content: Content) -> None:
        # Looked up now: the reply to a creation before may have been lost.
        found = await self._client.find(PARTNERS, [*_DELIVERY, ["parent_id", "=", contact], ["active", "=", True]])
        raise_malformed(found)
        if content["shipping"] is None:
            if found.rows:
                for outcome in await self._client.archive(MODEL, [row.id for row in found.rows]):
                    done_or_raise([outcome])
            return
        values = delivery_values(content, self._geography)
        if found.rows:
            done_or_raise(await self._client.write(MODEL, [(found.rows[0].id, values)]))
        else:
            own = {"parent_id": contact, "type": "delivery"}
            done_or_raise(await self._client.create(MODEL, [values | own]))

    async def _having(self, emails: Sequence[str]) -> list[Record]:
        page = await self._client.find(PARTNER_ROWS, [_CONTACT, ["email_normalized", "in", list(emails)]], limit=5000)
        raise_malformed(page)
        return await self._with_deliveries(page.rows)

    async def _with_deliveries(self, rows: Sequence[PartnerRow]) -> list[Record]:
        deliveries: Deliveries = defaultdict(list)
        for chunk in _chunks([row.partner.id for row in rows]):
            page = await self._client.find(PARTNERS, [*_DELIVERY, ["parent_id", "in", chunk]], limit=5000)
            raise_malformed(page)
            _collect(page.rows, deliveries)
        return await self._records(rows, deliveries)

    async def _records(self, rows: Iterable[PartnerRow], deliveries: Deliveries) -> list[Record]:
        staff = await self._working()
        return [
            record_of_odoo(row, deliveries.get(row.partner.id, ()), self._geography, self._mark, staff) for row in rows
        ]

    async def _working(self) -> frozenset[int]:
        if self._staff is None:
            page = await self._client.find(STAFF, [])
            self._staff = frozenset(partner for partner in page.rows if partner is not None)
        return self._staff


def _collect(rows: Iterable[Partner], deliveries: Deliveries) -> None:
    for row in rows:
        if row.parent:
            deliveries[row.parent.id].append(row)


def _chunks(items: Sequence[T]) -> Iterable[list[T]]:
    return (list(items[first : first + _CHUNK]) for first in range(0, len(items), _CHUNK))
