"""``product.template``: what all variants of a product share, and which variants there are."""

from __future__ import annotations

from itertools import product as combinations
from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.fields import (
    Field,
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
    text,
)
from sync_pipelines.sandbox.odoo.records import Values
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row

OF_VARIANT = ("default_code", "barcode", "weight", "standard_price")
"""Fields of variants that the template shows too, as long as it has one variant."""
_KEPT_TWICE = tuple(name for name in OF_VARIANT if name != "barcode")

WITHOUT_VARIANTS = "create_product_product"
"""Context key: make no variants yet."""


def _only_variant(env: Env, row: Row) -> Row | None:
    variants = env["product.product"].rows_where("product_tmpl_id", row["id"])
    active = [variant for variant in variants if variant["active"]] or variants
    return active[0] if len(active) == 1 else None


def _first_variant(env: Env, row: Row) -> int | None:
    variants = env["product.product"].rows_where("product_tmpl_id", row["id"])
    return next((int(variant["id"]) for variant in variants if variant["active"]), None)


def _barcode(env: Env, row: Row) -> Any:
    variant = _only_variant(env, row)
    return variant["barcode"] if variant else None


def _total(name: str) -> Any:
    def compute(env: Env, row: Row) -> float:
        variants = env["product.product"]
        get = variants.getter(env, name)
        return float(sum(get(variant) for variant in variants.rows_where("product_tmpl_id", row["id"])))

    return compute


def _to_variant(name: str) -> Any:
    def inverse(env: Env, row_id: int, value: Any) -> None:
        variant = _only_variant(env, env["product.template"].table.rows[row_id])
        if variant is not None:
            env["product.product"].write(env, [variant["id"]], {name: value})

    return inverse


def _count(env: Env, row: Row) -> int:
    return sum(variant["active"] for variant in env["product.product"].rows_where("product_tmpl_id", row["id"]))


SHARED: dict[str, Field] = {
    "name": char("Name", required=True, translate=True),
    "list_price": floating("Sales Price", default=1.0),
    "type": choice(
        "Product Type", ("consu", "Goods"), ("service", "Service"), ("combo", "Combo"), required=True, default="consu"
    ),
    "is_storable": boolean("Track Inventory"),
    "sale_ok": boolean("Sales", default=True),
    "purchase_ok": boolean("Purchase", default=True),
    "categ_id": many2one("product.category", "Product Category"),
    "uom_id": many2one("uom.uom", "Unit", default=1),
    "taxes_id": many2many("account.tax", "Sales Taxes", default=lambda env: [[6, 0, [1]]]),
    "description": html("Description", translate=True),
    "description_sale": text("Sales Description", translate=True),
    "company_id": many2one("res.company", "Company"),
    "attribute_line_ids": one2many("product.template.attribute.line", "product_tmpl_id", "Product Attributes"),
}
"""Fields of the template that variants inherit: writing one through a variant writes the template."""


class ProductTemplate(StandardModel):
    """``product.template``."""

    name = "product.template"
    label = "Product"
    order = "name, id"
    own_fields: ClassVar[Fields] = {
        **SHARED,
        "active": boolean("Active", default=True),
        "default_code": char("Internal Reference", indexed=True),
        "barcode": char("Barcode", compute=_barcode, inverse=_to_variant("barcode")),
        "weight": floating("Weight", digits=2),
        "standard_price": floating("Cost"),
        "product_variant_ids": one2many("product.product", "product_tmpl_id", "Products"),
        "product_variant_id": many2one("product.product", "Product", readonly=True, compute=_first_variant),
        "product_variant_count": integer("# Product Variants", readonly=True, compute=_count),
        "qty_available": floating(
            "Quantity On Hand", compute=_total("qty_available"), inverse=_to_variant("qty_available")
        ),
        "virtual_available": floating("Forecasted Quantity", readonly=True, compute=_total("virtual_available")),
    }

    def display(self, env: Env, row: Row) -> str:
        name = self.getter(env, "name")(row)
        return f"[{row['default_code']}] {name}" if row["default_code"] else str(name)

    def _create(self, env: Env, sent: Values) -> int:
        row_id = super()._create(env.within(**{WITHOUT_VARIANTS: True}), sent)
        if not env.context.get(WITHOUT_VARIANTS):
            self.make_variants(env, row_id)
            own = {name: sent[name] for name in OF_VARIANT if sent.get(name)}
            variant = _only_variant(env, self.table.rows[row_id])
            if own and variant is not None:
                env["product.product"].write(env, [variant["id"]], own)
            if "qty_available" in sent:
                _to_variant("qty_available")(env, row_id, sent["qty_available"])
        return row_id

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        variants = env["product.product"]
        rows = variants.rows_where("product_tmpl_id", row["id"])
        changes = {"active": row["active"]} if "active" in values else {}
        for variant in rows:
            env.put(variants, variant, **changes)
        own = {name: values[name] for name in _KEPT_TWICE if name in values}
        only = _only_variant(env, row)
        if own and only is not None:
            variants.write(env, [only["id"]], own)

    def removing(self, env: Env, row: Row) -> None:
        kept = env.within(keep_template=True)
        ids = env["product.product"].table.having("product_tmpl_id", row["id"])
        env["product.product"].unlink(kept, ids)
        for name in ("product.template.attribute.value", "product.template.attribute.line"):
            env[name].unlink(
                env.within(**{WITHOUT_VARIANTS: True}), env[name].table.having("product_tmpl_id", row["id"])
            )

    def show_variant(self, env: Env, row_id: int) -> None:
        """Take over what the only variant says, or nothing when there are several: a code that was written to the
        template is wiped by one that is written to any of its variants."""
        row = self.table.rows[row_id]
        variant = _only_variant(env, row)
        shown = {name: variant[name] if variant else None for name in _KEPT_TWICE}
        if any((row[name] or None) != (shown[name] or None) for name in shown):
            env.put(self, row, **shown)

    def make_variants(self, env: Env, row_id: int) -> None:
        """Make the variants that the attribute lines ask for, and remove or archive those that they no longer do."""
        variants, values = env["product.product"], env["product.template.attribute.value"]
        lines = env["product.template.attribute.line"].rows_where("product_tmpl_id", row_id)
        wanted = [
            tuple(value["id"] for value in chosen)
            for chosen in combinations(*(values.rows_where("attribute_line_id", line["id"]) for line in lines))
        ]
        have = {
            tuple(sorted(variant["product_template_attribute_value_ids"])): variant["id"]
            for variant in variants.rows_where("product_tmpl_id", row_id)
        }
        kept = env.within(keep_template=True)
        gone = [variant for chosen, variant in have.items() if chosen not in {tuple(sorted(one)) for one in wanted}]
        for chosen in wanted:
            known = have.get(tuple(sorted(chosen)))
            if known is None:
                variants.create(
                    env, [{"product_tmpl_id": row_id, "product_template_attribute_value_ids": list(chosen)}]
                )
            elif not variants.table.rows[known]["active"]:
                variants.write(env, [known], {"active": True})
        for variant in gone:
            if variants.table.rows[variant] and env.world.is_used(variant):
                env.put(variants, variants.table.rows[variant], active=False)
            else:
                variants.unlink(kept, [variant])
