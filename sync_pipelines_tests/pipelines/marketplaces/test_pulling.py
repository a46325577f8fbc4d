"""A shop is pulled over HTTP: everything arrives once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import multiprocessing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable, RunStopped
from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.engine.stopping import Stop
from sync_pipelines.pipelines.marketplaces.connection import NAME
from sync_pipelines.pipelines.marketplaces.cycle import Days, Request, run_cycle
from sync_pipelines.pipelines.marketplaces.pulling import MANY
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.store import leases
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.marketplaces import item_errors
from sync_pipelines.store.marketplaces.connections import last_cycle
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines_tests.pipelines.marketplaces.orders import Account, order, page, pulled_from
from sync_pipelines_tests.pipelines.marketplaces.shops import LOG, PulledShop, connected, pulled_shop

ORDERS = r"/orders$"
PRODUCTS = r"/products$"
JSON = "application/json"


def bulk(orders: int = 3, products: int = 3) -> WooCommerceStandIn:
    return WooCommerceStandIn.bulk(products=products, customers=max(orders, 1), orders=orders)


def some_order(shop: PulledShop) -> int:
    """The order that is listed first."""
    return min(shop.standin.world.orders)


def test_what_is_placed_changed_and_deleted_between_two_runs_arrives(engine: Engine) -> None:
    with pulled_shop(engine, bulk()) as shop:
        world = shop.standin.world
        shop.cycle()
        first, second, third = sorted(world.orders)
        placed = world.add_order(status="processing", line_items=[{"product_id": min(world.products), "quantity": 2}])
        world.edit_order(first, status="cancelled")
        world.delete_order(second)
        shop.cycle()
        assert shop.statuses() == {
            str(first): "canceled",
            str(second): "new",
            str(third): "new",
            str(placed.id): "processing",
        }
        # Deletions show in the list of all ids, which is read once a day.
        shop.cycle(anew=True)
        assert str(second) not in shop.statuses()


def test_refused_credentials_are_an_expired_connection_until_they_work(engine: Engine) -> None:
    with pulled_shop(engine, bulk()) as shop:
        fault = shop.standin.faults.add("status", status=401, body="{}", content_type=JSON)
        outcome = shop.cycle()
        assert (shop.state.status, shop.state.sync_status, outcome.success) == ("expired", "error", False)
        assert str(shop.state.last_error).startswith("Failed to fetch both orders and products from WooCommerce: ")
        shop.standin.faults.remove(fault)
        shop.cycle()
    assert (shop.state.status, shop.state.sync_status) == ("connected", "success")


def test_a_connection_that_fails_does_not_keep_others_from_being_pulled(engine: Engine) -> None:
    dead = connected("dead", "http://127.0.0.1:9")
    with pulled_shop(engine, bulk()) as shop:
        outcome = shop.cycle(dead)
    result = outcome.result
    assert (result["success"], result["successfulConnections"], result["failedConnections"]) == (True, 1, 1)
    assert [error["connectionId"] for error in result["errors"]] == ["dead"]
    with engine.connect() as connection:
        kept = last_cycle(connection)
    assert kept is not None
    assert kept.result == result


def test_a_connection_that_another_run_works_on_is_left_alone(engine: Engine) -> None:
    with pulled_shop(engine, bulk()) as shop:
        with engine.begin() as connection:
            lease = leases.take(connection, ensure_scope(connection, NAME, "acme-shop").lease, "other", 60)
        refused = shop.cycle()
        assert shop.standin.world.requests == []
        assert "is being worked on by other" in refused.result["errors"][0]["error"]
        assert (refused.result["skippedConnections"], refused.result["failedConnections"]) == (1, 0)
        with engine.begin() as connection:
            leases.release(connection, lease)
        assert shop.cycle().result["successfulConnections"] == 1


def test_a_run_that_is_asked_to_stop_stores_the_pages_it_has_and_the_next_one_goes_on(engine: Engine) -> None:
    with pulled_shop(engine, bulk(orders=250)) as shop:
        shop.standin.faults.add("hang", path=ORDERS, skip=2, times=1, seconds=60)
        with pytest.raises(RunStopped, match=r"stopped by SIGTERM after [12] pages of orders"):
            asyncio.run(stopped_by_the_second_page(shop))
        shop.standin.faults.clear()
        assert len(shop.statuses()) in (100, 199)
        assert (shop.state.sync_status, shop.watermark(Stream.PRODUCTS)) == ("error", None)
        shop.cycle()
    assert (len(shop.statuses()), shop.state.last_error) == (250, None)


async def stopped_by_the_second_page(shop: PulledShop) -> None:
    """Run a cycle that is asked to stop when the shop has answered with the second page of orders."""
    stop, loop = Stop(), asyncio.get_running_loop()
    shop.standin.world.after(ORDERS, lambda: loop.call_soon_threadsafe(stop.ask, "SIGTERM"), skip=1)
    request = Request("stopped", read_delay=0.0)
    await stop.over(run_cycle(shop.engine, [shop.connection], request, LOG))


def test_a_run_that_is_killed_in_the_middle_of_a_page_is_taken_up_by_the_next(
    engine: Engine, database_url: str
) -> None:
    with pulled_shop(engine, bulk(orders=250)) as shop:
        process = multiprocessing.get_context("spawn").Process(
            target=pull_in_a_process,
            args=(database_url, shop.connection.woocommerce.url),  # type: ignore[attr-defined]  # made with the sections
        )
        # The second page is answered, and the process dies before it has read the answer.
        shop.standin.world.after(ORDERS, lambda: process.kill(), skip=1)
        process.start()
        process.join()
        assert process.exitcode == -9
        assert len(shop.statuses()) < 250
        assert shop.watermark(Stream.ORDERS) in (None, {})
        assert shop.state.sync_status == "in_progress"
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sync.lease SET expires_at = now()")
        shop.cycle()
    assert len(shop.statuses()) == 250
    assert shop.rows("SELECT count(*) FROM sync.marketplace_change") == [(0,)]
    assert shop.state.sync_status == "success"


def pull_in_a_process(database_url: str, shop_url: str) -> None:
    """Run a cycle of its own."""
    engine = connect_engine(database_url)
    asyncio.run(run_cycle(engine, [connected("acme-shop", shop_url)], Request("killed"), LOG))


def test_a_product_without_sku_and_a_line_without_product_are_kept_and_listed(engine: Engine) -> None:
    with pulled_shop(engine, bulk(orders=0)) as shop:
        world = shop.standin.world
        bare = world.add_product(name="Bare", regular_price="4.00")
        sold = world.add_order(line_items=[{"product_id": bare.id, "quantity": 1}])
        world.delete_product(bare.id)
        other = world.add_product(name="Other", regular_price="4.00")
        shop.cycle()
        with engine.connect() as connection:
            found = {(one.kind.value, one.key) for one in item_errors.open_errors(connection, "acme-shop")}
    assert ("no_sku", str(other.id)) in found
    assert str(sold.id) in {key for _, key in found}
    assert shop.rows("SELECT count(*) FROM sync.marketplace_order_item") == [(1,)]


def test_days_are_read_again_without_touching_the_watermark(engine: Engine) -> None:
    with pulled_shop(engine, bulk(orders=3)) as shop:
        shop.cycle()
        before = shop.watermark(Stream.ORDERS)
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM sync.marketplace_order_item")
            connection.exec_driver_sql("DELETE FROM sync.marketplace_order")
        # The shop's times are of whole seconds: what was made in this one is not before now.
        long_ago, later = datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
        shop.cycle(days=Days(long_ago, later))
        assert len(shop.statuses()) == 3
        assert shop.watermark(Stream.ORDERS) == before


def test_nothing_of_a_customer_reaches_the_database(engine: Engine) -> None:
    with pulled_shop(engine, bulk(orders=0)) as shop:
        person = {"first_name": "Vilhelmine", "address_1": "Hemmelig gade 4", "email": "vilhelmine@example.test"}
        shop.standin.world.add_order(billing=person, shipping={"city": "Hemmeligby"}, customer_note="Hemmelig")
        shop.cycle()
    assert len(shop.statuses()) == 1
    assert shop.rows("SELECT 1 FROM sync.marketplace_order o WHERE o::text ~* 'hemmelig|vilhelmine'") == []


@pytest.mark.parametrize(
    ("failure", "waits", "failed"),
    [
        (PeerUnavailable("amazon", FailureKind.RATE_LIMITED, "179 s"), True, False),
        (PeerError("amazon", FailureKind.TRANSIENT, "out of order"), False, True),
    ],
    ids=["budget used up", "out of order"],
)
def test_pages_before_the_end_of_a_budget_or_a_failure_are_kept_and_the_next_run_goes_on_behind_them(
    engine: Engine, failure: PeerError, waits: bool, failed: bool
) -> None:
    pages = [page(order("1"), at=1), page(order("2"), at=2)]
    outcome = pulled_from(engine, Account(pages, failure))
    assert (outcome.waits is not None, outcome.error is not None) == (waits, failed)
    assert outcome.pages == 2
    going_on = Account([page(order("3"), at=3)])
    pulled_from(engine, going_on)
    assert going_on.asked == [pages[-1].watermark]


def test_given_many_new_records_then_the_planner_is_told_while_they_come(engine: Engine) -> None:
    """It expects a few of a connection that it does not know, and reads all of them for each."""
    pages = [page(*(order(f"{number}-{at}") for at in range(100))) for number in range(MANY // 100 + 1)]
    pulled_from(engine, Account(pages))

    with engine.connect() as connection:
        query = "SELECT reltuples FROM pg_class WHERE oid = 'sync.marketplace_order'::regclass"
        assert connection.execute(text(query)).scalar_one() >= MANY
