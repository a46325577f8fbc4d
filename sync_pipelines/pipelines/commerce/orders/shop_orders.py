"""What is read of a shop's orders, whatever is made of each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.systems.woocommerce import MalformedRecord, Order, Window, WooCommerceClient


class ShopOrders:
    """Reads the orders of a shop as records. Keys are the shop's numbers, natural keys their references.

    Arguments:
        record: makes a record of an order; ``None`` for one that is not looked at.
    """

    def __init__(
        self, client: WooCommerceClient, settings: OrderSettings, record: Callable[[Order], Record | None]
    ) -> None:
        self._client = client
        self._settings = settings
        self._record = record

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
        return None if order is None else self._record(order)

    def _records(self, orders: Iterable[Order], sweep: Sweep) -> list[Record]:
        records = [self._record(order) for order in orders]
        sweep.ignored += records.count(None)
        return [record for record in records if record is not None]
