import random
from datetime import UTC, datetime, timedelta, timezone
from itertools import count, islice
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.seal import Sweep, judge_sweep
from sync_pipelines.systems.woocommerce import MalformedRecord, Page, Product, Window, WooCommerceClient
from sync_pipelines_tests.systems.scripted_peer import ScriptedPeer, answer
from sync_pipelines_tests.systems.woocommerce.shop import answered_by, failure, path_of, query_of, rows, talk

SINCE = datetime(2026, 11, 22, 3, 7, 5, 900_000, UTC)


def sealed(sweep: Sweep) -> bool:
    return judge_sweep(sweep, records=sweep.seen, duplicates=0, previous=None).sealed


def listed(*ids: int, total: int) -> bytes:
    return rows(*({"id": number} for number in ids), total=total)


def read(replies: list[bytes], **options: Any) -> tuple[list[Page[Product]], Sweep, ScriptedPeer]:
    sweep = Sweep()

    async def conversation(shop: WooCommerceClient) -> list[Page[Product]]:
        return [page async for page in shop.products.pages(sweep, **{"page_size": 3, **options})]

    pages, peer = talk(replies, conversation)
    return pages, sweep, peer


def ids_of(pages: list[Page[Product]]) -> list[int]:
    return [row.id for page in pages for row in page.rows]


def offsets(peer: ScriptedPeer) -> list[int]:
    return [int(query_of(request).get("offset", 0)) for request in peer.requests]


def test_given_a_list_that_stands_still_then_each_page_begins_with_the_last_row_of_the_one_before() -> None:
    pages, sweep, peer = read([listed(1, 2, 3, total=6), listed(3, 4, 5, total=6), listed(5, 6, total=6)])
    assert ids_of(pages) == [1, 2, 3, 4, 5, 6]
    assert offsets(peer) == [0, 2, 4]
    assert (sweep.declared, sweep.seen, sweep.gaps) == (6, 6, [])
    assert sealed(sweep)


def test_pages_are_asked_for_by_id_with_the_fields_that_are_read() -> None:
    _, _, peer = read([listed(1, total=1)])
    query = query_of(peer.requests[0])
    assert (query["orderby"], query["order"], query["per_page"]) == ("id", "asc", "3")
    assert query["context"] == "edit"
    assert {"id", "sku", "regular_price", "date_modified_gmt"} <= set(query["_fields"].split(","))
    assert "status" not in query


def test_given_a_row_that_leaves_the_list_between_two_pages_then_the_next_one_is_not_lost() -> None:
    # 2 goes after the first page: 4 moves to where it would never be asked for.
    replies = [listed(1, 2, 3, total=5), listed(4, 5, total=4), listed(1, 3, 4, total=4), listed(4, 5, total=4)]
    pages, sweep, peer = read(replies)
    assert ids_of(pages) == [1, 2, 3, 4, 5]
    assert offsets(peer) == [0, 2, 0, 2]
    assert sealed(sweep)
    assert "1 records left the list" in sweep.notes[0]


def test_given_a_row_that_goes_and_another_that_comes_then_equal_totals_hide_nothing() -> None:
    replies = [listed(1, 2, 3, total=5), listed(4, 5, 6, total=5), listed(1, 3, 4, total=5), listed(4, 5, 6, total=5)]
    pages, sweep, _ = read(replies)
    assert ids_of(pages) == [1, 2, 3, 4, 5, 6]
    assert sealed(sweep)


def test_given_a_row_that_appears_where_the_reading_has_passed_then_the_sweep_is_not_sealed() -> None:
    pages, sweep, _ = read([listed(2, 4, 6, total=4), listed(4, 6, 8, total=5)])
    assert ids_of(pages) == [2, 4, 6, 8]
    assert (sweep.declared, sweep.seen) == (5, 4)
    assert not sealed(sweep)


def test_given_orders_that_say_zero_past_the_end_then_that_is_not_taken_for_an_empty_shop() -> None:
    # The list fell to two rows while it was read.
    replies = [listed(1, 2, 3, total=5), listed(total=0), listed(1, 2, total=2)]
    pages, sweep, _ = read(replies)
    assert ids_of(pages) == [1, 2, 3]
    assert sweep.declared == 3


@pytest.mark.parametrize("page", [listed(1, 2, 3, total=9), listed(7, 8, 9, total=9)])
def test_given_a_server_that_ignores_the_offset_then_the_reading_ends_and_is_not_sealed(page: bytes) -> None:
    _, sweep, peer = read([listed(1, 2, 3, total=9), page])
    assert not sealed(sweep)
    assert len(peer.requests) < 30


def test_given_a_list_that_never_stands_still_then_the_reading_ends_with_a_gap() -> None:
    fresh = count(1)

    async def conversation(shop: WooCommerceClient) -> int:
        return len([page async for page in shop.products.pages(sweep, page_size=3)])

    sweep = Sweep()
    answered_by(lambda request: listed(*islice(fresh, 3), total=900), conversation)
    assert "moved faster than it could be read" in sweep.gaps[0]
    assert not sealed(sweep)


