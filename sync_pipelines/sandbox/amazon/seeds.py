"""Worlds to begin with: the demo's seller, and made-up orders."""

from __future__ import annotations

import json
import re
from datetime import datetime
from importlib import resources
from typing import Any

from sync_pipelines.sandbox.amazon.world import SELLER_ID, AmazonWorld, Change, Record, seconds_of, written
from sync_pipelines.sandbox.clock import Clock

_DATA = resources.files("sync_pipelines.sandbox") / "data" / "marketplaces"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

ANCHOR = datetime.fromisoformat(json.loads((_DATA / "anchor.json").read_text("utf-8"))["anchor"])
"""The time that all times of the demo data are near to."""


def demo_world(clock: Clock | None = None) -> AmazonWorld:
    """Return the demo's seller, as if the anchor of the data were the clock's time; what comes later is yet to come."""
    world = AmazonWorld(clock or Clock())
    begun = world.clock.now()
    shift = begun - ANCHOR.timestamp()
    world.orders = {row["orderId"]: row for row in _rows("orders", shift)}
    world.listings = {row["sku"]: row for row in _rows("listings", shift)}
    world.transactions = _rows("finance_transactions", shift)
    world.changes = [
        Change(begun + 60.0 * row["offset_minutes"], row["op"], row["kind"], row["id"], row.get("record"))
        for row in _rows("timeline", shift)
    ]
    return world


def made_up_order(world: AmazonWorld, number: int, *, minutes_ago: float, **fields: Any) -> Record:
    """Place an order of one line in the United States, last changed some minutes ago."""
    changed = written(world.clock.now() - 60.0 * minutes_ago)
    price = {"amount": f"{number % 90 + 10}.25", "currencyCode": "USD"}
    order: Record = {
        "orderId": f"112-{number:07d}-0000000",
        "orderAliases": [],
        "createdTime": changed,
        "lastUpdatedTime": changed,
        "salesChannel": {"channelName": "AMAZON", "marketplaceId": "ATVPDKIKX0DER"},
        "buyer": {"buyerName": "Vilhelmine Sample", "buyerEmail": "vilhelmine@buyers.example.test"},
        "recipient": {"deliveryAddress": {"name": "Vilhelmine Sample", "addressLine1": "Hemmelig gade 4"}},
        "fulfillment": {"fulfillmentStatus": "UNSHIPPED", "fulfilledBy": "MERCHANT"},
        "orderItems": [
            {
                "orderItemId": f"{number}",
                "quantityOrdered": 1,
                "product": {"asin": f"B0{number:08d}", "sellerSku": f"SKU-{number}", "price": {"unitPrice": price}},
                "proceeds": {"proceedsTotal": price, "breakdowns": [{"type": "ITEM", "subtotal": price}]},
            }
        ],
        "proceeds": {"grandTotal": price},
    }
    return world.put_order(order | fields)


def made_up_listing(world: AmazonWorld, number: int, *, minutes_ago: float, store: str = "ATVPDKIKX0DER") -> Record:
    """List an article."""
    changed = written(world.clock.now() - 60.0 * minutes_ago)
    summary = {"marketplaceId": store, "status": ["BUYABLE"], "itemName": f"Article {number}"}
    sku = f"SKU-{number}"
    world.listings[sku] = {
        "sku": sku,
        "summaries": [{**summary, "createdDate": changed, "lastUpdatedDate": changed}],
        "offers": [{"marketplaceId": store, "offerType": "B2C", "price": {"currencyCode": "USD", "amount": "9.50"}}],
        "fulfillmentAvailability": [{"fulfillmentChannelCode": "DEFAULT", "quantity": 3}],
        "productTypes": [{"marketplaceId": store, "productType": "HOME"}],
    }
    return world.listings[sku]


def _rows(name: str, shift: float) -> list[Any]:
    text = (_DATA / "amazon" / f"{name}.json").read_text("utf-8")
    rows: list[Any] = json.loads(_TIME.sub(lambda found: written(seconds_of(found[0]) + shift), text))
    assert name != "finance_transactions" or all(
        row["sellingPartnerMetadata"]["sellingPartnerId"] == SELLER_ID for row in rows
    )
    return rows
