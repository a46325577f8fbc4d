"""The records of a shop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Meta:
    """A named value that anybody may hang on a record."""

    id: int
    key: str
    value: Any


@dataclass(slots=True, kw_only=True)
class Record:
    """What all records have.

    Attributes:
        created, modified: Unix seconds; a user whom the shop has not saved yet has no time of change.
        values: the fields that differ from their defaults, by their names on the wire.
        texts: the record as JSON, by shape, until it changes.
    """

    id: int
    created: int = 0
    modified: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    meta: list[Meta] = field(default_factory=list)
    texts: dict[Any, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Product(Record):
    """A product, or a variation of one.

    Attributes:
        type: ``simple``, ``grouped``, ``external``, ``variable``, or ``variation``.
        status: ``publish``, ``draft``, ``pending``, ``private``, ``future``, or ``trash``.
        parent: the product that this is a variation of, 0 for none.
        variations: numbers of its variations that are not in the trash, in order of creation.
    """

    type: str = "simple"
    status: str = "publish"
    parent: int = 0
    variations: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Customer(Record):
    """A user of the shop; ``role`` decides whether it is listed as a customer."""

    email: str
    username: str
    role: str = "customer"
    first_name: str = ""
    last_name: str = ""
    billing: dict[str, str] = field(default_factory=dict)
    shipping: dict[str, str] = field(default_factory=dict)
    is_paying: bool = False


@dataclass(slots=True, kw_only=True)
class Order(Record):
    """An order.

    Attributes:
        lines: by kind (``line_items``, ``shipping_lines``, ``fee_lines``, ``coupon_lines``), as on the wire.
        paid, completed: Unix seconds, ``None`` for not yet.
        refunds: its refunds, the newest first.
    """

    status: str = "pending"
    customer_id: int = 0
    billing: dict[str, str] = field(default_factory=dict)
    shipping: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    paid: int | None = None
    completed: int | None = None
    refunds: list[Refund] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Refund(Record):
    """Money given back for an order; ``amount`` is positive text with two places."""

    amount: str
    reason: str = ""
    line_items: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Note:
    """A remark on an order."""

    id: int
    order_id: int
    created: int
    text: str
    to_customer: bool = False


@dataclass(slots=True, kw_only=True)
class Webhook(Record):
    """An address that is told of changes.

    Attributes:
        failures: deliveries in a row that were not answered with 2xx.
        awaits_ping: whether the first contact has still to succeed.
    """

    name: str
    topic: str
    delivery_url: str
    secret: str = ""
    status: str = "active"
    failures: int = 0
    awaits_ping: bool = True


@dataclass(slots=True)
class Term:
    """A category, or a value of an attribute (``attribute`` is its number, 0 for a category)."""

    id: int
    name: str
    slug: str
    attribute: int = 0
    parent: int = 0
    description: str = ""


@dataclass(slots=True)
class Attribute:
    """An attribute that several products share."""

    id: int
    name: str
    slug: str


@dataclass(slots=True, kw_only=True)
class Coupon(Record):
    """A reduction by code: ``percent``, ``fixed_cart`` or ``fixed_product``."""

    code: str
    amount: str
    discount_type: str = "fixed_cart"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What a client of the API holds.

    Attributes:
        permissions: ``read``, ``write`` or ``read_write``.
        manages_shop: whether the user whom the key belongs to may see and change the shop.
    """

    consumer_key: str
    consumer_secret: str
    permissions: str = "read_write"
    manages_shop: bool = True
