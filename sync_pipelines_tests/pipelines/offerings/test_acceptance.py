"""What the pipeline promises, one test a promise."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.pipelines.offerings.market import CUSTOMERS, PROVIDER, RIVAL, Market, everything, price_list


def test_a_an_offering_created_on_the_chain_ends_active_with_exact_prices(market: Market) -> None:
    offering_id = market.offer(
        name="GPU Node",
        category="gpu",
        description="A100 with 80 GB",
        prices=price_list({"gpu/hour": "50000", "storage/GiB-month": "7", "ram/hour": "9007199254740993"}),
        specifications={"vcpu": "8"},
        public_metadata={"sla": "99.9"},
        tags=["b", "a"],
        regions=["eu"],
    )

    market.reconcile()

    made = market.offering(offering_id)
    assert (made.state, made.name, made.description) == ("Active", "GPU Node", "A100 with 80 GB")
    assert made.customer.uuid == CUSTOMERS[PROVIDER]
    assert made.category.title == "gpu"
    assert made.type == "Marketplace.Basic"
    assert made.attributes["ve_offering_id"] == offering_id
    assert (made.attributes["spec_vcpu"], made.attributes["meta_sla"]) == ("8", "99.9")
    assert made.attributes["tags"] == ["a", "b"]
    assert {component.type for component in made.components} == {"gpu_hour", "storage_gib_month", "ram_hour"}
    assert made.prices() == {
        "gpu_hour": Decimal("0.050000"),
        "storage_gib_month": Decimal("0.000007"),
        "ram_hour": Decimal("9007199254.740993"),
    }
    assert [plan.name for plan in made.plans] == ["Default"]
    assert market.writes == ["create", "update_prices", "activate"]
    assert market.synced(offering_id)


def test_b_a_termination_with_its_two_events_archives_once(market: Market) -> None:
    offering_id = market.offer()
    market.reconcile()
    height = market.chain.terminate_offering(offering_id, "end of life")

    seen = market.ingest(height, height)
    first = market.reconcile(keys=seen.offerings_of(PROVIDER))
    second = market.reconcile()

    assert [event.kind for event in seen.events] == ["offering_updated", "offering_terminated"]
    assert market.offering(offering_id).state == "Archived"
    assert market.writes.count("archive") == 1
    assert (market.writes_of(first), market.writes_of(second)) == (1, 0)
    assert market.synced(offering_id)


def test_c_an_order_that_is_counted_on_the_chain_writes_nothing(market: Market) -> None:
    offering_id = market.offer()
    market.reconcile()
    before = len(market.waldur.world.mutations)
    height = market.chain.count_order(offering_id)

    seen = market.ingest(height, height)
    market.reconcile(keys=seen.offerings_of(PROVIDER))
    market.reconcile()

    assert [event.kind for event in seen.events] == ["offering_updated"]
    assert len(market.waldur.world.mutations) == before


def test_d_equal_names_of_two_customers_never_cross_write(market: Market) -> None:
    mine = market.offer(name="Private network", description="mine")
    theirs = market.offer(RIVAL, name="Private network", description="theirs")
    market.reconcile()
    market.reconcile(market.connection(RIVAL))
    market.chain.update_offering(mine, {"description": "mine, changed"})
    untouched = everything(market.waldur.world)[market.offering(theirs).uuid]

    market.reconcile()
    market.reconcile(market.connection(RIVAL))

    assert market.offering(mine).description == "mine, changed"
    assert market.offering(mine).customer.uuid == CUSTOMERS[PROVIDER]
    assert market.offering(theirs).customer.uuid == CUSTOMERS[RIVAL]
    assert everything(market.waldur.world)[market.offering(theirs).uuid] == untouched


def test_d_an_equal_id_at_another_customer_is_not_adopted(market: Market) -> None:
    offering_id = market.offer()
    foreign = market.waldur.world.add_offering(
        CUSTOMERS[RIVAL], next(iter(market.waldur.world.categories)), "VM", backend_id=offering_id, state="Active"
    )
    foreign.attributes = {"ve_offering_id": offering_id}
    untouched = everything(market.waldur.world)[foreign.uuid]

    market.reconcile()

    mine = [row for row in market.waldur.world.by_backend_id(offering_id) if row is not foreign]
    assert [row.customer.uuid for row in mine] == [CUSTOMERS[PROVIDER]]
    assert everything(market.waldur.world)[foreign.uuid] == untouched


def test_d_keys_of_another_provider_are_left_to_its_own_connection(market: Market) -> None:
    market.reconcile()
    theirs = market.offer(RIVAL)

    market.reconcile(keys=[theirs])

    assert market.waldur.world.by_backend_id(theirs) == []


@pytest.mark.parametrize("keeps_attribute", [True, False])
def test_e_lost_local_state_is_rediscovered_by_backend_id_without_a_write(
    market: Market, keeps_attribute: bool
) -> None:
    ids = [market.offer(name=f"VM {number}", description="R&D <b>fast</b>") for number in range(3)]
    market.reconcile()
    market.chain.update_offering(ids[2], {"state": 5})
    market.reconcile()
    if not keeps_attribute:
        del market.offering(ids[0]).attributes["ve_offering_id"]
    uuids = {market.offering(offering_id).uuid for offering_id in ids}
    before = len(market.writes)
    market.lose_everything()

    result = market.reconcile()

    assert set(market.waldur.world.offerings) == uuids
    assert result.plan.counts["create"] == 0
    assert result.applied is not None
    assert result.applied.adopted == 3
    assert market.writes[before:] == ([] if keeps_attribute else ["update_attributes"])
    assert all(market.synced(offering_id) for offering_id in ids)


def test_f_the_sixth_failure_dead_letters_and_reprocessing_after_the_fix_succeeds(market: Market) -> None:
    offering_id = market.offer()
    fault = market.waldur.faults.add("status", method="POST", path=r"/update_prices/$", status=500)
    seen: list[tuple[State, int]] = []

    for _ in range(6):
        market.reconcile()
        stands = market.state(offering_id)
        seen.append((stands.state, stands.failures))
        market.let_time_pass()

    assert seen == [*((State.RETRYING, number) for number in range(1, 6)), (State.DEAD_LETTERED, 6)]
    (letter,) = market.letters()
    assert (letter.key, letter.attempts) == (offering_id, 6)
    assert "500" in letter.last_error
    assert market.offering(offering_id).state == "Draft"

    calls = len(market.waldur.world.requests)
    market.reconcile()
    assert not [request for request in market.waldur.world.requests[calls:] if request.is_write]

    market.waldur.faults.remove(fault)
    assert market.reprocess(offering_id) == [offering_id]
    market.reconcile()
    assert market.offering(offering_id).state == "Active"
    assert market.synced(offering_id)
    assert market.letters() == []
    assert [letter.state for letter in market.letters(open_only=False)] == ["reprocessed"]
    assert market.audit_is_intact()


def test_h_a_long_name_is_cut_on_a_character_boundary_and_accepted(market: Market) -> None:
    name = "雲" * 148 + "e\u0301" + "🏳️‍🌈" + "x" * 40

    offering_id = market.offer(name=name)
    market.reconcile()

    assert market.offering(offering_id).name == "雲" * 148 + "e\u0301"
    assert market.writes_of(market.reconcile()) == 0


@pytest.mark.parametrize("loss", ["sequence", "pruned"])
def test_i_missed_events_are_noticed_and_repaired(market: Market, loss: str) -> None:
    offering_id = market.offer()
    market.reconcile()
    market.ingest(1, market.chain.height)
    known = market.chain.height
    market.chain.update_offering(offering_id, {"name": "Renamed"})
    if loss == "sequence":
        # The block with the event is never read; the next event's number tells.
        market.chain.skip_event_sequence()
        known += 1
    other = market.offer(name="Another")
    if loss == "pruned":
        market.chain.prune(below=market.chain.height)

    seen = market.ingest(known + 1, market.chain.height)
    assert seen.missed
    market.reconcile()

    assert market.offering(offering_id).name == "Renamed"
    assert market.offering(other).state == "Active"
    market.chain.empty_block()
    assert market.ingest(market.chain.height, market.chain.height).missed == ()


def test_each_state_of_the_chain_ends_as_the_guide_says(market: Market) -> None:
    ids = [market.offer(name=f"state {state}", state=1) for state in range(6)]
    market.reconcile()
    for state, offering_id in enumerate(ids):
        market.chain.update_offering(offering_id, {"state": state})

    market.reconcile(market.connection(guard={"enabled": False}))

    shown = [market.offering(offering_id).state for offering_id in ids]
    assert shown == ["Active", "Active", "Paused", "Archived", "Paused", "Archived"]
    assert "unspecified" in market.state(ids[0]).reason


def test_each_pricing_model_makes_components_that_waldur_accepts(market: Market) -> None:
    rates = {"cpu-hour": 12033, "egress_gb": 25}
    models = {"hourly": "usage", "daily": "usage", "monthly": "fixed", "usage_based": "usage", "fixed": "fixed"}
    ids = {
        model: market.offer(
            pricing={"model": model, "base_price": 50000, "currency": "uvirt", "usage_rates": rates}, name=model
        )
        for model in models
    }

    market.reconcile()

    for model, billing_type in models.items():
        made = market.offering(ids[model])
        assert made.state == "Active"
        assert made.prices() == {
            "base": Decimal("0.05"),
            "cpu_hour": Decimal("0.012033"),
            "egress_gb": Decimal("0.000025"),
        }
        assert {part.type: part.billing_type for part in made.components} == {
            "base": billing_type,
            "cpu_hour": "usage",
            "egress_gb": "usage",
        }
    assert market.writes_of(market.reconcile()) == 0
