"""Stock on hand: quants, their counted quantities, and what products tell of them. None of it moves a ``write_date``
of a product."""

from __future__ import annotations

from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo.calling import on_records
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import validation_error
from sync_pipelines.sandbox.odoo.fields import Fields, boolean, char, choice, floating, many2one
from sync_pipelines.sandbox.odoo.records import Values
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row

STOCK = 5
"""Id of the location WH/Stock."""
LOSSES = 11
"""Id of the location that adjustments come from and go to."""
CUSTOMERS = 2
OPEN = ("waiting", "confirmed", "assigned")

_USAGES = (
    ("supplier", "Vendor"),
    ("view", "Virtual"),
    ("internal", "Internal"),
    ("customer", "Customer"),
    ("inventory", "Inventory Loss"),
)


def _quants(env: Env, product: int) -> list[Row]:
    locations = env["stock.location"].table.rows
    return [
        quant
        for quant in env["stock.quant"].rows_where("product_id", product)
        if locations[quant["location_id"]]["usage"] == "internal"
    ]


def on_hand(env: Env, row: Row) -> float:
    """Return what of a product lies in internal locations."""
    return float(sum(quant["quantity"] or 0.0 for quant in _quants(env, row["id"])))


def free(env: Env, row: Row) -> float:
    """Return what of it is not reserved."""
    return float(sum((q["quantity"] or 0.0) - (q["reserved_quantity"] or 0.0) for q in _quants(env, row["id"])))


def outgoing(env: Env, row: Row) -> float:
    """Return what open deliveries ask for."""
    moves = env["stock.move"].rows_where("product_id", row["id"])
    return float(sum(move["product_uom_qty"] or 0.0 for move in moves if move["state"] in OPEN))


def forecast(env: Env, row: Row) -> float:
    """Return what will be left."""
    return on_hand(env, row) - outgoing(env, row) if env["stock.quant"].table.having("product_id", row["id"]) else 0.0


def set_on_hand(env: Env, product: int, value: Any) -> None:
    """Count the stock of a product and apply the count, as its form does."""
    quants = env["stock.quant"]
    assert isinstance(quants, Quant)
    row = env["product.product"].table.rows[product]
    template = env["product.template"].table.rows[row["product_tmpl_id"]]
    if template["type"] != "consu" or not template["is_storable"] or float(value) < 0:
        return
    here = quants.at(product, STOCK)
    # Of several quants of one place the newest takes the count; the others keep what they have.
    quant = here[-1]["id"] if here else quants.create(env, [{"product_id": product, "location_id": STOCK}])[0]
    quants.write(env, [quant], {"inventory_quantity": value})
    quants.action_apply_inventory(env, [quant])


def shift(env: Env, product: int, location: int, change: float) -> None:
    """Add to what lies at a place."""
    quants = env["stock.quant"]
    assert isinstance(quants, Quant)
    here = quants.at(product, location)
    if here:
        env.put(quants, here[0], quantity=(here[0]["quantity"] or 0.0) + change)
    else:
        quants.create(env, [{"product_id": product, "location_id": location, "quantity": change}])


def _difference(env: Env, row: Row) -> float:
    if not row["inventory_quantity_set"]:
        return 0.0
    return float((row["inventory_quantity"] or 0.0) - (row["quantity"] or 0.0))


def _available(env: Env, row: Row) -> float:
    return float((row["quantity"] or 0.0) - (row["reserved_quantity"] or 0.0))


class Quant(StandardModel):
    """``stock.quant``."""

    name = "stock.quant"
    label = "Quants"
    own_fields: ClassVar[Fields] = {
        "product_id": many2one("product.product", "Product", required=True, indexed=True),
        "location_id": many2one("stock.location", "Location", required=True),
        "quantity": floating("Quantity"),
        "reserved_quantity": floating("Reserved Quantity"),
        "available_quantity": floating("Available Quantity", readonly=True, compute=_available),
        "inventory_quantity": floating("Counted Quantity"),
        "inventory_quantity_set": boolean("Inventory Quantity Set"),
        "inventory_diff_quantity": floating("Difference", readonly=True, compute=_difference),
    }

    def display(self, env: Env, row: Row) -> str:
        return env["stock.location"].display(env, env["stock.location"].table.rows[row["location_id"]])

    def at(self, product: int, location: int) -> list[Row]:
        """Return the quants of a product at one place, oldest first."""
        return [quant for quant in self.rows_where("product_id", product) if quant["location_id"] == location]

    def _create(self, env: Env, sent: Values) -> int:
        if env.context.get("inventory_mode") and "inventory_quantity" in sent:
            here = self.at(sent.get("product_id", 0), sent.get("location_id", 0))
            if here:
                self.write(env, [here[0]["id"]], {"inventory_quantity": sent["inventory_quantity"]})
                return int(here[0]["id"])
        return super()._create(env, sent)

    def check(self, env: Env, row: Row) -> None:
        product = env["product.product"].table.rows[row["product_id"]]
        if not env["product.template"].table.rows[product["product_tmpl_id"]]["is_storable"]:
            raise validation_error("Quants cannot be created for consumables or services.")

    def created(self, env: Env, row: Row, values: Values) -> None:
        if "inventory_quantity" in values:
            env.put(self, row, inventory_quantity_set=True)

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        if "inventory_quantity" in values:
            env.put(self, row, inventory_quantity_set=True)

    @on_records
    def action_apply_inventory(self, env: Env, ids: Any) -> None:
        """Make the counted quantity the real one. A quant without a count is taken as counted 0."""
        for row_id in self.existing(env, ids):
            quant = self.table.rows[row_id]
            change = (quant["inventory_quantity"] or 0.0) - (quant["quantity"] or 0.0)
            if change:
                source, target = (LOSSES, quant["location_id"]) if change > 0 else (quant["location_id"], LOSSES)
                self._record(env, quant["product_id"], abs(change), source, target)
                shift(env, quant["product_id"], LOSSES, -change)
            env.put(
                self,
                self.table.rows[row_id],
                quantity=quant["inventory_quantity"] or 0.0,
                inventory_quantity=0.0,
                inventory_quantity_set=False,
            )

    def _record(self, env: Env, product: int, quantity: float, source: int, target: int) -> None:
        move = {
            "product_id": product,
            "quantity": quantity,
            "product_uom_qty": quantity,
            "state": "done",
            "is_inventory": True,
            "location_id": source,
            "location_dest_id": target,
        }
        env["stock.move"].create(env, [move])


class Location(StandardModel):
    """``stock.location``."""

    name = "stock.location"
    label = "Inventory Locations"
    order = "complete_name, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Location Name", required=True),
        "complete_name": char("Full Location Name"),
        "usage": choice("Location Type", *_USAGES, default="internal"),
        "active": boolean("Active", default=True),
    }

    def display(self, env: Env, row: Row) -> str:
        return str(row["complete_name"])


class Warehouse(StandardModel):
    """``stock.warehouse``."""

    name = "stock.warehouse"
    label = "Warehouse"
    own_fields: ClassVar[Fields] = {
        "name": char("Warehouse", required=True),
        "code": char("Short Name"),
        "lot_stock_id": many2one("stock.location", "Location Stock"),
        "active": boolean("Active", default=True),
    }
