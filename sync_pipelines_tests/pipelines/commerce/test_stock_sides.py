"""The sides of stock against their stand-ins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.core.errors import PeerError
from sync_pipelines.pipelines.commerce.inventory.mapping import StockSettings
from sync_pipelines_tests.pipelines.commerce.order_peers import STOCK, Demo, Peers, looked_up


def during(demo: Demo, act: Callable[[Peers], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with demo.open() as peers:
            return await act(peers)

    return asyncio.run(run())


@pytest.mark.parametrize("sku", ["NW-TA-1000", "NW-KI-1173", "NV-104-02"])
def test_given_a_product_or_a_variation_when_odoos_stock_is_written_to_the_shop_then_it_shows_it(sku: str) -> None:
    async def act(peers: Peers) -> tuple[Any, Any]:
        [wanted], [current] = await peers.odoo_stock().find(sku), await peers.woo_stock.find(sku)
        await peers.woo_stock.write(current, {"quantity": wanted.content["quantity"] + 1}, ["quantity"])
        shown = await peers.woo_stock.read(current.key)
        assert shown is not None
        return wanted.content["quantity"] + 1, shown.content["quantity"]

    wanted, shown = during(Demo(), act)
    assert wanted == shown


@pytest.mark.parametrize("quantity", ["available", "free"])
def test_given_a_count_when_it_is_written_twice_then_odoo_shows_it_and_one_quant_holds_it(quantity: Any) -> None:
    demo = Demo()

    async def act(peers: Peers) -> tuple[int, Any]:
        side = peers.odoo_stock(StockSettings(STOCK, quantity))
        for _ in range(2):
            [current] = await side.find("NW-ST-1037")
            await side.write(current, {"quantity": 12}, ["quantity"])
        shown = await side.read(current.key)
        assert shown is not None
        return int(current.key), shown.content["quantity"]

    variant, shown = during(demo, act)
    assert shown == 12
    assert len(demo.erp.world.find("stock.quant", ["product_id", "=", variant], ["location_id", "=", STOCK])) == 1


def test_given_two_variants_with_one_code_then_both_are_found_and_none_is_chosen() -> None:
    assert len(during(Demo(), lambda peers: peers.odoo_stock().find("NW-LI-1046"))) == 2


def test_given_some_skus_when_they_are_looked_at_then_both_sides_show_them_in_any_writing() -> None:
    async def act(peers: Peers) -> list[list[str]]:
        keys = ("NW-TE-1030", "NV-104-02", "NW-WH-1", "NOWHERE")
        sides = (peers.woo_stock, peers.odoo_stock())
        return [sorted(record.natural_key for record in await looked_up(side, *keys)) for side in sides]

    # Odoo writes the first one in small letters.
    assert during(Demo(), act) == [["NV-104-02", "NW-TE-1030"], ["NV-104-02", "NW-TE-1030", "NW-WH-1"]]


def test_given_a_stock_that_changed_in_the_shop_when_a_window_is_read_then_it_is_named() -> None:
    async def act(peers: Peers) -> list[str]:
        since = datetime.now(UTC) - timedelta(minutes=1)
        await peers.woo.products.update(11, {"stock_quantity": 5})
        return await peers.woo_stock.touched(since)

    assert during(Demo(), act) == ["NW-TA-1000"]


def test_given_stock_then_it_makes_no_product_and_takes_none_away() -> None:
    demo = Demo()

    async def act(peers: Peers) -> None:
        for side in (peers.woo_stock, peers.odoo_stock()):
            with pytest.raises(PeerError, match="products are synced before their stock"):
                await side.create("NEW", {"quantity": 1})
            [current] = await side.find("NW-TA-1000")
            await side.retire(current)

    during(demo, act)
    assert demo.erp.world.writes == []


def test_given_a_negative_stock_of_the_shop_when_it_is_to_be_counted_then_it_is_refused() -> None:
    async def act(peers: Peers) -> None:
        [current] = await peers.odoo_stock().find("NW-KI-1173")
        with pytest.raises(PeerError, match="below nothing"):
            await peers.odoo_stock().write(current, {"quantity": -3}, ["quantity"])

    during(Demo(), act)
