"""Setting stock. There is no absolute write of a quantity: a count is entered and then applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sync_pipelines.systems.odoo.batches import BATCH_SIZE, Outcome, done, in_halves, refuse_dialogue
from sync_pipelines.systems.odoo.calls import Call, Calls
from sync_pipelines.systems.odoo.errors import unexpected_shape

_QUANT = "stock.quant"


@dataclass(frozen=True, slots=True)
class StockCount:
    """How much of a variant there is at a place.

    Attributes:
        product_id: of ``product.product``; it must be storable.
        location_id: of an internal ``stock.location``.
    """

    product_id: int
    location_id: int
    quantity: Decimal


async def set_stock(calls: Calls, counts: Sequence[StockCount], *, batch_size: int = BATCH_SIZE) -> list[Outcome]:
    """Make stock what was counted, one outcome a count; those done carry the quant's id.

    Counts are absolute: to send one again is harmless, unless goods have moved in between.

    Raises:
        ValueError: a variant is counted twice at a place, or a quantity is not finite.
    """
    if len({(count.product_id, count.location_id) for count in counts}) < len(counts):
        raise ValueError("a variant is counted twice at a place")
    if not all(count.quantity.is_finite() for count in counts):
        raise ValueError("a quantity is not finite")

    async def send(part: Sequence[StockCount]) -> list[Outcome]:
        ids = await _entered(calls, part)
        answer = await calls.call(_QUANT, "action_apply_inventory", ids=ids)
        # Goods that moved since, or lots to be named: nothing was applied.
        refuse_dialogue(Call(_QUANT, "action_apply_inventory"), answer)
        if answer not in (None, True):
            raise unexpected_shape(Call(_QUANT, "action_apply_inventory"), "neither nothing nor true")
        return [done(quant) for quant in ids]

    return await in_halves(counts, send, batch_size=batch_size)


async def _entered(calls: Calls, counts: Sequence[StockCount]) -> list[int]:
    rows = [
        {"product_id": count.product_id, "location_id": count.location_id, "inventory_quantity": count.quantity}
        for count in counts
    ]
    # Without inventory_mode a second quant is made where there is one already, and a count that is then applied to the
    # first, which holds none, sets the stock to 0.
    ids = await calls.call(_QUANT, "create", vals_list=rows, context={"inventory_mode": True})
    if not isinstance(ids, list) or len(ids) != len(counts) or any(type(quant) is not int for quant in ids):
        raise unexpected_shape(Call(_QUANT, "create"), f"not {len(counts)} quants")
    if len(set(ids)) < len(ids):
        raise unexpected_shape(Call(_QUANT, "create"), "one quant for two counts")
    return list(ids)
