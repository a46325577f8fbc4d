"""What is sent to either system so that it shows a customer's content. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.commerce.customers.mapping import ADDRESS
from sync_pipelines.pipelines.commerce.geography import Geography, shop_state
from sync_pipelines.pipelines.commerce.values import email_key, line

_SHOP_NAMES = {"street": "address_1", "street2": "address_2", "zip": "postcode", "city": "city"}

NEW = {
    "first_name": "",
    "last_name": "",
    "billing_first_name": "",
    "billing_last_name": "",
    "billing_email": "",
    "has_shipping": True,
}
"""``meta`` of a customer of the shop that is about to be made."""


def shop_values(content: Content, fields: Collection[str], meta: Mapping[str, Any], email: str = "") -> dict[str, Any]:
    """Return the values that bring some fields of a customer of the shop to a content.

    Arguments:
        content: the whole content that is wanted.
        fields: those that are to be written.
        meta: of the record as it is now, :data:`NEW` for one that is to be made.
        email: as it is now.
    """
    values: dict[str, Any] = {}
    billing: dict[str, Any] = {}
    if "email" in fields:
        values["email"] = content["email"]
        if email_key(meta["billing_email"]) in ("", email):
            billing["email"] = content["email"]
    if "name" in fields:
        names = split_name(content["name"], meta["first_name"], meta["last_name"])
        values |= names
        # An invoice may be in another name on purpose.
        if _same_names(meta) or not (meta["billing_first_name"] or meta["billing_last_name"]):
            billing |= names
    if "phone" in fields:
        billing["phone"] = content["phone"] or ""
    if "company" in fields:
        billing["company"] = content["company"] or ""
    moved = set(fields) & set(ADDRESS)
    billing |= _shop_address(content, moved)
    if billing:
        values["billing"] = billing
    shipping = content.get("shipping")
    # Without an address of its own the shop ships to its copy of the billing address, which has to move along.
    copied = shipping is None and meta["has_shipping"]
    if (shipping is not None and "shipping" in fields) or (copied and (moved or "shipping" in fields)):
        values["shipping"] = _shop_shipping(content, meta)
    return values


def split_name(name: str | None, first: str, last: str) -> dict[str, str]:
    """Return first and last name for a name that is one text.

    The parts that the shop has stay as far as they can: of ``Anna Maria Bloom``, who married, ``Anna Maria`` stays the
    first name. Otherwise the last word is the last name.
    """
    words = line(name) or ""
    known_first, known_last = line(first) or "", line(last) or ""
    if words == (line(f"{first} {last}") or ""):
        return {"first_name": first, "last_name": last}
    if known_first and words.startswith(f"{known_first} "):
        return {"first_name": first.strip(), "last_name": words.removeprefix(f"{known_first} ")}
    if known_last and words.endswith(f" {known_last}"):
        return {"first_name": words.removesuffix(f" {known_last}"), "last_name": last.strip()}
    before, _, after = words.rpartition(" ")
    return {"first_name": before or after, "last_name": after if before else ""}


def odoo_values(content: Content, fields: Collection[str], geography: Geography) -> dict[str, Any]:
    """Return the values that bring some fields of a partner to a content. Its shipping address is a partner of its own.

    Arguments:
        content: the whole content that is wanted.
    """
    values: dict[str, Any] = {}
    if "email" in fields:
        values["email"] = content["email"]
    if "name" in fields:
        values["name"] = content["name"] or content["email"]
    for name, column in (("phone", "phone"), ("company", "company_name")):
        if name in fields:
            values[column] = content[name] or False
    if "active" in fields:
        values["active"] = content["active"]
    return values | _odoo_address(content, set(fields) & set(ADDRESS), geography)


def delivery_values(content: Content, geography: Geography) -> dict[str, Any]:
    """Return the values of the partner that stands for a shipping address, which must be there."""
    shipping = content["shipping"]
    return {
        # Without a name it would be shown as nameless below its contact, which is Odoo's own way.
        "name": shipping["name"] or False,
        "phone": shipping["phone"] or False,
        **_odoo_address(shipping, set(ADDRESS), geography),
    }


def _same_names(meta: Mapping[str, Any]) -> bool:
    return bool(meta["billing_first_name"] == meta["first_name"] and meta["billing_last_name"] == meta["last_name"])


def _shop_address(address: Content, fields: Collection[str]) -> dict[str, str]:
    values = {column: address[name] or "" for name, column in _SHOP_NAMES.items() if name in fields}
    if "country" in fields:
        values["country"] = address["country"] or ""
    if "state" in fields or "country" in fields:
        values["state"] = shop_state(address["country"], address["state"])
    return values


def _shop_shipping(content: Content, meta: Mapping[str, Any]) -> dict[str, str]:
    shipping: Content = content.get("shipping") or {}
    name = shipping.get("name") or content.get("name")
    return {
        **split_name(name, meta["first_name"], meta["last_name"]),
        **({"phone": shipping["phone"] or ""} if shipping else {}),
        **_shop_address(shipping or content, ADDRESS),
    }


def _odoo_address(address: Content, fields: Collection[str], geography: Geography) -> dict[str, Any]:
    values = {name: address[name] or False for name in ("street", "street2", "zip", "city") if name in fields}
    if "country" in fields:
        values["country_id"] = geography.country_id(address["country"]) or False
    # A state of another country would stay behind.
    if "state" in fields or "country" in fields:
        values["state_id"] = geography.state_id(address["country"], address["state"]) or False
    return values
