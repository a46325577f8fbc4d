"""Customers of the shop and partners of Odoo, brought to one form. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.trees import same
from sync_pipelines.pipelines.commerce.geography import Geography
from sync_pipelines.pipelines.commerce.values import email_key, is_email, line, phone_number
from sync_pipelines.systems.odoo import PARTNERS, Entity, Partner
from sync_pipelines.systems.odoo.parsing import parse_partner
from sync_pipelines.systems.odoo.values import Row, flag, integer, reference
from sync_pipelines.systems.woocommerce import Address, Customer

ADDRESS = ("street", "street2", "zip", "city", "country", "state")
"""Fields of an address, in contents of customers and of their shipping addresses."""

_CUSTOMERS = frozenset({"customer", "subscriber"})


@dataclass(frozen=True, slots=True)
class PartnerRow:
    """A partner with what tells customers from others.

    Attributes:
        customer_rank, supplier_rank: 0 without the module for invoices.
    """

    partner: Partner
    customer_rank: int = 0
    supplier_rank: int = 0


def parse_partner_row(row: Row) -> PartnerRow:
    """Return a partner."""
    return PartnerRow(parse_partner(row), integer(row, "customer_rank"), integer(row, "supplier_rank"))


def parse_staff(row: Row) -> int | None:
    """Return the partner of a user who works in Odoo, ``None`` for one of the portal, who may well be a customer."""
    partner = reference(row, "partner_id")
    return None if partner is None or flag(row, "share") else partner.id


PARTNER_ROWS = Entity("res.partner", (*PARTNERS.fields, "customer_rank", "supplier_rank"), parse_partner_row)
STAFF = Entity("res.users", ("partner_id", "share"), parse_staff)


def natural_key(content: Content) -> str:
    """Return what identifies a customer in both systems: the e-mail address."""
    return email_key(content.get("email"))


def alike(name: str, wanted: object, shown: object) -> bool:
    """Compare a field's values. Of a shipping address the state is nothing where one side has none: its zip says it."""
    if isinstance(wanted, Mapping) and isinstance(shown, Mapping) and None in (wanted["state"], shown["state"]):
        return same({**wanted, "state": None}, {**shown, "state": None})
    return same(wanted, shown)


def record_of_shop(customer: Customer, geography: Geography) -> Record:
    """Return a customer of the shop. ``meta["notes"]`` tells what had to be left out."""
    email = email_key(customer.email)
    billing, shipping = customer.billing, customer.shipping
    content, notes = _shop_address(billing, geography)
    content |= {
        "email": email,
        "name": _full_name(customer.first_name, customer.last_name)
        or _full_name(billing.first_name, billing.last_name),
        "phone": phone_number(billing.phone),
        "company": line(billing.company),
        "active": True,
    }
    content["shipping"], more = _shop_shipping(shipping, content, geography)
    meta = {
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "billing_first_name": billing.first_name,
        "billing_last_name": billing.last_name,
        "billing_email": billing.email,
        "has_shipping": _is_given(shipping),
        "notes": [*notes, *more],
    }
    key = str(customer.id)
    if customer.role not in _CUSTOMERS and not customer.is_paying_customer:
        return Record(key, email, {}, withheld=f"a user of the role {customer.role or 'none'}, who never bought")
    if not is_email(email):
        return Record(key, email, {}, invalid=f"{customer.email!r:.80} is no e-mail address; correct it in the shop")
    return Record(key, email, content, meta)


def record_of_odoo(
    row: PartnerRow,
    deliveries: Sequence[Partner],
    geography: Geography,
    mark: ShopMark,
    staff: Collection[int] = (),
) -> Record:
    """Return a contact of Odoo.

    Arguments:
        deliveries: its addresses of the type ``delivery``.
        mark: how partners are marked as the shop's.
        staff: partners of those who work in Odoo.
    """
    partner = row.partner
    key, email = str(partner.id), email_key(partner.email_normalized or partner.email)
    customer_id = mark.customer_id(partner.ref)
    meta: dict[str, Any] = {"shop_id": customer_id, "ref": partner.ref}
    withheld = "a user of Odoo" if partner.id in staff else _no_customer(row, email, customer_id, mark)
    if withheld is not None:
        return Record(key, email, {}, meta, withheld=withheld)
    if not is_email(email):
        said = f"{partner.email!r:.80} is no e-mail address" if partner.email.strip() else "it has no e-mail address"
        return Record(key, email, {}, meta, invalid=f"{said}; correct it in Odoo")
    company = _company_of(partner)
    content = _odoo_address(partner, geography)
    content |= {
        "email": email,
        # Odoo demands a name; who gave none in the shop is called by the address.
        "name": None if email_key(partner.name) == email else line(partner.name),
        "phone": phone_number(partner.phone),
        "company": company if company is not None else line(partner.company_name),
        "active": partner.active,
    }
    delivery = min((one for one in deliveries if one.active), key=lambda one: one.id, default=None)
    content["shipping"] = _odoo_shipping(delivery, content, geography) if delivery else None
    meta |= {"delivery_id": delivery.id if delivery else None, "of_company": company is not None}
    return Record(key, email, content, meta)


