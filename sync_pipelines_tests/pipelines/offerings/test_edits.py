"""What people do to offerings in Waldur and on the chain, and what the pipeline makes of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from sync_pipelines.core.lifecycle import State
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.waldur.model import Component, Offering, Plan
from sync_pipelines_tests.pipelines.offerings.market import ACTIVE, CATEGORIES, CUSTOMERS, PROVIDER, Market, price_list

PRICES = price_list({"cpu/hour": "50000", "ram/hour": "7"})


@pytest.fixture
def offering_id(market: Market) -> str:
    """An offering that is in agreement."""
    offering_id = market.offer(prices=PRICES, description="fast")
    market.reconcile()
    return offering_id


def _price(offering: Offering, amount: str) -> None:
    component = next(item for item in offering.components if item.type == "cpu_hour")
    offering.plans[0].rows[component.uuid].price = Decimal(amount)


def _wipe(offering: Offering) -> None:
    offering.backend_id, offering.attributes = "", {}


EDITS: dict[str, tuple[Callable[[Offering], object], list[str]]] = {
    "name": (lambda o: setattr(o, "name", "Mine"), ["update_overview"]),
    "description": (lambda o: setattr(o, "description", "slow"), ["update_overview"]),
    "attribute added": (lambda o: o.attributes.update(note="x"), ["update_attributes"]),
    "attributes wiped": (lambda o: o.attributes.clear(), ["update_attributes"]),
    "backend_id wiped": (lambda o: setattr(o, "backend_id", ""), ["update_integration"]),
    "both ids wiped": (
        _wipe,
        ["update_integration", "update_attributes"],
    ),
    "price": (lambda o: _price(o, "9"), ["update_prices"]),
    "component removed": (lambda o: o.components.pop(), ["create_offering_component", "update_prices"]),
    "component added": (
        lambda o: o.components.append(Component("seat", "seat", "usage")),
        ["remove_offering_component", "update_prices"],
    ),
    "component renamed": (
        lambda o: setattr(o.components[0], "name", "x"),
        ["update_offering_component", "update_prices"],
    ),
    "paused": (lambda o: setattr(o, "state", "Paused"), ["unpause"]),
    "back to draft": (lambda o: setattr(o, "state", "Draft"), ["activate"]),
    "archived": (lambda o: setattr(o, "state", "Archived"), ["draft", "activate"]),
    "plan archived": (lambda o: setattr(o.plans[0], "archived", True), ["create_plan", "update_prices"]),
}


def test_given_edits_by_hand_then_the_fewest_calls_bring_each_back_and_the_next_run_is_quiet(market: Market) -> None:
    ids = {edit: market.offer(prices=PRICES, description="fast") for edit in EDITS}
    market.reconcile()
    offerings = {edit: market.offering(offering_id) for edit, offering_id in ids.items()}
    for edit, (by_hand, _) in EDITS.items():
        by_hand(offerings[edit])
    before = len(market.writes)

    market.reconcile()

    assert {edit: market.calls_for(offering, before) for edit, offering in offerings.items()} == {
        edit: calls for edit, (_, calls) in EDITS.items()
    }
    for edit, shown in offerings.items():
        plan = next(plan for plan in shown.plans if not plan.archived)
        assert (shown.name, shown.description, shown.state) == ("VM", "fast", "Active"), edit
        assert shown.prices(plan) == {"cpu_hour": Decimal("0.05"), "ram_hour": Decimal("0.000007")}, edit
        assert (shown.backend_id, shown.attributes["ve_offering_id"]) == (ids[edit], ids[edit])
    assert market.writes_of(market.reconcile()) == 0
    assert all(market.synced(offering_id) for offering_id in ids.values())
    assert market.writes.count("create") == len(ids)


def test_given_an_offering_deleted_in_waldur_then_it_is_created_again(market: Market) -> None:
    market.offer()
    offering_id = market.offer()
    market.reconcile()
    del market.waldur.world.offerings[market.offering(offering_id).uuid]

    market.reconcile()

    assert market.offering(offering_id).state == "Active"
    assert market.metric("offering_sync_drift_detected") == 1
    assert market.writes_of(market.reconcile()) == 0


CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": "New", "description": "new"}, ["update_overview"]),
    ({"category": "gpu"}, ["update_description", "update_attributes"]),
    ({"tags": ["x"]}, ["update_attributes"]),
    ({"prices": price_list({"cpu/hour": "60000", "ram/hour": "7"})}, ["update_prices"]),
    ({"prices": price_list({"cpu/hour": "50000"})}, ["remove_offering_component", "update_prices"]),
    (
        {"prices": price_list({"cpu/hour": "50000", "ram/hour": "7", "gpu/hour": "1"})},
        ["create_offering_component", "update_prices"],
    ),
    ({"state": 2}, ["pause"]),
    ({"state": 4}, ["pause"]),
    ({"state": 3}, ["archive"]),
    ({"name": "New", "state": 2}, ["update_overview", "pause"]),
    ({"total_order_count": 5, "active_order_count": 2}, []),
]


def test_given_changes_on_the_chain_then_only_their_calls_are_made(market: Market) -> None:
    ids = [market.offer(prices=PRICES, description="fast") for _ in CHANGES]
    market.reconcile()
    before = len(market.writes)
    with market.chain.block():
        for offering_id, (changes, _) in zip(ids, CHANGES, strict=True):
            market.chain.update_offering(offering_id, changes)

    market.reconcile()

    made = [
        (changes, market.calls_for(market.offering(key), before))
        for key, (changes, _) in zip(ids, CHANGES, strict=True)
    ]
    assert made == CHANGES
    assert market.writes_of(market.reconcile()) == 0
    assert all(market.synced(offering_id) for offering_id in ids)


def test_given_a_changed_component_set_then_prices_of_all_components_are_right(
    market: Market, offering_id: str
) -> None:
    market.chain.update_offering(offering_id, {"prices": price_list({"gpu/hour": "1", "ram/hour": "7"})})

    market.reconcile()

    assert market.offering(offering_id).prices() == {"gpu_hour": Decimal("0.000001"), "ram_hour": Decimal("0.000007")}


def test_given_a_paused_offering_then_it_is_updated_and_stays_paused(market: Market, offering_id: str) -> None:
    market.chain.update_offering(offering_id, {"state": 2})
    market.reconcile()
    market.chain.update_offering(offering_id, {"name": "New", "tags": ["x"]})

    market.reconcile()

    assert (market.offering(offering_id).state, market.offering(offering_id).name) == ("Paused", "New")


def test_given_an_offering_paused_from_the_start_then_it_ends_paused(market: Market) -> None:
    offering_id = market.offer(state=2)

    market.reconcile()

    assert market.offering(offering_id).state == "Paused"
    assert market.writes == ["create", "update_prices", "activate", "pause"]


def test_given_an_archived_offering_that_is_offered_again_then_it_goes_through_draft_with_all_edits(
    market: Market, offering_id: str
) -> None:
    market.chain.update_offering(offering_id, {"state": 3})
    market.reconcile()
    before = len(market.writes)
    market.chain.update_offering(offering_id, {"state": 1, "name": "Again", "prices": price_list({"cpu/hour": "1"})})

    market.reconcile()

    shown = market.offering(offering_id)
    assert (shown.state, shown.name, shown.prices()) == ("Active", "Again", {"cpu_hour": Decimal("0.000001")})
    assert market.writes[before] == "draft"
    assert market.writes[-1] == "activate"
    assert market.writes_of(market.reconcile()) == 0


def test_given_an_archived_offering_that_changes_on_the_chain_then_that_waits_visibly(
    market: Market, offering_id: str
) -> None:
    market.chain.update_offering(offering_id, {"state": 5})
    market.reconcile()
    before = len(market.writes)
    market.chain.update_offering(offering_id, {"name": "Too late"})

    market.reconcile()
    market.reconcile()

    assert market.writes[before:] == []
    assert "archived offering; these wait until it is offered again" in market.state(offering_id).reason


def test_given_a_plan_in_use_then_a_pending_price_counts_as_agreed(market: Market, offering_id: str) -> None:
    market.waldur.world.add_resource(market.offering(offering_id).plans[0].uuid)
    market.chain.update_offering(offering_id, {"prices": price_list({"cpu/hour": "1000000", "ram/hour": "7"})})

    first, second = market.reconcile(), market.reconcile()

    rows = {
        component.type: row
        for component, row in market.offering(offering_id).price_rows(market.offering(offering_id).plans[0])
    }
    assert (rows["cpu_hour"].price, rows["cpu_hour"].future_price) == (Decimal("0.05"), Decimal(1))
    assert (market.writes_of(first), market.writes_of(second)) == (1, 0)
    assert market.synced(offering_id)


def test_given_other_plans_made_by_hand_then_their_prices_are_not_touched(market: Market, offering_id: str) -> None:
    offering = market.offering(offering_id)
    gold = Plan("Gold", unit="month")
    offering.plans.insert(0, gold)
    market.waldur.world.set_prices(offering, gold, {"cpu_hour": Decimal(9), "ram_hour": Decimal(9)})
    market.chain.update_offering(offering_id, {"prices": price_list({"cpu/hour": "1", "ram/hour": "2"})})

    market.reconcile()

    assert set(offering.prices(gold).values()) == {Decimal(9)}
    assert offering.prices(offering.plans[1]) == {"cpu_hour": Decimal("0.000001"), "ram_hour": Decimal("0.000002")}


def test_given_html_in_texts_then_what_waldur_makes_of_it_is_no_drift(market: Market) -> None:
    text = 'a & b < c <script>x()</script> <a href="https://e.org">l</a> a<b'
    offering_id = market.offer(name="R&D <b>VM</b>", description=text)

    market.reconcile()

    assert market.offering(offering_id).name == "R&D <b>VM</b>"
    assert market.offering(offering_id).description != text
    assert market.writes_of(market.reconcile(), market.reconcile()) == 0


def test_given_an_edit_between_the_plan_and_the_write_then_it_is_not_overwritten_blindly(
    market: Market, offering_id: str
) -> None:
    market.chain.update_offering(offering_id, {"name": "From the chain"})
    offering = market.offering(offering_id)
    edits = [lambda: setattr(offering, "category", market.waldur.world.categories[CATEGORIES["gpu"]])]

    async def edited_meanwhile(scope: Scope, receive: Receive, send: Send) -> None:
        # The listing has been answered when the first look at the single offering comes in.
        if offering.uuid in scope["path"] and edits:
            edits.pop()()
        await market.waldur.app(scope, receive, send)

    with serve(edited_meanwhile) as url:
        first = market.reconcile(market.connection(waldur={"url": url}))
    assert first.applied is not None
    assert first.applied.outcomes == {"stale": 1}
    assert offering.name == "VM"

    market.reconcile()
    assert (offering.name, offering.category.title) == ("From the chain", "compute")


def test_given_a_state_that_somebody_else_moves_at_the_same_time_then_the_retry_puts_it_right(
    market: Market, offering_id: str
) -> None:
    market.chain.update_offering(offering_id, {"state": 2})
    offering = market.offering(offering_id)
    moves = [lambda: setattr(offering, "state", "Draft")]

    async def moved_meanwhile(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/pause/") and moves:
            moves.pop()()
        await market.waldur.app(scope, receive, send)

    with serve(moved_meanwhile) as url:
        market.reconcile(market.connection(waldur={"url": url}))
    assert market.state(offering_id).state is State.RETRYING
    assert "pause is refused: the offering is Draft now" in market.state(offering_id).reason
    assert "plan" not in market.state(offering_id).reason

    market.let_time_pass()
    market.reconcile()
    assert offering.state == "Paused"


def test_given_no_staff_token_then_a_new_offering_waits_as_draft_until_there_is_one(market: Market) -> None:
    offering_id = market.offer(prices=PRICES)
    alone = market.connection(waldur={"staff_token": None})

    runs = [market.reconcile(alone) for _ in range(3)]

    shown = market.offering(offering_id)
    assert (shown.state, shown.prices()["cpu_hour"]) == ("Draft", Decimal("0.05"))
    assert market.state(offering_id).state is not State.SYNCED
    assert "awaiting activation" in market.state(offering_id).reason
    assert [market.writes_of(run) for run in runs] == [1, 0, 0]
    assert market.writes == ["create", "update_prices"]
    assert market.letters() == []

    market.reconcile()
    assert market.offering(offering_id).state == "Active"
    assert market.synced(offering_id)


def test_given_no_staff_token_then_what_the_owner_may_do_is_done_and_the_rest_waits_visibly(
    market: Market, offering_id: str
) -> None:
    alone = market.connection(waldur={"staff_token": None})
    market.chain.update_offering(offering_id, {"name": "New", "prices": price_list({"cpu/hour": "1", "ram/hour": "7"})})

    runs = [market.reconcile(alone) for _ in range(3)]

    shown = market.offering(offering_id)
    assert (shown.name, shown.prices()["cpu_hour"]) == ("VM", Decimal("0.000001"))
    assert "only Waldur staff may edit name and description" in market.state(offering_id).reason
    assert [market.writes_of(run) for run in runs] == [1, 0, 0]

    market.reconcile()
    assert (market.offering(offering_id).name, market.synced(offering_id)) == ("New", True)


@pytest.mark.parametrize(("by_hand", "ends"), [("activate", "Active"), ("name", "Draft")])
def test_given_no_staff_token_then_what_a_person_does_meanwhile_counts(market: Market, by_hand: str, ends: str) -> None:
    offering_id = market.offer()
    alone = market.connection(waldur={"staff_token": None})
    market.reconcile(alone)
    shown = market.offering(offering_id)
    if by_hand == "activate":
        shown.state = "Active"
    else:
        shown.name = "By hand"

    market.reconcile(alone)

    assert (shown.state, shown.name) == (ends, "VM")
    assert market.synced(offering_id) is (by_hand == "activate")


def test_given_a_manual_map_then_offerings_without_an_id_are_taken_over_and_not_created(market: Market) -> None:
    offering_id = market.offer(prices=PRICES, description="fast")
    old = market.waldur.world.add_offering(
        CUSTOMERS[PROVIDER], CATEGORIES["compute"], "My old VM", prices={"cpu_hour": "1"}, state="Active"
    )
    connection = market.connection(offering_map={offering_id: old.uuid})

    first, second = market.reconcile(connection), market.reconcile(connection)

    assert list(market.waldur.world.offerings) == [old.uuid]
    assert (old.backend_id, old.name, old.state) == (offering_id, "VM", "Active")
    assert old.prices() == {"cpu_hour": Decimal("0.05"), "ram_hour": Decimal("0.000007")}
    assert "create" not in market.writes
    assert (market.writes_of(first), market.writes_of(second)) == (1, 0)
    assert market.rows("SELECT linked_by FROM sync.base") == [("map",)]

    market.reconcile()
    assert len(market.waldur.world.offerings) == 1


def test_given_a_map_that_contradicts_the_ids_in_waldur_then_the_ids_win(market: Market, offering_id: str) -> None:
    mapped = market.offer(name="Other")
    wrong = market.connection(offering_map={mapped: market.offering(offering_id).uuid})
    market.lose_everything()

    market.reconcile(wrong)

    assert market.offering(offering_id).name == "VM"
    assert market.offering(mapped).name == "Other"


def test_given_a_map_then_it_says_which_of_two_is_meant(market: Market) -> None:
    offering_id = market.offer()
    two = [
        market.waldur.world.add_offering(
            CUSTOMERS[PROVIDER], CATEGORIES["compute"], "VM", backend_id=offering_id, prices={}, state="Draft"
        )
        for _ in range(2)
    ]
    market.reconcile()
    assert [offering.state for offering in two] == ["Draft", "Draft"]
    assert [finding.kind for finding in market.findings()] == ["duplicate"]

    market.reconcile(market.connection(offering_map={offering_id: two[1].uuid}))

    assert [offering.state for offering in two] == ["Draft", "Active"]
    assert [finding.kind for finding in market.findings()] == ["duplicate"]


def test_given_an_event_for_an_offering_that_has_only_a_backend_id_then_it_is_adopted_and_not_doubled(
    market: Market,
) -> None:
    market.reconcile()
    offering_id = market.offer()
    market.waldur.world.add_offering(
        CUSTOMERS[PROVIDER], CATEGORIES["compute"], "VM", backend_id=offering_id, prices={"base": "1"}, state="Active"
    )

    market.reconcile(keys=[offering_id])

    assert market.offering(offering_id).attributes["ve_offering_id"] == offering_id
    assert "create" not in market.writes


def test_given_a_terminated_offering_that_is_edited_on_the_chain_then_it_waits_and_is_no_drift(market: Market) -> None:
    offering_id = market.offer(name="Before")
    market.reconcile()
    market.chain.terminate_offering(offering_id)
    market.reconcile()

    market.chain.update_offering(offering_id, {"name": "After"})
    later = market.reconcile()

    assert market.writes_of(later) == 0
    assert later.plan.counts["blocked"] == 1
    assert market.synced(offering_id)
    assert "until it is offered again" in market.state(offering_id).reason
    market.chain.update_offering(offering_id, {"state": ACTIVE})
    market.reconcile()
    assert (market.offering(offering_id).state, market.offering(offering_id).name) == ("Active", "After")
