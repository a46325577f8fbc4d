"""The demo's seller is pulled from three regions: what arrives is the truth, before and after the changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.sandbox.amazon import ANCHOR, REGIONS, AmazonStandIn
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines_tests.pipelines.marketplaces.amazon_sellers import Seller, amazon_seller

EXPECTED = json.loads((Path(__file__).parent / "expected" / "amazon.json").read_text("utf-8"))
SETTLED = 2.5
"""Minutes until a change is old enough to be asked for."""


def told(value: Any) -> Any:
    """Return a value of the database as the truth writes it."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return str(value) if isinstance(value, Decimal) else value


def records(seller: Seller, columns: str, source: str) -> list[dict[str, Any]]:
    with seller.engine.connect() as connection:
        rows = connection.execute(text(f"SELECT 'amazon' AS marketplace, {columns} FROM sync.marketplace_{source}"))
        return [{name: told(value) for name, value in row.items()} for row in rows.mappings()]


def orders(seller: Seller) -> dict[Any, dict[str, Any]]:
    columns = (
        "order_key, display_number, status, raw_status, currency, total, canceled_total, refunded_total, "
        "total - canceled_total - refunded_total AS net_total, ordered_at, updated_at, is_test, item_count, "
        "extra->>'alias' AS alias, extra->>'marketplace_id' AS marketplace_id, "
        "extra->>'region' AS region"
    )
    return {row["order_key"]: row for row in records(seller, columns, "order")}


def items(seller: Seller) -> dict[Any, dict[str, Any]]:
    columns = (
        "order_key, item_key, sku, product_key, quantity::int AS quantity, status, currency, unit_price, discount, "
        "line_total, extra->>'asin' AS asin"
    )
    return {(row["order_key"], row["item_key"]): row for row in records(seller, columns, "order_item")}


def products(seller: Seller) -> dict[Any, dict[str, Any]]:
    columns = (
        "product_key, sku, title, status, raw_status, currency, price, updated_at, extra->>'asin' AS asin, "
        "extra->>'marketplace_id' AS marketplace_id"
    )
    return {row["product_key"]: row for row in records(seller, columns, "product WHERE deleted_at IS NULL")}


def truth(rows: list[dict[str, Any]], *without: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in without} for row in rows]


def expected(kind: str, *keys: str, after: bool = False) -> dict[Any, dict[str, Any]]:
    """Return the truth of a kind by its keys; after the timeline, with the rows that differ then."""
    rows = truth(EXPECTED[kind] + (EXPECTED["after_timeline"][kind] if after else []), "peculiarities", "product_known")
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        key = row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys)
        found[key] = row
        if row.get("deleted"):
            del found[key]
    return found


def pull_all(seller: Seller) -> None:
    for region in REGIONS:
        for stream in Stream:
            outcome = seller.pull(stream, region=region)
            assert (outcome.error, outcome.waits) == (None, None)


def by_currency(seller: Seller) -> dict[str, tuple[int, Decimal, Decimal, Decimal]]:
    rows = seller.rows(
        "SELECT currency, count(*), sum(total), sum(canceled_total), sum(refunded_total) "
        "FROM sync.marketplace_order WHERE total IS NOT NULL GROUP BY currency"
    )
    return {currency: tuple(sums) for currency, *sums in rows}


def assert_is_the_truth(seller: Seller, *, after: bool) -> None:
    assert orders(seller) == expected("orders", "order_key", after=after)
    assert items(seller) == expected("items", "order_key", "item_key", after=after)
    assert products(seller) == expected("products", "product_key", after=after)


def test_the_demo_data_arrive_as_the_truth_before_and_after_the_timeline(engine: Engine) -> None:
    standin = AmazonStandIn.demo(Clock(ANCHOR.timestamp()))
    with amazon_seller(engine, standin, *REGIONS) as seller:
        seller.later(SETTLED)
        pull_all(seller)
        assert_is_the_truth(seller, after=False)
        assert by_currency(seller) == {
            currency: (one["orders"], *(Decimal(one[name]) for name in ("total", "canceled", "refunded")))
            for currency, one in EXPECTED["totals"]["by_currency"].items()
        }
        assert seller.rows("SELECT 1 FROM sync.marketplace_order WHERE currency = 'JPY' AND scale(total) > 0") == []
        changes = seller.rows("SELECT count(*) FROM sync.marketplace_change")
        pull_all(seller)
        assert seller.rows("SELECT count(*) FROM sync.marketplace_change") == changes
        for _ in range(2):
            seller.later(15)
            pull_all(seller)
        # What was deleted shows in the next complete reading.
        seller.later(24 * 60)
        pull_all(seller)
        assert_is_the_truth(seller, after=True)
        gone = seller.rows("SELECT product_key FROM sync.marketplace_product WHERE deleted_at IS NOT NULL")
    assert gone == [("DEMO-1079",)]
    buyers = {
        word
        for order in standin.world.orders.values()
        for word in (order["buyer"].get("buyerName"), order["buyer"].get("buyerEmail"))
        if word
    }
    stored = str(seller.rows("SELECT o::text FROM sync.marketplace_order o"))
    assert [word for word in buyers if word in stored] == []
