"""Products of the shop and of Odoo, brought to one form. Pure.

A simple product is a variant that is its template's only one. A variation is one of several variants, and the variable
product above it their template, which has no code in Odoo: it is known by the lowest SKU of its variations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.trees import same
from sync_pipelines.pipelines.commerce import values
from sync_pipelines.pipelines.commerce.linked import code_key
from sync_pipelines.pipelines.commerce.products.fields import PRODUCT_FIELDS
from sync_pipelines.pipelines.commerce.values import name_in_shop, plain_text, text_lines
from sync_pipelines.systems.odoo import Entity, ProductTemplate, ProductVariant, Reference
from sync_pipelines.systems.odoo.values import Row, amount, record_id, reference, text
from sync_pipelines.systems.woocommerce import ManagesStock, Product, Variation

TEMPLATE = "template/"
"""What keys of templates begin with; variants are known by their id alone."""
FAMILY = "VARIANTS OF "
"""What natural keys of variable products begin with."""

_MIXED = "it is a variation in the shop and a product without options in Odoo"
_MEND = "make it a variant of its template in Odoo, or give it another internal reference"
_OF_FAMILIES = frozenset({"name", "description", "for_sale", "stock_kept"})
"""Fields that variations do not have of their own."""
_UNWRITABLE_IN_ODOO = PRODUCT_FIELDS.held_back_at("odoo")


class Kind(StrEnum):
    """What a record stands for."""

    SIMPLE = "simple"
    VARIATION = "variation"
    VARIABLE = "variable"


@dataclass(frozen=True)
class ProductSettings:
    """What numbers mean in the two systems, and which products are Odoo's own.

    Attributes:
        price_digits: places of the currency.
        shop_weight_unit, odoo_weight_unit: see :data:`sync_pipelines.pipelines.commerce.values.WEIGHT_UNITS`.
        store: short name of the shop, in the external ids of what is made for it in Odoo.
        kept_out: codes of products that stand in orders for shipping, fees and the like.
    """

    price_digits: int = 2
    shop_weight_unit: str = "kg"
    odoo_weight_unit: str = "kg"
    store: str = "1"
    kept_out: frozenset[str] = frozenset()

    def keeps_out(self, code: str) -> bool:
        """Say whether a product is none of the shop's."""
        return code_key(code) in {code_key(one) for one in self.kept_out}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of an attribute as one template has it: ``product.template.attribute.value``."""

    id: int
    attribute: str
    option: str
    extra: Decimal
    template: Reference | None


def parse_choice(row: Row) -> Choice:
    """Return a value of an attribute."""
    attribute = reference(row, "attribute_id")
    return Choice(
        id=record_id(row),
        attribute=attribute.name if attribute else "",
        option=text(row, "name"),
        extra=amount(row, "price_extra"),
        template=reference(row, "product_tmpl_id"),
    )


CHOICES = Entity(
    "product.template.attribute.value", ("name", "attribute_id", "price_extra", "product_tmpl_id"), parse_choice
)


def natural_key(content: Content) -> str:
    """Return what identifies a product in both systems: its SKU, whatever its letter case."""
    if content["kind"] == Kind.VARIABLE:
        return f"{FAMILY}{content['family']}"
    return code_key(content["sku"])


def alike(name: str, wanted: object, shown: object) -> bool:
    """Compare a field's values: letter case is nothing in a SKU, and Odoo has a price of 0 where the shop has none."""
    if name == "sku" and isinstance(wanted, str) and isinstance(shown, str):
        return code_key(wanted) == code_key(shown)
    if name == "price":
        return same(wanted or 0, shown or 0)
    return same(wanted, shown)


def record_of_shop(product: Product, settings: ProductSettings) -> Record:
    """Return a product of the shop that has no variations."""
    key, sku = str(product.id), product.sku.strip()
    if product.type != Kind.SIMPLE:
        return Record(key, "", {}, withheld=f"{product.type} products are not synchronized")
    if not sku:
        return Record(key, "", {}, withheld="it has no SKU: give it one in the shop")
    content = {
        "kind": Kind.SIMPLE.value,
        "name": name_in_shop(product.name),
        "description": plain_text(product.short_description),
        "for_sale": product.status == "publish",
        "active": product.status != "trash",
        "stock_kept": product.manage_stock is not ManagesStock.NO,
        **_shop_article(product, settings),
    }
    return Record(key, code_key(sku), content, {"kind": Kind.SIMPLE.value, "status": product.status})


def records_of_shop_family(
    product: Product, variations: Sequence[Variation], settings: ProductSettings
) -> list[Record]:
    """Return a variable product of the shop and its variations."""
    family = _lowest([variation.sku for variation in variations])
    # Odoo makes no choice of what there is only one of.
    chosen = {one.name for one in product.attributes if one.variation and len(set(one.options)) > 1}
    content = {
        "kind": Kind.VARIABLE.value,
        "family": family,
        "name": name_in_shop(product.name),
        "for_sale": product.status == "publish",
        "active": product.status != "trash",
    }
    meta = {"kind": Kind.VARIABLE.value, "status": product.status}
    parent = _of_family(str(product.id), family, content, meta)
    return [parent, *(_shop_variation(one, family, chosen, settings) for one in variations)]


