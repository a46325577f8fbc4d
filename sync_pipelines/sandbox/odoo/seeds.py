"""Ready databases: a fresh one, the demo shop with its documented discrepancies, and as many records as wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.odoo import dates, deliveries
from sync_pipelines.sandbox.odoo.partners import complete_name, normalized_email
from sync_pipelines.sandbox.odoo.wording import COUNTRIES
from sync_pipelines.sandbox.odoo.world import OdooWorld

SYNC_LOGIN = "sync@example.test"
SYNC_PASSWORD = "sync-password"
SYNC_KEY = "5e1f0a6c" * 5
"""Opens every ready database for its user Sync Bot, who may do what a shop's pipeline has to, credit notes included."""
ADMIN_KEY = "ad317b29" * 5
LOW_KEY = "10c0ffee" * 5
"""Opens it for a user who may only read contacts and products."""

_DATA = resources.files("sync_pipelines.sandbox") / "data" / "commerce"
_SYNC_GROUPS = ("sales", "stock", "products")
_LANGUAGES = ((1, "en_US", "English (US)"), (33, "de_DE", "German / Deutsch"), (41, "fr_FR", "French / Français"))
_SINCE = "2025-01-01 00:00:00.000000"


def fresh_world(clock: Clock | None = None, *, invoicing: bool = True) -> OdooWorld:
    """Return a database as an installation leaves it, with the users of the recordings.

    Arguments:
        clock: its time.
        invoicing: whether Sync Bot may make credit notes.
    """
    world = OdooWorld(clock)
    for number, code, name in _LANGUAGES:
        put(world, "res.lang", number, code=code, name=name, iso_code=code[:2], active=number == 1)
    put(world, "res.currency", 1, name="USD", symbol="$", rounding=0.01, decimal_places=2, active=True)
    put(world, "res.currency", 126, name="EUR", symbol="€", rounding=0.01, decimal_places=2, active=True)
    _countries(world)
    _company(world)
    _users(world, invoicing)
    return world


def demo_world(clock: Clock | None = None) -> OdooWorld:
    """Return the demo shop: 179 partners, 249 variants, 114 orders."""
    world = fresh_world(clock)
    _seed_partners(world)
    _seed_products(world)
    _seed_orders(world)
    return world


def many(
    products: int, partners: int, *, clock: Clock | None = None, changed_at: str = "2026-01-01 00:00:00"
) -> OdooWorld:
    """Return a database with made-up records: ``P-000000`` onwards, with stock, and customers with addresses.

    Arguments:
        changed_at: ``write_date`` of all of them.
    """
    world = fresh_world(clock)
    moment = f"{changed_at}.000000"
    for number in range(products):
        one = number + 1
        shared = {"name": f"Product {number}", "default_code": f"P-{number:06d}", "list_price": 5 + number % 500 / 10}
        fixed = {
            "type": "consu",
            "is_storable": True,
            "sale_ok": True,
            "purchase_ok": True,
            "uom_id": 1,
            "taxes_id": (1,),
        }
        put(world, "product.template", one, moment, active=True, **shared, **fixed)
        put(
            world, "product.product", one, moment, active=True, product_tmpl_id=one, default_code=shared["default_code"]
        )
        put(world, "stock.quant", one, moment, product_id=one, location_id=5, quantity=float(number % 40))
    country = world.find("res.country", ["code", "=", "DE"])[0]
    for number in range(partners):
        address = {
            "street": f"Street {number}",
            "zip": f"{number % 100000:05d}",
            "city": "Berlin",
            "country_id": country,
        }
        email = f"customer{number}@mail.example.test"
        put(world, "res.partner", 8 + number, moment, **_partner(f"Customer {number}", email=email, **address))
    return world


def put(world: OdooWorld, model: str, row_id: int, at: str = _SINCE, /, **values: Any) -> None:
    """Put a row there as it is, past every rule. ``values`` are columns as they are kept."""
    target = world.models[model]
    stamps = {"create_date": at, "write_date": at, "create_uid": 1, "write_uid": 1}
    target.table.put(row_id, {"id": row_id, **target.empty_row(), **stamps, **values})
    target.table.reserve(row_id)


