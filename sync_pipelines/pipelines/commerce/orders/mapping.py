"""Orders of either side as records that compare. No requests, no clock: the same rows give the same record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.trees import same
from sync_pipelines.pipelines.commerce.linked import Linked
from sync_pipelines.pipelines.commerce.orders.lines import (
    CENT,
    Kind,
    line_of_odoo,
    lines_alike,
    lines_of_odoo,
    lines_of_woo,
    plain,
    sells,
)
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.pipelines.commerce.orders.status import FROM_ODOO, FROM_WOO, IGNORED, TO_WOO, Status, why_not
from sync_pipelines.pipelines.commerce.values import email_key, is_email
from sync_pipelines.systems.odoo import SaleLine, SaleOrder, money
from sync_pipelines.systems.woocommerce import Address, Order

_BEGUN = ("partial", "full")


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A credit note of Odoo that carries a refund's reference."""

    id: int
    refund_id: int
    amount: Decimal
    reason: str


@dataclass(frozen=True)
class Surroundings:
    """What an order of Odoo only points at.

    Attributes:
        lines: by order.
        codes: of variants.
        emails: of partners, normalized.
        credit_notes: by natural key of the order; ``None`` where the user may not read them.
    """

    lines: Mapping[int, Sequence[SaleLine]] = field(default_factory=dict)
    codes: Mapping[int, str] = field(default_factory=dict)
    emails: Mapping[int, str] = field(default_factory=dict)
    credit_notes: Mapping[str, Sequence[CreditNote]] | None = None


def order_of_woo(order: Order, linked: Linked, settings: OrderSettings) -> Record | None:
    """Return a shop's order, ``None`` for a cart that nobody has ordered and an order in the trash."""
    if order.status in IGNORED:
        return None
    lines = lines_of_woo(order, linked, settings)
    status = FROM_WOO.get(order.status)
    refunds = [
        {"id": one.id, "amount": money(abs(one.total), settings.digits), "reason": plain(one.reason)}
        for one in order.refunds
    ]
    content: dict[str, Any] = {
        "reference": settings.key_of(order.id),
        "customer": _customer_of_woo(order),
        "currency": order.currency,
        "date": moment(order.created),
        "lines": lines,
        "total": {"amount": money(order.total, settings.digits), "lines": len(lines)},
        "status": None if status is None else str(status),
        "refunds": sorted(refunds, key=lambda refund: int(refund["id"])),
    }
    invalid = _impossible(order, content, settings)
    return Record(
        key=str(order.id),
        natural_key=settings.key_of(order.id),
        content=content,
        meta={"status": order.status},
        withheld=None if invalid else _waits_for(order, lines, linked),
        invalid=invalid,
    )


def _customer_of_woo(order: Order) -> dict[str, Any]:
    email = email_key(order.billing.email)
    if order.customer_id:
        return {"id": order.customer_id, "email": email}
    return {"id": None, "email": email, "billing": _address(order.billing)}


def _address(address: Address) -> dict[str, str]:
    names = ("first_name", "last_name", "company", "address_1", "address_2", "city", "postcode", "state", "country")
    return {name: plain(getattr(address, name)) for name in (*names, "phone")}


def _impossible(order: Order, content: Content, settings: OrderSettings) -> str | None:
    """Say why an order has no form in Odoo until the shop or the settings are mended."""
    if order.status not in FROM_WOO:
        return f"its status {order.status!r:.40} is unknown; an extension of the shop made it up"
    if not order.customer_id and not is_email(content["customer"]["email"]):
        return "it was made without an account and has no e-mail address to find or make the customer by; enter one"
    if order.created is None:
        return "it has no date"
    if order.currency != settings.currency and order.currency not in settings.pricelists:
        return (
            f"there is no price list of Odoo for {order.currency or 'its missing currency'}; name one in the settings"
        )
    if not settings.stand_in and (others := [one["name"] for one in content["lines"] if one["kind"] == Kind.OTHER]):
        return f"{others[0]!r:.80} has no product, and no product is named to stand in; name one in the settings"
    untaxed = {one["tax_class"] for one in content["lines"]} - {None} - set(settings.taxes)
    if untaxed:
        names = ", ".join(sorted(name or "standard" for name in untaxed))
        return f"there is no tax of Odoo for the tax class {names}; name it in the settings"
    return None


