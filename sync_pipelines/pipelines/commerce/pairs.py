"""The pair that the engine runs for an entity of a shop: both sides, who decides, and what is never done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.records import Content
from sync_pipelines.core.trees import same_field
from sync_pipelines.core.two_way import Alike, Side
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.engine.two_way import TwoWayPair
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.customers import mapping as customers
from sync_pipelines.pipelines.commerce.customers.odoo_side import OdooCustomers
from sync_pipelines.pipelines.commerce.customers.woocommerce_side import WooCommerceCustomers
from sync_pipelines.pipelines.commerce.fields import FieldTable, Owner
from sync_pipelines.pipelines.commerce.geography import read_geography
from sync_pipelines.pipelines.commerce.inventory import mapping as inventory
from sync_pipelines.pipelines.commerce.inventory.odoo_side import OdooInventory
from sync_pipelines.pipelines.commerce.inventory.woocommerce_side import WooInventory
from sync_pipelines.pipelines.commerce.links import guests_of, linked_of, waiting_orders
from sync_pipelines.pipelines.commerce.moving import WhatMoved, by_keys, by_records
from sync_pipelines.pipelines.commerce.opening import PEERS, OpenShop
from sync_pipelines.pipelines.commerce.orders import mapping as orders
from sync_pipelines.pipelines.commerce.orders.odoo_side import OdooOrders
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.pipelines.commerce.orders.woocommerce_side import WooOrders
from sync_pipelines.pipelines.commerce.payments import mapping as payments
from sync_pipelines.pipelines.commerce.payments.sides import OdooPayments, WooPayments
from sync_pipelines.pipelines.commerce.products import mapping as products
from sync_pipelines.pipelines.commerce.products.odoo_side import OdooProducts
from sync_pipelines.pipelines.commerce.products.woocommerce_side import WooCommerceProducts
from sync_pipelines.pipelines.commerce.stock_location import location_of

Blocked = Callable[[Content, Content, Sequence[str]], Mapping[str, str]]
SYSTEMS = {Side.LEFT: Owner.WOOCOMMERCE, Side.RIGHT: Owner.ODOO}


@dataclass(frozen=True)
class EntityPair:
    """A pair, and how its systems are asked what moved. A system that cannot tell is read whole every time."""

    pair: TwoWayPair
    moved: Mapping[Side, WhatMoved] = field(default_factory=dict)


async def pair_of(opened: OpenShop, entity: EntityType, engine: Engine) -> EntityPair:
    """Return the pair of an entity. Asks Odoo for what does not change: countries, the stock's location.

    Raises:
        ConfigurationError: Odoo lacks what the connection takes for granted.
        PeerError: a system could not be asked.
    """
    return await _BUILDERS[entity](opened, engine)


async def _customers(opened: OpenShop, engine: Engine) -> EntityPair:
    connection = opened.connection
    geography = await read_geography(opened.odoo)
    mark = customers.ShopMark(connection.store, await guests_of(engine, opened))
    left, right = WooCommerceCustomers(opened.woocommerce, geography), OdooCustomers(opened.odoo, geography, mark)
    pair = _pair(
        connection,
        EntityType.CUSTOMERS,
        left,
        right,
        natural_key=customers.natural_key,
        alike=customers.alike,
        woocommerce={
            "not_creatable": customers.not_creatable_in_shop,
            # A customer of the shop can only be deleted for good, which is for people to decide.
            "retires": False,
            # The shop takes out of a name what looks like a tag.
            "lenient_fields": frozenset({"name"}),
        },
        odoo={"retired": _is_inactive, "destructive": _is_deactivated},
    )
    return EntityPair(pair, {Side.RIGHT: by_records(right)})


async def _products(opened: OpenShop, engine: Engine) -> EntityPair:
    connection = opened.connection
    settings = products.ProductSettings(
        price_digits=connection.price_digits,
        shop_weight_unit=connection.woocommerce.weight_unit,
        odoo_weight_unit=connection.odoo.weight_unit,
        store=connection.store,
        kept_out=connection.orders.codes,
    )
    left = WooCommerceProducts(
        opened.woocommerce, settings, batch=connection.batch, families=lambda lowest: right.family(lowest)
    )
    right = OdooProducts(opened.odoo, settings, left.family)
    shared = {
        "not_creatable": products.not_creatable,
        "retired": _is_inactive,
        "destructive": _is_deactivated,
        # Both clean what looks like markup in ways of their own; what they show after a write is what counts.
        "lenient_fields": frozenset({"name", "description"}),
    }
    pair = _pair(
        connection,
        EntityType.PRODUCTS,
        left,
        right,
        natural_key=_product_key,
        alike=products.alike,
        woocommerce={**shared, "in_flight": connection.products_at_once},
        odoo=shared,
        blocked_in_shop=products.blocked_in_shop,
        blocked_in_odoo=products.blocked_in_odoo,
    )
    return EntityPair(pair, {Side.LEFT: by_records(left), Side.RIGHT: by_records(right)})


async def _inventory(opened: OpenShop, engine: Engine) -> EntityPair:
    connection = opened.connection
    location = await location_of(opened.odoo, connection.stock.location_id)
    settings = inventory.StockSettings(location, connection.stock.quantity)
    linked = await in_thread(linked_of, engine, connection)
    left = WooInventory(opened.woocommerce, connection.name, batch=connection.batch)
    never = {"not_creatable": inventory.not_creatable, "retires": False}
    pair = _pair(
        connection,
        EntityType.INVENTORY,
        left,
        OdooInventory(opened.odoo, settings, linked),
        natural_key=_no_other_key,
        woocommerce={**never, "in_flight": connection.products_at_once},
        odoo=never,
        blocked_in_odoo=inventory.blocked_in_odoo,
    )
    return EntityPair(pair, {Side.LEFT: by_keys(left.touched)})


async def _orders(opened: OpenShop, engine: Engine) -> EntityPair:
    connection, settings = opened.connection, order_settings(opened.connection)
    linked = await in_thread(linked_of, engine, connection)
    left, right = WooOrders(opened.woocommerce, settings, linked), OdooOrders(opened.odoo, settings, linked)
    pair = _pair(
        connection,
        EntityType.ORDERS,
        left,
        right,
        natural_key=_order_key,
        alike=orders.alike,
        woocommerce={"not_creatable": orders.not_creatable_in_shop, "retires": False},
        odoo={"not_creatable": orders.not_creatable_in_odoo, "retired": orders.retired_in_odoo},
        blocked_in_shop=orders.blocked_in_shop,
        blocked_in_odoo=partial(orders.blocked_in_odoo, settings=settings),
    )

    async def touched_or_waiting(since: datetime) -> list[str]:
        return await left.touched(since) + await in_thread(waiting_orders, engine, connection)

    return EntityPair(pair, {Side.LEFT: by_keys(touched_or_waiting), Side.RIGHT: by_keys(right.touched)})


async def _payments(opened: OpenShop, engine: Engine) -> EntityPair:
    connection, settings = opened.connection, order_settings(opened.connection)
    linked = await in_thread(linked_of, engine, connection)
    never = {"not_creatable": payments.not_creatable, "retires": False}
    left = WooPayments(opened.woocommerce, settings)
    pair = _pair(
        connection,
        EntityType.PAYMENTS,
        left,
        OdooPayments(opened.odoo, settings),
        natural_key=_no_other_key,
        woocommerce=never,
        odoo=never,
        blocked_in_shop=payments.blocked,
        blocked_in_odoo=payments.blocked,
    )
    # A payment moves its order in the shop, and in Odoo the order's invoice alone.
    erp = OdooOrders(opened.odoo, settings, linked)
    return EntityPair(pair, {Side.LEFT: by_keys(left.touched), Side.RIGHT: by_keys(erp.touched)})


_BUILDERS = {
    EntityType.CUSTOMERS: _customers,
    EntityType.PRODUCTS: _products,
    EntityType.INVENTORY: _inventory,
    EntityType.ORDERS: _orders,
    EntityType.PAYMENTS: _payments,
}


def order_settings(connection: ShopConnection) -> OrderSettings:
    """Return how the orders of a shop stand in Odoo."""
    told = connection.orders
    return OrderSettings(
        store=connection.store,
        shipping=told.shipping,
        fee=told.fee,
        stand_in=told.stand_in,
        unlinked=told.unlinked,
        taxes=told.taxes,
        currency=connection.currency,
        pricelists=told.pricelists,
        digits=connection.price_digits,
        credit_notes=told.credit_notes,
    )


def _pair(
    connection: ShopConnection,
    entity: EntityType,
    left: Any,
    right: Any,
    *,
    natural_key: Callable[[Content], str],
    woocommerce: Mapping[str, Any],
    odoo: Mapping[str, Any],
    alike: Alike = same_field,
    blocked_in_shop: Blocked | None = None,
    blocked_in_odoo: Blocked | None = None,
) -> TwoWayPair:
    table = connection.fields(entity)
    shared = {
        "guard": connection.guard.limits,
        "retry": connection.retry,
        "in_flight": connection.in_flight,
        "audit_scope": connection.name,
    }
    own = {Side.LEFT: (woocommerce, blocked_in_shop), Side.RIGHT: (odoo, blocked_in_odoo)}
    creating = connection.created_in(entity)
    return TwoWayPair(
        name=NAME,
        scope=connection.scope(entity),
        entity=entity.value,
        org=connection.organization,
        left=left,
        right=right,
        peers=PEERS,
        rules=table.rules(),
        natural_key=natural_key,
        alike=alike,
        creates=frozenset(side for side, system in SYSTEMS.items() if system in creating),
        follows=connection.follows(entity),
        policies={
            side: {
                **shared,
                "metric_prefix": f"{NAME}_{SYSTEMS[side]}",
                "alike": _alike_in(table, SYSTEMS[side], alike),
                "blocked": _held_back(table, SYSTEMS[side], blocked),
                **policies,
            }
            for side, (policies, blocked) in own.items()
        },
    )


def _alike_in(table: FieldTable, system: Owner, alike: Alike) -> Alike:
    """Return how values are compared in a system that says nothing about some fields that are never written there."""
    unwritable = frozenset(table.names) - table.writable_at(system)

    def alike_in(name: str, wanted: object, shown: object) -> bool:
        return (shown is None and name in unwritable) or alike(name, wanted, shown)

    return alike_in


def _held_back(table: FieldTable, system: Owner, blocked: Blocked | None) -> Blocked:
    """Return which fields wait for a person: those that cannot be written in a system, and what the entity says."""
    by_table = table.held_back_at(system)

    def held_back(before: Content, after: Content, fields: Sequence[str]) -> Mapping[str, str]:
        return by_table(before, after, fields) | dict(blocked(before, after, fields) if blocked else {})

    return held_back


def _product_key(content: Content) -> str:
    # While its SKU or kind is contested, a product is called what it was called.
    return products.natural_key(content) if content.get("kind") and content.get("sku", content.get("family")) else ""


def _order_key(content: Content) -> str:
    return str(content.get("reference") or "")


def _no_other_key(content: Content) -> str:
    # Stock and payments do not hold their own key: it stays what it was.
    return ""


def _is_inactive(content: Content) -> bool:
    return not content["active"]


def _is_deactivated(before: Content | None, after: Content) -> bool:
    return bool(before and before.get("active") and after.get("active") is False)