def record_of_odoo(variant: ProductVariant, settings: ProductSettings) -> Record:
    """Return a variant that is its template's only one."""
    key, code = str(variant.id), variant.default_code.strip()
    if withheld := _no_product(variant, settings):
        return Record(key, code_key(code), {}, withheld=withheld)
    content = {
        "kind": Kind.SIMPLE.value,
        "name": values.line(variant.name),
        "description": text_lines(variant.description_sale),
        "for_sale": variant.sale_ok,
        "active": variant.active,
        "stock_kept": variant.is_storable,
        **_odoo_article(variant, settings),
    }
    meta = {"kind": Kind.SIMPLE.value, "template_id": variant.template.id if variant.template else None}
    return Record(key, code_key(code), content, meta)


def records_of_odoo_family(
    template: ProductTemplate,
    variants: Sequence[ProductVariant],
    choices: Mapping[int, Choice],
    settings: ProductSettings,
) -> list[Record]:
    """Return a template and its variants.

    Arguments:
        choices: values of attributes by id, at least those of the variants.
    """
    family = _lowest([variant.default_code for variant in variants])
    content = {
        "kind": Kind.VARIABLE.value,
        "family": family,
        "name": values.line(template.name),
        "for_sale": template.sale_ok,
        "active": template.active,
    }
    parent = _of_family(f"{TEMPLATE}{template.id}", family, content, {"kind": Kind.VARIABLE.value})
    return [parent, *(_odoo_variation(one, family, choices, settings) for one in variants)]


def not_creatable(content: Content) -> str | None:
    """Return why a product is not made where it is missing."""
    if not content.get("active", True):
        return "it is out of service"
    if content["kind"] == Kind.VARIABLE:
        return "it is made with the first of its variations that is made there"
    return None


def blocked_in_shop(before: Content, after: Content, fields: Sequence[str]) -> dict[str, str]:
    """Return the fields that cannot be brought to the shop, with the reason."""
    if before.get("kind") != Kind.VARIATION:
        return {}
    return {name: f"{_MIXED}; {_MEND}" for name in fields if name in _OF_FAMILIES}


def blocked_in_odoo(before: Content, after: Content, fields: Sequence[str]) -> dict[str, str]:
    """Return the fields that only a person can bring to Odoo, with the reason."""
    if before.get("kind") == Kind.SIMPLE and after.get("kind") == Kind.VARIATION:
        return dict.fromkeys(fields, f"{_MIXED}; {_MEND}")
    held_back = _UNWRITABLE_IN_ODOO(before, after, fields)
    if "price" in fields and len(before.get("options") or {}) > 1:
        held_back["price"] = "several attributes make the price of this variant; set their extra prices in Odoo"
    return held_back


def _of_family(key: str, family: str | None, content: Content, meta: Content) -> Record:
    if family is None:
        return Record(key, "", {}, withheld="none of its variations has a SKU yet")
    return Record(key, natural_key(content), content, meta)


def _shop_variation(variation: Variation, family: str | None, chosen: set[str], settings: ProductSettings) -> Record:
    key = f"{variation.parent_id}/{variation.id}"
    if not variation.sku.strip():
        return Record(key, "", {}, withheld="the variation has no SKU: give it one in the shop")
    content = {
        "kind": Kind.VARIATION.value,
        "family": family,
        "options": {one.name: one.option for one in variation.attributes if one.name in chosen},
        "active": variation.status == "publish",
        **_shop_article(variation, settings),
    }
    return Record(key, code_key(variation.sku), content, {"kind": Kind.VARIATION.value, "status": variation.status})


def _odoo_variation(
    variant: ProductVariant, family: str | None, choices: Mapping[int, Choice], settings: ProductSettings
) -> Record:
    key, code = str(variant.id), variant.default_code.strip()
    if withheld := _no_product(variant, settings):
        return Record(key, code_key(code), {}, withheld=withheld)
    own = [choices[number] for number in variant.attribute_value_ids if number in choices]
    content = {
        "kind": Kind.VARIATION.value,
        "family": family,
        "options": {one.attribute: one.option for one in own},
        "active": variant.active,
        **_odoo_article(variant, settings),
    }
    meta: dict[str, Any] = {
        "kind": Kind.VARIATION.value,
        "template_id": variant.template.id if variant.template else None,
        "choices": list(variant.attribute_value_ids),
        "extra": own[0].extra if len(own) == 1 else None,
        "shown_price": variant.lst_price,
    }
    return Record(key, code_key(code), content, meta)


def _shop_article(article: Product | Variation, settings: ProductSettings) -> dict[str, Any]:
    return {
        "sku": article.sku.strip(),
        "gtin": article.gtin.strip() or None,
        "price": values.price(article.regular_price, settings.price_digits),
        "weight": values.weight(article.weight, settings.shop_weight_unit, settings.odoo_weight_unit),
    }


def _odoo_article(variant: ProductVariant, settings: ProductSettings) -> dict[str, Any]:
    return {
        "sku": variant.default_code.strip(),
        "gtin": variant.barcode.strip() or None,
        "price": values.price(variant.lst_price, settings.price_digits),
        "weight": values.weight(variant.weight, settings.odoo_weight_unit, settings.odoo_weight_unit),
    }


def _no_product(variant: ProductVariant, settings: ProductSettings) -> str | None:
    code = variant.default_code.strip()
    if not code:
        return "it has no internal reference (SKU): give it one in Odoo"
    if settings.keeps_out(code):
        return "it stands in orders for what is no product of the shop"
    return "combos are not synchronized" if variant.type == "combo" else None


def _lowest(codes: Sequence[str]) -> str | None:
    return min((code_key(code) for code in codes if code.strip()), default=None)
