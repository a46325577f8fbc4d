"""``res.partner`` and its tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo.calling import on_model
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import still_used, user_error, validation_error
from sync_pipelines.sandbox.odoo.fields import (
    Fields,
    boolean,
    char,
    choice,
    floating,
    html,
    integer,
    many2many,
    many2one,
    one2many,
)
from sync_pipelines.sandbox.odoo.records import Values
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row

_ADDRESS = ("street", "street2", "zip", "city", "state_id", "country_id")
_EMAIL = re.compile(r"[^\s@<>,;()\"]+@[^\s@<>,;()\"]+\.[^\s@<>,;()\"]+")
_NAMED_EMAIL = re.compile(r"\s*(?P<name>[^<]*?)\s*<(?P<email>[^>]+)>\s*")
_TYPES = (("contact", "Contact"), ("invoice", "Invoice"), ("delivery", "Delivery"), ("other", "Other"))


def normalized_email(email: str | None) -> str | None:
    """Return the address in lower case without spaces; ``None`` for what is no single address."""
    found = _EMAIL.fullmatch((email or "").strip())
    return found[0].lower() if found else None


def complete_name(rows: Mapping[int, Row], row: Mapping[str, Any]) -> str:
    """Return the name of a contact with that of its company before it.

    Arguments:
        rows: all partners by id.
    """
    parent = rows.get(row["parent_id"] or 0)
    top = _top(rows, row)
    company = top["name"] if top["is_company"] else top["company_name"]
    name = row["name"] or (dict(_TYPES)[row["type"]] + " Address" if parent else "")
    if row["is_company"] or not (parent or row["company_name"]):
        return str(name).strip()
    return f"{company or (parent or row)['name']}, {name}".strip()


def _top(rows: Mapping[int, Row], row: Mapping[str, Any]) -> Mapping[str, Any]:
    while row["parent_id"] and not row["is_company"]:
        row = rows[row["parent_id"]]
    return row


def _commercial(env: Env, row: Row) -> int:
    return int(_top(env["res.partner"].table.rows, row)["id"])


class Partner(StandardModel):
    """``res.partner``."""

    name = "res.partner"
    label = "Contact"
    order = "complete_name ASC, id DESC"
    own_fields: ClassVar[Fields] = {
        "name": char("Name", indexed=True),
        "complete_name": char("Complete Name", readonly=True),
        "active": boolean("Active", default=True),
        "ref": char("Reference", indexed=True),
        "email": char("Email", indexed=True),
        "email_normalized": char("Normalized Email", readonly=True, indexed=True),
        "phone": char("Phone"),
        "website": char("Website Link"),
        "vat": char("Tax ID"),
        "street": char("Street"),
        "street2": char("Street2"),
        "zip": char("Zip"),
        "city": char("City"),
        "state_id": many2one("res.country.state", "State"),
        "country_id": many2one("res.country", "Country"),
        "lang": char("Language", default="en_US"),
        "comment": html("Notes"),
        "company_name": char("Company Name"),
        "is_company": boolean("Is a Company"),
        "type": choice("Address Type", *_TYPES, default="contact"),
        "parent_id": many2one("res.partner", "Related Company", indexed=True),
        "child_ids": one2many("res.partner", "parent_id", "Contact"),
        "commercial_partner_id": many2one("res.partner", "Commercial Entity", readonly=True, compute=_commercial),
        "category_id": many2many("res.partner.category", "Tags"),
        "user_id": many2one("res.users", "Salesperson"),
        "company_id": many2one("res.company", "Company"),
        "customer_rank": integer("Customer Rank"),
        "supplier_rank": integer("Vendor Rank"),
        "credit_limit": floating("Credit Limit"),
    }

    def display(self, env: Env, row: Row) -> str:
        return str(row["complete_name"] or "").strip()

    def check(self, env: Env, row: Row) -> None:
        if not row["name"] and row["type"] == "contact":
            raise validation_error("The operation cannot be completed: Contacts require a name")

    def created(self, env: Env, row: Row, values: Values) -> None:
        self.check(env, row)
        parent = self.table.rows.get(row["parent_id"] or 0)
        changes = self._computed(row)
        if parent and row["type"] == "contact" and any(parent[name] for name in _ADDRESS):
            changes |= {name: parent[name] for name in _ADDRESS}
        env.put(self, row, **changes)

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        self._refuse_loop(row)
        changes = self._computed(row)
        row = env.put(self, row, **changes)
        renamed = row["complete_name"] != before["complete_name"]
        moved = {name: row[name] for name in _ADDRESS if name in values}
        if not renamed and not moved:
            return
        for child in self.rows_where("parent_id", row["id"]):
            # Other addresses keep theirs, but their time moves too.
            address = moved if child["type"] == "contact" else {}
            child = env.put(self, child, **address)
            env.put(self, child, **self._computed(child))

    def removing(self, env: Env, row: Row) -> None:
        if any(company["partner_id"] == row["id"] for company in env["res.company"].table.rows.values()):
            raise still_used("Companies", "res.company", "Partner", "partner_id")
        if any(user.partner_id == row["id"] for user in env.world.users.values()):
            raise still_used("User", "res.users", "Related Partner", "partner_id")
        orders = env["sale.order"].table
        if any(orders.having(name, row["id"]) for name in ("partner_id", "partner_shipping_id", "partner_invoice_id")):
            raise still_used("Sales Order", "sale.order", "Customer", "partner_id")
        for child in self.rows_where("parent_id", row["id"]):
            env.put(self, child, parent_id=None)

    def target_missing(self, env: Env, field_name: str, target: int, creating: bool) -> Exception:
        if creating:
            # The row reaches the database before anybody looks at the target, and the database's refusal is misread.
            return still_used(self.label, self.name, self.fields[field_name].label, field_name)
        return super().target_missing(env, field_name, target, creating)

    @on_model
    def name_create(self, env: Env, name: str) -> tuple[int, str]:
        found = _NAMED_EMAIL.fullmatch(name)
        values = {"name": found["name"], "email": found["email"]} if found else {"name": name}
        row_id = self.create(env, [values])[0]
        return row_id, self.display(env, self.table.rows[row_id])

    @on_model
    def name_search(
        self, env: Env, name: str = "", domain: Any = None, operator: str = "ilike", limit: int | None = 100
    ) -> list[tuple[int, str]]:
        terms: list[Any] = list(domain or [])
        if name:
            looked = [[place, operator, name] for place in ("complete_name", "email", "ref", "vat")]
            terms = ["|", "|", "|", *looked, *terms]
        return self.named(env, self._page(env, terms, 0, limit, None))

    def _computed(self, row: Row) -> dict[str, Any]:
        return {
            "complete_name": complete_name(self.table.rows, row),
            "email_normalized": normalized_email(row["email"]),
        }

    def _refuse_loop(self, row: Row) -> None:
        above = row
        while above["parent_id"]:
            if above["parent_id"] == row["id"]:
                raise validation_error("You cannot create recursive Partner hierarchies.")
            above = self.table.rows[above["parent_id"]]


class PartnerCategory(StandardModel):
    """``res.partner.category``."""

    name = "res.partner.category"
    label = "Partner Tags"
    order = "name, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Name", required=True, translate=True),
        "parent_id": many2one("res.partner.category", "Category", indexed=True),
        "active": boolean("Active", default=True),
        "color": integer("Color"),
    }

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        if row["parent_id"] == row["id"]:
            raise user_error("Recursion Detected.")
