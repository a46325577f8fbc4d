"""How far the two systems of a shop agree, by what was read of them last. Asks neither of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from sync_pipelines.core.lifecycle import State
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.pipelines.commerce.orders.lines import CENT
from sync_pipelines.store import states, waiting
from sync_pipelines.store.scopes import Scope, ensure_scope
from sync_pipelines.store.statements import statement, text
from sync_pipelines.store.waiting import Unsettled

SHOWN = 20
"""Records that a failing check names."""


@dataclass(frozen=True, slots=True)
class OrderOff:
    """An order whose sums do not agree.

    Attributes:
        shop, odoo: its total in either system, ``None`` where it is not.
        times: orders of Odoo with its reference.
        reason: why it is kept apart, if it is.
    """

    reference: str
    shop: Decimal | None
    odoo: Decimal | None
    times: int
    reason: str


@dataclass(frozen=True, slots=True)
class Totals:
    """What the orders of one currency come to.

    Attributes:
        off: orders that do not agree; ``shown`` are the first of them.
    """

    currency: str
    orders: int
    shop: Decimal
    odoo: Decimal
    off: int
    shown: Sequence[OrderOff]


@dataclass(frozen=True, slots=True)
class StockOff:
    """A SKU with different stock in the two systems."""

    sku: str
    shop: Decimal
    odoo: Decimal


@dataclass(frozen=True, slots=True)
class StockCompared:
    """The stock of a shop.

    Attributes:
        compared: SKUs of which both systems tell a stock.
        off: how many of them do not agree; ``shown`` are the first of them.
    """

    compared: int
    off: int
    shown: Sequence[StockOff]


@dataclass(frozen=True, slots=True)
class Drifted:
    """A record that shows something else than when the systems last agreed about it."""

    peer: str
    entity: str
    natural_key: str
    fields: Sequence[str]


def totals(store: Connection, connection: ShopConnection) -> list[Totals]:
    """Return what the orders come to in both systems, by currency. A cent a line is tolerated."""
    values = {**_sides(store, connection, EntityType.ORDERS), "cent": CENT, "most": SHOWN}
    return [
        Totals(row.currency, row.orders, row.shop, row.erp, row.off, [_order(*one) for one in row.shown or ()])
        for row in store.execute(text(statement("commerce_totals")), values)
    ]


def stock(store: Connection, connection: ShopConnection) -> StockCompared:
    """Return how far the stock agrees."""
    values = {**_sides(store, connection, EntityType.INVENTORY), "most": SHOWN}
    row = store.execute(text(statement("commerce_stock")), values).one()
    shown = [StockOff(sku, Decimal(shop), Decimal(odoo)) for sku, shop, odoo in row.shown or ()]
    return StockCompared(row.compared, row.off, shown)


def drifted(store: Connection, connection: ShopConnection) -> tuple[int, list[Drifted]]:
    """Return how many records of either system drifted from what was agreed on, and the first of them."""
    number, found = 0, list[Drifted]()
    for entity in connection.entities:
        for peer in PEERS:
            values = {"scope_id": _scope(store, connection, entity, peer).id, "most": SHOWN}
            rows = store.execute(text(statement("drifted")), values).all()
            number += rows[0].total if rows else 0
            found += [Drifted(peer, entity.value, row.natural_key, row.fields) for row in rows]
    return number, found[:SHOWN]


def in_states(store: Connection, connection: ShopConnection, wanted: Sequence[State]) -> list[Unsettled]:
    """Return the first records of a shop that are in some states, in either system."""
    scopes = [_scope(store, connection, entity, peer) for entity in connection.entities for peer in PEERS]
    return waiting.in_states(store, scopes, wanted, limit=SHOWN)


def tally(store: Connection, connection: ShopConnection, entity: EntityType) -> dict[str, dict[State, int]]:
    """Return how many records of an entity are in each state, by the system they are written to."""
    return {peer: states.tally(store, _scope(store, connection, entity, peer)) for peer in PEERS}


def _order(reference: str, shop: str | None, odoo: str | None, times: int | None, reason: str | None) -> OrderOff:
    return OrderOff(
        reference,
        None if shop is None else Decimal(shop),
        None if odoo is None else Decimal(odoo),
        times or 0,
        reason or "",
    )


def _sides(store: Connection, connection: ShopConnection, entity: EntityType) -> dict[str, int]:
    left, right = (_scope(store, connection, entity, peer).id for peer in PEERS)
    return {"left_scope": left, "right_scope": right}


def _scope(store: Connection, connection: ShopConnection, entity: EntityType, peer: str) -> Scope:
    return ensure_scope(store, f"{NAME}_{peer}", connection.scope(entity))
