"""How the marketplace module and a transaction's fee handling word their events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sync_pipelines.sandbox.cometbft.blocks import Attribute, Event, rfc3339

PAYER = "virtengine19d08vhph0uxs3wvypywla9zgreqzflunqyfr5v"
COLLECTOR = "virtengine17xpfvakm2amg962yls6f84z3kell8c5lz3vhjh"
FEE = "4800uvirt"


def event_attributes(
    kind: str, offering_id: str, height: int, time: datetime, sequence: int, details: Mapping[str, Any]
) -> tuple[Attribute, ...]:
    """Return the five attributes of a ``marketplace_event`` in the order in which the module writes them."""
    event_id = f"evt_{kind}_{offering_id}_{sequence}"
    payload = {
        "event_type": kind,
        "event_id": event_id,
        "block_height": height,
        "timestamp": rfc3339(time),
        "sequence": sequence,
        "offering_id": offering_id,
        "provider_address": offering_id.split("/", maxsplit=1)[0],
        **details,
    }
    return (
        Attribute("event_type", kind),
        Attribute("event_id", event_id),
        Attribute("block_height", str(height)),
        Attribute("sequence", str(sequence)),
        Attribute("payload_json", json.dumps(payload, ensure_ascii=False, separators=(",", ":"))),
    )


def new_offering(provider: str, sequence: int, time: datetime, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an offering as the module stores it; timestamps given by the caller are kept."""
    return {
        "state": 1,
        "category": "other",
        "name": "",
        "description": "",
        "version": "1.0.0",
        "pricing": {"model": "hourly", "base_price": 1, "currency": "uvirt"},
        "tags": [],
        "regions": [],
        "created_at": rfc3339(time),
        "updated_at": rfc3339(time),
        "total_order_count": 0,
        "active_order_count": 0,
        **given,
        "id": {"provider_address": provider, "sequence": sequence},
    }


def tx_events(action: str | None = None, module_events: Sequence[Event] = ()) -> tuple[Event, ...]:
    """Return all events of a transaction: the fee's, then the message's (none when ``action`` is None: it failed)."""
    fee = (
        Event.of("coin_spent", spender=PAYER, amount=FEE),
        Event.of("coin_received", receiver=COLLECTOR, amount=FEE),
        Event.of("transfer", recipient=COLLECTOR, sender=PAYER, amount=FEE),
        Event.of("message", sender=PAYER),
        Event.of("tx", fee=FEE, fee_payer=PAYER),
    )
    if action is None:
        return fee
    message = Event.of("message", action=action, sender=PAYER, module="market", msg_index="0")
    emitted: list[Event] = []
    for event in module_events:
        emitted.append(Event(event.type, (*event.attributes, Attribute("msg_index", "0"))))
    return (*fee, message, *emitted)
