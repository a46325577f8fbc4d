"""Attributes of products, and the choice among them that makes a variation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sync_pipelines.sandbox.woocommerce.cleaning import slug_of
from sync_pipelines.sandbox.woocommerce.model import Attribute, Product, Term

Rows = Iterable[Mapping[str, Any]]


def product_attributes(rows: Rows, shared: Mapping[int, Attribute], terms: Iterable[Term]) -> list[dict[str, Any]]:
    """Return the attributes of a product as stored; a shared one tells its values in the order of their names."""
    found = []
    for row in rows:
        attribute = shared.get(row.get("id") or 0)
        if attribute is None and not row.get("name"):
            continue
        options = [str(option) for option in row.get("options", ())]
        if attribute is not None:
            known = {term.name for term in terms if term.attribute == attribute.id}
            options = sorted(option for option in options if option in known)
        found.append(
            {
                "id": attribute.id if attribute else 0,
                "name": attribute.name if attribute else row["name"],
                "slug": attribute.slug if attribute else row["name"],
                "position": row.get("position") or 0,
                "visible": bool(row.get("visible", False)),
                "variation": bool(row.get("variation", False)),
                "options": options,
            }
        )
    return found


def variation_attributes(
    rows: Rows, parent: Product, shared: Mapping[int, Attribute], terms: Iterable[Term]
) -> list[dict[str, Any]]:
    """Return what a variation chooses, of any option; an attribute that its parent does not vary in is dropped."""
    varied = [attribute for attribute in parent.values.get("attributes", ()) if attribute["variation"]]
    found = []
    for row in rows:
        name = str(row.get("name", ""))
        match = next((it for it in varied if _is_meant(it, row.get("id") or 0, name)), None)
        if match is not None and row.get("option"):
            slug = match["slug"] if match["id"] else slug_of(match["name"])
            found.append({"id": match["id"], "name": match["name"], "slug": slug, "option": str(row["option"])})
    return found


def _is_meant(attribute: Mapping[str, Any], number: int, name: str) -> bool:
    if number:
        return bool(attribute["id"] == number)
    return bool(name) and slug_of(attribute["name"]) == slug_of(name)