def _waits_for(order: Order, lines: Sequence[Mapping[str, Any]], linked: Linked) -> str | None:
    if order.customer_id and linked.partner_of(order.customer_id) is None:
        return f"waits for its customer {order.customer_id}, who is not linked with a partner of Odoo yet"
    codes = [one["product"] for one in lines if one["kind"] == Kind.PRODUCT]
    missing = [code for code in codes if linked.variant_of(code) is None]
    if missing:
        return f"waits for its products {', '.join(missing)}, which are not linked with products of Odoo yet"
    return None


def order_of_odoo(
    row: SaleOrder, around: Surroundings, linked: Linked, settings: OrderSettings, *, natural_key: str | None = None
) -> Record | None:
    """Return an order of Odoo, ``None`` for one that is none of the shop's.

    Arguments:
        natural_key: what it counts as when its reference names no order of the shop, e.g. because it was edited.
    """
    order_id = settings.order_id_of(row.client_order_ref)
    key = natural_key if order_id is None else settings.key_of(order_id)
    if key is None:
        return None
    rows = around.lines.get(row.id, ())
    lines = lines_of_odoo(rows, around.codes, linked, settings)
    status = FROM_ODOO.get(row.state)
    content: dict[str, Any] = {
        "reference": row.client_order_ref.strip(),
        "customer": _customer_of_odoo(row, around, linked),
        "currency": row.currency.name if row.currency else "",
        "date": moment(row.date_order),
        "lines": lines,
        "total": {"amount": money(row.amount_total, settings.digits), "lines": len(lines)},
        "status": None if status is None else str(status),
        "progress": _progress(row, rows),
    }
    if around.credit_notes is not None:
        notes = sorted(around.credit_notes.get(key, ()), key=lambda note: note.refund_id)
        content["refunds"] = [
            {"id": note.refund_id, "amount": money(note.amount, settings.digits), "reason": note.reason}
            for note in notes
        ]
    return Record(
        key=str(row.id),
        natural_key=key,
        content=content,
        meta={
            "name": row.name,
            "partner": row.partner.id if row.partner else None,
            "lines": [
                {"id": one.id, "variant": one.product.id if one.product else None}
                | line_of_odoo(one, around.codes, linked, settings)
                for one in rows
                if sells(one)
            ],
        },
        invalid=None if status else f"its state {row.state!r:.40} is unknown; it is not touched",
    )


def _customer_of_odoo(row: SaleOrder, around: Surroundings, linked: Linked) -> dict[str, Any]:
    if row.partner is None:
        return {"id": None, "email": ""}
    return {"id": linked.customer_of(row.partner.id), "email": around.emails.get(row.partner.id, "")}


def _progress(row: SaleOrder, lines: Sequence[SaleLine]) -> list[str]:
    found = {
        "delivered": row.delivery_status in _BEGUN or any(line.qty_delivered for line in lines),
        "invoiced": row.invoice_status == "invoiced" or any(line.qty_invoiced for line in lines),
        "locked": row.locked or row.state == "done",
    }
    return [name for name, is_so in found.items() if is_so]


