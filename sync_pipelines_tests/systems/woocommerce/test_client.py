import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.woocommerce import (
    MalformedRecord,
    Reason,
    ShopSettings,
    SkuHolder,
    Unsendable,
    Window,
    WooCommerceClient,
    WooCommerceError,
    reason_of,
)
from sync_pipelines_tests.systems.scripted_peer import SILENCE, answer, scripted_peer
from sync_pipelines_tests.systems.woocommerce.shop import (
    body_of,
    failure,
    path_of,
    query_of,
    refused,
    rows,
    talk,
    transport_to,
)

GONE = refused(404, "woocommerce_rest_product_invalid_id")
HTML = "<h1>There has been a critical error on this website.</h1>"
ROOT = "/wp-json/wc/v3"


def holder(number: int, sku: str, **changes: Any) -> dict[str, Any]:
    return {"id": number, "sku": sku, "type": "simple", "parent_id": 0, "status": "publish", **changes}


def item_error(code: str, status: int, number: int = 0, **data: Any) -> dict[str, Any]:
    return {"id": number, "error": {"code": code, "message": "No.", "data": {"status": status, **data}}}


def test_a_record_is_created_changed_and_put_into_the_trash() -> None:
    async def life(shop: WooCommerceClient) -> None:
        created = await shop.products.create({"name": "Mug", "sku": "M-1", "regular_price": Decimal("9.90")})
        assert (created.id, created.regular_price) == (7, Decimal("9.90"))
        await shop.products.update(7, {"stock_quantity": 3})
        await shop.products.trash(7)
        await shop.products.delete(7)

    row = {"id": 7, "name": "Mug", "regular_price": "9.90"}
    _, peer = talk([answer(201, row), answer(200, row)], life)
    assert [line.partition("?")[0] for line in peer.request_lines] == [
        f"POST {ROOT}/products",
        f"PUT {ROOT}/products/7",
        f"DELETE {ROOT}/products/7",
        f"DELETE {ROOT}/products/7",
    ]
    assert body_of(peer.requests[0]) == {"name": "Mug", "sku": "M-1", "regular_price": "9.90"}
    assert ["force" in query_of(request) for request in peer.requests] == [False, False, False, True]


def test_each_kind_of_record_is_written_at_its_place() -> None:
    async def writes(shop: WooCommerceClient) -> None:
        await shop.variations(12).update(7, {"sku": "S"})
        await shop.customers.create({"email": "i@x.test"})
        await shop.customers.delete(7)
        await shop.orders.create({"line_items": [{"product_id": 1, "quantity": 2}]})
        await shop.orders.trash(7)
        await shop.refunds(25).create({"amount": Decimal("5.00")})
        await shop.refunds(25).delete(7)

    _, peer = talk([answer(200, {"id": 7})], writes)
    assert [path_of(request).removeprefix(ROOT) for request in peer.requests] == [
        "/products/12/variations/7",
        "/customers",
        "/customers/7",
        "/orders",
        "/orders/7",
        "/orders/25/refunds",
        "/orders/25/refunds/7",
    ]
    assert body_of(peer.requests[5]) == {"amount": "5.00", "api_refund": False}
    assert [query_of(peer.requests[index]).get("force") for index in (2, 4, 6)] == ["true", None, "true"]


@pytest.mark.parametrize("reply", [SILENCE, answer(500, HTML), answer(503, HTML), answer(200, HTML), answer(201, {})])
def test_given_a_write_that_is_not_confirmed_then_it_is_ambiguous_and_not_sent_again(reply: bytes) -> None:
    async def conversation(shop: WooCommerceClient) -> PeerError:
        with pytest.raises(PeerError) as caught:
            await shop.orders.create({"line_items": [{"product_id": 1, "quantity": 1}]})
        return caught.value

    error, peer = talk([reply], conversation)
    assert error.kind is FailureKind.AMBIGUOUS
    assert len(peer.requests) == 1


def test_given_a_write_that_takes_too_long_then_it_is_ambiguous() -> None:
    async def run() -> FailureKind:
        short = httpx.Timeout(0.2, connect=5.0)
        async with scripted_peer([SILENCE], delay=30.0) as peer, transport_to(peer.url, timeout=short) as transport:
            with pytest.raises(PeerError) as caught:
                await WooCommerceClient(transport).products.update(7, {"name": "x"})
            return caught.value.kind

    assert asyncio.run(run()) is FailureKind.AMBIGUOUS


