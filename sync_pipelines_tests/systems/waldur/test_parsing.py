from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.systems.waldur.models import (
    ComponentDraft,
    OfferingDraft,
    PlanDraft,
    price_as_read,
    quantized,
    uuid_hex,
)
from sync_pipelines.systems.waldur.parsing import parse_offering, parse_plan

OFFERING = "0f" * 16
PLAN = "1e" * 16


def test_an_offering_limited_to_a_few_fields_tells_which_it_has() -> None:
    offering = parse_offering({"uuid": OFFERING, "state": "Paused", "backend_id": "ve1/3"})
    assert (offering.uuid, offering.state, offering.backend_id) == (OFFERING, "Paused", "ve1/3")
    assert offering.has("state")
    assert not offering.has("plans")
    assert offering.plans == ()


def test_null_relations_and_unknown_keys_are_no_reason_to_fail() -> None:
    offering = parse_offering(
        {"uuid": OFFERING, "description": None, "category_uuid": None, "plans": None, "attributes": None, "new_in_9": 1}
    )
    assert (offering.description, offering.category_uuid, offering.plans, offering.attributes) == ("", "", (), {})


def test_the_time_of_creation_is_aware() -> None:
    offering = parse_offering({"uuid": OFFERING, "created": "2026-11-22T03:00:50.661029Z"})
    assert offering.created == datetime(2026, 11, 22, 3, 0, 50, 661029, tzinfo=UTC)


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {},
        {"uuid": "nope"},
        {"uuid": OFFERING, "name": 5},
        {"uuid": OFFERING, "components": {}},
        {"uuid": OFFERING, "plans": [{"uuid": PLAN, "prices": {"cpu": "many"}}]},
        {"uuid": OFFERING, "plans": [{"uuid": PLAN, "prices": {"cpu": True}}]},
        {"uuid": OFFERING, "plans": [{"uuid": PLAN, "unit_price": "NaN"}]},
        {"uuid": OFFERING, "created": "2026-11-22T03:00:50"},
        {"uuid": OFFERING, "created": "yesterday"},
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_and_no_guess(row: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_offering(row)


def test_a_pending_price_counts_before_the_present_one() -> None:
    plan = parse_plan(
        {
            "uuid": PLAN,
            "prices": {"cpu": Decimal("5.0"), "ram": Decimal("1.5")},
            "future_prices": {"cpu": Decimal("42.0"), "ram": None},
        }
    )
    assert plan.effective_prices == {"cpu": Decimal("42.0000000000"), "ram": Decimal("1.5000000000")}
    assert plan.prices["cpu"] == 5


def test_a_pending_price_of_zero_is_a_price() -> None:
    plan = parse_plan({"uuid": PLAN, "prices": {"cpu": Decimal(5)}, "future_prices": {"cpu": Decimal("0.0")}})
    assert plan.effective_prices == {"cpu": 0}


@pytest.mark.parametrize(
    ("price", "text"),
    [("0.05", "0.0500000000"), ("12.50000000004", "12.5000000000"), ("999999999999.9999999999",) * 2],
)
def test_prices_have_ten_places(price: str, text: str) -> None:
    assert str(quantized(Decimal(price))) == text


def test_a_price_beyond_a_float_is_expected_as_the_server_will_print_it() -> None:
    assert price_as_read(Decimal("999999999999.9999999999")) == Decimal(10) ** 12
    assert price_as_read(Decimal("0.1")) == Decimal("0.1")


@pytest.mark.parametrize("text", ["aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", "A" * 32, "a" * 32])
def test_uuids_are_written_as_waldur_prints_them(text: str) -> None:
    assert uuid_hex(text) == "a" * 32


def test_a_draft_names_its_relations_by_hyperlink_and_sends_no_price_for_a_component() -> None:
    draft = OfferingDraft(
        name="VM",
        customer_uuid="aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
        category_uuid="c" * 32,
        backend_id="ve1/3",
        attributes={"ve_offering_id": "ve1/3"},
        components=(ComponentDraft("cpu", "vCPU", "limit", "core"),),
        plans=(PlanDraft("Default", unit_price=Decimal("1.50")),),
    )
    body = draft.body()
    assert body["customer"] == f"/api/customers/{'a' * 32}/"
    assert body["category"] == f"/api/marketplace-categories/{'c' * 32}/"
    assert "price" not in body["components"][0]
    assert body["plans"][0]["unit_price"] == "1.5"


def test_a_draft_without_plans_leaves_the_key_out_as_an_empty_list_is_refused() -> None:
    assert "plans" not in OfferingDraft(name="VM", customer_uuid="a" * 32, category_uuid="c" * 32).body()
