"""Where the stock that a shop sells lies in Odoo."""

from __future__ import annotations

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.systems.odoo import Entity, OdooClient
from sync_pipelines.systems.odoo.values import Row, reference


def _parse(row: Row) -> int | None:
    found = reference(row, "lot_stock_id")
    return None if found is None else found.id


WAREHOUSES = Entity("stock.warehouse", ("lot_stock_id",), _parse)


async def location_of(client: OdooClient, location_id: int | None) -> int:
    """Return the location whose stock is compared: the given one, or that of the first warehouse.

    Raises:
        ConfigurationError: there is no warehouse.
        PeerError: Odoo cannot be asked.
    """
    if location_id is not None:
        return location_id
    page = await client.find(WAREHOUSES, [["active", "=", True]])
    for found in page.rows:
        if found is not None:
            return found
    raise ConfigurationError("odoo: there is no warehouse; name the stock's location in stock.location_id")
