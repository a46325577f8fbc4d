"""Amazon is pulled within its budgets: what does not fit in a run comes with the next, and nothing is lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.pipelines.marketplaces.cycle import Request, run_cycle
from sync_pipelines.sandbox.amazon import ANCHOR, AmazonStandIn, AmazonWorld, made_up_order
from sync_pipelines.sandbox.amazon.seeds import made_up_listing
from sync_pipelines.sandbox.amazon.world import REGIONS
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines_tests.pipelines.marketplaces.amazon_sellers import LOG, Seller, amazon_seller, connected

SEARCH = r"/orders/2026-01-01/orders$"
FIRST = "112-0000000-0000000"


def with_orders(count: int) -> AmazonStandIn:
    """Return a seller whose orders were changed one a minute, until ten minutes ago; number 0 the longest ago."""
    world = AmazonWorld(Clock(ANCHOR.timestamp()))
    for number in range(count):
        made_up_order(world, number, minutes_ago=10 + count - number)
    return AmazonStandIn(world)


def refunded(seller: Seller, key: str = FIRST) -> Decimal:
    """What was paid back of an order, as stored."""
    ((amount,),) = seller.rows("SELECT refunded_total FROM sync.marketplace_order WHERE order_key = :key", key=key)
    assert isinstance(amount, Decimal)
    return amount


def test_a_backlog_of_1200_orders_arrives_over_several_runs_of_five_pages_in_the_same_window(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(1200)) as seller:
        arrived = []
        for _ in range(3):
            outcome = seller.pull(pages=5)
            arrived.append((len(seller.statuses()), outcome.waits is not None, outcome.error))
            seller.later(15)
        windows = {parse_qs(query)["lastUpdatedBefore"][0] for query in seller.queries("/orders")[:12]}
    assert arrived == [(500, True, None), (1000, True, None), (1200, False, None)]
    assert len(windows) == 1


def test_a_window_whose_token_has_expired_is_read_from_its_beginning(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(250)) as seller:
        seller.pull(pages=1)
        seller.later(25 * 60)
        outcome = seller.pull()
    assert (len(seller.statuses()), outcome.error) == (250, None)


def test_a_token_that_is_refused_ahead_of_its_time_does_not_stop_the_connection(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(250)) as seller:
        seller.pull(pages=1)
        seller.standin.world.pages.clear()
        outcome = seller.pull()
    assert (len(seller.statuses()), outcome.error) == (250, None)


def test_an_order_that_changes_while_pages_are_read_arrives_with_the_next_run(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(250)) as seller:
        world = seller.standin.world
        last = max(world.orders)
        for key in (FIRST, last):
            world.after(SEARCH, lambda key=key: world.ship(key))  # type: ignore[misc]  # bound now
        seller.pull()
        # The one that was on a page still to come has left the window, the other one was read as it was.
        before = seller.statuses()
        seller.later(15)
        seller.pull()
    assert (before[FIRST], last in before) == ("processing", False)
    assert (seller.statuses()[FIRST], seller.statuses()[last], len(seller.statuses())) == ("shipped", "shipped", 250)


def test_an_order_that_changed_90_seconds_ago_is_left_to_the_next_run(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(1)) as seller:
        young = made_up_order(seller.standin.world, 7, minutes_ago=1.5)["orderId"]
        seller.pull()
        assert set(seller.statuses()) == {FIRST}
        seller.later(15)
        seller.pull()
    assert set(seller.statuses()) == {FIRST, young}


def test_orders_of_one_second_are_neither_lost_nor_doubled_at_the_edge_of_pages_and_windows(engine: Engine) -> None:
    standin = with_orders(0)
    standin.world.page = 2
    with amazon_seller(engine, standin) as seller:
        for number in range(3):
            # The window of the first run ends in this very second.
            made_up_order(standin.world, number, minutes_ago=2.5)
        seller.pull()
        seller.later(15)
        outcome = seller.pull()
    assert len(seller.statuses()) == 3
    assert (outcome.stored.created, outcome.stored.changed) == (0, 0)


def test_an_access_token_that_ends_during_the_run_is_renewed(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(250)) as seller:
        seller.standin.world.after(SEARCH, lambda: seller.later(61))
        outcome = seller.pull()
        assert (len(seller.statuses()), outcome.error) == (250, None)
        assert len(seller.queries("/auth/o2/token")) == 2


def test_an_access_token_that_is_revoked_is_asked_for_once_more(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(250)) as seller:
        seller.standin.world.after(SEARCH, seller.standin.world.revoke_tokens)
        outcome = seller.pull()
    assert (len(seller.statuses()), outcome.error) == (250, None)


def test_an_access_token_that_amazon_repeats_is_not_told(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(1)) as seller:
        standin = seller.standin

        def repeat() -> None:
            (token,) = standin.world.granted
            standin.faults.add("status", path=SEARCH, status=500, content_type="text/plain", body=f"no {token} here")

        standin.world.after("token$", repeat)
        outcome = seller.pull()
    assert str(outcome.error).endswith("no *** here")


def test_a_consent_that_was_withdrawn_is_an_expired_connection(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(1)) as seller:
        seller.standin.world.consents.clear()
        outcome = seller.pull()
    assert outcome.refused
    assert "authorize the application again" in str(outcome.error)


def test_a_quota_that_others_have_used_up_is_no_failure(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(50)) as seller:
        seller.standin.world.page = 2
        outcome = seller.pull()
        assert len(seller.statuses()) == 40
        assert "quota for searchOrders is used up" in str(outcome.waits)
        seller.later(30)
        assert seller.pull().waits is None
    assert len(seller.statuses()) == 50


def test_the_budget_of_pages_is_shared_by_all_runs_through_the_database(engine: Engine) -> None:
    world = AmazonWorld()
    for number in range(7):
        made_up_order(world, number, minutes_ago=60 - number)
    world.page = 1
    standin = AmazonStandIn(world)
    with standin.running() as urls:
        granted = {"requests_per_second": 0.0056, "burst": 5}
        seller = Seller(standin, urls, engine)
        connection = connected("amazon-na", urls, search_orders=granted)

        def run() -> int:
            request = Request("test", streams=(Stream.ORDERS,), read_delay=0.0)
            assert asyncio.run(run_cycle(engine, [connection], request, LOG)).result["failedConnections"] == 0
            return len(seller.statuses())

        assert [run(), run()] == [5, 5]
        assert world.calls["searchOrders"] == 5
        with engine.begin() as transaction:
            refilled = transaction.execute(text("UPDATE sync.peer SET tokens = 5 WHERE name ~ 'searchOrders$'"))
            assert refilled.rowcount == 1
        assert run() == 7


@pytest.mark.parametrize("days_ago", [0, 5, 90, 400])
def test_a_refund_that_only_finances_knows_arrives_and_outlives_later_changes_of_the_order(
    engine: Engine, days_ago: int
) -> None:
    with amazon_seller(engine, with_orders(1)) as seller:
        world = seller.standin.world
        placed = ANCHOR - timedelta(days=days_ago)
        world.put_order(world.orders[FIRST], createdTime=f"{placed:%Y-%m-%dT%H:%M:%SZ}")
        world.ship(FIRST)
        seller.later(15)
        seller.pull()
        assert refunded(seller) == 0
        world.refund(FIRST, 2.5)
        seller.later(15)
        seller.pull()
        # Of a new order Finances tells two days later, with a time that lies before the last reading.
        assert refunded(seller) == (Decimal("2.50") if days_ago else 0)
        seller.later(50 * 60)
        seller.pull()
        assert refunded(seller) == Decimal("2.50")
        world.put_order(world.orders[FIRST], programs=["PRIME"])
        seller.later(15)
        assert seller.pull().stored.changed == 1
    assert refunded(seller) == Decimal("2.50")


def test_without_the_role_of_finances_orders_are_read_and_finances_is_left_alone(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(1), refunds=False) as seller:
        seller.pull()
        assert (len(seller.statuses()), seller.standin.world.calls["listTransactions"]) == (1, 0)


def test_an_unknown_status_and_a_record_that_cannot_be_read_are_listed(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(3)) as seller:
        world = seller.standin.world
        world.orders[FIRST]["fulfillment"]["fulfillmentStatus"] = "TELEPORTED"
        world.orders["112-0000001-0000000"]["orderItems"][0]["proceeds"]["proceedsTotal"]["amount"] = "a lot"
        seller.pull()
    assert seller.statuses() == {FIRST: "processing", "112-0000002-0000000": "processing"}
    found = seller.rows("SELECT kind, key FROM sync.marketplace_item_error ORDER BY kind")
    assert found == [("unknown_status", FIRST), ("unreadable", "112-0000001-0000000")]


def test_nothing_of_a_customer_is_asked_for(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(1)) as seller:
        seller.pull()
        asked = {part for query in seller.queries("/orders") for part in parse_qs(query)["includedData"][0].split(",")}
    assert asked == {"FULFILLMENT", "PROCEEDS", "CANCELLATION", "PROMOTION", "PACKAGES"}
    assert seller.rows("SELECT 1 FROM sync.marketplace_order o WHERE o::text ~* 'hemmelig|vilhelmine'") == []


def test_a_listing_that_changed_comes_with_the_next_run_and_one_that_is_gone_with_the_next_day(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(0)) as seller:
        world = seller.standin.world
        for number in range(45):
            made_up_listing(world, number, minutes_ago=600)
        seller.pull(Stream.PRODUCTS)
        made_up_listing(world, 3, minutes_ago=0)["offers"][0]["price"]["amount"] = "11.00"
        del world.listings["SKU-4"]
        seller.later(15)
        seller.pull(Stream.PRODUCTS)
        live = (
            "SELECT count(*), count(*) FILTER (WHERE price = 11) FROM sync.marketplace_product WHERE deleted_at IS NULL"
        )
        assert seller.rows(live) == [(45, 1)]
        seller.later(24 * 60)
        seller.pull(Stream.PRODUCTS)
        assert seller.rows(live) == [(44, 1)]


def test_a_catalogue_that_cannot_be_paged_through_is_split_by_time(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(0)) as seller:
        for number in range(1210):
            made_up_listing(seller.standin.world, number, minutes_ago=5000 - number)
        seller.pull(Stream.PRODUCTS)
    assert seller.rows("SELECT count(*) FROM sync.marketplace_product WHERE deleted_at IS NULL") == [(1210,)]


def test_a_scan_that_breaks_off_marks_nothing_deleted(engine: Engine) -> None:
    with amazon_seller(engine, with_orders(0)) as seller:
        for number in range(45):
            made_up_listing(seller.standin.world, number, minutes_ago=600)
        seller.pull(Stream.PRODUCTS)
        seller.later(25 * 60)
        body = '{"errors": [{"code": "InvalidInput", "message": "no"}]}'
        seller.standin.faults.add(
            "status", path="/listings/", skip=2, status=400, body=body, content_type="application/json"
        )
        assert seller.pull(Stream.PRODUCTS).error is not None
    assert seller.rows("SELECT count(*) FROM sync.marketplace_product WHERE deleted_at IS NOT NULL") == [(0,)]


def test_a_sku_of_two_stores_is_one_product_as_the_first_store_has_it(engine: Engine) -> None:
    first, second = REGIONS["eu"]
    with amazon_seller(engine, with_orders(0), "eu") as seller:
        listings = seller.standin.world.listings
        made_up_listing(seller.standin.world, 1, minutes_ago=60, store=first)
        listings["elsewhere"] = {
            **made_up_listing(seller.standin.world, 2, minutes_ago=50, store=second),
            "sku": "SKU-1",
        }
        seller.pull(Stream.PRODUCTS, region="eu")
        listings["elsewhere"]["summaries"][0]["lastUpdatedDate"] = f"{ANCHOR:%Y-%m-%dT%H:%M:%SZ}"
        seller.later(15)
        seller.pull(Stream.PRODUCTS, region="eu")
        found = seller.rows("SELECT sku, extra->>'marketplace_id' FROM sync.marketplace_product ORDER BY sku")
    assert found == [("SKU-1", first), ("SKU-2", second)]
