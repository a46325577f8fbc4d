"""Orders of which accounting moved something: an invoice was posted or paid, or a credit note was made or cancelled.

None of that writes to the order itself, but each of it to the invoice: Odoo stamps ``write_date`` for what it computes,
such as ``payment_state``, too. A draft that is deleted leaves no trace; only a full pass finds that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.systems.odoo import ORDERS, Entity, OdooClient, OdooError, Reason
from sync_pipelines.systems.odoo.values import Row, record_id, text

_ORIGINS = 100
"""Names of orders in one request."""


@dataclass(frozen=True, slots=True)
class _Moved:
    id: int
    reference: str
    origin: str


def _parse(row: Row) -> _Moved:
    return _Moved(record_id(row), text(row, "ref"), text(row, "invoice_origin"))


_MOVED = Entity("account.move", ("ref", "invoice_origin"), _parse)


async def orders_of_moved_invoices(
    client: OdooClient, settings: OrderSettings, since: datetime, overlap: timedelta
) -> list[str]:
    """Return the natural keys of the shop's orders whose invoices or credit notes were written to since a moment.

    Arguments:
        since: of the server's time.
        overlap: how far the window reaches back; see :data:`sync_pipelines.systems.odoo.listing.OVERLAP`.

    Returns:
        Nothing where accounting is not installed, or the user has no right to see it: then it is not compared either.

    Raises:
        PeerError: Odoo failed otherwise.
    """
    prefix = _prefix(settings)
    of_orders = ["|", ["ref", "=like", f"{prefix}%"], ["invoice_origin", "!=", False]]
    domain = [["move_type", "in", ["out_invoice", "out_refund"]], *of_orders]
    found, names = dict[str, None](), set[str]()
    try:
        async for page in client.sweep(_MOVED, Sweep(), domain=domain, since=since, overlap=overlap):
            for move in page.rows:
                if (refund := settings.refund_of(move.reference)) is not None:
                    found[refund[0]] = None
                elif move.origin:
                    names.add(move.origin)
    except OdooError as error:
        if error.reason in (Reason.FORBIDDEN, Reason.BAD_CALL):
            return []
        raise
    found.update(dict.fromkeys(await _named(client, settings, names)))
    return list(found)


def _prefix(settings: OrderSettings) -> str:
    return settings.key_of(0).removesuffix("0")


async def _named(client: OdooClient, settings: OrderSettings, names: Collection[str]) -> list[str]:
    wanted, keys, prefix = sorted(names), list[str](), _prefix(settings)
    for first in range(0, len(wanted), _ORIGINS):
        ours = ["client_order_ref", "=like", f"{prefix}%"]
        page = await client.find(ORDERS, [["name", "in", wanted[first : first + _ORIGINS]], ours])
        numbers = (settings.order_id_of(row.client_order_ref) for row in page.rows)
        keys += [settings.key_of(number) for number in numbers if number is not None]
    return keys
