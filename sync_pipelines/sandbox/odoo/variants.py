"""``product.product``: the variant, which is what is sold, stocked and scanned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo import stock
from sync_pipelines.sandbox.odoo.calling import on_model
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import still_used, validation_error
from sync_pipelines.sandbox.odoo.fields import Field, Fields, boolean, char, floating, many2many, many2one
from sync_pipelines.sandbox.odoo.records import Values
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row
from sync_pipelines.sandbox.odoo.templates import OF_VARIANT, SHARED, WITHOUT_VARIANTS, ProductTemplate


def _to_template(name: str) -> Any:
    def inverse(env: Env, row_id: int, value: Any) -> None:
        if not env.context.get("from_template"):
            template = env["product.product"].table.rows[row_id]["product_tmpl_id"]
            env["product.template"].write(env, [template], {name: value})

    return inverse


def _values_given(env: Env, row: Row) -> list[Row]:
    rows = env["product.template.attribute.value"].table.rows
    return [rows[one] for one in row["product_template_attribute_value_ids"] if one in rows]


def _extra(env: Env, row: Row) -> float:
    return float(sum(value["price_extra"] or 0.0 for value in _values_given(env, row)))


def _price(env: Env, row: Row) -> float:
    template = env["product.template"].table.rows[row["product_tmpl_id"]]
    return float((template["list_price"] or 0.0) + _extra(env, row))


def _telling(env: Env, row: Row) -> list[int]:
    """Return the values that tell variants apart: those of lines with more than one."""
    lines = env["product.template.attribute.line"].table.rows
    given = _values_given(env, row)
    return [value["id"] for value in given if len(lines[value["attribute_line_id"]]["value_ids"]) > 1]


def _indices(env: Env, row: Row) -> str | None:
    return ",".join(str(one) for one in sorted(row["product_template_attribute_value_ids"])) or ""


def _nothing(env: Env, row: Row) -> None:
    return None


def _inherited(name: str, field: Field) -> Field:
    return replace(
        field, indexed=False, default=None, required=field.required, compute=_nothing, inverse=_to_template(name)
    )


class Product(StandardModel):
    """``product.product``."""

    name = "product.product"
    label = "Product Variant"
    order = "default_code, name, id"
    own_fields: ClassVar[Fields] = {
        **{name: _inherited(name, field) for name, field in SHARED.items()},
        "product_tmpl_id": many2one("product.template", "Product Template", required=True, indexed=True),
        "active": boolean("Active", default=True),
        "default_code": char("Internal Reference", indexed=True),
        "barcode": char("Barcode", indexed=True),
        "weight": floating("Weight", digits=2),
        "standard_price": floating("Cost"),
        "lst_price": floating("Sales\u00a0Price", compute=_price, inverse=_to_template("list_price")),
        "price_extra": floating("Variant Price Extra", readonly=True, compute=_extra),
        "product_template_attribute_value_ids": many2many("product.template.attribute.value", "Attribute Values"),
        "product_template_variant_value_ids": many2many(
            "product.template.attribute.value", "Variant Values", readonly=True, compute=_telling
        ),
        "combination_indices": char("Combination Indices", readonly=True, compute=_indices),
        "qty_available": floating("Quantity On Hand", compute=stock.on_hand, inverse=stock.set_on_hand),
        "free_qty": floating("Free To Use Quantity", readonly=True, compute=stock.free),
        "virtual_available": floating("Forecasted Quantity", readonly=True, compute=stock.forecast),
        "outgoing_qty": floating("Outgoing", readonly=True, compute=stock.outgoing),
    }

    def display(self, env: Env, row: Row) -> str:
        name = self.getter(env, "name")(row)
        told = [env["product.template.attribute.value"].table.rows[one] for one in _telling(env, row)]
        values = ", ".join(
            str(env["product.attribute.value"].table.rows[v["product_attribute_value_id"]]["name"]) for v in told
        )
        code = f"[{row['default_code']}] " if row["default_code"] else ""
        return f"{code}{name} ({values})" if values else f"{code}{name}"

    def getter(self, env: Env, name: str) -> Callable[[Row], Any]:
        if name not in SHARED:
            return super().getter(env, name)
        templates = env["product.template"]
        inner, rows = templates.getter(env, name), templates.table.rows
        return lambda row: inner(rows[row["product_tmpl_id"]])

    def check(self, env: Env, row: Row) -> None:
        twins = self.rows_where("barcode", row["barcode"]) if row["barcode"] else []
        if len(twins) > 1:
            names = " and ".join(self.display(env, twin) for twin in twins)
            raise validation_error(
                f'Barcode(s) already assigned:\n\n- Barcode "{row["barcode"]}" already assigned to product(s): {names}'
                "\n\nNote: products that you don't have access to will not be shown above."
            )

    def _create(self, env: Env, sent: Values) -> int:
        self._known(sent, "in")
        if sent.get("product_tmpl_id"):
            row_id = super()._create(env.within(from_template=True), sent)
            if any(sent.get(name) for name in OF_VARIANT):
                self._templates(env).show_variant(env, self.table.rows[row_id]["product_tmpl_id"])
            return row_id
        shared = {name: value for name, value in sent.items() if name in SHARED}
        if "lst_price" in sent:
            shared["list_price"] = sent["lst_price"]
        template = env["product.template"].create(env.within(**{WITHOUT_VARIANTS: True}), [shared])[0]
        return self._create(env, {**sent, "product_tmpl_id": template})

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        if any(name in values for name in OF_VARIANT):
            self._templates(env).show_variant(env, row["product_tmpl_id"])
        if "active" in values:
            templates = env["product.template"]
            template = templates.table.rows[row["product_tmpl_id"]]
            alive = any(other["active"] for other in self.rows_where("product_tmpl_id", template["id"]))
            if template["active"] != alive:
                env.put(templates, template, active=alive)

    def removing(self, env: Env, row: Row) -> None:
        if env["stock.move"].table.having("product_id", row["id"]):
            raise still_used("Stock Move", "stock.move", "Product", "product_id")
        if env["sale.order.line"].table.having("product_id", row["id"]):
            raise still_used("Sales Order Line", "sale.order.line", "Product", "product_id")
        siblings = self.table.having("product_tmpl_id", row["product_tmpl_id"])
        if siblings == [row["id"]] and not env.context.get("keep_template"):
            env.journal.put(self.table, row["id"], None)
            env["product.template"].unlink(env, [row["product_tmpl_id"]])

    @on_model
    def name_search(
        self, env: Env, name: str = "", domain: Any = None, operator: str = "ilike", limit: int | None = 100
    ) -> list[tuple[int, str]]:
        terms: list[Any] = list(domain or [])
        if name:
            exact = ["|", ["default_code", "=", name], ["barcode", "=", name], *terms]
            if found := self._page(env, exact, 0, limit, None):
                return self.named(env, found)
            terms = ["|", ["default_code", operator, name], ["name", operator, name], *terms]
        return self.named(env, self._page(env, terms, 0, limit, None))

    def _templates(self, env: Env) -> ProductTemplate:
        templates = env["product.template"]
        assert isinstance(templates, ProductTemplate)
        return templates
