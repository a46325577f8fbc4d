"""Whatever goes wrong on the way of an order from the shop to Odoo: one order exists afterwards, and it is whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox import odoo, woocommerce
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.woocommerce import faults as shop_faults
from sync_pipelines_tests.pipelines.commerce.ordered import OrderedShop, ordered_shop

CREATE = "/sale.order/create$"
ORDERS = "/wc/v3/orders$"
LONG = pytest.mark.long


def expect_one_order(world: OrderedShop) -> None:
    """Check that everything comes to rest with one whole order, and that nothing is left over."""
    world.rest()

    (order,) = world.orders
    assert (order["state"], order["amount_untaxed"], len(order["order_line"])) == ("sale", 19.8, 1)
    assert world.conflicts() == []
    assert world.unsettled() == 0


@pytest.mark.parametrize(
    "strike",
    [
        pytest.param(lambda world: odoo.too_many_requests(world.odoo.faults, path=CREATE), id="odoo's create"),
        pytest.param(
            lambda world: shop_faults.too_many_requests(world.shop.faults, path=ORDERS, retry_after="1", times=1),
            id="the shop's listing",
            marks=LONG,
        ),
        pytest.param(
            lambda world: odoo.too_many_requests(world.odoo.faults, path="/write$"), id="odoo's write", marks=LONG
        ),
    ],
)
def test_given_429_with_html_then_one_order_exists_afterwards(
    engine: Engine, strike: Callable[[OrderedShop], Any]
) -> None:
    with ordered_shop(engine) as world:
        armed = strike(world)
        world.run()

        assert armed.fired == 1
        expect_one_order(world)


@pytest.mark.parametrize("system", ["odoo", pytest.param("woocommerce", marks=LONG)])
def test_given_a_key_that_expires_before_the_order_then_the_run_stops_and_one_order_exists_once_it_is_renewed(
    engine: Engine, system: str
) -> None:
    with ordered_shop(engine) as world:
        access = world.shop.world.access
        if system == "odoo":
            # Between the look for the order and its creation.
            world.odoo.world.after("sale.order.search_read", lambda: world.odoo.world.revoke(odoo.SYNC_KEY))
        else:
            world.shop.world.after("/products$", lambda: access.revoke(woocommerce.DEMO_KEY.consumer_key))
        refused = world.run()

        assert isinstance(refused, PeerError)
        assert (refused.peer, refused.kind) == (system, FailureKind.AUTH)
        assert [(one.kind, one.item) for one in world.conflicts()] == [(Kind.AUTH_ERROR, system)]
        assert world.orders == []
        if system == "odoo":
            world.odoo.world.add_key(world.odoo.world.users[5], odoo.SYNC_KEY)
        else:
            access.add(woocommerce.DEMO_KEY)
        expect_one_order(world)


@pytest.mark.parametrize(
    "strike",
    [
        pytest.param(lambda world: odoo.broken_page(world.odoo.faults, path=CREATE), id="odoo's create"),
        pytest.param(
            lambda world: world.odoo.faults.add(FaultKind.ERROR_AFTER_COMMIT, path=CREATE, times=1),
            id="odoo's create, which was done",
            marks=LONG,
        ),
        pytest.param(
            lambda world: shop_faults.critical_error(world.shop.faults, path=ORDERS, times=1),
            id="the shop's listing",
            marks=LONG,
        ),
    ],
)
def test_given_500_with_html_then_one_order_exists_afterwards(
    engine: Engine, strike: Callable[[OrderedShop], Any]
) -> None:
    with ordered_shop(engine) as world:
        armed = strike(world)
        world.run()

        assert armed.fired == 1
        expect_one_order(world)


@pytest.mark.parametrize(
    "call",
    [
        "sale.order.create",
        pytest.param("sale.order.action_confirm", marks=LONG),
        pytest.param("product.product.create", marks=LONG),
    ],
)
def test_given_a_serialization_failure_then_one_order_exists_afterwards(engine: Engine, call: str) -> None:
    with ordered_shop(engine) as world:
        world.odoo.world.serialization_failures(1, call)
        world.run()

        assert not world.odoo.world.strikes(*call.rsplit(".", 1)), "the failure never struck"
        expect_one_order(world)


@pytest.mark.long
def test_given_a_timeout_after_the_post_of_an_order_then_one_order_exists_afterwards(engine: Engine) -> None:
    with ordered_shop(engine) as world:
        patient = world.connection.odoo.model_copy(update={"timeout_seconds": 3.0})
        hasty = OrderedShop(
            world.shop, world.odoo, world.connection.model_copy(update={"odoo": patient}), engine, world.order
        )
        armed = world.odoo.faults.add(FaultKind.HANG_AFTER_COMMIT, path=CREATE, times=1, seconds=600.0)
        hasty.run()

        assert armed.fired == 1
        assert len(world.orders) == 1
        expect_one_order(world)
        assert world.odoo.world.writes.count(("sale.order", "create")) == 1


@LONG
def test_given_a_connection_that_breaks_after_the_post_of_an_order_then_one_order_exists_afterwards(
    engine: Engine,
) -> None:
    with ordered_shop(engine) as world:
        armed = odoo.lost_reply(world.odoo.faults, path=CREATE)
        world.run()

        assert armed.fired == 1
        expect_one_order(world)
        assert world.odoo.world.writes.count(("sale.order", "create")) == 1
