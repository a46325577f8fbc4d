"""What moves ``write_date``, and what finds rows by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.sandbox.odoo import OdooStandIn, OdooWorld
from sync_pipelines_tests.sandbox.odoo.conftest import Ask


def seen(world: OdooWorld, model: str, record: int) -> str:
    return str(world.read(model, record, "write_date")["write_date"])


@pytest.fixture
def shop(odoo: OdooStandIn) -> dict[str, int]:
    """A company with a contact, a storable product, and a draft order; one second ago."""
    world = odoo.world
    company = world.create("res.partner", name="Company", is_company=True, street="Old Street 1")
    contact = world.create("res.partner", name="Contact", parent_id=company)
    template = world.create("product.template", name="Mug", list_price=10.5, is_storable=True)
    product = world.find("product.product", ["product_tmpl_id", "=", template])[0]
    line = [0, 0, {"product_id": product, "product_uom_qty": 2, "price_unit": 9.9, "tax_ids": []}]
    order = world.create("sale.order", partner_id=company, order_line=[line])
    made = world.find("sale.order.line", ["order_id", "=", order])[0]
    world.clock.advance(1)
    return {
        "company": company,
        "contact": contact,
        "template": template,
        "product": product,
        "order": order,
        "line": made,
    }


Change = Callable[[OdooWorld, dict[str, int]], Any]
MODELS = {
    "company": "res.partner",
    "contact": "res.partner",
    "template": "product.template",
    "product": "product.product",
    "order": "sale.order",
    "line": "sale.order.line",
}


@pytest.mark.parametrize(
    ("change", "bumped"),
    [
        pytest.param(lambda w, s: w.write("res.partner", s["company"]), "company", id="empty write"),
        pytest.param(lambda w, s: w.write("res.partner", s["contact"], phone="1"), "contact", id="child only"),
        pytest.param(
            lambda w, s: w.write("res.partner", s["company"], street="New 2"), "company contact", id="company address"
        ),
        pytest.param(
            lambda w, s: w.write("product.template", s["template"], list_price=11), "template product", id="template"
        ),
        pytest.param(
            lambda w, s: w.write("product.product", s["product"], name="Cup"), "template product", id="inherited field"
        ),
        pytest.param(lambda w, s: w.write("product.product", s["product"], barcode="7"), "product", id="own field"),
        pytest.param(lambda w, s: w.set_stock(s["product"], 7), "", id="stock"),
        pytest.param(lambda w, s: w.write("sale.order.line", s["line"], discount=10), "line order", id="order line"),
        pytest.param(lambda w, s: w.call("sale.order", "action_confirm", s["order"]), "order", id="confirmation"),
        pytest.param(lambda w, s: w.call("res.partner", "action_archive", s["contact"]), "contact", id="archive"),
    ],
)
def test_given_a_change_when_read_then_just_the_recorded_records_are_bumped(
    odoo: OdooStandIn, shop: dict[str, int], change: Change, bumped: str
) -> None:
    before = {name: seen(odoo.world, MODELS[name], record) for name, record in shop.items()}
    change(odoo.world, shop)
    after = {name: seen(odoo.world, MODELS[name], record) for name, record in shop.items()}
    assert {name for name in shop if after[name] != before[name]} == set(bumped.split())


def test_given_an_older_version_when_asking_for_later_rows_then_the_row_itself_comes_again(
    odoo: OdooStandIn, ask: Ask
) -> None:
    odoo.world.clock.advance(0.25)
    partner = odoo.world.create("res.partner", name="Fraction")
    moment = seen(odoo.world, "res.partner", partner)
    later = [["id", "=", partner], ["write_date", ">", moment]]
    assert ask("res.partner", "search", domain=later) == []
    odoo.world.compares_whole_seconds = False
    assert ask("res.partner", "search", domain=later) == [partner]


def test_given_a_page_by_offset_when_a_row_moves_then_one_is_lost_which_a_page_by_id_keeps(
    odoo: OdooStandIn, ask: Ask
) -> None:
    world = odoo.world
    ids = []
    for number in range(4):
        ids.append(world.create("res.partner", name=f"Row {number}"))
        world.clock.advance(1)
    rows = {"domain": [["name", "like", "Row"]], "limit": 2}
    first = ask("res.partner", "search", order="write_date,id", **rows)
    world.write("res.partner", first[0])
    second = ask("res.partner", "search", order="write_date,id", offset=2, **rows)
    assert set(first + second) != set(ids)
    by_id = [["name", "like", "Row"], ["id", ">", ids[1]]]
    assert ask("res.partner", "search", domain=by_id, order="id", limit=2) == ids[2:]
