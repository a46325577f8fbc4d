"""The demo shop, and databases of any size."""

from __future__ import annotations

import time

from sync_pipelines.sandbox.odoo import OdooWorld, demo_world, many

PRODUCT_FIELDS = ["name", "default_code", "barcode", "list_price", "qty_available", "write_date"]


def pages(world: OdooWorld, model: str, fields: list[str], size: int) -> int:
    """List everything by id; returns the number of rows."""
    last = found = 0
    while True:
        with world.transaction() as env:
            rows = env[model].search_read(env, [["id", ">", last]], fields, limit=size, order="id")
        if not rows:
            return found
        found, last = found + len(rows), rows[-1]["id"]


def test_given_the_demo_shop_when_looked_at_then_its_documented_discrepancies_are_there() -> None:
    world = demo_world()
    codes = [row["default_code"] for row in world.rows("product.product")]
    emails = [row["email_normalized"] for row in world.rows("res.partner")]
    references = [row["client_order_ref"] for row in world.rows("sale.order")]
    assert (len(codes), len(emails) - 7, len(references)) == (249, 179, 114)
    assert sum(codes.count(code) > 1 for code in set(codes) - {False}) == 3
    assert sum(emails.count(email) > 1 for email in set(emails) - {False}) == 4
    assert sum(references.count(reference) > 1 for reference in set(references)) == 2
    throw = world.read("product.product", 184, "display_name", "lst_price", "qty_available", "free_qty")
    assert throw == {
        "id": 184,
        "display_name": "[NV-101-01] Wool throw (Grey, 130x180)",
        "lst_price": 94.0,
        "qty_available": 7.0,
        "free_qty": 5.0,
    }


def test_given_the_demo_shop_when_somebody_works_in_it_then_nothing_collides() -> None:
    world = demo_world()
    product = world.create("product.product", name="New", default_code="NEW-1")
    order = world.create("sale.order", partner_id=8, order_line=[[0, 0, {"product_id": product}]])
    assert (product, order) == (251, 115)
    assert world.read("sale.order", order, "name")["name"] == "S00115"
    values = world.find("product.template.attribute.line", ["product_tmpl_id", "=", 182])
    world.write("product.template", 182, list_price=90)
    assert len(values) == 2
    assert world.read("product.product", 184, "lst_price")["lst_price"] == 95.0


def test_given_many_products_when_listed_by_id_then_a_page_costs_what_it_holds() -> None:
    world = many(4000, 10)

    def cost(size: int) -> float:
        began = time.process_time()
        assert pages(world, "product.product", PRODUCT_FIELDS, size) == 4000
        return time.process_time() - began

    cost(1000)
    # Forty times as many pages: would each look at all rows, it took some forty times as long.
    assert min(cost(25) for _ in range(3)) < 12 * min(cost(1000) for _ in range(3))
