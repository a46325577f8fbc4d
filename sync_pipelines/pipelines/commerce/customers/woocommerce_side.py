"""Customers in WooCommerce."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.customers.mapping import record_of_shop
from sync_pipelines.pipelines.commerce.customers.writing import NEW, shop_values
from sync_pipelines.pipelines.commerce.geography import Geography
from sync_pipelines.systems.woocommerce import PEER, Customer, WooCommerceClient

MOST_NOTES = 20
"""Remarks of a sweep about single records; the rest is left out."""


class WooCommerceCustomers:
    """Reads and writes the customers of a shop.

    The shop cannot tell which customers changed, so every sweep reads all of them.

    Arguments:
        geography: of the Odoo database on the other side: a state that is not there is no difference.
    """

    def __init__(self, client: WooCommerceClient, geography: Geography) -> None:
        self._client = client
        self._geography = geography

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all users of the shop; those who are no customers are withheld."""
        sweep.identity = "customers"
        async for page in self._client.customers.pages(sweep):
            records = self._records(page.rows)
            _take_notes(sweep, records)
            yield records

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the customers with these e-mail addresses."""
        sweep.identity = "customers"
        for key in natural_keys:
            records = await self.find(key)
            sweep.seen += len(records)
            yield records

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return the customer with an e-mail address, if there is one."""
        found = await self._client.customers.by_email(natural_key)
        return self._records([found] if found else [])

    async def read(self, right_key: str) -> Record | None:
        """Return one customer."""
        found = await self._client.customers.get(int(right_key))
        return record_of_shop(found, self._geography) if found else None

    async def create(self, natural_key: str, content: Content) -> str:
        """Create a customer as a whole, with one request. The shop may greet them by e-mail, as its settings say."""
        wanted = {**dict.fromkeys(("name", "phone", "company", "shipping"), None), **_NOWHERE, **content}
        written = [name for name in wanted if name != "active"]
        created = await self._client.customers.create(shop_values({**wanted, "email": natural_key}, written, NEW))
        return str(created.id)

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Bring the named fields to what is wanted, with one request.

        Raises:
            PeerError: a customer of the shop cannot be archived (permanent); the rest was written.
        """
        wanted = {**current.content, **content}
        values = shop_values(wanted, fields, current.meta, current.content["email"])
        if values:
            await self._client.customers.update(int(current.key), values)
        if "active" in fields and not wanted["active"]:
            raise _cannot_go(current.key, "archived")

    async def retire(self, current: Record) -> None:
        """Refuse: the shop has no trash for customers, and a deletion is for good.

        Raises:
            PeerError: permanent.
        """
        raise _cannot_go(current.key, "taken out of service")

    def _records(self, rows: Iterable[Customer]) -> list[Record]:
        return [record_of_shop(row, self._geography) for row in rows]


_NOWHERE = dict.fromkeys(("street", "street2", "zip", "city", "country", "state"), None)


def _take_notes(sweep: Sweep, records: Iterable[Record]) -> None:
    for record in records:
        for note in record.meta.get("notes", ()):
            if len(sweep.notes) < MOST_NOTES:
                sweep.notes.append(f"customer {record.key}: {note}")


def _cannot_go(key: str, wanted: str) -> PeerError:
    message = f"a customer of the shop cannot be {wanted}, only deleted for good; decide about that in the shop"
    return PeerError(PEER, FailureKind.PERMANENT, message, key=key)
