"""Products of the shop that are looked at and written many in a request: each has an outcome of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.two_way import Side
from sync_pipelines.pipelines.commerce.connection import EntityType
from sync_pipelines.pipelines.commerce.gathering import Gathering
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import ShopWorld, WooCommerceStandIn
from sync_pipelines_tests.pipelines.commerce.shop_runs import ServedShop, served

PRODUCTS = EntityType.PRODUCTS
COUNT = 12


@pytest.fixture
def shop(engine: Engine) -> Iterator[ServedShop]:
    """Twelve products that agree, five in a request."""
    world = ShopWorld()
    for number in range(COUNT):
        world.add_product(name=f"P{number}", sku=f"P-{number}", regular_price="1.00")
    with served(engine, WooCommerceStandIn(world), OdooStandIn(), batch=5, max_retries=1) as one:
        one.carried_out(PRODUCTS)
        yield one


def reprice(shop: ServedShop, amount: float = 2.0) -> None:
    """Give all products another price in Odoo, as staff would."""
    for number in range(COUNT):
        [variant] = shop.odoo.world.find("product.product", ["default_code", "=", f"P-{number}"])
        shop.odoo.world.write("product.product", variant, list_price=amount)


def prices(shop: ServedShop) -> list[str]:
    return [str(product.values["regular_price"]) for product in shop.shop.world.products.values()]


def test_given_many_changed_products_then_they_share_requests_and_each_is_looked_at_before_and_after(
    shop: ServedShop,
) -> None:
    reprice(shop)
    before = len(shop.shop.world.requests)

    [done] = shop.carried_out(PRODUCTS)

    assert done.applied[Side.LEFT].actions["update"] == COUNT
    assert prices(shop) == ["2.00"] * COUNT
    written = [one for one in shop.shop.world.requests[before:] if one.method != "GET"]
    assert {(one.method, one.path.rpartition("/")[2]) for one in written} == {("POST", "batch")}
    # How many share one depends on the machine.
    assert max(len(json.loads(one.body)["update"]) for one in written) > 1
    again = shop.writes
    shop.carried_out(PRODUCTS)
    assert shop.writes == again


def test_given_one_product_that_is_refused_then_it_spoils_no_other(shop: ServedShop) -> None:
    other = shop.shop.world.add_product(name="Other", sku="", global_unique_id="4006381333931")
    reprice(shop)
    [variant] = shop.odoo.world.find("product.product", ["default_code", "=", "P-3"])
    shop.odoo.world.write("product.product", variant, barcode="4006381333931")

    [done] = shop.carried_out(PRODUCTS)

    assert (done.applied[Side.LEFT].actions["update"], done.applied[Side.LEFT].failed) == (COUNT - 1, 1)
    [conflict] = shop.conflicts()
    assert (conflict.item, conflict.kind) == ("P-3", Kind.DUPLICATE_KEY)
    assert [one.id for one in shop.shop.world.products.values() if one.values.get("global_unique_id")] == [other.id]


def test_given_one_price_that_the_shop_cannot_be_sent_then_it_spoils_no_other(shop: ServedShop) -> None:
    reprice(shop)
    [variant] = shop.odoo.world.find("product.product", ["default_code", "=", "P-3"])
    shop.odoo.world.write("product.product", variant, list_price=1e17)

    [done] = shop.carried_out(PRODUCTS)

    assert (done.applied[Side.LEFT].actions["update"], done.applied[Side.LEFT].failed) == (COUNT - 1, 1)
    [conflict] = shop.conflicts()
    assert (conflict.item, conflict.kind) == ("P-3", Kind.VALIDATION_ERROR)
    assert "more digits than a price can have" in str(conflict.data)


@pytest.mark.parametrize("fault", [FaultKind.DROP_AFTER_COMMIT, FaultKind.ERROR_AFTER_COMMIT, FaultKind.STATUS])
def test_given_a_batch_without_an_answer_then_what_the_shop_shows_decides(shop: ServedShop, fault: FaultKind) -> None:
    options = {"status": 503, "body": "busy"} if fault is FaultKind.STATUS else {}
    shop.shop.faults.add(fault, method="POST", path="/products/batch$", times=1, **options)
    reprice(shop)

    [done] = shop.carried_out(PRODUCTS)

    updated = [price for price in prices(shop) if price == "2.00"]
    assert done.applied[Side.LEFT].actions["update"] == len(updated)
    first = next(one for one in shop.shop.world.requests if one.path.endswith("/products/batch"))
    assert len(updated) == (COUNT if fault is not FaultKind.STATUS else COUNT - len(json.loads(first.body)["update"]))


def test_given_one_item_that_makes_the_peer_crash_then_the_others_are_sent_without_it() -> None:
    sent: list[Sequence[int]] = []

    async def send(items: Sequence[int]) -> Sequence[int | PeerError]:
        sent.append(items)
        if 3 in items:
            raise PeerError("shop", FailureKind.AMBIGUOUS, "it crashed", status=500)
        return [item * 10 for item in items]

    async def ask() -> list[int | BaseException]:
        gathering: Gathering[int, int] = Gathering(send, 4)
        return await asyncio.gather(*(gathering.ask(item) for item in range(6)), return_exceptions=True)

    answers = asyncio.run(ask())

    assert [answer for answer in answers if isinstance(answer, int)] == [0, 10, 20, 40, 50]
    assert isinstance(answers[3], PeerError)
    assert sent == [[0, 1, 2, 3], [0], [1], [2], [3], [4, 5]]


def test_given_a_failure_of_all_then_each_has_an_error_of_its_own() -> None:
    async def send(items: Sequence[int]) -> Sequence[int | PeerError]:
        raise PeerError("shop", FailureKind.TRANSIENT, "not now")

    async def ask() -> list[int | BaseException]:
        gathering: Gathering[int, int] = Gathering(send, 4)
        return await asyncio.gather(*(gathering.ask(item) for item in range(3)), return_exceptions=True)

    errors = asyncio.run(ask())

    assert {str(error) for error in errors} == {"shop: not now"}
    assert len({id(error) for error in errors}) == 3


def test_given_one_that_is_cancelled_while_it_asks_for_all_then_nobody_waits_for_ever() -> None:
    async def send(items: Sequence[int]) -> Sequence[int | PeerError]:
        await asyncio.sleep(3600)
        return items

    async def ask() -> list[int | BaseException]:
        gathering: Gathering[int, int] = Gathering(send, 4)
        asking = [asyncio.create_task(gathering.ask(item)) for item in range(3)]
        await asyncio.sleep(0.1)
        asking[0].cancel()
        return await asyncio.gather(*asking, return_exceptions=True)

    assert all(isinstance(one, asyncio.CancelledError) for one in asyncio.run(ask()))


def test_given_one_that_is_cancelled_before_its_turn_then_its_item_is_never_sent() -> None:
    sent: list[int] = []
    first_is_sent = asyncio.Event()

    async def send(items: Sequence[int]) -> Sequence[int | PeerError]:
        sent.extend(items)
        first_is_sent.set()
        await asyncio.sleep(0.1)
        return items

    async def ask() -> list[int | BaseException]:
        gathering: Gathering[int, int] = Gathering(send, 2)
        asking = [asyncio.create_task(gathering.ask(item)) for item in range(5)]
        await first_is_sent.wait()
        asking[3].cancel()
        return await asyncio.gather(*asking, return_exceptions=True)

    answers = asyncio.run(ask())

    assert isinstance(answers[3], asyncio.CancelledError)
    assert sent == [answer for answer in answers if isinstance(answer, int)] == [0, 1, 2, 4]
