"""Takealot is pulled over HTTP: everything arrives once and to the cent, although it cannot be asked for changes."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.marketplaces import OrderStatus, Stream
from sync_pipelines.pipelines.marketplaces.cycle import Request, run_cycle
from sync_pipelines.pipelines.marketplaces.takealot_records import SellingPrice, amounts, order_status, status_of
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.faults import Lie, Rewrite
from sync_pipelines.sandbox.takealot import DEMO_KEY, TakealotStandIn, bulk_world
from sync_pipelines.sandbox.takealot.seeds import demo_file
from sync_pipelines.store.marketplaces import item_errors
from sync_pipelines.systems.takealot.parsing import read_sale
from sync_pipelines_tests.pipelines.marketplaces.shops import LOG
from sync_pipelines_tests.pipelines.marketplaces.takealot_accounts import Account, account

JSON = "application/json"
HOUR, DAY = 3600.0, 86_400.0


def bulk(**size: Any) -> TakealotStandIn:
    return TakealotStandIn(bulk_world(**size))


def stored(rows: list[dict[str, Any]], names: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Rows by their key, with the fields that are compared."""
    return {tuple(row[name] for name in names): row for row in rows}


def as_stored(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the expected truth with the types of the database."""
    amounts = {"total", "canceled_total", "refunded_total", "quantity", "unit_price", "line_total", "price"}
    times = {"ordered_at", "updated_at"}
    told: dict[str, Any] = {}
    for name, value in row.items():
        if name in amounts and value is not None:
            value = Decimal(value)
        elif name in times and value is not None:
            value = datetime.fromisoformat(value)
        elif name == "raw_status" and isinstance(value, str):
            value = [value]
        if name not in ("peculiarities", "net_total", "product_known"):
            told[name] = value
    return told


def assert_equals_the_truth(pulled: Account, truth: dict[str, list[dict[str, Any]]], *, whole: bool) -> None:
    """Compare the three tables with the expected rows; ``whole``: there are no others."""
    for table, keys in {"order": ("order_key",), "order_item": ("order_key", "item_key")}.items():
        found = stored(pulled.rows(f"SELECT * FROM sync.marketplace_{table}"), keys)
        expected = stored([as_stored(row) for row in truth["items" if table == "order_item" else "orders"]], keys)
        assert not whole or found.keys() == expected.keys()
        for key, row in expected.items():
            assert {name: found[key][name] for name in row} == row
    products = stored(pulled.rows("SELECT * FROM sync.marketplace_product"), ("product_key",))
    expected = stored([as_stored(row) for row in truth["products"]], ("product_key",))
    assert not whole or products.keys() == expected.keys()
    for key, row in expected.items():
        deleted = row.pop("deleted", False)
        assert (products[key]["deleted_at"] is not None) == deleted
        assert {name: products[key][name] for name in row} == row


def test_an_import_of_the_demo_is_the_truth_before_and_after_its_timeline(engine: Engine) -> None:
    truth = demo_file("expected")
    with account(engine, TakealotStandIn.demo()) as pulled:
        pulled.pull()
        assert_equals_the_truth(pulled, truth, whole=True)
        sums = pulled.rows(
            "SELECT sum(total) AS total, sum(canceled_total) AS canceled, sum(refunded_total) AS refunded, "
            "count(*) AS orders FROM sync.marketplace_order"
        )
        expected = dict(truth["totals"]["by_currency"]["ZAR"])
        del expected["net"]
        assert sums == [{name: Decimal(value) for name, value in expected.items()}]

        pulled.pass_time(15 * 60)
        pulled.pull()
        assert pulled.statuses()["182800009"] == "processing"
        pulled.pass_time(15 * 60)
        pulled.pull()
        assert_equals_the_truth(pulled, truth["after_timeline"], whole=False)
        assert len(pulled.statuses()) == truth["totals"]["orders"] + 1
        changed = pulled.rows("SELECT DISTINCT record, key FROM sync.marketplace_change")
    # Whatever did not change was left alone, although it was read three times.
    assert {row["key"] for row in changed} == {"182800009", "90010780", "90011027"}


def test_pulling_the_demo_sends_nothing_but_reads_and_keeps_no_comment_of_a_customer(engine: Engine) -> None:
    with account(engine, TakealotStandIn.demo()) as pulled:
        pulled.pull()
        assert {entry.method for entry in pulled.standin.world.requests} == {"GET"}
        assert {entry.status for entry in pulled.standin.world.requests} == {200}
    assert pulled.rows("SELECT 1 FROM sync.marketplace_order o WHERE o::text LIKE '%Lid arrived%'") == []


def test_what_is_odd_about_the_demo_is_kept_and_listed(engine: Engine) -> None:
    with account(engine, TakealotStandIn.demo()) as pulled:
        pulled.pull()
        with engine.connect() as connection:
            found = {(one.kind.value, one.key) for one in item_errors.open_errors(connection, "acme-takealot")}
    assert found == {("unknown_status", "182800010")}


def test_250_orders_of_two_items_arrive_although_a_page_holds_100_rows(engine: Engine) -> None:
    with account(engine, bulk(orders=250, items=2)) as pulled:
        pulled.pull()
        assert len(pulled.statuses()) == 250
    assert pulled.rows("SELECT count(*) AS items FROM sync.marketplace_order_item") == [{"items": 500}]


def test_sales_that_go_away_while_pages_are_read_do_not_hide_others(engine: Engine) -> None:
    with account(engine, bulk(orders=150)) as pulled:
        sales = pulled.standin.world.sales
        # 50 of 150 go behind the first page of 100: what stood on the second one is on the first then.
        pulled.standin.world.after("/sales$", lambda: [sales.pop(key) for key in sorted(sales)[::3]])
        assert pulled.pull(Stream.ORDERS)[Stream.ORDERS].error is None
        assert {str(row["order_id"]) for row in sales.values()} <= set(pulled.statuses())
        assert len(sales) == 100


def test_a_list_that_stays_short_of_its_count_is_no_list(engine: Engine) -> None:
    with account(engine, bulk(orders=2)) as pulled:
        pulled.standin.faults.add("rewrite", path="/sales$", rewrite=Rewrite(Lie.OMITTED))
        outcome = pulled.pull()[Stream.ORDERS]
    assert "the list was short 3 times: 1 of 2 rows" in str(outcome.error)
    assert pulled.statuses() == {}


def test_days_are_south_african_and_older_ones_are_read_seldom(engine: Engine) -> None:
    standin = bulk(orders=1)
    standin.world.clock = Clock(datetime(2026, 11, 20, 22, 30, tzinfo=UTC).timestamp())
    with account(engine, standin, history_days=20) as pulled:
        pulled.pull(Stream.ORDERS)
        assert [days(query) for query in pulled.asked("sales")] == [
            ("2026-11-18", "2026-11-21"),
            ("2026-11-11", "2026-11-17"),
            ("2026-11-04", "2026-11-10"),
            ("2026-11-01", "2026-11-03"),
        ]
        pulled.pass_time(HOUR / 4)
        pulled.pull(Stream.ORDERS)
        assert [days(query) for query in pulled.asked("sales")] == [("2026-11-18", "2026-11-21")]
        pulled.pass_time(HOUR)
        pulled.pull(Stream.ORDERS)
        assert days(pulled.asked("sales")[-1]) == ("2026-10-17", "2026-10-20")
        # After an outage every rung reaches back over the time that nothing was read.
        pulled.pass_time(10 * DAY)
        pulled.pull(Stream.ORDERS)
        asked = [days(query) for query in pulled.asked("sales")]
    assert (asked[0][1], asked[-1][0]) == ("2026-12-01", "2026-08-23")
    assert all(newer[0] > older[1] for newer, older in itertools.pairwise(asked))


def days(query: str) -> tuple[str, str]:
    """The days that sales were asked for."""
    given = dict(pair.split("=") for pair in query.split("&"))
    return given["order_date__gte"], given["order_date__lte"]


@pytest.mark.parametrize("told_by", ["return", "reversal"])
def test_a_return_of_a_sale_that_no_window_reaches_is_found_by_its_signal(engine: Engine, told_by: str) -> None:
    with account(engine, bulk(orders=0)) as pulled:
        world = pulled.standin.world
        item = world.add_sale(77, days_ago=120, status="Shipped to Customer")
        pulled.pull(Stream.ORDERS)
        assert pulled.statuses() == {"77": "shipped"}
        pulled.pass_time(HOUR / 4)
        world.sales[item]["sale_status"] = "Returned"
        if told_by == "return":
            world.returns[1] = {"seller_return_id": 1, "order_id": 77, "return_date": world.today(), "sku": "SKU"}
        else:
            world.transactions[1] = {
                "transaction_id": 1,
                "transaction_type": "reversal-customer-order",
                "created_at": (world.now() - timedelta(minutes=5)).isoformat(),
                "references": [{"order_id": 77, "order_item_id": item}],
            }
        pulled.pull(Stream.ORDERS)
        assert pulled.statuses() == {"77": "returned"}
        pulled.asked("sales")
        pulled.pull(Stream.ORDERS)
        # It was looked at once.
        assert not [query for query in pulled.asked("sales") if query.startswith("order_id")]


def test_days_with_many_sales_are_read_apart(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_pipelines.pipelines.marketplaces.takealot.MOST_SALES", 5)
    with account(engine, bulk(orders=16, days=4), history_days=10) as pulled:
        pulled.pull(Stream.ORDERS)
        apart = {first for first, last in map(days, pulled.asked("sales")) if first == last}
    assert apart == {"2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"}
    assert len(pulled.statuses()) == 16


def test_a_first_reading_that_is_broken_off_is_gone_on_with_from_its_last_day(engine: Engine) -> None:
    with account(engine, bulk(orders=30, days=30), history_days=30) as pulled:
        broken = pulled.standin.faults.add("status", path="/sales$", skip=3, status=500, body="{}", content_type=JSON)
        assert pulled.pull(Stream.ORDERS)[Stream.ORDERS].error is not None
        assert len(pulled.statuses()) == 18
        assert pulled.watermark(Stream.ORDERS)["older"]["last"] == "2026-11-02"
        pulled.standin.faults.remove(broken)
        pulled.asked("sales")
        pulled.pull(Stream.ORDERS)
        assert [days(query)[1] for query in pulled.asked("sales")] == ["2026-11-20", "2026-11-02", "2026-10-26"]
    assert len(pulled.statuses()) == 30


def test_an_offer_that_is_missing_from_a_broken_reading_is_not_deleted(engine: Engine) -> None:
    with account(engine, bulk(orders=0, offers=3)) as pulled:
        world = pulled.standin.world
        pulled.pull(Stream.PRODUCTS)
        first = min(world.offers)
        lie = pulled.standin.faults.add("rewrite", path="/offers$", rewrite=Rewrite(Lie.OMITTED))
        pulled.pull(Stream.PRODUCTS)
        assert len(pulled.offered()) == 3
        pulled.standin.faults.remove(lie)
        del world.offers[first]
        pulled.pull(Stream.PRODUCTS)
    assert str(first) not in pulled.offered()


def test_a_reading_of_offers_goes_on_where_it_was_broken_off_and_no_page_is_lost(engine: Engine) -> None:
    with account(engine, bulk(orders=0, offers=2100)) as pulled:
        broken = pulled.standin.faults.add("drop", path="/offers$", skip=1)
        assert pulled.pull(Stream.PRODUCTS)[Stream.PRODUCTS].error is not None
        assert len(pulled.offered()) == 1000
        pulled.standin.faults.remove(broken)
        pulled.asked("offers")
        pulled.pull(Stream.PRODUCTS)
        assert [query.partition("offer_id__gt=")[2] for query in pulled.asked("offers")] == ["90001000", "90002000"]
        assert len(pulled.offered()) == 2100
        # The next one begins anew, and what is gone shows at its end.
        del pulled.standin.world.offers[90_000_001]
        pulled.pull(Stream.PRODUCTS)
    assert len(pulled.offered()) == 2099


@pytest.mark.parametrize("headers", [{"Retry-After": "0"}, {}], ids=["told how long", "not told"])
def test_a_call_that_is_throttled_is_sent_again(engine: Engine, headers: dict[str, str]) -> None:
    with account(engine, bulk(orders=150)) as pulled:
        body = '{"message": "Too Many Requests"}'
        pulled.standin.faults.add(
            "status", path="/sales$", skip=1, times=2, status=429, headers=headers, body=body, content_type=JSON
        )
        assert pulled.pull(Stream.ORDERS)[Stream.ORDERS].error is None
    assert len(pulled.statuses()) == 150


@pytest.mark.parametrize(
    "mishap",
    [
        {"kind": "status", "status": 500, "body": '{"title": "Internal"}', "content_type": JSON},
        {"kind": "status", "status": 502, "body": "<h1>Bad Gateway</h1>"},
        {"kind": "reset_mid_body"},
        {"kind": "login_page"},
    ],
    ids=["500", "HTML with 502", "cut body", "login page"],
)
def test_whatever_goes_wrong_with_an_answer_the_next_run_heals_it(engine: Engine, mishap: dict[str, Any]) -> None:
    with account(engine, bulk(orders=150)) as pulled:
        pulled.standin.faults.add(**mishap, path="/sales$", skip=1, times=1)
        pulled.pull()
        pulled.pull()
    assert (len(pulled.statuses()), len(pulled.offered())) == (150, 3)


def test_a_key_that_is_refused_expires_the_connection_until_another_is_given(engine: Engine) -> None:
    standin = TakealotStandIn(bulk_world(orders=2, clock=Clock()))
    with account(engine, standin) as pulled:
        standin.world.replace_key("a-new-key-of-the-portal")
        outcome = asyncio.run(run_cycle(engine, [pulled.connection], Request("refused", read_delay=0.0), LOG))
        state = pulled.rows("SELECT status, sync_status, last_error FROM sync.marketplace_connection")[0]
        assert (outcome.success, state["status"], state["sync_status"]) == (False, "expired", "error")
        assert "(HTTP 403): Forbidden - check the API key" in state["last_error"]
        assert DEMO_KEY not in state["last_error"]
        standin.world.replace_key(DEMO_KEY)
        assert asyncio.run(run_cycle(engine, [pulled.connection], Request("mended"), LOG)).success
        state = pulled.rows("SELECT status, sync_status, last_error FROM sync.marketplace_connection")[0]
    assert state == {"status": "connected", "sync_status": "success", "last_error": None}
    assert len(pulled.statuses()) == 2


def test_an_order_with_a_sale_that_cannot_be_read_keeps_what_is_stored_of_it(engine: Engine) -> None:
    with account(engine, bulk(orders=2, items=2)) as pulled:
        pulled.pull(Stream.ORDERS)
        sales = pulled.standin.world.sales
        broken = min(sales)
        order = str(sales[broken]["order_id"])
        sales[broken]["selling_price"] = "a lot"
        for sale in sales.values():
            sale["sale_status"] = "Shipped to Customer"
        outcome = pulled.pull(Stream.ORDERS)[Stream.ORDERS]
        told = [(error.key, error.part, error.message) for error in outcome.stored.unstored]
        assert told == [(order, str(broken), "selling_price is no number")]
        assert sorted(pulled.statuses().values()) == ["new", "shipped"]
        assert pulled.statuses()[order] == "new"
    assert pulled.rows("SELECT count(*) AS items FROM sync.marketplace_order_item") == [{"items": 4}]


def test_days_of_an_outage_are_read_again_without_touching_the_watermark(engine: Engine) -> None:
    with account(engine, bulk(orders=10, days=10)) as pulled:
        pulled.pull(Stream.ORDERS)
        before = pulled.watermark(Stream.ORDERS)
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM sync.marketplace_order_item")
            connection.exec_driver_sql("DELETE FROM sync.marketplace_order")
        # From midnight to midnight in UTC, which touches four days in South Africa.
        outcome = pulled.read_again(datetime(2026, 11, 12, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC))
        assert (outcome.error, len(pulled.statuses())) == (None, 4)
        assert pulled.watermark(Stream.ORDERS) == before


@pytest.mark.parametrize(
    ("rule", "line_total", "unit_price"),
    [(SellingPrice.LINE, "100.00", "33.33"), (SellingPrice.UNIT, "300.00", "100.00")],
)
def test_what_the_price_of_a_sale_is_of_is_one_rule(rule: SellingPrice, line_total: str, unit_price: str) -> None:
    world = bulk_world(orders=0)
    sale = read_sale(world.sales[world.add_sale(1, quantity=3)])
    assert amounts(sale, rule) == (Decimal(line_total), Decimal(unit_price))  # type: ignore[arg-type]  # it is readable


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("New Lead Time Order", OrderStatus.NEW),
        ("Inter DC Transfer", OrderStatus.PROCESSING),
        ("Shipped to Customer", OrderStatus.SHIPPED),
        ("Returned", OrderStatus.RETURNED),
        ("Cancelled - Late Delivery", OrderStatus.CANCELED),
        ("Cancelled by Seller", OrderStatus.CANCELED),
        ("Delivered", None),
    ],
)
def test_words_of_takealot_stand_for_states(word: str, state: OrderStatus | None) -> None:
    assert status_of(word) is state


@pytest.mark.parametrize(
    ("items", "state"),
    [
        ("canceled canceled", "canceled"),
        ("canceled returned", "returned"),
        ("returned shipped", "shipped"),
        ("shipped new canceled", "new"),
        ("shipped processing", "processing"),
    ],
)
def test_an_order_is_as_far_as_its_least_advanced_item(items: str, state: str) -> None:
    assert order_status(map(OrderStatus, items.split())) == state