def _partner(name: str, **values: Any) -> dict[str, Any]:
    email = values.get("email")
    usual = {"complete_name": name, "active": True, "type": "contact", "lang": "en_US"}
    return {"name": name, **usual, "email_normalized": normalized_email(email), **values}


def _countries(world: OdooWorld) -> None:
    rows = (_DATA / "odoo_countries.tsv").read_text("utf-8").splitlines()
    for number, line in enumerate(rows, 1):
        country, code, name, phone = line.split("\t")
        german = {"name@de_DE": COUNTRIES[code]} if code in COUNTRIES else {}
        put(world, "res.country", int(country), name=name, code=code, phone_code=int(phone), **german)
        xmlid = f"base.{'uk' if code == 'GB' else code.lower()}"
        named = {"module": "base", "name": xmlid[5:], "complete_name": xmlid}
        put(world, "ir.model.data", number, **named, model="res.country", res_id=int(country))
    codes = {row["code"]: row["id"] for row in world.models["res.country"].table.rows.values()}
    for line in (_DATA / "odoo_states.tsv").read_text("utf-8").splitlines():
        state, country, code, name = line.split("\t")
        put(world, "res.country.state", int(state), code=code, name=name, country_id=codes[country])


def _company(world: OdooWorld) -> None:
    put(world, "res.partner", 1, **_partner("My Company", is_company=True))
    put(world, "res.company", 1, name="My Company", partner_id=1, currency_id=126, country_id=233)
    put(world, "product.pricelist", 1, name="Default", currency_id=126, active=True)
    put(world, "account.tax", 1, name="15%", amount=15.0, type_tax_use="sale", active=True, sequence=1)
    put(world, "account.tax", 2, name="15%", amount=15.0, type_tax_use="purchase", active=True, sequence=1)
    put(world, "account.tax", 3, name="0% Exports", amount=0.0, type_tax_use="sale", active=True, sequence=1)
    for number, name in enumerate(("Goods", "Expenses", "Services"), 1):
        put(world, "product.category", number, name=name, complete_name=name)
    for sequence, (number, name) in enumerate(((6, "Minutes"), (1, "Units"), (4, "Hours"), (7, "mm"), (11, "m²"))):
        put(world, "uom.uom", number, name=name, sequence=sequence)
    for number, name, usage in ((2, "Customers", "customer"), (11, "Inventory adjustment", "inventory")):
        put(world, "stock.location", number, name=name, complete_name=name, usage=usage, active=True)
    put(world, "stock.location", 5, name="Stock", complete_name="WH/Stock", usage="internal", active=True)
    put(world, "stock.warehouse", 1, name="My Company", code="WH", lot_stock_id=5, active=True)
    put(world, "decimal.precision", 1, name="Product Price", digits=2)


def _users(world: OdooWorld, invoicing: bool) -> None:
    robots = ((2, "OdooBot", "odoobot@example.com", False), (4, "Public user", None, False))
    for number, name, email, active in (*robots, (5, "Portal User Template", None, False)):
        put(world, "res.partner", number, **_partner(name, email=email, active=active))
    put(world, "res.users", 1, login="__system__", name="OdooBot", partner_id=2)
    people = (
        (2, "admin", "Administrator", 3, None, ("admin",), ADMIN_KEY),
        (5, SYNC_LOGIN, "Sync Bot", 6, SYNC_LOGIN, _SYNC_GROUPS + ("invoicing",) * invoicing, SYNC_KEY),
        (6, "low@example.test", "Low", 7, "low@example.test", (), LOW_KEY),
    )
    for number, login, name, partner, email, groups, key in people:
        put(world, "res.partner", partner, **_partner(name, email=email))
        put(world, "res.users", number, login=login, name=name, partner_id=partner, active=True)
        password = SYNC_PASSWORD if number == 5 else f"{login}-password"
        user = world.known_user(number, login, name, partner, password, *groups)
        world.add_key(user, key)


