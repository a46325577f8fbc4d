"""A Shopify shop is pulled over HTTP: what is stored is what the shop holds, whatever happens on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, text

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.sandbox.shopify import PERMANENT_TOKEN, ShopifyStandIn
from sync_pipelines.sandbox.shopify.seeds import order
from sync_pipelines.settings import Secret
from sync_pipelines_tests.pipelines.marketplaces.shopify_shops import PulledShopify, connected, pulled

EXPECTED = json.loads((Path(__file__).parent / "shopify_expected.json").read_text("utf-8"))
Rows = list[dict[str, Any]]


def stored_orders(shop: PulledShopify) -> Rows:
    found = shop.rows(
        "SELECT order_key, display_number, status, raw_status, currency, total::text, canceled_total::text, "
        "refunded_total::text, net_total::text, extra->>'presentment_currency', extra->>'presentment_total', "
        "ordered_at, updated_at, is_test FROM sync.marketplace_order WHERE deleted_at IS NULL"
    )
    names = tuple(EXPECTED["before"]["orders"][0])
    return [told(dict(zip(names, row, strict=True)), shop.standin.shift) for row in found]


def stored_items(shop: PulledShopify) -> Rows:
    found = shop.rows(
        "SELECT i.order_key, item_key, sku, product_key, variant_key, quantity::int, i.status, i.currency, "
        "unit_price::text, discount::text, line_total::text FROM sync.marketplace_order_item i "
        "JOIN sync.marketplace_order o USING (connection_id, order_key) WHERE o.deleted_at IS NULL"
    )
    names = tuple(EXPECTED["before"]["items"][0])
    return [dict(zip(names, row, strict=True)) for row in found]


def stored_products(shop: PulledShopify) -> Rows:
    found = shop.rows(
        "SELECT product_key, variant_key, sku, title, status, lower(raw_status->>0), currency, price::text, updated_at "
        "FROM sync.marketplace_product WHERE deleted_at IS NULL"
    )
    names = tuple(EXPECTED["before"]["products"][0])
    return [told(dict(zip(names, row, strict=True)), shop.standin.shift) for row in found]


def told(row: dict[str, Any], shift: timedelta) -> dict[str, Any]:
    """With times as the expected rows have them: as before the demo's records were moved to now."""
    return {
        name: (value.astimezone(UTC) - shift).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def expected(kind: str, *keys: str, after: bool = False) -> Rows:
    def of(rows: Rows) -> dict[tuple[Any, ...], dict[str, Any]]:
        return {tuple(row.get(key) for key in keys): row for row in rows}

    rows = of(EXPECTED["before"][kind])
    if after:
        rows |= of(EXPECTED["after"][kind])
    gone = {key[0] for key, row in rows.items() if row.get("deleted")}
    if kind == "items" and after:
        gone = {row["order_key"] for row in EXPECTED["after"]["orders"] if row.get("deleted")}
    return [row for key, row in rows.items() if key[0] not in gone]


def same(found: Rows, wanted: Rows) -> bool:
    return sorted(map(json.dumps, found)) == sorted(map(json.dumps, wanted))


@pytest.mark.parametrize("busy", [False, True], ids=["in bulk", "page by page"])
def test_the_demo_shop_arrives_to_the_cent_before_and_after_what_happens_next(engine: Engine, busy: bool) -> None:
    standin = ShopifyStandIn.demo()
    standin.world.bulk_outcome = "BUSY" if busy else "COMPLETED"
    with pulled(engine, standin) as shop:
        assert shop.cycle().success
        assert same(stored_orders(shop), expected("orders", "order_key"))
        assert same(stored_items(shop), expected("items", "order_key", "item_key"))
        assert same(stored_products(shop), expected("products", "product_key", "variant_key"))
        assert shop.rows("SELECT sum(total), sum(net_total) FROM sync.marketplace_order") == [
            (Decimal("52843.46"), Decimal("52074.50"))
        ]
        standin.play(15)
        shop.cycle()
        assert shop.statuses()["5910005673605"] == "processing"
        standin.play(30)
        shop.cycle()
        # Deletions show in a reading of everything, which is due once a day.
        shop.cycle(anew=True)
        assert same(stored_orders(shop), expected("orders", "order_key", after=True))
        assert same(stored_items(shop), expected("items", "order_key", "item_key", after=True))
        assert same(stored_products(shop), expected("products", "product_key", "variant_key", after=True))
        errors = shop.rows("SELECT DISTINCT kind FROM sync.marketplace_item_error WHERE resolved_at IS NULL")
        assert sorted(errors) == [("no_product",), ("no_sku",)]
        # No customer's name, address or e-mail is even asked for.
        kept = shop.rows("SELECT raw::text FROM sync.marketplace_order")
        assert not any(word in text for (text,) in kept for word in ('"customer"', '"email"', "@"))


@pytest.mark.parametrize("outcome", ["COMPLETED", "FAILED", "BUSY"])
def test_250_orders_arrive_however_a_bulk_operation_ends(engine: Engine, outcome: str) -> None:
    standin = ShopifyStandIn.bulk(orders=250)
    standin.world.bulk_outcome = outcome
    with pulled(engine, standin) as shop:
        assert shop.cycle().success
        assert len(shop.orders()) == 250
        assert ("SyncOrders" in standin.world.operations) == (outcome != "COMPLETED")


def broken_off(shop: PulledShopify) -> list[str]:
    """Let a cycle end while its bulk operations run, and return their ids."""
    world = shop.standin.world
    world.after("SyncBulkStart", lambda: world.tokens.pop(PERMANENT_TOKEN))
    assert not shop.cycle().success
    assert not shop.orders()
    world.tokens[PERMANENT_TOKEN] = None
    return list(world.bulks)


def test_the_bulk_operation_of_a_run_that_ended_is_taken_up_by_the_next_one(engine: Engine) -> None:
    standin = ShopifyStandIn.bulk(orders=250, products=0)
    world = standin.world
    with pulled(engine, standin, access_token=Secret(PERMANENT_TOKEN)) as shop:
        left = broken_off(shop)
        world.clock.advance(600)
        world.put("orders", order(251, world.now_text()), indexed=True)
        assert shop.cycle(streams=[Stream.ORDERS]).success
        assert list(world.bulks) == left
        # What changed since the operation began is not in its file, and arrives with the reading that follows.
        assert len(shop.orders()) == 250
        shop.cycle(streams=[Stream.ORDERS])
        assert len(shop.orders()) == 251
        assert list(world.bulks) == left


def test_a_bulk_operation_that_was_left_for_long_is_canceled_and_started_anew(engine: Engine) -> None:
    standin = ShopifyStandIn.bulk(orders=20, products=0)
    world = standin.world
    with pulled(engine, standin, access_token=Secret(PERMANENT_TOKEN)) as shop:
        left = broken_off(shop)
        earlier = json.dumps((datetime.now(UTC) - timedelta(days=2)).isoformat())
        with engine.begin() as connection:
            age = "UPDATE sync.marketplace_stream SET state = jsonb_set(state, '{bulk,began}', CAST(:at AS jsonb)) "
            connection.execute(text(age + "WHERE stream = 'orders'"), {"at": earlier})
        assert shop.cycle(streams=[Stream.ORDERS]).success
        assert len(shop.orders()) == 20
        assert [world.bulks[one].status for one in left].count("CANCELED") == 1
        assert len(world.bulks) == len(left) + 1


def test_no_more_bulk_operations_are_started_than_the_shop_has_places_for(engine: Engine) -> None:
    standin = ShopifyStandIn.bulk(orders=20)
    standin.world.bulk_places = 0
    with pulled(engine, standin) as shop:
        assert shop.cycle().success
        assert (len(shop.orders()), standin.world.bulks) == (20, {})


def test_what_the_index_learns_late_arrives_with_the_next_run(engine: Engine) -> None:
    standin = ShopifyStandIn.bulk(orders=3)
    world = standin.world
    with pulled(engine, standin) as shop:
        shop.cycle()
        world.index_lag = 100.0
        late = world.now_text()
        world.put("orders", order(4, late))
        world.index_lag = 0.0
        world.clock.advance(60)
        world.put("orders", order(5, world.now_text()))
        shop.cycle()
        first = set(shop.orders())
        world.clock.advance(60)
        shop.cycle()
        assert (first, set(shop.orders())) == ({"1", "2", "3", "5"}, {"1", "2", "3", "4", "5"})


def test_a_retired_version_fails_and_says_so(engine: Engine) -> None:
    access = {"access_token": Secret(PERMANENT_TOKEN), "api_version": "2025-01"}
    with pulled(engine, ShopifyStandIn.bulk(orders=1), **access) as shop:
        assert not shop.cycle().success
        assert "version 2025-01 was asked for and 2026-01 answered" in str(shop.state.last_error)
        assert shop.orders() == {}


def test_a_missing_scope_closes_one_stream_only(engine: Engine) -> None:
    standin = ShopifyStandIn.bulk(orders=2, products=2)
    standin.world.scopes = frozenset({"read_products"})
    standin.world.bulk_outcome = "BUSY"
    with pulled(engine, standin) as shop:
        shop.cycle()
        assert shop.state.sync_status == "partial"
        assert "a scope is missing" in str(shop.state.last_error)
        assert shop.rows("SELECT count(*) FROM sync.marketplace_product") == [(2,)]


def test_a_refused_token_is_an_expired_connection(engine: Engine) -> None:
    with pulled(engine, ShopifyStandIn.bulk(orders=1), access_token=Secret("shpat_wrong")) as shop:
        shop.cycle()
        assert (shop.state.status, shop.state.sync_status) == ("expired", "error")


def test_once_a_day_deletions_and_stock_arrive_that_no_list_of_changes_tells_of(engine: Engine) -> None:
    standin = ShopifyStandIn.bulk(orders=300, products=3)
    world = standin.world
    with pulled(engine, standin) as shop:
        shop.cycle()
        world.delete("orders", 7)
        world.delete("products", 1)
        variant = world.products[2]["variants"]["nodes"][0]
        world.put("products", {**world.products[2], "variants": {"nodes": [{**variant, "inventoryQuantity": -4}]}})
        shop.cycle()
        assert "7" in shop.orders()
        with engine.begin() as connection:
            yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
            at = f'"{yesterday}"'
            sql = "UPDATE sync.marketplace_stream SET state = jsonb_set(state, '{scanned}', CAST(:at AS jsonb))"
            connection.execute(text(sql), {"at": at})
        shop.cycle()
        assert set(map(int, shop.orders())) == set(range(1, 301)) - {7}
        products = "SELECT product_key, stock::int, deleted_at IS NOT NULL FROM sync.marketplace_product ORDER BY 1"
        assert shop.rows(products) == [("1", 5, True), ("2", -4, False), ("3", 5, False)]
        assert world.operations.count("SyncOrdersIds") == 2


def test_old_orders_that_the_app_may_not_see_any_more_are_not_marked_deleted(engine: Engine) -> None:
    standin = ShopifyStandIn.demo()
    with pulled(engine, standin) as shop:
        shop.cycle(streams=(Stream.ORDERS,))
        standin.world.scopes = standin.world.scopes - {"read_all_orders"}
        del standin.world.orders[5910005196426]
        shop.cycle(streams=(Stream.ORDERS,), anew=True)
        assert "5910005282834" in shop.orders()
        assert "5910005196426" not in shop.orders()


def test_an_order_that_is_not_as_described_is_listed_and_the_others_arrive(engine: Engine) -> None:
    standin = ShopifyStandIn.bulk(orders=3)
    money = {"shopMoney": {"amount": "nan", "currencyCode": "USD"}}
    standin.world.edit("orders", 2, totalRefundedSet={**money, "presentmentMoney": money["shopMoney"]})
    with pulled(engine, standin) as shop:
        shop.cycle()
        assert set(shop.orders()) == {"1", "3"}
        assert shop.rows("SELECT kind, key FROM sync.marketplace_item_error") == [("unreadable", "2")]


def test_an_unknown_status_is_stored_flagged_and_listed(engine: Engine) -> None:
    standin = ShopifyStandIn.bulk(orders=1)
    standin.world.edit("orders", 1, displayFulfillmentStatus="BEAMED")
    with pulled(engine, standin) as shop:
        shop.cycle()
        assert shop.rows("SELECT status, status_unmapped FROM sync.marketplace_order") == [("processing", True)]
        assert shop.rows("SELECT kind FROM sync.marketplace_item_error") == [("unknown_status",)]


@pytest.mark.parametrize(
    ("access", "why"),
    [
        ({"client_id": "x"}, "give either"),
        ({"access_token": Secret("a"), "client_id": "x", "client_secret": Secret("b")}, "give either"),
        ({"access_token": Secret("a"), "api_version": "2026-11"}, "no version"),
    ],
)
def test_a_section_that_does_not_say_one_way_in_is_refused(access: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        connected("https://acme.myshopify.com", **access)
