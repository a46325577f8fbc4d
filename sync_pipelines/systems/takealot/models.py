"""What is read of Takealot's records. ``raw`` is the record as it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

SAST = timezone(timedelta(hours=2), "SAST")
"""South African Standard Time, by whose days sales are asked for; it knows no summer time."""
CURRENCY = "ZAR"
"""Nothing in an answer names it: all amounts are in rand."""


@dataclass(frozen=True, slots=True)
class Sale:
    """One item of an order. An order is nothing but the sales that have its number.

    Attributes:
        ordered_at: aware; the same for all sales of an order.
        selling_price: in rand; whether of the line or of one unit, the description does not say.
        offer_id: may be of an offer that is gone.
    """

    order_item_id: int
    order_id: int
    ordered_at: datetime
    status: str
    offer_id: int | None
    sku: str | None
    selling_price: Decimal
    quantity: int
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """A product that is offered.

    Attributes:
        updated_at: may stand still while the offer changes, as Takealot's description warns.
        stock: the seller's and Takealot's warehouses together; ``None`` when the answer has no stock.
    """

    offer_id: int
    sku: str | None
    title: str | None
    status: str
    selling_price: Decimal | None
    updated_at: datetime | None
    stock: Decimal | None
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Signal:
    """A return or a transaction: an old order may have changed.

    Attributes:
        mark: the same as long as what is signaled is the same.
        order_ids: of the orders to look at.
    """

    mark: str
    order_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be read.

    Attributes:
        key: its own id, ``order_id``: that of its order; ``None`` when not even they can be read.
        message: what is wrong with it, without its values.
    """

    key: int | None
    order_id: int | None
    message: str
    raw: Any