def test_given_a_malformed_row_then_the_others_are_read_and_nothing_may_be_concluded_from_its_absence() -> None:
    pages, sweep, _ = read([rows({"id": 1}, {"id": 2, "regular_price": "abc"}, {"id": 3})])
    [page] = pages
    assert ids_of(pages) == [1, 3]
    [error] = page.malformed
    assert isinstance(error, MalformedRecord)
    assert (error.place, error.record_id, error.key) == ("products[1].regular_price", 2, "2")
    assert not sealed(sweep)


def test_given_rows_without_an_id_then_they_are_named_by_their_place() -> None:
    pages, sweep, _ = read([rows({"id": 1}, "x", {"sku": "A"})])
    assert [error.place for error in pages[0].malformed] == ["products[1]", "products[2].id"]
    assert not sealed(sweep)


@pytest.mark.parametrize("page", [answer(200, []), answer(200, [], {"X-WP-Total": "many", "X-WP-TotalPages": "1"})])
def test_given_no_totals_then_the_list_is_refused(page: bytes) -> None:
    error = failure([page], lambda shop: shop.products.ids(Sweep()))
    assert error.kind is FailureKind.PERMANENT
    assert "X-WP-Total" in error.message


def test_an_object_is_no_list() -> None:
    error = failure([answer(200, {}, {"X-WP-Total": "0"})], lambda shop: shop.orders.ids(Sweep()))
    assert error.kind is FailureKind.TRANSIENT


@pytest.mark.parametrize(
    ("window", "query"),
    [
        (
            Window(SINCE, SINCE + timedelta(hours=1)),
            {
                "modified_after": "2026-11-22T03:07:04",
                "modified_before": "2026-11-22T04:07:05",
                "dates_are_gmt": "true",
            },
        ),
        (
            Window(SINCE.astimezone(timezone(timedelta(hours=1)))),
            {"modified_after": "2026-11-22T03:07:04", "dates_are_gmt": "true"},
        ),
        (Window(SINCE, created=True), {"after": "2026-11-22T03:07:04", "dates_are_gmt": "true"}),
        (Window(), {}),
    ],
)
def test_a_window_is_asked_for_in_naive_utc_with_its_first_second_and_without_its_last(
    window: Window, query: dict[str, str]
) -> None:
    _, _, peer = read([rows()], window=window)
    sent = query_of(peer.requests[0])
    assert {
        name: value for name, value in sent.items() if "after" in name or "before" in name or name[-3:] == "gmt"
    } == (query)


def test_customers_of_every_role_are_listed_and_have_no_window() -> None:
    async def ids(shop: WooCommerceClient) -> set[int]:
        return await shop.customers.ids(Sweep())

    found, peer = talk([listed(1, 2, total=2)], ids)
    assert found == {1, 2}
    assert query_of(peer.requests[0])["role"] == "all"
    with pytest.raises(ValueError, match="cannot be filtered by time"):
        talk([], lambda shop: _nothing(shop.customers.pages(Sweep(), Window(SINCE))))


async def _nothing(pages: Any) -> None:
    """The call itself is refused."""


def test_lists_of_the_trash_of_variations_and_of_refunds_have_their_own_paths() -> None:
    async def ids(shop: WooCommerceClient) -> list[set[int]]:
        sweep = Sweep()
        lists = (shop.products, shop.variations(12), shop.refunds(25), shop.all_variations())
        found = [await one.ids(sweep, status="trash" if one is shop.products else None) for one in lists]
        assert sweep.declared == sweep.seen == 4
        return found

    found, peer = talk([listed(7, total=1)], ids)
    assert found == [{7}] * 4
    root = "/wp-json/wc/v3"
    assert [path_of(request).removeprefix(root) for request in peer.requests] == [
        "/products",
        "/products/12/variations",
        "/orders/25/refunds",
        "/variations",
    ]
    assert query_of(peer.requests[0])["status"] == "trash"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_leaves_a_list_while_it_is_read_no_row_that_stays_is_missed(seed: int) -> None:
    chance = random.Random(seed)
    ids = list(range(1, chance.randint(5, 60)))
    stays = {number for number in ids if chance.random() < 0.7}

    def page(request: bytes) -> bytes:
        ids[:] = [number for number in ids if number in stays or chance.random() < 0.8]
        ids.extend(range(ids[-1] + 1, ids[-1] + 1 + chance.choice((0, 0, 0, 1))) if ids else ())
        offset = int(query_of(request).get("offset", 0))
        return listed(*ids[offset : offset + 5], total=len(ids))

    async def conversation(shop: WooCommerceClient) -> set[int]:
        return {row.id async for page in shop.products.pages(sweep, page_size=5) for row in page.rows}

    sweep = Sweep()
    found = answered_by(page, conversation)
    assert stays <= found
    assert sealed(sweep)
