"""Payments of either side as records that compare; natural key is that of the order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sync_pipelines.core.records import Content, Record
from sync_pipelines.pipelines.commerce.orders.mapping import moment
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.pipelines.commerce.orders.status import IGNORED
from sync_pipelines.systems.odoo import SaleOrder
from sync_pipelines.systems.woocommerce import Order

BY_ACCOUNTING = "a payment is booked by accounting, never from here; book it in Odoo, or correct it in the shop"
_PAID = frozenset({"paid", "in_payment"})


@dataclass(frozen=True, slots=True)
class Invoice:
    """A posted invoice of Odoo.

    Attributes:
        origin: name of the order that it is for; one for several orders names them all and is left out of account.
        payment_state: ``not_paid``, ``partial``, ``in_payment``, ``paid``, ``reversed``.
    """

    id: int
    origin: str
    payment_state: str


def payment_of_woo(order: Order, settings: OrderSettings) -> Record | None:
    """Return the payment of a shop's order, ``None`` for what is no order yet."""
    if order.status in IGNORED:
        return None
    content: Content = {
        "paid": order.paid is not None,
        "paid_at": moment(order.paid),
        "method": order.payment_method.strip() or None,
        "transaction": order.transaction_id.strip() or None,
    }
    return Record(key=str(order.id), natural_key=settings.key_of(order.id), content=content)


def payment_of_odoo(row: SaleOrder, invoices: Sequence[Invoice], settings: OrderSettings) -> Record | None:
    """Return the payment of an order of Odoo, ``None`` for one that is none of the shop's.

    Arguments:
        invoices: posted ones of this order. Without any, Odoo says nothing about a payment.
    """
    number = settings.order_id_of(row.client_order_ref)
    if number is None:
        return None
    content = {"paid": all(one.payment_state in _PAID for one in invoices)} if invoices else {}
    return Record(key=str(row.id), natural_key=settings.key_of(number), content=content, meta={"name": row.name})


def blocked(before: Content, after: Content, fields: Sequence[str]) -> dict[str, str]:
    """Return the fields that cannot be written, with the reason: all of them."""
    return dict.fromkeys(fields, BY_ACCOUNTING)


def not_creatable(content: Content) -> str | None:
    """Say why no payment is made."""
    return "the order is not there; orders are synced before their payments"
