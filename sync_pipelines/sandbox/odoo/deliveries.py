"""Pickings and moves: what a confirmed order sends out of the stock."""

from __future__ import annotations

from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo.calling import on_records
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import user_error
from sync_pipelines.sandbox.odoo.fields import Fields, boolean, char, choice, floating, many2one, moment, one2many
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.stock import CUSTOMERS, OPEN, STOCK, Quant, shift
from sync_pipelines.sandbox.odoo.tables import Row

_STATES = (
    ("draft", "Draft"),
    ("waiting", "Waiting Another Operation"),
    ("confirmed", "Waiting"),
    ("assigned", "Ready"),
    ("done", "Done"),
    ("cancel", "Cancelled"),
)


class Picking(StandardModel):
    """``stock.picking``."""

    name = "stock.picking"
    label = "Transfer"
    order = "id desc"
    own_fields: ClassVar[Fields] = {
        "name": char("Reference"),
        "state": choice("Status", *_STATES, readonly=True, default="draft"),
        "origin": char("Source Document"),
        "partner_id": many2one("res.partner", "Contact"),
        "sale_id": many2one("sale.order", "Sales Order", indexed=True),
        "date_done": moment("Date of Transfer", readonly=True),
        "move_ids": one2many("stock.move", "picking_id", "Stock Moves"),
    }

    @on_records
    def button_validate(self, env: Env, ids: Any) -> bool:
        """Send what is reserved. What is not becomes a delivery of its own."""
        for row_id in self.existing(env, ids):
            moves = [move for move in env["stock.move"].rows_where("picking_id", row_id) if move["state"] in OPEN]
            if not any(move["quantity"] for move in moves):
                raise user_error("You cannot validate a transfer if no quantities are reserved.")
            rest = []
            for move in moves:
                sent = move["quantity"] or 0.0
                _release(env, move)
                env.put(env["stock.move"], move, state="done", quantity=sent, product_uom_qty=sent)
                shift(env, move["product_id"], STOCK, -sent)
                lines = env["sale.order.line"]
                line = lines.table.rows.get(move["sale_line_id"] or 0)
                if line is not None:
                    env.put(lines, line, qty_delivered=(line["qty_delivered"] or 0.0) + sent)
                    if move["product_uom_qty"] > sent:
                        rest.append((line, move["product_uom_qty"] - sent))
            picking = env.put(self, self.table.rows[row_id], state="done", date_done=env.now)
            order = env["sale.order"].table.rows.get(picking["sale_id"] or 0)
            if order is not None and rest:
                _send(env, order, rest)
        return True


class Move(StandardModel):
    """``stock.move``."""

    name = "stock.move"
    label = "Stock Move"
    own_fields: ClassVar[Fields] = {
        "product_id": many2one("product.product", "Product", required=True, indexed=True),
        "product_uom_qty": floating("Demand"),
        "quantity": floating("Quantity"),
        "state": choice("Status", *_STATES, default="draft"),
        "is_inventory": boolean("Inventory"),
        "location_id": many2one("stock.location", "Source Location"),
        "location_dest_id": many2one("stock.location", "Intermediate Location"),
        "picking_id": many2one("stock.picking", "Transfer", indexed=True),
        "sale_line_id": many2one("sale.order.line", "Sale Line", indexed=True),
    }

    def display(self, env: Env, row: Row) -> str:
        product = env["product.product"]
        return product.display(env, product.table.rows[row["product_id"]])


def status(env: Env, order: Row) -> str | None:
    """Return ``delivery_status`` of an order."""
    states = [picking["state"] for picking in env["stock.picking"].rows_where("sale_id", order["id"])]
    alive = [state for state in states if state != "cancel"]
    if not alive:
        return None
    if all(state == "done" for state in alive):
        return "full"
    return "partial" if "done" in alive else "pending"