def test_given_nobody_who_listens_then_the_write_surely_had_no_effect() -> None:
    async def run() -> FailureKind:
        async with scripted_peer([]) as peer:
            pass
        async with transport_to(peer.url) as transport:
            with pytest.raises(PeerError) as caught:
                await WooCommerceClient(transport).products.create({"name": "x"})
            return caught.value.kind

    assert asyncio.run(run()) is FailureKind.TRANSIENT


def test_given_an_answer_about_another_record_then_it_is_not_believed() -> None:
    other = answer(200, {"id": 8})
    assert failure([other], lambda shop: shop.products.get(7)).kind is FailureKind.TRANSIENT
    assert failure([other], lambda shop: shop.products.update(7, {"name": "x"})).kind is FailureKind.AMBIGUOUS


def test_a_record_that_is_gone_is_none_to_a_read_and_gone_to_a_write() -> None:
    assert talk([GONE], lambda shop: shop.products.get(7))[0] is None
    unknown = refused(400, "woocommerce_rest_product_invalid_id")
    assert failure([unknown], lambda shop: shop.products.update(7, {"name": "x"})).kind is FailureKind.GONE
    trashed = refused(410, "woocommerce_rest_already_trashed")
    assert failure([trashed], lambda shop: shop.orders.trash(7)).kind is FailureKind.GONE


def test_nothing_is_sent_when_a_value_has_no_right_form() -> None:
    async def conversation(shop: WooCommerceClient) -> None:
        with pytest.raises(Unsendable):
            await shop.products.create({"regular_price": 9.9})
        with pytest.raises(Unsendable):
            await shop.products.batch(update=[(7, {"name": "fine"}), (8, {"status": "nonsense"})])
        with pytest.raises(Unsendable):
            await shop.all_variations().update(7, {"sku": "x"})
        with pytest.raises(ValueError, match="is not an id"):
            await shop.orders.update(0, {"status": "completed"})

    _, peer = talk([answer(200, {})], conversation)
    assert peer.requests == []


def test_given_html_and_a_long_wait_then_429_is_told_with_its_seconds() -> None:
    error = failure([answer(429, "<h1>Slow down</h1>", {"Retry-After": "900"})], lambda shop: shop.products.get(7))
    assert (error.kind, error.retry_after, reason_of(error)) == (FailureKind.RATE_LIMITED, 900.0, None)


def test_a_429_to_a_write_had_no_effect_and_is_not_sent_again() -> None:
    async def conversation(shop: WooCommerceClient) -> FailureKind:
        with pytest.raises(PeerError) as caught:
            await shop.products.create({"name": "x"})
        return caught.value.kind

    kind, peer = talk([answer(429, HTML, {"Retry-After": "0"})], conversation)
    assert kind is FailureKind.RATE_LIMITED
    assert len(peer.requests) == 1


def test_a_batch_has_an_outcome_for_each_item_in_the_order_given() -> None:
    body = {
        "create": [{"id": 14, "sku": "N"}, item_error("product_invalid_sku", 400, resource_id=11)],
        "update": [
            {"id": 11, "regular_price": "4.40"},
            item_error("woocommerce_rest_product_invalid_id", 400, 42),
            {"id": 99},
            {"id": 13, "regular_price": "abc"},
            {"id": 15, "error": "strange"},
        ],
    }

    async def conversation(shop: WooCommerceClient) -> Any:
        price = {"regular_price": Decimal("4.40")}
        return await shop.products.batch(
            create=[{"name": "New", "sku": "N"}, {"name": "Taken", "sku": "B"}],
            update=[(number, price) for number in (11, 42, 12, 13, 15)],
        )

    outcome, peer = talk([answer(200, body)], conversation)
    assert body_of(peer.requests[0])["update"][0] == {"id": 11, "regular_price": "4.40"}
    assert "delete" not in body_of(peer.requests[0])
    made, taken = outcome.created
    assert (made.id, made.sku) == (14, "N")
    assert (taken.kind, taken.reason, taken.resource_id) == (FailureKind.PERMANENT, Reason.DUPLICATE, 11)
    changed, gone, stranger, unreadable, odd = outcome.updated
    assert changed.regular_price == Decimal("4.40")
    assert (gone.kind, gone.key) == (FailureKind.GONE, "42")
    assert [error.kind for error in (stranger, unreadable)] == [FailureKind.AMBIGUOUS] * 2
    assert [error.key for error in (stranger, unreadable)] == ["12", "13"]
    assert odd.id == 15


