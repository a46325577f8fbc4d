"""Calls whose outcome is not known: the reply is lost, or a 500 hides whether it was done."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.pipelines.offerings.market import Market, price_list

CREATE = r"^/api/marketplace-provider-offerings/$"
STEPS = {"create": CREATE, "prices": r"/update_prices/$", "activate": r"/activate/$"}
PRICES = {"cpu_hour": Decimal("0.05"), "gpu_hour": Decimal("1.25")}


@pytest.fixture
def offering_id(market: Market) -> str:
    """An offering on the chain that Waldur does not have yet."""
    return market.offer(prices=price_list({"cpu/hour": "50000", "gpu/hour": "1250000"}))


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        *(("error_after_commit", step) for step in STEPS),
        *(("drop_after_commit", step) for step in STEPS),
        ("truncated_body", "create"),
        ("login_page", "create"),
    ],
)
def test_given_a_lost_reply_then_the_target_is_looked_at_and_nothing_is_done_twice(
    market: Market, offering_id: str, kind: str, step: str
) -> None:
    market.waldur.faults.add(kind, method="POST", path=STEPS[step], times=1)

    market.reconcile()
    market.let_time_pass()
    market.reconcile()

    _is_complete(market, offering_id)
    assert market.writes.count("create") == 1
    assert market.writes_of(market.reconcile()) == 0


@pytest.mark.parametrize("step", STEPS)
def test_given_a_500_that_was_rolled_back_then_the_retry_does_it_once(
    market: Market, offering_id: str, step: str
) -> None:
    market.waldur.faults.add("status", method="POST", path=STEPS[step], status=500, times=1)

    market.reconcile()
    assert market.state(offering_id).state is State.RETRYING
    assert market.waldur.world.by_backend_id(offering_id) == [] if step == "create" else True
    market.reconcile()
    market.let_time_pass()
    market.reconcile()

    _is_complete(market, offering_id)
    assert market.writes.count("create") == 1


def test_given_a_client_that_gives_up_waiting_then_what_was_done_is_found(market: Market, offering_id: str) -> None:
    impatient = market.connection(waldur={"timeout_seconds": 1})
    market.waldur.faults.add("hang_after_commit", method="POST", path=CREATE, times=1, seconds=30)

    market.reconcile(impatient)
    market.let_time_pass()
    market.reconcile(impatient)

    _is_complete(market, offering_id)
    assert market.writes.count("create") == 1


@pytest.mark.long
def test_given_a_message_broker_that_is_down_then_every_500_is_seen_through(market: Market, offering_id: str) -> None:
    market.waldur.world.broker_stop()

    market.reconcile()
    market.let_time_pass()
    market.reconcile()

    _is_complete(market, offering_id)
    assert market.writes == ["create", "update_prices", "activate"]


def test_given_a_database_that_is_down_then_nothing_is_done_and_later_everything(
    market: Market, offering_id: str
) -> None:
    market.reconcile()
    market.chain.update_offering(offering_id, {"state": 2})
    fault = market.waldur.faults.add("status", method="POST", status=500)
    market.reconcile()
    assert market.offering(offering_id).state == "Active"

    market.waldur.faults.remove(fault)
    market.let_time_pass()
    market.reconcile()
    assert market.offering(offering_id).state == "Paused"


def _is_complete(market: Market, offering_id: str) -> None:
    made = market.offering(offering_id)
    assert (made.state, made.prices()) == ("Active", PRICES)
    assert len(made.plans) == 1
    assert market.synced(offering_id)
    assert market.letters() == []
    assert market.audit_is_intact()
