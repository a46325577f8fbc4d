"""Attributes of products, their values, and the lines that give them to templates."""

from __future__ import annotations

from typing import ClassVar

from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.fields import (
    Fields,
    boolean,
    char,
    choice,
    floating,
    integer,
    many2many,
    many2one,
    one2many,
)
from sync_pipelines.sandbox.odoo.records import Values
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row
from sync_pipelines.sandbox.odoo.templates import WITHOUT_VARIANTS, ProductTemplate


class ProductCategory(StandardModel):
    """``product.category``."""

    name = "product.category"
    label = "Product Category"
    order = "complete_name, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Name", required=True, indexed=True),
        "complete_name": char("Complete Name", readonly=True),
        "parent_id": many2one("product.category", "Parent Category", indexed=True),
    }

    def display(self, env: Env, row: Row) -> str:
        return str(row["complete_name"])

    def created(self, env: Env, row: Row, values: Values) -> None:
        parent = self.table.rows.get(row["parent_id"] or 0)
        env.put(self, row, complete_name=f"{parent['complete_name']} / {row['name']}" if parent else row["name"])

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        self.created(env, row, values)


class Attribute(StandardModel):
    """``product.attribute``."""

    name = "product.attribute"
    label = "Product Attribute"
    order = "sequence, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Attribute", required=True, translate=True, indexed=True),
        "sequence": integer("Sequence", default=20),
        "create_variant": choice(
            "Variant Creation",
            ("always", "Instantly"),
            ("dynamic", "Dynamically"),
            ("no_variant", "Never"),
            required=True,
            default="always",
        ),
        "value_ids": one2many("product.attribute.value", "attribute_id", "Values"),
        "active": boolean("Active", default=True),
    }


class AttributeValue(StandardModel):
    """``product.attribute.value``."""

    name = "product.attribute.value"
    label = "Attribute Value"
    order = "attribute_id, sequence, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Value", required=True, translate=True, indexed=True),
        "sequence": integer("Sequence", default=10),
        "attribute_id": many2one("product.attribute", "Attribute", required=True, indexed=True),
        "active": boolean("Active", default=True),
    }

    def display(self, env: Env, row: Row) -> str:
        return f"{env['product.attribute'].table.rows[row['attribute_id']]['name']}: {row['name']}"


class AttributeLine(StandardModel):
    """``product.template.attribute.line``."""

    name = "product.template.attribute.line"
    label = "Product Template Attribute Line"
    order = "sequence, attribute_id, id"
    own_fields: ClassVar[Fields] = {
        "product_tmpl_id": many2one("product.template", "Product Template", required=True, indexed=True),
        "sequence": integer("Sequence", default=10),
        "attribute_id": many2one("product.attribute", "Attribute", required=True),
        "value_ids": many2many("product.attribute.value", "Values"),
        "active": boolean("Active", default=True),
    }

    def display(self, env: Env, row: Row) -> str:
        return str(env["product.attribute"].table.rows[row["attribute_id"]]["name"])

    def created(self, env: Env, row: Row, values: Values) -> None:
        self._agree(env, row)

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        self._agree(env, row)

    def removing(self, env: Env, row: Row) -> None:
        given = env["product.template.attribute.value"]
        for value in given.rows_where("attribute_line_id", row["id"]):
            env.journal.put(given.table, value["id"], None)
        env.journal.put(self.table, row["id"], None)
        self._make(env, row)

    def _agree(self, env: Env, row: Row) -> None:
        given = env["product.template.attribute.value"]
        present = {
            value["product_attribute_value_id"]: value for value in given.rows_where("attribute_line_id", row["id"])
        }
        for value_id, value in present.items():
            if value_id not in row["value_ids"]:
                env.journal.put(given.table, value["id"], None)
        for value_id in row["value_ids"]:
            if value_id not in present:
                given.create(
                    env,
                    [
                        {
                            "attribute_line_id": row["id"],
                            "product_attribute_value_id": value_id,
                            "product_tmpl_id": row["product_tmpl_id"],
                        }
                    ],
                )
        self._make(env, row)

    def _make(self, env: Env, row: Row) -> None:
        templates = env["product.template"]
        if not env.context.get(WITHOUT_VARIANTS) and isinstance(templates, ProductTemplate):
            templates.make_variants(env, row["product_tmpl_id"])


def _value_name(env: Env, row: Row) -> str:
    return str(env["product.attribute.value"].table.rows[row["product_attribute_value_id"]]["name"])


def _attribute(env: Env, row: Row) -> int:
    return int(env["product.attribute.value"].table.rows[row["product_attribute_value_id"]]["attribute_id"])


class TemplateAttributeValue(StandardModel):
    """``product.template.attribute.value``: a value as one template has it, with its extra price."""

    name = "product.template.attribute.value"
    label = "Product Template Attribute Value"
    order = "attribute_line_id, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Value", readonly=True, compute=_value_name),
        "attribute_line_id": many2one("product.template.attribute.line", "Line", required=True, indexed=True),
        "product_attribute_value_id": many2one("product.attribute.value", "Attribute Value", required=True),
        "product_tmpl_id": many2one("product.template", "Product Template", indexed=True),
        "attribute_id": many2one("product.attribute", "Attribute", readonly=True, compute=_attribute),
        "price_extra": floating("Extra Price"),
    }

    def display(self, env: Env, row: Row) -> str:
        name = env["product.attribute"].table.rows[_attribute(env, row)]["name"]
        return f"{name}: {_value_name(env, row)}"
