"""A connection of the commerce pipeline: one shop, and the ERP database that it is kept in agreement with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.core.retry import RetryPolicy
from sync_pipelines.orchestration.intervals import is_even
from sync_pipelines.pipelines.commerce.customers.fields import CUSTOMER_FIELDS
from sync_pipelines.pipelines.commerce.fields import FieldTable, Owner
from sync_pipelines.pipelines.commerce.inventory.fields import INVENTORY
from sync_pipelines.pipelines.commerce.orders.fields import ORDERS
from sync_pipelines.pipelines.commerce.payments.fields import PAYMENTS
from sync_pipelines.pipelines.commerce.products.fields import PRODUCT_FIELDS
from sync_pipelines.pipelines.commerce.values import WEIGHT_UNITS
from sync_pipelines.pipelines.connection_fields import Guard, HttpUrl, Limits, Whole, different_limits
from sync_pipelines.settings import NamedConnection, Secret, SecretReference, Strict

NAME = "commerce"
_SHORTEST_SECRET = 16
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class EntityType(StrEnum):
    """What can be synchronized, in the order in which it is: an order waits for its customer and its products."""

    CUSTOMERS = "customers"
    PRODUCTS = "products"
    INVENTORY = "inventory"
    ORDERS = "orders"
    PAYMENTS = "payments"


FIELDS: Mapping[EntityType, FieldTable] = {
    EntityType.CUSTOMERS: CUSTOMER_FIELDS,
    EntityType.PRODUCTS: PRODUCT_FIELDS,
    EntityType.INVENTORY: INVENTORY,
    EntityType.ORDERS: ORDERS,
    EntityType.PAYMENTS: PAYMENTS,
}
"""The field table of each entity, unless a shop names other owners."""

NEEDS: Mapping[EntityType, frozenset[EntityType]] = {
    EntityType.INVENTORY: frozenset({EntityType.PRODUCTS}),
    EntityType.ORDERS: frozenset({EntityType.CUSTOMERS, EntityType.PRODUCTS}),
    EntityType.PAYMENTS: frozenset({EntityType.ORDERS}),
}
"""Entities whose records are linked by those of others."""

MADE_IN: Mapping[EntityType, frozenset[Owner]] = {
    EntityType.CUSTOMERS: frozenset({Owner.WOOCOMMERCE, Owner.ODOO}),
    EntityType.PRODUCTS: frozenset({Owner.WOOCOMMERCE, Owner.ODOO}),
    EntityType.ORDERS: frozenset({Owner.ODOO}),
}
"""Where missing records can be made at all. Stock and payments follow products and orders."""


def _fits_a_header(value: object) -> object:
    # The HTTP library would quote a key that it cannot send in its error.
    if isinstance(value, Secret) and not all("!" <= character <= "~" for character in value.reveal()):
        raise ValueError("has blanks, line breaks or letters that no key has; check where it comes from")
    return value


def _no_boolean(value: object) -> object:
    # YAML reads a store called 1 as a number; it stands in references as a text.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _is_hard_to_guess(value: object) -> object:
    # Whoever guesses it can make us read any record of the shop as often as they like.
    if isinstance(value, Secret) and len(value.reveal()) < _SHORTEST_SECRET:
        raise ValueError(f"is shorter than {_SHORTEST_SECRET} characters; anybody could guess it")
    return value


def _is_a_weight_unit(value: str) -> str:
    if value not in WEIGHT_UNITS:
        raise ValueError(f"{value!r} is no unit of weight; use one of {', '.join(sorted(WEIGHT_UNITS))}")
    return value


Key = Annotated[SecretReference, AfterValidator(_fits_a_header)]
WebhookSecret = Annotated[SecretReference, AfterValidator(_is_hard_to_guess)]
WeightUnit = Annotated[str, AfterValidator(_is_a_weight_unit)]


class WooCommerce(Strict):
    """The shop.

    Attributes:
        url: its own address; over http exactly the one that WordPress has for itself, which is part of what is signed.
        consumer_key, consumer_secret: of a REST API key that may read and write.
        webhook_secrets: of the webhooks that deliver to the inbox; two while they are changed over.
        auth: ``auto`` is ``basic`` over https and ``oauth`` over http.
        timeout_seconds: how long each step of a request may take.
        weight_unit: of its products.
    """

    url: HttpUrl
    consumer_key: Key
    consumer_secret: Key
    webhook_secrets: tuple[WebhookSecret, ...] = ()
    auth: Literal["auto", "basic", "oauth"] = "auto"
    timeout_seconds: float = Field(default=60, gt=0)
    weight_unit: WeightUnit = "kg"
    limits: Limits = Limits()


class Odoo(Strict):
    """The ERP.

    Attributes:
        url: of the server.
        key: API key of the user; before Odoo 14 the password.
        database: its name; needed before Odoo 19, and where a server has several.
        login: of the key's user; needed before Odoo 19.
        protocol: ``auto`` asks the server.
        language: that names of products are read and written in; it must be installed.
        timeout_seconds: how long each step of a request may take.
        weight_unit: of its products.
    """

    url: HttpUrl
    key: Key
    database: str | None = None
    login: str | None = None
    protocol: Literal["auto", "json2", "jsonrpc"] = "auto"
    language: str = Field(default="en_US", pattern=r"^[a-z]{2,3}(_[A-Z]{2})?(@[a-z]+)?$")
    timeout_seconds: float = Field(default=90, gt=0)
    weight_unit: WeightUnit = "kg"
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if self.protocol == "jsonrpc" and not (self.database and self.login):
            raise ValueError("protocol jsonrpc needs database and login")
        return self


class Stock(Strict):
    """What the stock of the shop is compared with.

    Attributes:
        location_id: ``stock.location`` whose stock the shop sells; by default that of the first warehouse.
        quantity: ``available`` is what lies there, ``free`` is that without what confirmed orders have reserved.
    """

    location_id: Whole | None = Field(default=None, ge=1)
    quantity: Literal["available", "free"] = "available"


class Orders(Strict):
    """How orders are booked in Odoo.

    Attributes:
        shipping, fee: codes of the service products that shipping and fees are booked on.
        stand_in: code of the product for items without one; empty to refuse such orders.
        unlinked: what to do about an item whose product is not linked yet.
        taxes: tax class of the shop -> ``account.tax`` ids that are not included in prices; the standard class is "".
        pricelists: currency -> ``product.pricelist`` id, for other currencies than the shop's own.
        credit_notes: ``draft`` makes drafts of credit notes for refunds, ``report`` only compares them.
    """

    shipping: str = Field(default="SHIP", min_length=1)
    fee: str = Field(default="FEE", min_length=1)
    stand_in: str = "MISC"
    unlinked: Literal["wait", "stand_in"] = "wait"
    taxes: Mapping[str, tuple[Whole, ...]] = Field(default_factory=dict)
    pricelists: Mapping[str, Whole] = Field(default_factory=dict)
    credit_notes: Literal["draft", "report"] = "report"

    @property
    def codes(self) -> frozenset[str]:
        """Codes of the products that only orders know."""
        return frozenset(code for code in (self.shipping, self.fee, self.stand_in) if code)


class ShopConnection(NamedConnection):
    """One shop and its ERP.

    Attributes:
        organization: whose people may see and settle the conflicts.
        store: short name of the shop in references of Odoo: ``WC-<store>-<order id>``. It stays for ever.
        currency, price_digits: of the shop's prices.
        entities: what is synchronized; the order does not matter.
        owners: entity -> field -> who decides: ``woocommerce``, ``odoo`` or ``both``.
        create: entity -> systems in which missing records are made.
        deletions: entity -> what becomes of a record that was deleted in the other system.
        interval: seconds between incremental syncs; 0 for none.
        full_at: time of the day, UTC, when everything is read anew; empty for never.
        max_retries: retries before a record is dead-lettered.
        in_flight: requests to a system at the same time while records are written.
        batch: products of the shop that are looked at or written in one request.
    """

    enabled: bool = True
    organization: str = Field(min_length=1, pattern=r"^\S+$")
    store: Annotated[str, BeforeValidator(_no_boolean)] = Field(default="1", pattern=r"^[A-Za-z0-9_]+$")
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    price_digits: Whole = Field(default=2, ge=0, le=4)
    woocommerce: WooCommerce
    odoo: Odoo
    entities: tuple[EntityType, ...] = tuple(EntityType)
    owners: Mapping[EntityType, Mapping[str, str]] = Field(default_factory=dict)
    create: Mapping[EntityType, frozenset[Literal["woocommerce", "odoo"]]] = Field(default_factory=dict)
    deletions: Mapping[EntityType, Literal["archive", "report"]] = Field(default_factory=dict)
    stock: Stock = Stock()
    orders: Orders = Orders()
    interval: Whole = Field(default=300, ge=0)
    full_at: str = "02:30"
    max_retries: Whole = Field(default=3, ge=0, le=100)
    retry_base_seconds: float = Field(default=30, gt=0)
    retry_cap_seconds: float = Field(default=3600, gt=0)
    guard: Guard = Guard()
    in_flight: Whole = Field(default=4, ge=1, le=8)
    batch: Whole = Field(default=50, ge=1, le=100)

    @field_validator("entities")
    @classmethod
    def _in_order(cls, value: tuple[EntityType, ...]) -> tuple[EntityType, ...]:
        if not value:
            raise ValueError(f"is empty; name some of {', '.join(EntityType)}")
        for entity in value:
            if missing := NEEDS.get(entity, frozenset()) - set(value):
                raise ValueError(f"{entity} need {' and '.join(sorted(missing))} to be synchronized, too; add them")
        return tuple(entity for entity in EntityType if entity in value)

    @field_validator("owners")
    @classmethod
    def _are_possible(cls, value: Mapping[EntityType, Mapping[str, str]]) -> Mapping[EntityType, Mapping[str, str]]:
        for entity, owners in value.items():
            try:
                FIELDS[entity].overridden(owners)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("create")
    @classmethod
    def _can_be_made(cls, value: Mapping[EntityType, frozenset[str]]) -> Mapping[EntityType, frozenset[str]]:
        for entity, systems in value.items():
            possible = MADE_IN.get(entity, frozenset())
            if strange := sorted(systems - possible):
                told = f"only in {' and '.join(sorted(possible))}" if possible else "nowhere"
                raise ValueError(f"{entity} cannot be made in {strange[0]}, {told}")
        return value

    @field_validator("interval")
    @classmethod
    def _is_an_interval_of_cron(cls, value: int) -> int:
        if value and not is_even(value):
            raise ValueError(
                "must be minutes that divide an hour or hours that divide a day, in seconds; or 0 for none"
            )
        return value

    @field_validator("full_at", mode="before")
    @classmethod
    def _is_a_time(cls, value: object, info: ValidationInfo) -> object:
        # YAML 1.1 reads 02:30 without quotes as the number 150.
        if not isinstance(value, str) or (value and not _CLOCK.fullmatch(value)):
            raise ValueError(f"{value!r} is not a time of the day such as '02:30' (in quotes)")
        return value

    @classmethod
    def clash(cls, connections: Sequence[Self]) -> str | None:
        """Refuse what would synchronize one shop twice, or give two shops the same references in one database."""
        enabled = [connection for connection in connections if connection.enabled]
        return (
            _twice(enabled, "name the same shop", lambda one: one.woocommerce.url)
            or _twice(
                enabled,
                "have the same store in one Odoo database",
                lambda one: f"store {one.store} in {one.odoo.url}/{one.odoo.database or ''}",
            )
            or different_limits(
                (one.name, system, peer.url, peer.limits)
                for one in enabled
                for system, peer in (("woocommerce", one.woocommerce), ("odoo", one.odoo))
            )
        )

    @property
    def products_at_once(self) -> int:
        """Products of the shop that are worked on at the same time: one batch is written while others are looked at."""
        return self.in_flight if self.batch == 1 else 3 * self.batch

    @property
    def retry(self) -> RetryPolicy:
        """The retry policy as the core knows it."""
        return RetryPolicy(self.retry_base_seconds, self.retry_cap_seconds, self.max_retries)

    def fields(self, entity: EntityType) -> FieldTable:
        """Return the field table of an entity with the owners of this shop."""
        return FIELDS[entity].overridden(self.owners.get(entity, {}))

    def created_in(self, entity: EntityType) -> frozenset[Owner]:
        """Return the systems in which missing records of an entity are made."""
        possible = MADE_IN.get(entity, frozenset())
        wanted = self.create.get(entity)
        return possible if wanted is None else frozenset(Owner(system) for system in wanted)

    def follows(self, entity: EntityType) -> bool:
        """Say whether what is deleted in one system is taken out of service in the other."""
        return self.deletions.get(entity, "archive") == "archive"

    def scope(self, entity: EntityType) -> str:
        """Return the name of an entity of this shop: of its scope, and of its partition in Dagster."""
        return f"{self.name}.{entity}"


def _twice(connections: Sequence[ShopConnection], what: str, told: Callable[[ShopConnection], str]) -> str | None:
    first: dict[str, str] = {}
    for connection in connections:
        known = first.setdefault(told(connection), connection.name)
        if known != connection.name:
            return f"{known} and {connection.name} {what} ({told(connection)}); keep one of them or change it"
    return None
