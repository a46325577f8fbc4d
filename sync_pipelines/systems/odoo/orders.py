"""Writing orders: lines that keep their price, confirming that keeps the date, cancelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.systems.odoo.batches import Outcome, Status, create, on_records, write
from sync_pipelines.systems.odoo.calls import Calls
from sync_pipelines.systems.odoo.listing import known_fields

ORDER_BATCH = 20
"""Confirming takes some 80 ms an order."""

_ORDER = "sale.order"
_LINE = "sale.order.line"


@dataclass(frozen=True, slots=True)
class LineDraft:
    """A line of an order to create or to write.

    Attributes:
        product_id: ``None`` for a line of text only. An order with one can never be confirmed.
        name: by default the product's; needed without one.
        price_unit: always sent. Odoo computes it anew from its price list when only the quantity is written.
        discount: in percent.
        tax_ids: always sent, even when there are none: products bring the company's default tax.
    """

    quantity: Decimal
    price_unit: Decimal
    product_id: int | None = None
    name: str = ""
    discount: Decimal = Decimal(0)
    tax_ids: tuple[int, ...] = ()

    def values(self, tax_field: str) -> dict[str, Any]:
        """Return the values to write.

        Arguments:
            tax_field: what the server calls the taxes; see :func:`tax_field`.

        Raises:
            ValueError: neither product nor name.
        """
        if self.product_id is None and not self.name:
            raise ValueError("a line needs a product or a name")
        values: dict[str, Any] = {
            "product_uom_qty": self.quantity,
            "price_unit": self.price_unit,
            "discount": self.discount,
            tax_field: [[6, 0, list(self.tax_ids)]],
        }
        if self.product_id is not None:
            values["product_id"] = self.product_id
        if self.name:
            values["name"] = self.name
        return values


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """An order to create, as a draft.

    Attributes:
        client_order_ref: by which it is found again when the reply is lost. Odoo takes one twice.
        extra: further values, e.g. ``{"pricelist_id": 1}``.
    """

    partner_id: int
    client_order_ref: str
    date_order: datetime
    lines: tuple[LineDraft, ...]
    invoice_partner_id: int | None = None
    shipping_partner_id: int | None = None
    extra: Mapping[str, Any] | None = None

    def values(self, tax_field: str) -> dict[str, Any]:
        """Return the values to write. Raises ``ValueError`` as :meth:`LineDraft.values` does."""
        values: dict[str, Any] = {
            "partner_id": self.partner_id,
            "client_order_ref": self.client_order_ref,
            "date_order": self.date_order,
            "order_line": [[0, 0, line.values(tax_field)] for line in self.lines],
            **(self.extra or {}),
        }
        if self.invoice_partner_id is not None:
            values["partner_invoice_id"] = self.invoice_partner_id
        if self.shipping_partner_id is not None:
            values["partner_shipping_id"] = self.shipping_partner_id
        return values


async def tax_field(calls: Calls) -> str:
    """Return what this server calls the taxes of a line: ``tax_ids``, before 19 ``tax_id``."""
    found = await known_fields(calls, _LINE, ("tax_ids", "tax_id"))
    return found[0] if found else "tax_ids"


async def create_orders(calls: Calls, drafts: Sequence[OrderDraft], taxes: str) -> list[Outcome]:
    """Create orders in state draft, one outcome a draft. After an unknown one look for its ``client_order_ref``."""
    return await create(calls, _ORDER, [draft.values(taxes) for draft in drafts], batch_size=ORDER_BATCH)


async def change_lines(
    calls: Calls,
    order_id: int,
    taxes: str,
    *,
    add: Sequence[LineDraft] = (),
    change: Mapping[int, LineDraft] | None = None,
    remove: Sequence[int] = (),
) -> Outcome:
    """Add, change and remove lines of one order in one transaction. A confirmed order lets none be removed.

    Arguments:
        change: lines by id; quantity and price are always written together.
    """
    commands: list[list[Any]] = [[1, line, draft.values(taxes)] for line, draft in (change or {}).items()]
    commands += [[0, 0, draft.values(taxes)] for draft in add]
    commands += [[2, line, 0] for line in remove]
    if not commands:
        raise ValueError("no line to add, change or remove")
    [outcome] = await write(calls, _ORDER, [(order_id, {"order_line": commands})])
    return outcome


async def confirm(calls: Calls, dates: Mapping[int, datetime]) -> dict[int, Outcome]:
    """Confirm orders and give them their dates back, which confirming replaces by the present.

    Every order is one outcome: ``DONE`` when it is confirmed and dated. An order that is refused stops no other. One
    that is confirmed but not dated is ``UNKNOWN`` or ``REFUSED``, with an error of ``sale.order.write``; confirming it
    again is refused, writing its date again is harmless.

    Arguments:
        dates: the dates to keep, by order id.
    """
    ids = list(dates)
    outcomes = dict(
        zip(ids, await on_records(calls, _ORDER, "action_confirm", ids, batch_size=ORDER_BATCH), strict=True)
    )
    confirmed = [order for order in ids if outcomes[order].done]
    dated = await write(
        calls, _ORDER, [(order, {"date_order": dates[order]}) for order in confirmed], batch_size=ORDER_BATCH
    )
    for order, outcome in zip(confirmed, dated, strict=True):
        if outcome.status is Status.UNSENT:
            outcome = Outcome(Status.UNKNOWN, order, outcome.error)
        outcomes[order] = outcome
    return outcomes


async def cancel(calls: Calls, ids: Sequence[int]) -> list[Outcome]:
    """Cancel orders, drafts and confirmed ones alike, one outcome an order."""
    # Before 18 a confirmed order is answered with a dialogue unless it is told not to.
    quiet = {"disable_cancel_warning": True}
    return await on_records(calls, _ORDER, "action_cancel", ids, batch_size=ORDER_BATCH, context=quiet)
