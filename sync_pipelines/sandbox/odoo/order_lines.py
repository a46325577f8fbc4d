"""``sale.order.line``, with the prices that Odoo makes up unless they are written again."""

from __future__ import annotations

from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo import deliveries
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import user_error
from sync_pipelines.sandbox.odoo.fields import Fields, choice, floating, integer, many2many, many2one, monetary, text
from sync_pipelines.sandbox.odoo.orders import SaleOrder, order_state, totalled
from sync_pipelines.sandbox.odoo.records import Values
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row

_IS_WRITTEN = "price_is_written"
"""Column, seen by nobody: the price was written after the line was made, and stays as it is."""


class SaleOrderLine(StandardModel):
    """``sale.order.line``."""

    name = "sale.order.line"
    label = "Sales Order Line"
    order = "order_id, sequence, id"
    own_fields: ClassVar[Fields] = {
        "order_id": many2one("sale.order", "Order Reference", required=True, indexed=True),
        "sequence": integer("Sequence", default=10),
        "product_id": many2one("product.product", "Product", indexed=True),
        "name": text("Description", required=True),
        "display_type": choice("Display Type", ("line_section", "Section"), ("line_note", "Note")),
        "product_uom_qty": floating("Quantity", default=1.0),
        "price_unit": floating("Unit Price"),
        "discount": floating("Discount (%)"),
        "tax_ids": many2many("account.tax", "Taxes"),
        "price_subtotal": monetary("Subtotal", readonly=True),
        "price_tax": monetary("Total Tax", readonly=True),
        "price_total": monetary("Total", readonly=True),
        "qty_delivered": floating("Delivery Quantity"),
        "qty_invoiced": floating("Invoiced Quantity", readonly=True),
        "state": choice("Order Status", ("draft", "Quotation"), readonly=True, compute=order_state),
    }

    def defaults(self, env: Env, values: dict[str, Any]) -> None:
        product = env["product.product"].table.rows.get(values.get("product_id") or 0)
        if values.get("display_type"):
            values |= {"product_uom_qty": 0.0, "price_unit": 0.0}
        if product is None:
            return
        template = env["product.template"].table.rows[product["product_tmpl_id"]]
        if not values.get("name"):
            told = [env["product.product"].display(env, product), template["description_sale"]]
            values["name"] = "\n".join(part for part in told if part)
        if "price_unit" not in values:
            values["price_unit"] = _list_price(env, product)
        if "tax_ids" not in values:
            values["tax_ids"] = [[6, 0, list(template["taxes_id"])]]

    def created(self, env: Env, row: Row, values: Values) -> None:
        row = env.put(self, row, **_sums(env, row))
        totalled(env, row["order_id"])
        order = env["sale.order"].table.rows[row["order_id"]]
        if order["state"] == "sale":
            deliveries.launch(env, order, only=row)

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        changes: dict[str, Any] = {}
        product = env["product.product"].table.rows.get(row["product_id"] or 0)
        if "price_unit" in values:
            changes[_IS_WRITTEN] = True
        elif product and ({"product_uom_qty", "product_id"} & set(values)) and not row.get(_IS_WRITTEN):
            # The price a line was made with does not count as written: a new quantity brings the list price back.
            changes["price_unit"] = _list_price(env, product)
        row = env.put(self, row, **changes)
        row = env.put(self, row, **_sums(env, row))
        totalled(env, row["order_id"])
        if row["product_uom_qty"] != before["product_uom_qty"]:
            deliveries.adjust(env, row)

    def removing(self, env: Env, row: Row) -> None:
        if env["sale.order"].table.rows[row["order_id"]]["state"] == "sale" and not row["display_type"]:
            raise user_error(
                "Once a sales order is confirmed, you can't remove one of its lines (we need to track if something "
                "gets invoiced or delivered).\n                Set the quantity to 0 instead."
            )
        env.journal.put(self.table, row["id"], None)
        orders = env["sale.order"]
        assert isinstance(orders, SaleOrder)
        orders.total(env, row["order_id"])


def _list_price(env: Env, product: Row) -> float:
    return float(env["product.product"].getter(env, "lst_price")(product))


def _sums(env: Env, row: Row) -> dict[str, float]:
    whole = (row["product_uom_qty"] or 0.0) * (row["price_unit"] or 0.0)
    subtotal = round(whole * (1 - (row["discount"] or 0.0) / 100), 2)
    taxes = env["account.tax"].table.rows
    tax = round(sum(subtotal * taxes[one]["amount"] / 100 for one in row["tax_ids"] if one in taxes), 2)
    return {"price_subtotal": subtotal, "price_tax": tax, "price_total": round(subtotal + tax, 2)}
