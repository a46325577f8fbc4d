"""``account.move``: invoices and the credit notes that refunds become. Not recorded; kept to what a refund needs."""

from __future__ import annotations

from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo.calling import on_records
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import user_error
from sync_pipelines.sandbox.odoo.fields import (
    Fields,
    char,
    choice,
    day,
    floating,
    many2many,
    many2one,
    monetary,
    one2many,
    text,
)
from sync_pipelines.sandbox.odoo.records import Values
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row

_TYPES = (("entry", "Journal Entry"), ("out_invoice", "Customer Invoice"), ("out_refund", "Customer Credit Note"))
_PREFIXES = {"entry": "MISC/2026/", "out_invoice": "INV/2026/", "out_refund": "RINV/2026/"}


class AccountMove(StandardModel):
    """``account.move``."""

    name = "account.move"
    label = "Journal Entry"
    order = "id desc"
    own_fields: ClassVar[Fields] = {
        "name": char("Number"),
        "move_type": choice("Type", *_TYPES, required=True, default="entry"),
        "state": choice(
            "Status", ("draft", "Draft"), ("posted", "Posted"), ("cancel", "Cancelled"), readonly=True, default="draft"
        ),
        "payment_state": choice(
            "Payment Status", ("not_paid", "Not Paid"), ("paid", "Paid"), readonly=True, default="not_paid"
        ),
        "partner_id": many2one("res.partner", "Partner", indexed=True),
        "ref": char("Reference", indexed=True),
        "invoice_origin": char("Origin", indexed=True),
        "invoice_date": day("Invoice/Bill Date"),
        "reversed_entry_id": many2one("account.move", "Reversal of"),
        "invoice_line_ids": one2many("account.move.line", "move_id", "Invoice lines"),
        "amount_untaxed": monetary("Untaxed Amount", readonly=True),
        "amount_tax": monetary("Tax", readonly=True),
        "amount_total": monetary("Total", readonly=True),
        "currency_id": many2one("res.currency", "Currency", default=126),
        "company_id": many2one("res.company", "Company", default=1),
    }

    def display(self, env: Env, row: Row) -> str:
        return str(row["name"] or "Draft")

    def removing(self, env: Env, row: Row) -> None:
        if row["state"] == "posted":
            raise user_error("You cannot delete an entry which has been posted once.")
        lines = env["account.move.line"]
        for line in lines.rows_where("move_id", row["id"]):
            env.journal.put(lines.table, line["id"], None)

    def total(self, env: Env, row_id: int) -> None:
        """Add up the lines."""
        lines = env["account.move.line"].rows_where("move_id", row_id)
        untaxed = round(sum(line["price_subtotal"] or 0.0 for line in lines), 2)
        total = round(sum(line["price_total"] or 0.0 for line in lines), 2)
        sums = {"amount_untaxed": untaxed, "amount_tax": round(total - untaxed, 2), "amount_total": total}
        env.put(self, self.table.rows[row_id], **sums)

    @on_records
    def action_post(self, env: Env, ids: Any) -> bool:
        for row_id in self.existing(env, ids):
            row = self.table.rows[row_id]
            if row["state"] != "draft":
                raise user_error("The entry must be in draft.")
            if row["move_type"] != "entry" and not row["partner_id"]:
                raise user_error("The 'Customer' field is required to validate the invoice.")
            if not env["account.move.line"].table.having("move_id", row_id):
                raise user_error("Even magicians can't post nothing!")
            name = row["name"] or env.world.next_name(_PREFIXES[row["move_type"]])
            env.put(self, row, state="posted", name=name, invoice_date=row["invoice_date"] or env.now[:10])
        return False

    @on_records
    def button_draft(self, env: Env, ids: Any) -> None:
        self.write(env, ids, {"state": "draft"})

    @on_records
    def button_cancel(self, env: Env, ids: Any) -> None:
        self.write(env, ids, {"state": "cancel"})


class AccountMoveLine(StandardModel):
    """``account.move.line``: the lines of an invoice, without those of the ledger."""

    name = "account.move.line"
    label = "Journal Item"
    own_fields: ClassVar[Fields] = {
        "move_id": many2one("account.move", "Journal Entry", required=True, indexed=True),
        "product_id": many2one("product.product", "Product"),
        "name": text("Label"),
        "quantity": floating("Quantity", default=1.0),
        "price_unit": floating("Unit Price"),
        "discount": floating("Discount (%)"),
        "tax_ids": many2many("account.tax", "Taxes"),
        "price_subtotal": monetary("Subtotal", readonly=True),
        "price_total": monetary("Total", readonly=True),
    }

    def created(self, env: Env, row: Row, values: Values) -> None:
        self._add(env, row)

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        self._add(env, row)

    def _add(self, env: Env, row: Row) -> None:
        whole = (row["quantity"] or 0.0) * (row["price_unit"] or 0.0)
        subtotal = round(whole * (1 - (row["discount"] or 0.0) / 100), 2)
        taxes = env["account.tax"].table.rows
        tax = round(sum(subtotal * taxes[one]["amount"] / 100 for one in row["tax_ids"] if one in taxes), 2)
        env.put(self, row, price_subtotal=subtotal, price_total=round(subtotal + tax, 2))
        moves = env["account.move"]
        assert isinstance(moves, AccountMove)
        moves.total(env, row["move_id"])
