"""The acceptance checks (a) to (i) of the marketplaces, each found by its letter."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.pipelines.marketplaces.cycle import Request, run_cycle
from sync_pipelines.sandbox.amazon import ANCHOR, AmazonStandIn, AmazonWorld, made_up_order
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.shopify import ShopifyStandIn
from sync_pipelines.sandbox.takealot import TakealotStandIn, bulk_world
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines_tests.pipelines.marketplaces.amazon_sellers import amazon_seller
from sync_pipelines_tests.pipelines.marketplaces.orders import Account, item, order, page, pulled_from
from sync_pipelines_tests.pipelines.marketplaces.several_pages import PAGED
from sync_pipelines_tests.pipelines.marketplaces.shopify_shops import pulled as pulled_shopify
from sync_pipelines_tests.pipelines.marketplaces.shops import LOG, connected, pulled_shop
from sync_pipelines_tests.pipelines.marketplaces.takealot_accounts import account
from sync_pipelines_tests.service.google import Google, claims, token
from sync_pipelines_tests.service.running import SCHEDULER, SECRET, asking, call, called, rows

ORDERS = r"/orders$"
PRODUCTS = r"/products$"
JSON = "application/json"
NOON, LATER = "2026-04-13T12:00:00Z", "2026-04-13T12:15:00Z"


def shop_of(orders: int = 3) -> WooCommerceStandIn:
    return WooCommerceStandIn.bulk(products=3, customers=max(orders, 1), orders=orders)


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    with Google().running() as google:
        yield google


TOKENS: dict[str, tuple[dict[str, Any], int]] = {
    "good": ({}, 202),
    "expired": ({"iat": int(time.time()) - 4000, "exp": int(time.time()) - 400}, 403),
    "of another audience": ({"aud": "https://other.example.com"}, 403),
    "of another e-mail address": ({"email": "else@project.iam.gserviceaccount.com"}, 403),
}


@pytest.mark.parametrize(("changes", "status"), TOKENS.values(), ids=TOKENS)
def test_check_a_the_scheduler_is_known_by_its_token(
    engine: Engine, google: Google, changes: dict[str, Any], status: int
) -> None:
    assert call(engine, google, called(bearer=token(claims(**changes))))[0] == status


def test_check_a_what_is_no_token_of_google_is_refused(engine: Engine, google: Google) -> None:
    for bearer in ("garbage", token(key="rogue"), None):
        assert call(engine, google, called(bearer=bearer))[0] == 403


@pytest.mark.parametrize("secret", [f"x{SECRET[1:]}", f"{SECRET[:-1]}x", "x"])
def test_check_a_the_secret_is_compared_in_constant_time(
    engine: Engine, google: Google, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    compared = []
    compare = hmac.compare_digest

    def noted(one: Any, other: Any) -> bool:
        compared.append({one, other})
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    assert call(engine, google, called(secret=secret), SCHEDULER_AUTH="secret")[0] == 403
    assert {secret.encode(), SECRET.encode()} in compared


def test_check_b_a_schedule_time_that_comes_twice_starts_one_run_and_an_overlapping_one_is_refused(
    engine: Engine,
) -> None:
    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.post(SCHEDULER, headers=called(moment)) for moment in (NOON, NOON, LATER)]

    first, again, overlapping = asking(engine, work)
    assert [answer.json()["started"] for answer in (first, again, overlapping)] == [True, False, False]
    assert again.json()["cycleId"] == first.json()["cycleId"]
    assert rows(engine, "SELECT count(*) FILTER (WHERE status <> 'refused') FROM sync.sync_cycle") == [(1,)]


def test_check_b_two_cycles_at_once_pull_a_connection_once(engine: Engine) -> None:
    with pulled_shop(engine, shop_of()) as shop:

        async def twice() -> list[int]:
            cycles = [run_cycle(engine, [shop.connection], Request(run), LOG) for run in ("first", "second")]
            return [outcome.result["skippedConnections"] for outcome in await asyncio.gather(*cycles)]

        shop.cycle(streams=())
        skipped = asyncio.run(twice())
    assert sorted(skipped) == [0, 1]
    assert len(shop.statuses()) == 3


@pytest.mark.parametrize("marketplace", PAGED)
def test_check_c_250_orders_arrive_although_a_page_holds_100(engine: Engine, marketplace: str) -> None:
    with PAGED[marketplace](engine, orders=250) as paged:
        outcome = paged.cycle()
        assert len(paged.statuses()) == 250
        assert outcome.result == {
            "success": True,
            "totalConnections": 1,
            "successfulConnections": 1,
            "failedConnections": 0,
            "skippedConnections": 0,
            "errors": [],
        }
        assert paged.rows("SELECT count(*) FROM sync.marketplace_order_item") == [(250,)]
        paged.cycle()
    assert paged.rows("SELECT count(*) FROM sync.marketplace_change") == [(0,)]


def test_check_d_an_order_that_is_updated_during_the_run_arrives_with_the_next_from_woocommerce(
    engine: Engine,
) -> None:
    with pulled_shop(engine, shop_of(150)) as shop:
        number = min(shop.standin.world.orders)
        shop.standin.world.after(ORDERS, lambda: shop.standin.world.edit_order(number, status="completed"))
        shop.cycle()
        before = shop.statuses()[str(number)]
        shop.cycle()
    assert (before, shop.statuses()[str(number)]) == ("new", "completed")


def test_check_d_an_order_that_is_updated_during_the_run_arrives_with_the_next_from_takealot(engine: Engine) -> None:
    with account(engine, TakealotStandIn(bulk_world(orders=150))) as pulled:
        world = pulled.standin.world
        # The list is in no order: every sale that stood on the first page is edited behind the client's back.
        world.after("/sales$", lambda: [row.update(sale_status="Shipped to Customer") for row in world.sales.values()])
        pulled.pull()
        between = set(pulled.statuses().values())
        pulled.pull()
    assert between == {"new", "shipped"}
    assert set(pulled.statuses().values()) == {"shipped"}


def test_check_d_an_order_that_is_updated_during_the_run_arrives_with_the_next_from_shopify(engine: Engine) -> None:
    standin = ShopifyStandIn.bulk(orders=30)
    world = standin.world
    world.bulk_outcome = "BUSY"
    with pulled_shopify(engine, standin) as shop:
        # Order 1 stood on the page that was just answered; the index knows of it when the reading is over.
        world.after("SyncOrders", lambda: world.edit("orders", 1, cancelledAt=world.now_text()))
        shop.cycle()
        before = shop.statuses()["1"]
        world.clock.advance(world.index_lag)
        shop.cycle()
    assert (before, shop.statuses()["1"]) == ("processing", "canceled")


def test_check_d_an_order_that_is_updated_during_the_run_arrives_with_the_next_from_amazon(engine: Engine) -> None:
    world = AmazonWorld(Clock(ANCHOR.timestamp()), page=2)
    first, *_ = [made_up_order(world, number, minutes_ago=20 - number)["orderId"] for number in range(5)]
    with amazon_seller(engine, AmazonStandIn(world)) as seller:
        world.after("/orders/2026-01-01/orders$", lambda: world.ship(first))
        seller.pull()
        before = seller.statuses()[first]
        seller.later(15)
        seller.pull()
    assert (before, seller.statuses()[first]) == ("processing", "shipped")


def test_check_e_a_stream_that_fails_is_partial_and_leaves_the_other_one_moving(engine: Engine) -> None:
    with pulled_shop(engine, shop_of()) as shop:
        shop.cycle()
        orders, products = shop.watermark(Stream.ORDERS), shop.watermark(Stream.PRODUCTS)
        # A watermark is of whole seconds, as the shop's times are.
        shop.standin.world.clock.advance(5)
        shop.standin.world.edit_order(min(shop.standin.world.orders), status="completed")
        fault = shop.standin.faults.add("status", path=PRODUCTS, status=500, body="{}", content_type=JSON)
        outcome = shop.cycle()
        failed = shop.state
        assert (failed.sync_status, failed.status) == ("partial", "connected")
        assert str(failed.last_error).startswith("Failed to fetch products from WooCommerce: ")
        assert outcome.result["errors"][0]["connectionId"] == "acme-shop"
        assert shop.watermark(Stream.ORDERS) != orders
        assert shop.watermark(Stream.PRODUCTS) == products
        shop.standin.faults.remove(fault)
        shop.cycle()
    assert (shop.state.sync_status, shop.state.last_error) == ("success", None)
    assert shop.state.last_synced_at is not None
    assert shop.state.last_synced_at > (failed.last_synced_at or datetime.min.replace(tzinfo=UTC))


def test_check_f_a_record_that_cannot_be_read_surfaces_in_errors_and_does_not_stop_the_others(engine: Engine) -> None:
    with pulled_shopify(engine, ShopifyStandIn.bulk(orders=3)) as shop:
        shop.standin.world.edit("orders", 2, totalRefundedSet={"shopMoney": {"amount": "nan", "currencyCode": "USD"}})
        outcome = shop.cycle(streams=(Stream.ORDERS,))
    assert outcome.result["success"]
    (error,) = outcome.result["errors"]
    assert (error["connectionId"], error["marketplaceId"]) == ("acme-shopify", "shopify")
    assert error["error"].startswith("orders 2: ")
    assert set(shop.orders()) == {"1", "3"}


AMOUNTS = {"ZAR": "9999999999.99", "USD": "0.10", "EUR": "0.07", "JPY": "5980", "KWD": "1.005"}


def test_check_g_money_is_exact_to_the_cent_in_every_currency(engine: Engine) -> None:
    orders = [
        order(currency, *(item(str(line), amount, currency=currency) for line in range(3)), currency=currency)
        for currency, amount in AMOUNTS.items()
    ]
    assert pulled_from(engine, Account([page(*orders)])).error is None

    found = rows(engine, "SELECT currency, total FROM sync.marketplace_order")
    lines = rows(engine, "SELECT currency, sum(line_total) FROM sync.marketplace_order_item GROUP BY currency")
    assert dict(found) == dict(lines) == {currency: 3 * Decimal(amount) for currency, amount in AMOUNTS.items()}
    assert dict(rows(engine, "SELECT DISTINCT currency, line_total::text FROM sync.marketplace_order_item")) == AMOUNTS


def test_check_h_inactive_connections_are_skipped(engine: Engine) -> None:
    with pulled_shop(engine, shop_of()) as shop:
        outcome = shop.cycle(connected("closed", "http://127.0.0.1:9", active=False))
        assert (outcome.result["success"], outcome.result["totalConnections"]) == (True, 1)
        found = shop.rows("SELECT name, active, sync_status FROM sync.marketplace_connection ORDER BY name")
    assert found == [("acme-shop", True, "success"), ("closed", False, None)]


def test_check_i_without_an_active_connection_a_cycle_is_a_success_of_nothing(engine: Engine) -> None:
    with pulled_shop(engine, shop_of()) as shop:
        shop.connection = shop.connection.model_copy(update={"active": False})
        outcome = shop.cycle()
        assert shop.standin.world.requests == []
    totals = dict.fromkeys(("totalConnections", "successfulConnections", "failedConnections", "skippedConnections"), 0)
    assert outcome.result == {"success": True, **totals, "errors": []}