def moment(value: datetime | None) -> str | None:
    """Return a time in the form of contents: UTC in whole seconds, which is all that either side keeps."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def alike(name: str, wanted: object, found: object) -> bool:
    """Say whether a side shows what is wanted: sums may differ by a cent a line, and a customer is who is linked."""
    if wanted is None or found is None:
        # No refund needs no credit note, even where those cannot be seen.
        return wanted is found or (name == "refunds" and not (wanted or found))
    match name, wanted, found:
        case "lines", list(), list():
            return lines_alike(wanted, found)
        case "total", Mapping(), Mapping():
            tolerance = CENT * max(int(wanted["lines"]), 1)
            return abs(Decimal(wanted["amount"]) - Decimal(found["amount"])) <= tolerance
        case "customer", Mapping(), Mapping():
            # A guest may have an account by now, or be somebody whom Odoo knew before.
            known = wanted["id"] is not None
            return bool(wanted["id"] == found["id"] if known else wanted["email"] == found["email"])
        case "refunds", list(), list():
            return _amounts(wanted) == _amounts(found)
    return same(wanted, found)


def _amounts(refunds: Sequence[Mapping[str, Any]]) -> list[tuple[int, Decimal]]:
    return sorted((int(one["id"]), Decimal(one["amount"])) for one in refunds)


def blocked_in_odoo(before: Content, after: Content, fields: Sequence[str], settings: OrderSettings) -> dict[str, str]:
    """Return the fields that cannot be written to an order of Odoo, with the reason.

    Arguments:
        before: what Odoo shows.
        after: what is wanted.
    """
    progress = before.get("progress", ())
    reasons = dict.fromkeys({"total", "progress"} & set(fields), "it follows from the lines, and is only compared")
    status, wanted = before["status"], after.get("status", before["status"])
    if "status" in fields and (reason := why_not(status, wanted, progress)):
        reasons["status"] = reason
    edited = {"lines", "customer", "currency", "date"} & set(fields)
    if status == wanted == Status.CANCELLED:
        return reasons | dict.fromkeys(edited, "a cancelled order is not edited") | _refunds(before, fields, settings)
    if status == Status.CONFIRMED:
        made_out = "it is confirmed, and its delivery is made out; cancel it in Odoo and set it to quotation first"
        reasons |= dict.fromkeys({"customer", "currency"} & set(fields), made_out)
    if "lines" in fields and progress:
        reasons["lines"] = f"it is {' and '.join(progress)} in Odoo, so its lines stay as they are"
    if "currency" in fields and after["currency"] not in settings.pricelists:
        reasons["currency"] = f"no price list is named for {after['currency']}"
    return reasons | _refunds(before, fields, settings)


def _refunds(before: Content, fields: Sequence[str], settings: OrderSettings) -> dict[str, str]:
    if "refunds" not in fields:
        return {}
    if "refunds" not in before:
        return {"refunds": "the user may not read credit notes of Odoo, so nothing is known of them"}
    if settings.credit_notes == "report":
        reference = settings.refund_reference(before["reference"], 0).removesuffix("0")
        return {"refunds": f"make the credit note in Odoo, with the reference {reference}<refund id>"}
    if "invoiced" not in before.get("progress", ()):
        return {"refunds": "nothing is invoiced in Odoo yet; put the refund into the invoice, then there is no need"}
    return {}


def blocked_in_shop(before: Content, after: Content, fields: Sequence[str]) -> dict[str, str]:
    """Return the fields that cannot be written to an order of the shop, with the reason."""
    reasons = {name: "an order is changed in the shop only" for name in fields if name != "status"}
    if "status" in fields and after["status"] not in TO_WOO:
        reasons["status"] = "the shop would ask the customer to pay again; set the status there"
    return reasons


def not_creatable_in_shop(content: Content) -> str | None:
    """Say why an order of Odoo is never made in the shop."""
    return "only in Odoo: orders are never made in the shop, whose customer would have to have paid"


def not_creatable_in_odoo(content: Content) -> str | None:
    """Say why an order of the shop needs no counterpart: one that came to nothing before it ever was there."""
    if content.get("status") == Status.CANCELLED:
        return "cancelled in the shop before it was ever in Odoo"
    return None


def destructive_in_odoo(before: Content | None, after: Content) -> bool:
    """Say whether an update calls off an order that was to be delivered."""
    return before is not None and before["status"] == Status.CONFIRMED and after.get("status") == Status.CANCELLED


def retired_in_odoo(content: Content) -> bool:
    """Say whether an order of Odoo is out of service."""
    return bool(content["status"] == Status.CANCELLED)


def woo_values(content: Content) -> dict[str, Any]:
    """Return what to write to an order of the shop. Raises ``ValueError`` for a status that is not written."""
    status = TO_WOO.get(content["status"])
    if status is None:
        raise ValueError(f"{content['status']} is not written to the shop")
    return {"status": status}
