"""What a shop holds at first: the demo's records, moved to now, or as many made-up ones as are asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

from sync_pipelines.sandbox.shopify.world import ShopifyWorld

ANCHOR = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""The time that everything in the demo's records is near to."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def load(name: str, shift: timedelta) -> Any:
    """Return one of the demo's files with all its times moved."""

    def moved(value: Any) -> Any:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return (datetime.fromisoformat(value) + shift).strftime("%Y-%m-%dT%H:%M:%SZ")
        if isinstance(value, list):
            return [moved(one) for one in value]
        return {key: moved(one) for key, one in value.items()} if isinstance(value, dict) else value

    folder = resources.files("sync_pipelines.sandbox") / "data" / "marketplaces" / "shopify"
    return moved(json.loads((folder / f"{name}.json").read_text("utf-8")))


def seed_demo(world: ShopifyWorld, shift: timedelta) -> None:
    """Put the demo's orders and products into a shop, and what happens to them in the next half hour."""
    for kind in ("orders", "products"):
        for record in load(kind, shift):
            world.put(kind, record, indexed=True)
    world.timeline = load("timeline", shift)


def seed_bulk(world: ShopifyWorld, orders: int, products: int) -> None:
    """Put made-up records into a shop; the latest order is of now, each earlier one of a minute before."""
    now = int(world.clock.now())
    for number in range(1, products + 1):
        world.put("products", product(number, _text(now - 60)), indexed=True)
    for number in range(1, orders + 1):
        world.put("orders", order(number, _text(now - 60 * (orders - number))), indexed=True)


def order(number: int, at: str, *, lines: int = 1, **fields: Any) -> dict[str, Any]:
    """Return an order over products of 10.00 each, paid and not shipped."""
    total = _money(f"{10 * lines}.0")
    items = [
        {
            "id": f"gid://shopify/LineItem/{number * 1000 + line}",
            **{"title": f"Product {line}", "name": f"Product {line}", "sku": f"SKU-{line}"},
            **{"quantity": 1, "currentQuantity": 1},
            **{"originalUnitPriceSet": _money("10.0"), "discountedTotalSet": _money("10.0")},
            **{
                "product": {"id": f"gid://shopify/Product/{line}"},
                "variant": {"id": f"gid://shopify/ProductVariant/{line}"},
            },
        }
        for line in range(1, lines + 1)
    ]
    return {
        **{"id": f"gid://shopify/Order/{number}", "legacyResourceId": str(number), "name": f"#{number}"},
        **{"number": number, "createdAt": at, "processedAt": at, "updatedAt": at},
        **{"closedAt": None, "closed": False, "cancelledAt": None, "cancelReason": None},
        **{"currencyCode": "USD", "presentmentCurrencyCode": "USD", "taxesIncluded": False},
        **{"subtotalPriceSet": total, "totalShippingPriceSet": _money("0.0"), "totalTaxSet": _money("0.0")},
        **{"totalPriceSet": total, "currentTotalPriceSet": total, "totalRefundedSet": _money("0.0")},
        **{"displayFinancialStatus": "PAID", "displayFulfillmentStatus": "UNFULFILLED", "returnStatus": "NO_RETURN"},
        **{"test": False, "confirmed": True, "sourceName": "web", "tags": [], "fulfillments": [], "refunds": []},
        **{"email": f"{number}@customers.example.test", "customer": {"id": f"gid://shopify/Customer/{number}"}},
        "lineItems": {"nodes": items},
        **fields,
    }


def product(number: int, at: str, *, variants: int = 1, **fields: Any) -> dict[str, Any]:
    """Return an active product, each variant of which costs 10.00."""
    rows = [
        {
            "id": f"gid://shopify/ProductVariant/{number + 10_000_000 * place}",
            **{"legacyResourceId": str(number + 10_000_000 * place), "title": f"Size {place}"},
            **{"sku": f"SKU-{number}-{place}", "price": "10.00", "barcode": None, "inventoryQuantity": 5},
            **{"createdAt": at, "updatedAt": at},
        }
        for place in range(variants)
    ]
    return {
        **{"id": f"gid://shopify/Product/{number}", "legacyResourceId": str(number), "title": f"Product {number}"},
        **{"handle": f"product-{number}", "status": "ACTIVE", "vendor": "Demo", "productType": "Thing"},
        **{"createdAt": at, "updatedAt": at, "publishedAt": at, "variants": {"nodes": rows}},
        **fields,
    }


def _money(amount: str) -> Mapping[str, Any]:
    money = {"amount": amount, "currencyCode": "USD"}
    return {"shopMoney": money, "presentmentMoney": money}


def _text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