@dataclass(frozen=True)
class ShopMark:
    """References that mark partners as a shop's: ``WC-1-C17`` for customer 17, ``WC-1-G...`` for guests.

    Arguments:
        store: name of the shop in references, e.g. ``1``.
        guests: e-mail addresses of orders without a customer, as :func:`email_key` returns them.
    """

    store: str = "1"
    guests: frozenset[str] = frozenset()

    def customer_id(self, ref: str) -> int | None:
        """Return the customer that a reference names."""
        found = re.fullmatch(rf"WC-{re.escape(self.store)}-C(\d{{1,15}})", ref.strip())
        return int(found[1]) if found else None

    def is_guest(self, ref: str, email: str) -> bool:
        """Say whether a partner stands for guests."""
        return ref.startswith(f"WC-{self.store}-G") or email in self.guests

    def guest_reference(self, email: str) -> str:
        """Return the reference of a guest's partner."""
        return f"WC-{self.store}-G-{email_key(email)}"


def links_by_reference(odoo: Sequence[Record]) -> dict[str, str]:
    """Return customer -> partner for partners that carry a customer's reference: they are the same, whatever they say.

    A reference that two partners carry says nothing.
    """
    found: dict[str, list[str]] = {}
    for record in odoo:
        if record.meta.get("shop_id") is not None:
            found.setdefault(str(record.meta["shop_id"]), []).append(record.key)
    return {customer: keys[0] for customer, keys in found.items() if len(keys) == 1}


def not_creatable_in_shop(content: Content) -> str | None:
    """Return why no customer is made in the shop for a partner."""
    return None if content.get("active", True) else "it is archived in Odoo"


def _no_customer(row: PartnerRow, email: str, customer_id: int | None, mark: ShopMark) -> str | None:
    partner = row.partner
    if customer_id is not None:
        return None
    if partner.is_company:
        return "a company; its contacts are customers"
    if row.supplier_rank and not row.customer_rank:
        return "a supplier"
    if mark.is_guest(partner.ref, email):
        return "a guest of the shop, who is known by orders only"
    return None if email else "without an e-mail address it cannot be a customer of the shop"


def _company_of(partner: Partner) -> str | None:
    """Return the name of the company that a contact belongs to."""
    top = partner.commercial_partner or partner.parent
    return line(top.name) if partner.parent and top and top.id != partner.id else None


def _full_name(first: str, last: str) -> str | None:
    return line(f"{first} {last}")


def _is_given(address: Address) -> bool:
    return any(line(text) for text in (address.address_1, address.address_2, address.postcode, address.city))


def _shop_address(address: Address, geography: Geography) -> tuple[dict[str, Any], list[str]]:
    place = geography.of_shop(address.country, address.state)
    content = {
        "street": line(address.address_1),
        "street2": line(address.address_2),
        "zip": line(address.postcode),
        "city": line(address.city),
        "country": place.country,
        "state": place.state,
    }
    return content, [place.note] if place.note else []


def _shop_shipping(address: Address, content: Content, geography: Geography) -> tuple[Content | None, list[str]]:
    if not _is_given(address):
        return None, []
    shipping, notes = _shop_address(address, geography)
    name = _full_name(address.first_name, address.last_name)
    return _own_shipping(shipping, name, phone_number(address.phone), content), notes


def _odoo_address(partner: Partner, geography: Geography) -> dict[str, Any]:
    place = geography.of_odoo(
        partner.country.id if partner.country else None, partner.state.id if partner.state else None
    )
    return {
        "street": line(partner.street),
        "street2": line(partner.street2),
        "zip": line(partner.zip),
        "city": line(partner.city),
        "country": place.country,
        "state": place.state,
    }


def _odoo_shipping(partner: Partner, content: Content, geography: Geography) -> Content | None:
    shipping = _odoo_address(partner, geography)
    return _own_shipping(shipping, line(partner.name), phone_number(partner.phone), content)


def _own_shipping(
    address: Mapping[str, Any], name: str | None, phone: str | None, content: Content
) -> dict[str, Any] | None:
    """Return a shipping address where it says something else than the billing address; a phone alone is nothing."""
    own = {"name": name, "phone": None if phone == content["phone"] else phone, **address}
    same_name = name is None or name == content["name"]
    if same_name and all(address[part] == content[part] for part in ADDRESS):
        return None
    return own