@pytest.mark.parametrize("body", [[], {}, {"create": "x"}, {"create": []}, {"create": [{"id": 1}, {"id": 2}]}])
def test_given_a_batch_whose_answer_does_not_line_up_then_any_item_may_have_been_written(body: Any) -> None:
    error = failure([answer(200, body)], lambda shop: shop.products.batch(create=[{"name": "x"}]))
    assert error.kind is FailureKind.AMBIGUOUS


def test_given_a_crash_in_a_batch_then_any_item_may_have_been_written() -> None:
    crash = answer(500, {"code": "internal_server_error", "message": HTML, "data": {"status": 500}})
    error = failure([crash], lambda shop: shop.variations(424242).batch(create=[{"sku": "x"}]))
    assert error.kind is FailureKind.AMBIGUOUS


def test_a_batch_of_nothing_is_not_sent_and_one_of_101_is_refused() -> None:
    async def conversation(shop: WooCommerceClient) -> None:
        assert (await shop.orders.batch()).created == ()
        with pytest.raises(ValueError, match="100 items, not 101"):
            await shop.orders.batch(create=[{}] * 60, update=[(number, {}) for number in range(1, 42)])

    _, peer = talk([answer(200, {})], conversation)
    assert peer.requests == []


def test_skus_are_looked_up_together_and_variations_are_found_too() -> None:
    found = [holder(15, "apr-s", type="variation", parent_id=14), holder(11, "BOWL"), holder(16, "B\u00d6WL")]
    holders, peer = talk([rows(*found)], lambda shop: shop.products.by_sku(["APR-S", " BOWL"]))
    assert holders == [
        SkuHolder(15, "apr-s", "variation", 14, "publish"),
        SkuHolder(11, "BOWL", "simple", 0, "publish"),
    ]
    assert query_of(peer.requests[0])["sku"] == "APR-S,BOWL"


@pytest.mark.parametrize(("sku", "sent"), [("0", "0,0"), ("A,B", "A,B")])
def test_skus_that_the_shop_would_misread_are_found_all_the_same(sku: str, sent: str) -> None:
    holders, peer = talk([rows(holder(3, sku), holder(4, "A"))], lambda shop: shop.products.by_sku([sku]))
    assert [one.id for one in holders] == [3]
    assert query_of(peer.requests[0])["sku"] == sent


def test_a_trashed_holder_of_a_sku_is_found_in_the_trash() -> None:
    reply = rows(holder(11, "A", status="trash"))
    [found], peer = talk([reply], lambda shop: shop.products.by_sku(["A"], trash=True))
    assert found.status == "trash"
    assert query_of(peer.requests[0])["status"] == "trash"


@pytest.mark.parametrize("skus", [[], [""], [" ", "A"], ["A,B", "C"], [str(number) for number in range(101)]])
def test_a_look_up_that_would_find_everything_is_not_sent(skus: list[str]) -> None:
    with pytest.raises(ValueError, match="SKUs are needed"):
        talk([rows()], lambda shop: shop.products.by_sku(skus))


@pytest.mark.parametrize(
    ("look_up", "reply"),
    [
        (lambda shop: shop.products.by_sku(["A"]), rows(*(holder(number, f"S{number}") for number in range(1, 11)))),
        (lambda shop: shop.customers.by_email("i@x.test"), rows({"id": 3, "email": "stranger@x.test"})),
        (lambda shop: shop.products.some([11]), rows({"id": 12})),
    ],
)
def test_given_a_server_that_ignores_a_filter_then_no_stranger_is_taken(
    look_up: Callable[[WooCommerceClient], Any], reply: bytes
) -> None:
    error = failure([reply], look_up)
    assert error.kind is FailureKind.PERMANENT
    assert "is not applied by this server" in error.message


