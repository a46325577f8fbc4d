"""Orders of the shop: read, and never made there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.linked import Linked
from sync_pipelines.pipelines.commerce.orders.mapping import not_creatable_in_shop, order_of_woo, woo_values
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.systems.woocommerce import PEER, MalformedRecord, Order, Window, WooCommerceClient


class WooOrders:
    """Reads a shop's orders, and writes their status where a shop lets Odoo decide about it."""

    def __init__(self, client: WooCommerceClient, settings: OrderSettings, linked: Linked) -> None:
        self._client = client
        self._settings = settings
        self._linked = linked

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all orders; those in the trash count as gone."""
        sweep.identity = f"store {self._settings.store}"
        async for page in self._client.orders.pages(sweep):
            yield self._records(page.rows, sweep)

    async def touched(self, since: datetime, until: datetime | None = None) -> list[str]:
        """Return the natural keys of the orders that were written to in a window, to be looked at."""
        found = Sweep()
        return [
            self._settings.key_of(order.id)
            async for page in self._client.orders.pages(found, Window(since, until), fields=("status",))
            for order in page.rows
        ]

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield single orders."""
        sweep.identity = f"store {self._settings.store}"
        ids = [number for key in natural_keys if (number := self._settings.order_id_of(key)) is not None]
        found = await self._client.orders.some(ids) if ids else {}
        sweep.seen += len(found)
        sweep.gaps += [f"{row.place}: {row.message}" for row in found.values() if isinstance(row, MalformedRecord)]
        yield self._records((row for row in found.values() if isinstance(row, Order)), sweep)

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return the order that a natural key names."""
        number = self._settings.order_id_of(natural_key)
        record = None if number is None else await self.read(str(number))
        return [] if record is None else [record]

    async def read(self, right_key: str) -> Record | None:
        """Return one order; ``None`` when it is gone or in the trash."""
        order = await self._client.orders.get(int(right_key))
        return None if order is None else order_of_woo(order, self._linked, self._settings)

    async def create(self, natural_key: str, content: Content) -> str:
        """Refuse: an order without a sale would be an invention."""
        raise PeerError(PEER, FailureKind.PERMANENT, str(not_creatable_in_shop(content)), key=natural_key)

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Write the status; nothing else of an order is changed from outside."""
        if "status" not in fields:
            return
        try:
            values = woo_values(content)
        except ValueError as problem:
            raise PeerError(PEER, FailureKind.PERMANENT, str(problem), key=current.natural_key) from None
        await self._client.orders.update(int(current.key), values)

    async def retire(self, current: Record) -> None:
        """Refuse: what a customer has ordered stays in the shop."""
        message = "an order of the shop is not taken away because Odoo has lost its own"
        raise PeerError(PEER, FailureKind.PERMANENT, message, key=current.natural_key)

    def _records(self, orders: Iterable[Order], sweep: Sweep) -> list[Record]:
        records = [order_of_woo(order, self._linked, self._settings) for order in orders]
        sweep.ignored += records.count(None)
        return [record for record in records if record is not None]
