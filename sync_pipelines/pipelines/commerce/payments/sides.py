"""Payments of both sides. Nothing is written to either of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.pipelines.commerce.orders.shop_orders import ShopOrders
from sync_pipelines.pipelines.commerce.payments.mapping import (
    BY_ACCOUNTING,
    Invoice,
    not_creatable,
    payment_of_odoo,
    payment_of_woo,
)
from sync_pipelines.systems import odoo, woocommerce
from sync_pipelines.systems.odoo import ORDERS, Entity, OdooClient, OdooError, Reason, SaleOrder
from sync_pipelines.systems.odoo.listing import raise_malformed
from sync_pipelines.systems.odoo.values import Row, record_id, text
from sync_pipelines.systems.woocommerce import WooCommerceClient

_LOOKED_UP = 100


def _parse(row: Row) -> Invoice:
    return Invoice(record_id(row), text(row, "invoice_origin"), text(row, "payment_state"))


INVOICES = Entity("account.move", ("invoice_origin", "payment_state"), _parse)


class _ReadOnly:
    """The writes of a side that takes none."""

    _peer = ""

    async def create(self, natural_key: str, content: Content) -> str:
        """Refuse."""
        raise PeerError(self._peer, FailureKind.PERMANENT, str(not_creatable(content)), key=natural_key)

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Refuse."""
        raise PeerError(self._peer, FailureKind.PERMANENT, BY_ACCOUNTING, key=current.natural_key)

    async def retire(self, current: Record) -> None:
        """Do nothing: what was paid was paid."""


class WooPayments(_ReadOnly, ShopOrders):
    """Reads what a shop was paid for its orders."""

    _peer = woocommerce.PEER

    def __init__(self, client: WooCommerceClient, settings: OrderSettings) -> None:
        super().__init__(client, settings, lambda order: payment_of_woo(order, settings))


class OdooPayments(_ReadOnly):
    """Reads whether the invoices of a shop's orders are paid."""

    _peer = odoo.PEER

    def __init__(self, client: OdooClient, settings: OrderSettings) -> None:
        self._client = client
        self._settings = settings

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the payments of all orders with a reference of the shop."""
        sweep.identity = f"store {self._settings.store}"
        prefix = self._settings.key_of(0).removesuffix("0")
        domain = [["client_order_ref", "=like", f"{prefix}%"]]
        async for page in self._client.sweep(ORDERS, sweep, domain=domain):
            yield await self._records(page.rows, sweep)

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the payments of the orders with some references."""
        sweep.identity = f"store {self._settings.store}"
        for first in range(0, len(natural_keys), _LOOKED_UP):
            rows = await self._referring(natural_keys[first : first + _LOOKED_UP])
            sweep.seen += len(rows)
            yield await self._records(rows, sweep)

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return the payment of every order with a reference."""
        return await self._records(await self._referring([natural_key]), Sweep())

    async def read(self, right_key: str) -> Record | None:
        """Return the payment of an order; ``None`` when the order is gone or its reference was edited."""
        page = await self._client.read(ORDERS, [int(right_key)])
        raise_malformed(page)
        return next(iter(await self._records(page.rows, Sweep())), None)

    async def _referring(self, keys: Sequence[str]) -> Sequence[SaleOrder]:
        page = await self._client.find(ORDERS, [["client_order_ref", "in", list(keys)]])
        raise_malformed(page)
        return page.rows

    async def _records(self, rows: Sequence[SaleOrder], sweep: Sweep) -> list[Record]:
        of = await self._invoices([row.name for row in rows], sweep)
        return _kept((payment_of_odoo(row, of(row.name), self._settings) for row in rows), sweep)

    async def _invoices(self, names: Sequence[str], sweep: Sweep) -> Callable[[str], Sequence[Invoice]]:
        found: dict[str, list[Invoice]] = {}
        domain = [["move_type", "=", "out_invoice"], ["state", "=", "posted"], ["invoice_origin", "in", list(names)]]
        try:
            page = await self._client.find(INVOICES, domain, limit=5000)
        except OdooError as error:
            if error.reason not in (Reason.FORBIDDEN, Reason.BAD_CALL):
                raise
            sweep.notes.append("invoices cannot be read with this key; payments are not compared")
            return lambda name: ()
        raise_malformed(page)
        for invoice in page.rows:
            found.setdefault(invoice.origin, []).append(invoice)
        return lambda name: found.get(name, ())


def _kept(records: Iterable[Record | None], sweep: Sweep) -> list[Record]:
    found = list(records)
    sweep.ignored += found.count(None)
    return [record for record in found if record is not None]