def test_an_address_is_looked_up_in_any_letter_case_and_among_all_roles() -> None:
    found, peer = talk([rows({"id": 3, "email": "iris@x.test"})], lambda shop: shop.customers.by_email(" IRIS@x.test"))
    assert found is not None
    assert found.id == 3
    assert (query_of(peer.requests[0])["email"], query_of(peer.requests[0])["role"]) == ("IRIS@x.test", "all")
    assert talk([rows()], lambda shop: shop.customers.by_email("nobody@x.test"))[0] is None


def test_records_are_fetched_by_id_a_hundred_at_a_time_and_a_malformed_one_spoils_no_other() -> None:
    wanted = list(range(1, 131))
    replies = [rows({"id": 1}, {"id": 2, "weight": "heavy"}), rows({"id": 130})]
    found, peer = talk(replies, lambda shop: shop.products.some(wanted))
    assert set(found) == {1, 2, 130}
    assert isinstance(found[2], MalformedRecord)
    assert query_of(peer.requests[1])["include"] == ",".join(map(str, range(101, 131)))
    assert talk([rows()], lambda shop: shop.products.some([]))[0] == {}


def test_an_order_is_found_by_its_mark_after_a_creation_without_an_answer() -> None:
    window = Window(since=datetime(2026, 11, 22, 3, 0, tzinfo=UTC), created=True)
    marked = {"id": 2, "meta_data": [{"id": 9, "key": "_ref", "value": "A-1"}]}
    found, peer = talk([rows({"id": 1}, marked)], lambda shop: shop.orders.with_meta("_ref", "A-1", window=window))
    assert [order.id for order in found] == [2]
    assert query_of(peer.requests[0])["after"] == "2026-11-22T02:59:59"
    broken = rows({"id": 1, "total": "x"})
    error = failure([broken], lambda shop: shop.orders.with_meta("_ref", "A-1", window=window))
    assert error.kind is FailureKind.TRANSIENT


def test_webhooks_are_made_listed_enabled_again_and_deleted() -> None:
    async def conversation(shop: WooCommerceClient) -> None:
        made = await shop.webhooks.subscribe("Orders", "order.updated", "https://receiver.test/ok", "s3cret")
        assert (made.id, made.topic) == (1, "order.updated")
        assert [hook.status for hook in await shop.webhooks.all()] == ["disabled"]
        assert (await shop.webhooks.enable(1)).status == "active"
        await shop.webhooks.delete(1)

    hook = {"id": 1, "topic": "order.updated", "status": "active"}
    replies = [answer(201, hook), rows({**hook, "status": "disabled"}), answer(200, hook), answer(200, hook)]
    _, peer = talk(replies, conversation)
    assert body_of(peer.requests[0])["secret"] == "s3cret"
    assert body_of(peer.requests[2]) == {"status": "active"}
    assert query_of(peer.requests[3])["force"] == "true"


def test_the_settings_that_amounts_depend_on_are_read() -> None:
    def setting(name: str, value: str) -> dict[str, str]:
        return {"id": f"woocommerce_{name}", "value": value}

    replies = [
        answer(200, [setting("currency", "EUR"), setting("price_num_decimals", "3")]),
        answer(200, [setting("weight_unit", "lbs")]),
        answer(200, [setting("prices_include_tax", "yes")]),
    ]
    settings, _ = talk(replies, lambda shop: shop.settings())
    assert settings == ShopSettings(currency="EUR", price_decimals=3, prices_include_tax=True, weight_unit="lbs")


def test_a_check_finds_nothing_wrong_with_a_good_connection() -> None:
    assert talk([rows()], lambda shop: shop.check())[0] == []


def test_a_check_tells_of_refused_keys_and_of_filters_that_are_ignored() -> None:
    replies = [rows({"id": 1}), refused(403, "woocommerce_rest_cannot_view"), rows({"id": 1})]
    problems, _ = talk(replies, lambda shop: shop.check())
    assert len(problems) == 2
    assert problems[0].startswith("products: the filter modified_after is ignored")
    assert "shop manager" in problems[1]


def test_an_error_says_which_request_it_is_about() -> None:
    error = failure([refused(400, "rest_invalid_param")], lambda shop: shop.variations(12).create({"sku": "A"}))
    assert isinstance(error, WooCommerceError)
    assert error.operation == f"POST {ROOT}/products/12/variations"