def launch(env: Env, order: Row, only: Row | None = None) -> None:
    """Make the delivery of a confirmed order, or of one line that was added to it."""
    lines = [only] if only else env["sale.order.line"].rows_where("order_id", order["id"])
    _send(env, order, [(line, line["product_uom_qty"] or 0.0) for line in lines if _is_goods(env, line)])


def adjust(env: Env, line: Row) -> None:
    """Let the open delivery of a line follow its quantity."""
    moves = env["stock.move"]
    here = [move for move in moves.rows_where("sale_line_id", line["id"]) if move["state"] in OPEN]
    if here:
        wanted = max(0.0, (line["product_uom_qty"] or 0.0) - (line["qty_delivered"] or 0.0))
        _release(env, here[0])
        _reserve(env, env.put(moves, moves.table.rows[here[0]["id"]], product_uom_qty=wanted, quantity=0.0))


def call_off(env: Env, order: int) -> None:
    """Cancel the open deliveries of an order."""
    pickings, moves = env["stock.picking"], env["stock.move"]
    for picking in pickings.rows_where("sale_id", order):
        if picking["state"] == "done":
            continue
        for move in moves.rows_where("picking_id", picking["id"]):
            _release(env, move)
            env.put(moves, moves.table.rows[move["id"]], state="cancel", quantity=0.0)
        env.put(pickings, picking, state="cancel")


def _send(env: Env, order: Row, wanted: list[tuple[Row, float]]) -> None:
    wanted = [(line, quantity) for line, quantity in wanted if quantity > 0]
    if not wanted:
        return
    pickings, moves = env["stock.picking"], env["stock.move"]
    values = {
        "name": env.world.next_name("WH/OUT/"),
        "origin": order["name"],
        "partner_id": order["partner_shipping_id"],
        "sale_id": order["id"],
        "state": "confirmed",
    }
    picking = pickings.create(env, [values])[0]
    ready = True
    for line, quantity in wanted:
        move = {
            "product_id": line["product_id"],
            "product_uom_qty": quantity,
            "state": "confirmed",
            "location_id": STOCK,
            "location_dest_id": CUSTOMERS,
            "picking_id": picking,
            "sale_line_id": line["id"],
        }
        ready &= _reserve(env, moves.table.rows[moves.create(env, [move])[0]])
    if ready:
        env.put(pickings, pickings.table.rows[picking], state="assigned")


def _is_goods(env: Env, line: Row) -> bool:
    return bool(line["product_id"]) and _template(env, line["product_id"])["type"] == "consu"


def _template(env: Env, product: int) -> Row:
    return env["product.template"].table.rows[env["product.product"].table.rows[product]["product_tmpl_id"]]


def _reserve(env: Env, move: Row) -> bool:
    """Reserve what is free of the stock; returns whether that is all."""
    quants = env["stock.quant"]
    assert isinstance(quants, Quant)
    missing = move["product_uom_qty"]
    if not _template(env, move["product_id"])["is_storable"]:
        missing = 0.0
    for quant in quants.at(move["product_id"], STOCK):
        taken = min(missing, max(0.0, (quant["quantity"] or 0.0) - (quant["reserved_quantity"] or 0.0)))
        if taken:
            env.put(quants, quant, reserved_quantity=(quant["reserved_quantity"] or 0.0) + taken)
            missing -= taken
    state = "assigned" if not missing else "confirmed"
    env.put(env["stock.move"], move, quantity=move["product_uom_qty"] - missing, state=state)
    return not missing


def _release(env: Env, move: Row) -> None:
    quants = env["stock.quant"]
    assert isinstance(quants, Quant)
    given = (move["quantity"] or 0.0) if move["state"] in OPEN else 0.0
    for quant in quants.at(move["product_id"], STOCK):
        back = min(given, quant["reserved_quantity"] or 0.0)
        if back:
            env.put(quants, quant, reserved_quantity=(quant["reserved_quantity"] or 0.0) - back)
            given -= back
