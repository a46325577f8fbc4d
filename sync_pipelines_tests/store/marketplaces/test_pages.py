"""Pages become rows: what changed is written and noted, what did not is left alone, and nothing is lost on the way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.marketplace_port import Page, Scan
from sync_pipelines.core.marketplaces import ItemError, Order, OrderStatus, ProblemKind, Stream
from sync_pipelines.store.marketplaces import connections, item_errors, reports, streams
from sync_pipelines.store.marketplaces.connections import Described
from sync_pipelines.store.marketplaces.pages import Stored, store_orders, store_products, take_statistics
from sync_pipelines_tests.pipelines.marketplaces.orders import NOON, item, order, page, product


class Tables:
    """The tables of one connection."""

    def __init__(self, engine: Engine, name: str = "one") -> None:
        self.engine = engine
        with engine.begin() as connection:
            known = connections.states(connection)
            described = [
                Described(state.name, state.organization, state.marketplace, state.account, state.active)
                for state in known
            ]
            described.append(Described(name, "acme", "takealot", name, True))
            self.id = connections.register(connection, described)[name]
        self.name = name

    def orders(self, *pages: Page[Any]) -> Stored:
        with self.engine.begin() as connection:
            return store_orders(connection, self.id, pages)

    def products(self, *pages: Page[Any]) -> Stored:
        with self.engine.begin() as connection:
            return store_products(connection, self.id, pages)

    def rows(self, sql: str) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def errors(self) -> list[tuple[str, str, str]]:
        with self.engine.connect() as connection:
            found = item_errors.open_errors(connection)
        return sorted((error.kind.value, error.key, error.part) for error in found)

    def history(self) -> list[Any]:
        return self.rows("SELECT record, key, part, change, before, after FROM sync.marketplace_change ORDER BY id")


@pytest.fixture
def tables(engine: Engine) -> Tables:
    return Tables(engine)


def test_what_did_not_change_is_not_written_again(tables: Tables) -> None:
    tables.orders(page(order("1"), order("2")))
    tables.products(page(product("P-1")))
    versions = "SELECT xmin::text FROM sync.marketplace_order UNION ALL SELECT xmin::text FROM " + (
        "sync.marketplace_order_item UNION ALL SELECT xmin::text FROM sync.marketplace_product"
    )
    before = tables.rows(versions)
    stored = tables.orders(page(order("1"), order("2")))
    tables.products(page(product("P-1")))
    assert tables.rows(versions) == before
    assert (stored.created, stored.changed) == (0, 0)
    assert tables.history() == []


def test_history_has_the_fields_that_changed_and_nothing_for_a_new_payload(tables: Tables) -> None:
    tables.orders(page(order("1", item("a", "10.00"))))
    tables.orders(page(order("1", item("a", "10.00"), minutes=1, raw={"id": "1", "seen": 2})))
    shipped = {"status": OrderStatus.SHIPPED, "raw_status": ("Shipped",)}
    tables.orders(page(order("1", item("a", "10.00", status=OrderStatus.SHIPPED), minutes=2, **shipped)))
    assert tables.history() == [
        (
            *("order", "1", "", "changed"),
            {"status": "new", "raw_status": ["New"]},
            {"status": "shipped", "raw_status": ["Shipped"]},
        ),
        ("item", "1", "a", "changed", {"status": "new"}, {"status": "shipped"}),
    ]
    assert tables.rows("SELECT raw FROM sync.marketplace_order") == [({"id": "1"},)]


def test_a_line_that_left_its_order_goes_and_a_new_one_comes_both_with_history(tables: Tables) -> None:
    tables.orders(page(order("1", item("a", "10.00"), item("b", "5.00"))))
    tables.orders(page(order("1", item("a", "10.00"), item("c", "7.00"), minutes=1)))
    assert tables.rows("SELECT item_key, line_total FROM sync.marketplace_order_item ORDER BY 1") == [
        ("a", Decimal("10.00")),
        ("c", Decimal("7.00")),
    ]
    assert [(record, part, change) for record, _, part, change, _, _ in tables.history()] == [
        ("item", "c", "added"),
        ("item", "b", "removed"),
        ("order", "", "changed"),
    ]


def test_an_older_version_from_a_lagging_index_never_replaces_a_newer_one(tables: Tables) -> None:
    tables.orders(page(order("1", item("a", "10.00"), minutes=5, status=OrderStatus.SHIPPED)))
    tables.orders(page(order("1", item("b", "99.00"), minutes=4)))
    both = [order("2", minutes=9, status=OrderStatus.SHIPPED), order("2", minutes=8)]
    tables.orders(page(*both))
    assert tables.rows("SELECT order_key, status FROM sync.marketplace_order ORDER BY 1") == [
        ("1", "shipped"),
        ("2", "shipped"),
    ]
    assert tables.rows("SELECT item_key FROM sync.marketplace_order_item WHERE order_key = '1'") == [("a",)]


def test_of_an_order_on_several_pages_the_last_equal_version_counts(tables: Tables) -> None:
    tables.orders(page(order("1")), page(order("1", status=OrderStatus.SHIPPED)))
    assert tables.rows("SELECT status FROM sync.marketplace_order") == [("shipped",)]


def test_the_watermark_moves_with_the_rows_or_not_at_all(tables: Tables) -> None:
    tables.orders(page(order("1"), at=1), page(order("2"), at=2))
    with tables.engine.connect() as connection:
        store_orders(connection, tables.id, [page(order("3"), at=3)])
        connection.rollback()
    with tables.engine.connect() as connection:
        state = streams.read(connection, tables.id, Stream.ORDERS)
        other = streams.read(connection, tables.id, Stream.PRODUCTS)
    assert state.watermark == page(at=2).watermark
    assert other.watermark is None
    assert tables.rows("SELECT count(*) FROM sync.marketplace_order") == [(2,)]


def test_amounts_keep_the_places_that_the_marketplace_wrote(tables: Tables) -> None:
    yen = item("y", "5980", currency="JPY")
    rand = item("r", "3272.00", unit_price=Decimal("3272"))
    free = order("free", total=None, canceled_total=None, refunded_total=None, currency=None)
    tables.orders(page(order("yen", yen, currency="JPY"), order("rand", rand), free))
    kept = tables.rows(
        "SELECT i.order_key, i.line_total::text, i.unit_price::text, o.net_total::text FROM sync.marketplace_order o "
        "JOIN sync.marketplace_order_item i USING (connection_id, order_key) ORDER BY 1"
    )
    assert kept[1:] == [("rand", "3272.00", "3272", "3272.00"), ("yen", "5980", "5980", "5980.00")]
    assert kept[0][3] is None


@pytest.mark.parametrize("seed", [1, 2])
def test_money_of_thousands_of_random_orders_is_kept_to_the_cent(tables: Tables, seed: int) -> None:
    orders = _random_orders(random.Random(seed), 2000)
    tables.orders(*(page(*orders[first : first + 100], at=first) for first in range(0, len(orders), 100)))
    expected: Counter[tuple[str, str]] = Counter()
    for one in orders:
        assert one.total is not None
        assert one.net_total is not None
        expected[str(one.currency), "total"] += one.total  # type: ignore[assignment]  # counts may be decimals
        expected[str(one.currency), "net"] += one.net_total  # type: ignore[assignment]  # counts may be decimals
    sums = tables.rows(
        "SELECT currency, sum(total), sum(net_total) FROM sync.marketplace_order GROUP BY currency ORDER BY currency"
    )
    lines = tables.rows(
        "SELECT currency, sum(line_total) FROM sync.marketplace_order_item GROUP BY currency ORDER BY currency"
    )
    assert sums == [
        (currency, expected[currency, "total"], expected[currency, "net"]) for currency in ("EUR", "JPY", "USD", "ZAR")
    ]
    assert lines == [(currency, expected[currency, "total"]) for currency in ("EUR", "JPY", "USD", "ZAR")]
    with tables.engine.connect() as connection:
        assert reports.totals_that_differ(connection, [tables.name]) == []


def _random_orders(chance: random.Random, number: int) -> list[Order]:
    made = []
    for index in range(number):
        currency = chance.choice(["ZAR", "USD", "EUR", "JPY"])
        places = 0 if currency == "JPY" else 2
        amounts = [
            Decimal(chance.randrange(10 ** chance.randrange(1, 9))).scaleb(-places) for _ in range(1 + index % 5)
        ]
        lines = [item(str(place), str(amount), currency=currency) for place, amount in enumerate(amounts)]
        back = chance.choice([Decimal(0).scaleb(-places), amounts[0]])
        made.append(order(str(index), *lines, currency=currency, refunded_total=back, total=sum(amounts)))
    return made


def test_a_product_without_sku_and_a_line_without_product_are_kept_and_listed_until_they_are_mended(
    tables: Tables,
) -> None:
    tables.products(page(product("1", sku=None)))
    tables.orders(page(order("7", item("a", "10.00", product_key=None, sku=None), item("b", "5.00", sku=None))))
    assert tables.errors() == [("no_product", "7", "a"), ("no_sku", "1", ""), ("no_sku", "7", "b")]
    assert tables.rows("SELECT count(*) FROM sync.marketplace_order_item") == [(2,)]
    tables.products(page(product("1")))
    tables.orders(page(order("7", item("a", "10.00"), item("b", "5.00"), minutes=1)))
    assert tables.errors() == []
    assert tables.rows("SELECT count(*) FROM sync.marketplace_item_error") == [(3,)]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"status_unmapped": True}, ProblemKind.UNKNOWN_STATUS),
        ({"total": None}, ProblemKind.NO_AMOUNT),
        ({"total": Decimal("11.00")}, ProblemKind.TOTAL_DIFFERS),
        ({"currency": "USD"}, ProblemKind.MIXED_CURRENCIES),
    ],
)
def test_an_odd_order_is_stored_and_listed(tables: Tables, changes: dict[str, Any], kind: ProblemKind) -> None:
    tables.orders(page(order("1", item("a", "10.00"), **changes)))
    assert [error[0] for error in tables.errors()] == [kind.value]
    assert tables.rows("SELECT count(*) FROM sync.marketplace_order") == [(1,)]


@pytest.mark.parametrize(
    "broken",
    [
        order("1", item("a", "1.00"), item("a", "1.00")),
        order("x" * 1000),
        order("a\0b"),
        order("1", total=Decimal("NaN")),
        order("1", total=Decimal("1e5000")),
        order("1", raw={"amount": float("inf")}),
    ],
    ids=["two lines with one key", "long key", "NUL", "NaN", "huge", "infinite in the payload"],
)
def test_a_record_that_the_database_cannot_hold_is_listed_and_does_not_stop_the_others(
    tables: Tables, broken: Order
) -> None:
    stored = tables.orders(page(broken, order("good"), at=1))
    assert tables.rows("SELECT order_key FROM sync.marketplace_order") == [("good",)]
    assert [error[0] for error in tables.errors()] == ["not_storable"]
    assert [error.kind for error in stored.unstored] == [ProblemKind.NOT_STORABLE]


def test_texts_that_the_database_cannot_hold_are_stored_with_a_mark_in_their_place(tables: Tables) -> None:
    half = "\ud83d"
    tables.orders(page(order("1", item("a", "1.00", title=f"cup {half}\0"), raw={"title": f"cup\0 {half}"})))
    assert tables.rows("SELECT title FROM sync.marketplace_order_item") == [("cup ?\N{REPLACEMENT CHARACTER}",)]


def test_unreadable_records_without_a_key_are_listed_one_by_one_with_their_payload(tables: Tables) -> None:
    errors = [ItemError(ProblemKind.UNREADABLE, "", "no id", payload={"row": row}) for row in (1, 2)]
    tables.orders(page(errors=tuple(errors)), page(errors=tuple(errors)))
    assert len(tables.errors()) == 2
    assert tables.rows("SELECT payload FROM sync.marketplace_item_error ORDER BY payload") == [
        ({"row": 1},),
        ({"row": 2},),
    ]


def test_a_variant_that_is_not_with_its_product_any_more_is_marked_deleted(tables: Tables) -> None:
    tables.products(page(product("1", "s"), product("1", "m"), product("2")))
    tables.products(page(product("1", "m")))
    assert _deleted(tables) == [("1", "s")]
    tables.products(page(product("1", "s"), product("1", "m")))
    assert _deleted(tables) == []


def test_what_a_complete_scan_does_not_see_is_marked_deleted(tables: Tables) -> None:
    tables.products(page(product("1"), product("2"), product("3")))
    parts = [Scan("now", ("1",)), Scan("now", ("3",), ends=True, total=2)]
    assert tables.products(page(scan=Scan("earlier", ("2",))), *(page(scan=part) for part in parts)).deleted == 1
    assert _deleted(tables) == [("2", "")]
    assert tables.rows("SELECT count(*) FROM sync.marketplace_scan_key") == [(0,)]


@pytest.mark.parametrize(
    "scan", [Scan("now", ("1",), ends=True, total=3), Scan("now", (), ends=True)], ids=["broken", "empty"]
)
def test_a_scan_that_is_not_to_be_trusted_deletes_nothing(tables: Tables, scan: Scan) -> None:
    tables.products(page(product("1"), product("2")))
    stored = tables.products(page(scan=scan))
    assert _deleted(tables) == []
    assert len(stored.distrusted) == 1


def test_orders_older_than_a_scan_reaches_back_stay(tables: Tables) -> None:
    old = order("old", ordered_at=NOON - timedelta(days=90))
    tables.orders(page(old, order("test"), order("kept")))
    tables.orders(page(scan=Scan("now", ("kept",), ends=True, ordered_from=NOON - timedelta(days=60))))
    assert tables.rows("SELECT order_key FROM sync.marketplace_order WHERE deleted_at IS NOT NULL") == [("test",)]


def test_keys_are_those_of_a_connection(engine: Engine) -> None:
    first, second = Tables(engine, "one"), Tables(engine, "two")
    first.orders(page(order("5551042")))
    second.orders(page(replace(order("5551042"), status=OrderStatus.SHIPPED)))
    second.orders(page(gone=("5551042",)))
    kept = first.rows("SELECT status, deleted_at IS NULL FROM sync.marketplace_order ORDER BY connection_id")
    assert kept == [("new", True), ("shipped", False)]


def _deleted(tables: Tables) -> Sequence[Any]:
    return tables.rows(
        "SELECT product_key, variant_key FROM sync.marketplace_product WHERE deleted_at IS NOT NULL ORDER BY 1, 2"
    )


def test_the_records_of_a_connection_are_looked_up_one_by_one(tables: Tables) -> None:
    """Without knowing their number, PostgreSQL joins by reading all of them for every one."""
    names = [str(number) for number in range(600)]
    tables.orders(page(*map(order, names)))
    with tables.engine.begin() as connection:
        take_statistics(connection, Stream.ORDERS)
    indexes = ("marketplace_order_pkey", "marketplace_order_by_time", "marketplace_scan_key_pkey")
    read = " + ".join(f"pg_stat_get_xact_tuples_returned('sync.{index}'::regclass)" for index in indexes)
    # What an earlier transaction of the same server process read may not be told of yet, and counts as this one's.
    tables.engine.dispose()

    with tables.engine.begin() as connection:
        ends = page(*map(order, [*names[1:], "new"]), scan=Scan("now", (*names[1:], "new"), ends=True))
        stored = store_orders(connection, tables.id, [ends])
        looked_at = connection.execute(text(f"SELECT {read}")).scalar_one()

    assert (stored.created, stored.changed, stored.deleted) == (1, 0, 1)
    assert looked_at < 10 * len(names)
