"""Credit notes of Odoo for refunds of the shop: found by their reference, and made as drafts where that is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.orders.mapping import CreditNote
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.systems.odoo import Entity, OdooClient, OdooError, Reason
from sync_pipelines.systems.odoo.listing import raise_malformed
from sync_pipelines.systems.odoo.values import amount, record_id, text

_MODEL = "account.move"


@dataclass(frozen=True, slots=True)
class Move:
    """A credit note as Odoo tells it."""

    id: int
    reference: str
    state: str
    total: Decimal
    reason: str


def _parse(row: Mapping[str, Any]) -> Move:
    return Move(
        record_id(row), text(row, "ref"), text(row, "state"), amount(row, "amount_total"), text(row, "narration")
    )


MOVES = Entity(_MODEL, ("ref", "state", "amount_total", "narration"), _parse)


async def credit_notes(
    client: OdooClient, keys: Sequence[str] | None, settings: OrderSettings
) -> dict[str, list[CreditNote]] | None:
    """Return the credit notes for refunds by natural key of their order, cancelled ones left out.

    Arguments:
        keys: of the orders, ``None`` for all of the shop.

    Returns:
        ``None`` when accounting is not installed, or the user has no right to see it.

    Raises:
        PeerError: Odoo failed otherwise.
    """
    if keys is not None and not keys:
        return {}
    prefixes = [settings.key_of(0).removesuffix("0")] if keys is None else [f"{key}-R" for key in keys]
    domain = [["move_type", "=", "out_refund"], ["state", "!=", "cancel"]]
    wanted = [*["|"] * (len(prefixes) - 1), *(["ref", "=like", f"{prefix}%"] for prefix in prefixes)]
    sweep, moves = Sweep(), list[Move]()
    try:
        async for page in client.sweep(MOVES, sweep, domain=[*domain, *wanted]):
            raise_malformed(page)
            moves += page.rows
    except OdooError as error:
        if error.reason in (Reason.FORBIDDEN, Reason.BAD_CALL):
            return None
        raise
    if sweep.gaps or sweep.declared != sweep.seen:
        # With one missing, a second one would be made for its refund.
        message = f"credit notes may be missing: {sweep.declared} are declared, {sweep.seen} were read"
        raise OdooError(FailureKind.TRANSIENT, Reason.UNKNOWN, message, operation=f"{_MODEL}.search_read")
    found: dict[str, list[CreditNote]] = {}
    for move in moves:
        if (named := settings.refund_of(move.reference)) is not None:
            key, refund = named
            found.setdefault(key, []).append(CreditNote(move.id, refund, move.total, move.reason))
    return found


async def draft_credit_notes(
    client: OdooClient, current: Record, refunds: Sequence[Mapping[str, Any]], settings: OrderSettings, product: int
) -> None:
    """Make a draft for each refund that has no credit note. Accounting divides up the tax, and posts it.

    Arguments:
        current: the order.
        refunds: as in an order's content.
        product: variant that the amount is booked on.

    Raises:
        PeerError: one could not be made; those before it were.
    """
    key = current.natural_key
    # Asked now: one made by a request without an answer must not be made again.
    known = await credit_notes(client, [key], settings) or {}
    there = {note.refund_id for note in known.get(key, ())}
    for refund in refunds:
        if int(refund["id"]) in there:
            continue
        line = {
            "product_id": product,
            "name": refund["reason"] or f"Refund of {key}",
            "quantity": 1,
            "price_unit": Decimal(refund["amount"]),
            "tax_ids": [[6, 0, []]],
        }
        values = {
            "move_type": "out_refund",
            "partner_id": current.meta["partner"],
            "ref": settings.refund_reference(key, int(refund["id"])),
            "invoice_origin": current.meta["name"],
            "invoice_line_ids": [[0, 0, line]],
        }
        [outcome] = await client.create(_MODEL, [values])
        if outcome.error is not None:
            raise _failed(outcome.error)


def _failed(error: PeerError) -> PeerError:
    error.message = f"the credit note was not made: {error.message}"
    return error
