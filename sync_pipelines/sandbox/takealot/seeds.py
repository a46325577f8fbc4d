"""Accounts to begin with: the one of the demo, and made-up ones of any size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from importlib import resources
from typing import Any

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.takealot.world import SAST, TIMES, Event, Row, TakealotWorld

DEMO_KEY = "demo-takealot-key-0123456789abcdef"
"""Invented; it opens no door."""

_DAYS = frozenset({"return_date"})


def demo_world(clock: Clock | None = None) -> TakealotWorld:
    """Return the demo's account as if its data were of now, with what happens to it in the next half hour.

    Arguments:
        clock: its time at the call is that of the data; one that stands at :func:`anchor` by default.
    """
    clock = clock or Clock(anchor().timestamp())
    shift = timedelta(seconds=clock.now() - anchor().timestamp())
    world = TakealotWorld(DEMO_KEY, clock)
    tables: dict[str, tuple[dict[int, Row], str]] = {
        "sales": (world.sales, "order_item_id"),
        "offers": (world.offers, "offer_id"),
        "returns": (world.returns, "seller_return_id"),
        "transactions": (world.transactions, "transaction_id"),
    }
    for name, (table, key) in tables.items():
        table.update({row[key]: _moved(row, shift) for row in demo_file(name)})
    for step in demo_file("timeline"):
        row = _moved(step["record"], shift) if step["op"] == "upsert" else None
        world.timeline.append(Event(clock.now() + 60 * step["offset_minutes"], step["kind"], step["id"], row))
    return world


def bulk_world(
    *, orders: int = 250, items: int = 1, offers: int = 3, days: int = 1, clock: Clock | None = None
) -> TakealotWorld:
    """Return an account with as many records as are asked for.

    Arguments:
        items: of each order.
        days: over which the orders are spread, today included.
    """
    world = TakealotWorld(DEMO_KEY, clock or Clock(anchor().timestamp()))
    for _ in range(offers):
        world.add_offer()
    for order in range(orders):
        for _ in range(items):
            world.add_sale(180_000_000 + order, days_ago=order % days)
    return world


def anchor() -> datetime:
    """Return the time that the demo's data is near to."""
    text: str = json.loads((_data() / "anchor.json").read_text("utf-8"))["anchor"]
    return datetime.fromisoformat(text)


def demo_file(name: str) -> Any:
    """Return one of the demo's files: ``sales``, ``offers``, ..., or ``expected``, what an import of them gives."""
    return json.loads((_data() / "takealot" / f"{name}.json").read_text("utf-8"))


def _data() -> Any:
    return resources.files("sync_pipelines.sandbox") / "data" / "marketplaces"


def _moved(row: Mapping[str, Any], shift: timedelta) -> Row:
    return {name: _moved_value(name, value, shift) for name, value in row.items()}


def _moved_value(name: str, value: Any, shift: timedelta) -> Any:
    if name in TIMES:
        return (datetime.fromisoformat(value) + shift).isoformat(timespec="seconds")
    if name in _DAYS:
        noon = datetime.combine(date.fromisoformat(value), time(12), SAST)
        return (noon + shift).date().isoformat()
    return value
