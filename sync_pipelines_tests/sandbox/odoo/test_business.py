"""Prices, variants, stock, orders and credit notes, where they surprise."""

from __future__ import annotations

import math
from collections.abc import Callable

import httpx
import pytest

from sync_pipelines.sandbox.odoo import LOW_KEY, OdooError, OdooStandIn
from sync_pipelines_tests.sandbox.odoo.conftest import Ask


def shirt(odoo: OdooStandIn) -> tuple[int, list[int]]:
    """Make a product in two sizes."""
    world = odoo.world
    size = world.create("product.attribute", name="Size")
    values = [world.create("product.attribute.value", name=name, attribute_id=size) for name in "SM"]
    line = [0, 0, {"attribute_id": size, "value_ids": [[6, 0, values]]}]
    template = world.create("product.template", name="Shirt", list_price=20, attribute_line_ids=[line])
    return template, world.find("product.product", ["product_tmpl_id", "=", template])


def mug(odoo: OdooStandIn, stock: float = 0) -> int:
    template = odoo.world.create("product.template", name="Mug", list_price=10.5, is_storable=True, taxes_id=[])
    product = odoo.world.find("product.product", ["product_tmpl_id", "=", template])[0]
    odoo.world.set_stock(product, stock)
    return product


def order(odoo: OdooStandIn, product: int, quantity: float = 1, price: float = 9.9) -> tuple[int, int]:
    line = [0, 0, {"product_id": product, "product_uom_qty": quantity, "price_unit": price}]
    made = odoo.world.create("sale.order", partner_id=1, order_line=[line])
    return made, odoo.world.find("sale.order.line", ["order_id", "=", made])[0]


def test_given_several_variants_when_a_code_is_written_to_the_template_then_no_variant_gets_it(
    odoo: OdooStandIn, ask: Ask
) -> None:
    template, variants = shirt(odoo)
    assert ask("product.template", "write", ids=[template], vals={"default_code": "SHIRT"}) is True
    codes = [odoo.world.read("product.product", one, "default_code")["default_code"] for one in variants]
    assert codes == [False, False]
    assert ask("product.template", "search", domain=[["default_code", "=", "SHIRT"]]) == [template]
    odoo.world.write("product.product", variants[0], default_code="SHIRT-S")
    assert odoo.world.read("product.template", template, "default_code")["default_code"] is False


def test_given_an_extra_price_of_a_value_when_read_then_the_variant_costs_it_more(odoo: OdooStandIn) -> None:
    _, variants = shirt(odoo)
    value = odoo.world.find("product.template.attribute.value", ["name", "=", "M"])[0]
    odoo.world.write("product.template.attribute.value", value, price_extra=2.5)
    prices = [odoo.world.read("product.product", one, "lst_price")["lst_price"] for one in variants]
    assert prices == [20.0, 22.5]


def test_given_a_line_when_only_its_quantity_is_written_then_the_list_price_comes_back_until_a_price_is_written(
    odoo: OdooStandIn, ask: Ask
) -> None:
    made, line = order(odoo, mug(odoo))
    ask("sale.order.line", "write", ids=[line], vals={"product_uom_qty": 3})
    assert odoo.world.read("sale.order", made, "amount_total")["amount_total"] == 31.5
    ask("sale.order.line", "write", ids=[line], vals={"product_uom_qty": 3, "price_unit": 9.9})
    ask("sale.order.line", "write", ids=[line], vals={"product_uom_qty": 4})
    assert odoo.world.read("sale.order", made, "amount_total")["amount_total"] == 39.6


def test_given_a_list_with_one_bad_order_when_confirmed_then_none_is(odoo: OdooStandIn, ask: Ask) -> None:
    good, _ = order(odoo, mug(odoo))
    bad = odoo.world.create("sale.order", partner_id=1, order_line=[[0, 0, {"name": "Text", "price_unit": 1}]])
    assert ask("sale.order", "action_confirm", ids=[good, bad]) == (422, "odoo.exceptions.UserError")
    assert odoo.world.read("sale.order", good, "state")["state"] == "draft"


def test_given_a_confirmed_order_when_cancelled_then_the_stock_is_free_again(odoo: OdooStandIn) -> None:
    product = mug(odoo, 5)
    made, _ = order(odoo, product, 2)
    odoo.world.call("sale.order", "action_confirm", made)
    assert odoo.world.read("product.product", product, "qty_available", "free_qty") == {
        "id": product,
        "qty_available": 5.0,
        "free_qty": 3.0,
    }
    odoo.world.call("sale.order", "action_cancel", made)
    assert odoo.world.read("product.product", product, "free_qty")["free_qty"] == 5.0


def test_given_too_little_stock_when_delivered_then_the_rest_waits_in_a_delivery_of_its_own(odoo: OdooStandIn) -> None:
    product = mug(odoo, 3)
    made, line = order(odoo, product, 5)
    odoo.world.call("sale.order", "action_confirm", made)
    odoo.world.call("stock.picking", "button_validate", odoo.world.find("stock.picking", ["sale_id", "=", made])[0])
    assert odoo.world.read("sale.order.line", line, "qty_delivered")["qty_delivered"] == 3.0
    assert odoo.world.read("sale.order", made, "delivery_status")["delivery_status"] == "partial"
    odoo.world.set_stock(product, 2)
    assert odoo.world.read("product.product", product, "qty_available")["qty_available"] == 2.0


def test_given_a_price_that_is_no_number_when_read_then_the_answer_is_no_json(
    odoo: OdooStandIn, post: Callable[..., httpx.Response]
) -> None:
    template = odoo.world.create("product.template", name="Odd")
    post("product.template", "write", ids=[template], vals={"list_price": "NaN"})
    answer = post("product.template", "read", ids=[template], fields=["list_price"])
    assert '"list_price": NaN' in answer.text
    assert math.isnan(odoo.world.read("product.template", template, "list_price")["list_price"])


def test_given_a_refund_when_posted_then_it_has_a_number_and_a_total(odoo: OdooStandIn, ask: Ask) -> None:
    lines = [[0, 0, {"name": "Refund", "quantity": 1, "price_unit": 5, "tax_ids": []}]]
    values = {"move_type": "out_refund", "partner_id": 1, "invoice_origin": "S00001", "invoice_line_ids": lines}
    note = ask("account.move", "create", vals_list=[values])
    ask("account.move", "action_post", ids=note)
    told = ask("account.move", "read", ids=note, fields=["name", "state", "amount_total"])
    assert told == [{"id": note[0], "name": "RINV/2026/00001", "state": "posted", "amount_total": 5.0}]
    assert ask("account.move", "create", key=LOW_KEY, vals_list=[values]) == (403, "odoo.exceptions.AccessError")


def test_given_an_unused_variant_when_removed_then_its_template_goes_along(odoo: OdooStandIn) -> None:
    product = odoo.world.create("product.product", name="Single", default_code="ONE")
    template = odoo.world.read("product.product", product, "product_tmpl_id")["product_tmpl_id"][0]
    odoo.world.unlink("product.product", product)
    assert odoo.world.find("product.template", ["id", "=", template]) == []


def test_given_a_sold_product_when_removed_then_it_is_refused(odoo: OdooStandIn) -> None:
    product = mug(odoo)
    order(odoo, product)
    with pytest.raises(OdooError, match=r"sale\.order\.line"):
        odoo.world.unlink("product.product", product)
