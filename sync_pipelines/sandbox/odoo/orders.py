"""``sale.order``."""

from __future__ import annotations

from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo import deliveries
from sync_pipelines.sandbox.odoo.calling import on_records
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import user_error
from sync_pipelines.sandbox.odoo.fields import Fields, boolean, char, choice, html, many2one, moment, monetary, one2many
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row

_STATES = (("draft", "Quotation"), ("sent", "Quotation Sent"), ("sale", "Sales Order"), ("cancel", "Cancelled"))
_INVOICED = (
    ("upselling", "Upselling Opportunity"),
    ("invoiced", "Fully Invoiced"),
    ("to invoice", "To Invoice"),
    ("no", "Nothing to Invoice"),
)
_DELIVERED = (
    ("pending", "Not Delivered"),
    ("started", "Started"),
    ("partial", "Partially Delivered"),
    ("full", "Fully Delivered"),
)


def _invoice_status(env: Env, row: Row) -> str:
    lines = env["sale.order.line"].rows_where("order_id", row["id"])
    if row["state"] != "sale" or not any((line["product_uom_qty"] or 0) > 0 for line in lines):
        return "no"
    open_lines = [line for line in lines if (line["qty_invoiced"] or 0) < (line["product_uom_qty"] or 0)]
    return "to invoice" if open_lines else "invoiced"


class SaleOrder(StandardModel):
    """``sale.order``."""

    name = "sale.order"
    label = "Sales Order"
    order = "date_order desc, id desc"
    own_fields: ClassVar[Fields] = {
        "name": char("Order Reference", indexed=True),
        "state": choice("Status", *_STATES, readonly=True, default="draft"),
        "locked": boolean("Locked"),
        "partner_id": many2one("res.partner", "Customer", required=True, indexed=True),
        "partner_invoice_id": many2one("res.partner", "Invoice Address", indexed=True),
        "partner_shipping_id": many2one("res.partner", "Delivery Address", indexed=True),
        "client_order_ref": char("Customer Reference", indexed=True),
        "origin": char("Source Document"),
        "date_order": moment("Order Date", required=True, default=lambda env: env.now[:19]),
        "order_line": one2many("sale.order.line", "order_id", "Order Lines"),
        "amount_untaxed": monetary("Untaxed Amount", readonly=True),
        "amount_tax": monetary("Taxes", readonly=True),
        "amount_total": monetary("Total", readonly=True),
        "currency_id": many2one("res.currency", "Currency", readonly=True),
        "pricelist_id": many2one("product.pricelist", "Pricelist", default=1),
        "warehouse_id": many2one("stock.warehouse", "Warehouse", default=1),
        "company_id": many2one("res.company", "Company", default=1),
        "user_id": many2one("res.users", "Salesperson"),
        "invoice_status": choice("Invoice Status", *_INVOICED, readonly=True, compute=_invoice_status),
        "delivery_status": choice("Delivery Status", *_DELIVERED, readonly=True, compute=deliveries.status),
        "picking_ids": one2many("stock.picking", "sale_id", "Transfers"),
        "note": html("Terms and conditions"),
    }

    def defaults(self, env: Env, values: dict[str, Any]) -> None:
        values.setdefault("partner_invoice_id", values.get("partner_id"))
        values.setdefault("partner_shipping_id", values.get("partner_id"))
        pricelist = env["product.pricelist"].table.rows.get(values.get("pricelist_id") or 0)
        values["currency_id"] = (
            pricelist["currency_id"] if pricelist else env["res.company"].table.rows[1]["currency_id"]
        )
        if not values.get("name") or values["name"] == "New":
            values["name"] = env.world.next_name("S")

    def removing(self, env: Env, row: Row) -> None:
        if row["state"] not in ("draft", "cancel"):
            raise user_error(
                "You can not delete a sent quotation or a confirmed sales order. You must first cancel it."
            )
        lines = env["sale.order.line"]
        for line in lines.rows_where("order_id", row["id"]):
            env.journal.put(lines.table, line["id"], None)

    def total(self, env: Env, row_id: int) -> None:
        """Add up the lines; an order whose totals change is bumped."""
        row = self.table.rows.get(row_id)
        if row is None:
            return
        lines = env["sale.order.line"].rows_where("order_id", row_id)
        untaxed = round(sum(line["price_subtotal"] or 0.0 for line in lines), 2)
        tax = round(sum(line["price_tax"] or 0.0 for line in lines), 2)
        sums = {"amount_untaxed": untaxed, "amount_tax": tax, "amount_total": round(untaxed + tax, 2)}
        if any(row[name] != value for name, value in sums.items()):
            env.put(self, row, **sums)

    @on_records
    def action_confirm(self, env: Env, ids: Any) -> bool:
        found = self.existing(env, ids)
        for row_id in found:
            if self.table.rows[row_id]["state"] not in ("draft", "sent"):
                raise user_error("Some orders are not in a state requiring confirmation.")
            lines = env["sale.order.line"].rows_where("order_id", row_id)
            if any(not line["display_type"] and not line["product_id"] for line in lines):
                raise user_error(
                    "Some order lines are missing a product, you need to correct them before going further."
                )
        for row_id in found:
            # The date of the order becomes that of its confirmation, whatever was written to it.
            row = env.put(self, self.table.rows[row_id], state="sale", date_order=env.now)
            deliveries.launch(env, row)
        return True

    @on_records
    def action_cancel(self, env: Env, ids: Any) -> bool:
        found = self.existing(env, ids)
        if any(self.table.rows[row_id]["locked"] for row_id in found):
            raise user_error("You cannot cancel a locked order. Please unlock it first.")
        for row_id in found:
            deliveries.call_off(env, row_id)
            env.put(self, self.table.rows[row_id], state="cancel")
        return True

    @on_records
    def action_draft(self, env: Env, ids: Any) -> bool:
        for row_id in self.existing(env, ids):
            if self.table.rows[row_id]["state"] in ("cancel", "sent"):
                env.put(self, self.table.rows[row_id], state="draft")
        return True

    @on_records
    def action_quotation_sent(self, env: Env, ids: Any) -> None:
        found = self.existing(env, ids)
        if any(self.table.rows[row_id]["state"] != "draft" for row_id in found):
            raise user_error("Only draft orders can be marked as sent directly.")
        self.write(env, found, {"state": "sent"})

    @on_records
    def action_lock(self, env: Env, ids: Any) -> None:
        self.write(env, ids, {"locked": True})

    @on_records
    def action_unlock(self, env: Env, ids: Any) -> None:
        self.write(env, ids, {"locked": False})


def order_state(env: Env, row: Row) -> Any:
    """Return the state of a line's order."""
    return env["sale.order"].table.rows[row["order_id"]]["state"]


def totalled(env: Env, order: int) -> None:
    """Add up the lines of an order."""
    orders = env["sale.order"]
    assert isinstance(orders, SaleOrder)
    orders.total(env, order)
