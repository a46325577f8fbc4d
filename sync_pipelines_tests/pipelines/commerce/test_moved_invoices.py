"""What accounting does to an order's invoices: it moves no order, and an incremental run sees it all the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.pipelines.commerce.connection import EntityType
from sync_pipelines.pipelines.commerce.runs import Progress, Request, carry_out
from sync_pipelines_tests.pipelines.commerce.ordered import ENTITIES, OrderedShop, ordered_shop

AN_HOUR = timedelta(hours=1)


def invoice(shop: OrderedShop, move_type: str, amount: float, **values: Any) -> int:
    """Book an invoice or a credit note of the order, and post it."""
    world = shop.odoo.world
    line = [0, 0, {"name": "All", "quantity": 1.0, "price_unit": amount, "tax_ids": [[6, 0, []]]}]
    of_order = {"move_type": move_type, "partner_id": shop.partner, "invoice_line_ids": [line]}
    made = world.create("account.move", **of_order, **values)
    world.call("account.move", "action_post", made)
    return made


def synchronized(shop: OrderedShop) -> None:
    """Do one run, which looks only at what was written from an hour ahead on."""
    with shop.engine.begin() as store:
        ahead = {"position": f'{{"looked_at": "{(datetime.now(UTC) + AN_HOUR).isoformat()}"}}'}
        store.execute(text("UPDATE sync.watermark SET position = CAST(:position AS jsonb)"), ahead)
    entities = (*ENTITIES, EntityType.PAYMENTS)
    request = Request(f"run-{next(shop.runs)}", "", entities)
    asyncio.run(carry_out(shop.connection, shop.engine, request, logging.getLogger(__name__), list[Progress]()))


def known(shop: OrderedShop, field: str) -> list[Any]:
    """Return what is known that Odoo shows of the order in one field."""
    query = text(
        "SELECT DISTINCT r.content -> :field AS shown FROM sync.record r JOIN sync.scope s ON s.id = r.scope_id "
        "WHERE s.pair LIKE '%odoo' AND r.side = 'right' AND r.natural_key = :key AND r.content ? :field"
    )
    with shop.engine.begin() as store:
        return list(store.execute(query, {"field": field, "key": shop.reference}).scalars())


@pytest.fixture
def shop(engine: Engine) -> Iterator[OrderedShop]:
    """Both systems agree, and accounting acts two hours after the order."""
    with ordered_shop(engine) as one:
        synchronized(one)
        one.odoo.world.clock.advance(2 * AN_HOUR.total_seconds())
        yield one


def test_given_an_order_that_did_not_move_when_its_invoice_is_booked_and_paid_then_the_next_run_knows(
    shop: OrderedShop,
) -> None:
    (order,) = shop.odoo.world.find("sale.order", ["client_order_ref", "=", shop.reference])
    before = shop.odoo.world.read("sale.order", order, "name", "write_date")
    booked = invoice(shop, "out_invoice", 19.8, invoice_origin=before["name"])
    synchronized(shop)
    assert known(shop, "paid") == [False]

    shop.odoo.world.write("account.move", booked, payment_state="paid")
    synchronized(shop)
    assert known(shop, "paid") == [True]
    assert shop.odoo.world.read("sale.order", order, "name", "write_date") == before


def test_given_an_order_that_did_not_move_when_a_credit_note_is_booked_and_cancelled_then_the_next_run_knows(
    shop: OrderedShop,
) -> None:
    assert known(shop, "refunds") == [[]]
    note = invoice(shop, "out_refund", 5.0, ref=f"{shop.reference}-R77")
    synchronized(shop)
    (refunds,) = known(shop, "refunds")
    assert [(one["id"], one["amount"]) for one in refunds] == [(77, 5)]

    shop.odoo.world.call("account.move", "button_cancel", note)
    synchronized(shop)
    assert known(shop, "refunds") == [[]]