def _rows(file: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a data file by column name, with times as they are kept."""
    data = json.loads((_DATA / file).read_text("utf-8"))
    for row in data["rows"]:
        named = dict(zip(data["columns"], row, strict=True))
        yield {name: dates.written(value) if "date" in name else value for name, value in named.items()}


def _seed_partners(world: OdooWorld) -> None:
    for row in _rows("odoo_partners.json"):
        full = complete_name(world.models["res.partner"].table.rows, {"is_company": False, **row})
        put(world, "res.partner", row["id"], **_partner(**row) | {"complete_name": full})


def _seed_products(world: OdooWorld) -> None:
    categories = ("Table", "Paper goods", "Lighting", "Storage", "Kitchen", "Textiles", "Garden")
    for number, name in enumerate(categories, 4):
        put(world, "product.category", number, name=name, complete_name=name)
    for number, name in enumerate(("Colour", "Size"), 1):
        put(world, "product.attribute", number, name=name, create_variant="always", active=True, sequence=number)
    category = {row["name"]: row["id"] for row in world.models["product.category"].table.rows.values()}
    for row in _rows("odoo_products.json"):
        own = {name: row[name] for name in ("default_code", "barcode", "weight")}
        times = {name: row[name] for name in ("create_date", "write_date")}
        values = _seed_values(world, row)
        template = {
            name: row[name] for name in ("name", "list_price", "type", "is_storable", "sale_ok", "description_sale")
        }
        code = {} if values else {"default_code": row["default_code"], "weight": row["weight"]}
        fixed = {"active": row["active"], "uom_id": 1, "taxes_id": (1,), "purchase_ok": True}
        more = {"categ_id": category.get(row["categ"])}
        put(world, "product.template", row["product_tmpl_id"], **template, **code, **fixed, **more, **times)
        links = {"product_template_attribute_value_ids": values, "product_tmpl_id": row["product_tmpl_id"]}
        put(world, "product.product", row["id"], active=row["active"], **own, **links, **times)
        if row["is_storable"]:
            here = {"product_id": row["id"], "location_id": 5, "quantity": row["qty_available"]}
            put(world, "stock.quant", row["id"], **here, **times)


def _seed_values(world: OdooWorld, row: Mapping[str, Any]) -> tuple[int, ...]:
    """Put the attribute lines and values of a variant there and return its values."""
    lines, given = world.models["product.template.attribute.line"], world.models["product.template.attribute.value"]
    values = world.models["product.attribute.value"]
    for attribute, option, number, extra in row["values"]:
        kind = 1 if attribute == "Colour" else 2
        template = row["product_tmpl_id"]
        known = [value for value in values.rows_where("name", option) if value["attribute_id"] == kind]
        value = known[0]["id"] if known else values.table.next_id()
        put(world, "product.attribute.value", value, name=option, attribute_id=kind, active=True, sequence=10)
        here = [line for line in lines.rows_where("product_tmpl_id", template) if line["attribute_id"] == kind]
        line = here[0]["id"] if here else lines.table.next_id()
        options = dict.fromkeys((*(here[0]["value_ids"] if here else ()), value))
        own = {"product_tmpl_id": template, "attribute_id": kind, "value_ids": tuple(options), "active": True}
        put(world, lines.name, line, **own, sequence=kind)
        link = {"attribute_line_id": line, "product_attribute_value_id": value, "product_tmpl_id": template}
        put(world, given.name, number, **link, price_extra=extra)
    return tuple(number for _, _, number, _ in row["values"])


def _seed_orders(world: OdooWorld) -> None:
    for row in _rows("odoo_sale_order_lines.json"):
        put(world, "sale.order.line", row["id"], **{"sequence": 10, **row})
    fixed = {"pricelist_id": 1, "warehouse_id": 1, "company_id": 1, "currency_id": 126}
    for row in _rows("odoo_sale_orders.json"):
        del row["delivery_status"]
        lines = world.models["sale.order.line"].rows_where("order_id", row["id"])
        untaxed = round(sum(line["price_subtotal"] for line in lines), 2)
        total = round(sum(line["price_total"] for line in lines), 2)
        sums = {"amount_untaxed": untaxed, "amount_tax": round(total - untaxed, 2), "amount_total": total}
        put(world, "sale.order", row["id"], partner_invoice_id=row["partner_id"], **row, **sums, **fixed)
        world.next_name("S")
        if row["state"] == "sale":
            with world.transaction() as env:
                deliveries.launch(env, world.models["sale.order"].table.rows[row["id"]])
