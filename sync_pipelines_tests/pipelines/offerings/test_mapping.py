"""From a chain offering to what Waldur should show, and from Waldur's offering to the same form."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import nh3
import pytest

from sync_pipelines.pipelines.offerings import mapping
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.mapping import alike, clipped, described, record_of_chain
from sync_pipelines.settings import Secret
from sync_pipelines.systems.waldur.models import WaldurOffering
from sync_pipelines.systems.waldur.parsing import parse_offering
from sync_pipelines_tests.pipelines.offerings.market import PROVIDER, RIVAL, price_list

CATEGORY = "ca" + "1" * 30


def connection(**changes: Any) -> OfferingsConnection:
    """Return a connection with these changes."""
    return OfferingsConnection.model_validate(
        {
            "name": "nordlys",
            "provider": PROVIDER,
            "chain": {"rpc_url": "http://node:26657", "chain_id": "c"},
            "waldur": {"url": "http://waldur", "token": Secret("t"), "customer_uuid": "a" * 32},
            "category_map": {"compute": CATEGORY, "gpu": CATEGORY},
            **changes,
        }
    )


def raw(**fields: Any) -> dict[str, Any]:
    """Return an offering as the chain stores it."""
    return {
        "id": {"provider_address": PROVIDER, "sequence": 7},
        "state": 1,
        "category": "compute",
        "name": "VM",
        "pricing": {"model": "hourly", "base_price": 50000, "currency": "uvirt"},
        "total_order_count": 3,
        "updated_at": "2026-01-01T00:00:00Z",
        **fields,
    }


def row(**fields: Any) -> WaldurOffering:
    """Return an offering as Waldur shows it."""
    shown = {"uuid": "1" * 32, "customer_uuid": "a" * 32, "category_uuid": CATEGORY, "state": "Active", "name": "VM"}
    return parse_offering({**shown, **fields})


@pytest.mark.parametrize(
    ("state", "wanted"), [(1, "Active"), (2, "Paused"), (3, "Archived"), (4, "Paused"), (5, "Archived")]
)
def test_each_chain_state_has_a_waldur_state(state: int, wanted: str) -> None:
    assert record_of_chain(raw(state=state), connection()).content["state"] == wanted


def test_an_unspecified_state_is_withheld_and_not_gone() -> None:
    record = record_of_chain(raw(state=0), connection())
    assert record.withheld is not None
    assert record.invalid is None


def test_all_fields_of_the_guide_are_mapped() -> None:
    record = record_of_chain(
        raw(
            name="  GPU Node ",
            description=" fast\n",
            version="1.2.0",
            tags=["b", "a"],
            regions=["us", "eu"],
            specifications={"id": "x"},
            public_metadata={"offering_id": "y"},
            identity_requirement={"min_score": 40},
            require_mfa_for_orders=True,
            max_concurrent_orders=9,
        ),
        connection(),
    )

    assert (record.key, record.natural_key) == (f"{PROVIDER}/7", f"{PROVIDER}/7")
    assert record.content == {
        "backend_id": f"{PROVIDER}/7",
        "name": "GPU Node",
        "description": "fast",
        "category": CATEGORY,
        "attributes": {
            "ve_offering_id": f"{PROVIDER}/7",
            "ve_provider": PROVIDER,
            "ve_category": "compute",
            "ve_version": "1.2.0",
            "ve_min_identity_score": 40,
            "ve_require_mfa": True,
            "ve_max_concurrent_orders": 9,
            "tags": ["a", "b"],
            "regions": ["eu", "us"],
            "spec_id": "x",
            "meta_offering_id": "y",
        },
        "components": {"base": {"name": "base", "billing_type": "usage", "measured_unit": "hourly"}},
        "prices": {"base": Decimal("0.05")},
        "state": "Active",
    }


def test_counters_and_times_take_no_part_in_the_fingerprint() -> None:
    later = raw(total_order_count=99, active_order_count=5, updated_at="2027-01-01T00:00:00Z")
    assert record_of_chain(later, connection()).fingerprint == record_of_chain(raw(), connection()).fingerprint


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"state": 9}, "state: Input should be 0, 1, 2, 3, 4 or 5"),
        ({"state": None}, "state: Field required"),
        ({"name": None}, "name: Field required"),
        ({"name": " \n "}, "the name is empty"),
        ({"name": 5}, "name: Input should be a valid string"),
        ({"name": "a\x00b"}, "name: contains a NUL character, which Waldur refuses"),
        ({"name": "a\ud800b"}, "name: contains half of a surrogate pair"),
        ({"description": "\x00"}, "description: contains a NUL character"),
        ({"tags": ["ok", "\x00"]}, "tags.1: contains a NUL character"),
        ({"specifications": {"a": 1}}, "specifications.a: Input should be a valid string"),
        ({"identity_requirement": {"min_score": float("nan")}}, "identity_requirement.min_score: "),
        (
            {"category": "quantum"},
            "category 'quantum' is not in the category_map of connection 'nordlys'; it has compute",
        ),
        ({"pricing": {"model": "hourly", "base_price": 1, "currency": "ueur"}}, "no currency_denominator for 'ueur'"),
        ({"prices": [{"resource_type": "cpu"}]}, "prices.0.unit: Field required"),
        ({"prices": "free"}, "prices: Input should be a valid tuple"),
        ({"unreadable": "the value is not JSON"}, "cannot be read: the value is not JSON"),
    ],
)
def test_an_offering_that_cannot_be_mapped_is_invalid_and_says_why(fields: dict[str, Any], told: str) -> None:
    record = record_of_chain(raw(**fields), connection(currency_denominator={"uvirt": 10**6}))

    assert record.key == f"{PROVIDER}/7"
    assert told in (record.invalid or "")


@pytest.mark.parametrize("fields", [{"category": "quantum"}, {"pricing": {"model": "weekly"}}, {"name": ""}])
def test_a_terminated_offering_is_archived_whatever_else_is_wrong_with_it(fields: dict[str, Any]) -> None:
    assert record_of_chain(raw(state=5, **fields), connection()).content == {"state": "Archived"}


def test_each_denomination_has_its_own_denominator() -> None:
    record = record_of_chain(
        raw(prices=price_list({"cpu/hour": "5"}, "uvirt") + price_list({"ram/hour": "5"}, "cent")),
        connection(currency_denominator={"uvirt": 10**6, "cent": 100}),
    )
    assert record.content["prices"] == {"cpu_hour": Decimal("0.000005"), "ram_hour": Decimal("0.05")}


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        ("short", 150, "short"),
        ("é" * 200, 150, "é" * 150),
        ("雲" * 150, 150, "雲" * 150),
        ("a" * 149 + "e\u0301x", 150, "a" * 149),
        ("a" * 149 + " bc", 150, "a" * 149),
        ("ab👍🏽", 3, "ab"),
        ("\u0301" * 5, 3, "\u0301" * 3),
    ],
)
def test_a_text_is_cut_between_characters(text: str, limit: int, kept: str) -> None:
    assert clipped(text, limit) == kept


@pytest.mark.parametrize(
    "text",
    [
        "&" * 401,
        "a & b " * 400,
        "<" * 700,
        "x > y " * 400,
        "x\u00a0" * 500,
        '<a href="https://e.org">x</a>' * 80,
        "é" * 3000,
    ],
)
def test_a_description_is_cut_so_that_its_cleaned_form_fits(text: str) -> None:
    kept = described(text)
    cleaned = nh3.clean(kept)

    assert len(cleaned) <= 2000
    assert len(cleaned) > 1850 or set(text) == {"<"}
    assert text.strip().startswith(kept)


@pytest.mark.parametrize("text", ["", "plain", "&amp;" * 400, "<p>a</p>" * 250, "x" * 2000, "R&D " * 100])
def test_a_description_that_fits_is_kept_whole(text: str) -> None:
    assert described(text) == text.strip()


@pytest.mark.parametrize(
    ("field", "wanted", "found", "same"),
    [
        ("prices", {"cpu": Decimal("0.05")}, {"cpu": Decimal("0.0500000000")}, True),
        ("prices", {"cpu": Decimal("0.05")}, {"cpu": Decimal("0.0500000001")}, False),
        ("prices", {"cpu": Decimal("0.05")}, {"cpu": Decimal("0.05"), "ram": Decimal(0)}, False),
        ("prices", {"cpu": Decimal("999999999999.9999999999")}, {"cpu": Decimal("1000000000000")}, True),
        ("prices", {"cpu": Decimal("9007199254.740993")}, {"cpu": Decimal("9007199254.740993")}, True),
        ("prices", {"cpu": Decimal("9007199254.740993")}, {"cpu": Decimal("9007199254.740992")}, False),
        ("prices", {"cpu": "0.05"}, {"cpu": 0.05}, True),
        ("description", "a & b < c", "a &amp; b &lt; c", True),
        ("description", " a", "a\n", True),
        ("description", "a<b", "a", False),
        ("name", "a & b", "a &amp; b", False),
        ("attributes", {"n": 1}, {"n": True}, False),
        ("attributes", {"n": 1}, {"n": Decimal("1.0")}, True),
    ],
)
def test_a_field_is_compared_as_waldur_shows_it(field: str, wanted: object, found: object, same: bool) -> None:
    assert alike(field, wanted, found) is same


@pytest.mark.parametrize(
    ("fields", "natural_key"),
    [
        ({"backend_id": f"{PROVIDER}/7"}, f"{PROVIDER}/7"),
        ({"backend_id": "", "attributes": {"ve_offering_id": f"{PROVIDER}/7"}}, f"{PROVIDER}/7"),
        ({"backend_id": f"{PROVIDER}/7", "attributes": {"ve_offering_id": f"{PROVIDER}/8"}}, f"{PROVIDER}/7"),
        ({"backend_id": "invoice-7", "attributes": {"ve_offering_id": f"{PROVIDER}/7"}}, f"{PROVIDER}/7"),
        ({"backend_id": "invoice-7"}, None),
        ({"backend_id": f"{PROVIDER}/0"}, None),
        ({"backend_id": f"{PROVIDER}/7/8"}, None),
        ({"attributes": {"ve_offering_id": 7}}, None),
        ({}, None),
    ],
)
def test_an_offering_is_known_by_backend_id_or_else_by_attribute(
    fields: dict[str, Any], natural_key: str | None
) -> None:
    record = mapping.record_of_waldur(row(**fields), PROVIDER)
    assert (record.natural_key if record else None) == natural_key


def test_an_offering_that_claims_another_providers_id_is_withheld() -> None:
    record = mapping.record_of_waldur(row(backend_id=f"{RIVAL}/7"), PROVIDER)
    assert record is not None
    assert "of another provider" in (record.withheld or "")


def test_an_offering_in_an_unknown_state_is_not_touched() -> None:
    record = mapping.record_of_waldur(row(backend_id=f"{PROVIDER}/7", state="Frozen"), PROVIDER)
    assert record is not None
    assert record.invalid == "its state 'Frozen' is unknown; it is not touched"


def test_foreign_attributes_are_kept_as_digests_only() -> None:
    attributes = {"ve_secret_ref": "canary-1", "spec_a": "x", "tags": ["b", "a"], "regions": "eu"}
    record = mapping.record_of_waldur(row(backend_id=f"{PROVIDER}/7", attributes=attributes), PROVIDER)

    assert record is not None
    shown = dict(record.content["attributes"])
    assert shown.pop("ve_secret_ref").startswith("unexpected value ")
    assert shown == {"spec_a": "x", "tags": ["a", "b"], "regions": "eu"}


def plan(name: str, number: int, **fields: Any) -> dict[str, Any]:
    """Return a plan as Waldur shows it."""
    return {"uuid": str(number) * 32, "name": name, "prices": {"cpu": number}, **fields}


@pytest.mark.parametrize(
    ("plans", "kept"),
    [
        ([], None),
        ([plan("Default", 1)], 1),
        ([plan("Gold", 1), plan("Default", 2)], 2),
        ([plan("Gold", 1)], 1),
        ([plan("Gold", 1), plan("Silver", 2)], None),
        ([plan("Default", 1, archived=True), plan("Gold", 2)], 2),
        ([plan("Default", 1, archived=True)], None),
        ([plan("Default", 2), plan("Default", 1)], 1),
    ],
)
def test_one_plan_is_kept_and_never_guessed(plans: list[dict[str, Any]], kept: int | None) -> None:
    components = [{"uuid": "c" * 32, "type": "cpu", "name": "cpu", "billing_type": "usage"}]
    record = mapping.record_of_waldur(row(backend_id=f"{PROVIDER}/7", plans=plans, components=components), PROVIDER)

    assert record is not None
    assert record.meta["plan"] == (None if kept is None else str(kept) * 32)
    assert record.content["prices"] == ({} if kept is None else {"cpu": Decimal(kept)})


def test_a_pending_price_counts_as_the_price_and_one_without_component_does_not() -> None:
    components = [{"uuid": "c" * 32, "type": "cpu", "name": "cpu", "billing_type": "usage"}]
    plans = [plan("Default", 1, prices={"cpu": 1, "gone": 5}, future_prices={"cpu": 2, "gone": None})]
    record = mapping.record_of_waldur(row(backend_id=f"{PROVIDER}/7", plans=plans, components=components), PROVIDER)

    assert record is not None
    assert record.content["prices"] == {"cpu": Decimal(2)}


@pytest.mark.parametrize(
    ("before", "after", "fields", "held_back"),
    [
        ("Draft", "Active", ["prices", "state"], ["state"]),
        ("Draft", "Paused", ["state"], ["state"]),
        ("Draft", "Active", ["name", "prices"], []),
        ("Active", "Paused", ["state", "prices"], []),
        ("Paused", "Active", ["state", "attributes"], []),
        ("Active", "Active", ["name", "description", "prices"], ["name", "description"]),
        ("Archived", "Active", ["name", "state"], ["name", "state"]),
        ("Active", "Archived", ["name", "state"], ["name"]),
        ("Archived", "Archived", ["components"], ["components"]),
        ("Draft", "Archived", ["state"], []),
    ],
)
def test_without_staff_what_an_owner_may_not_do_waits(
    before: str, after: str, fields: list[str], held_back: list[str]
) -> None:
    waiting = mapping.blocked(can_publish=False)({"state": before}, {"state": after}, fields)
    assert sorted(waiting) == sorted(held_back)


@pytest.mark.parametrize(
    ("before", "after", "held_back"),
    [("Archived", "Active", []), ("Active", "Archived", ["name"]), ("Draft", "Active", [])],
)
def test_with_staff_only_an_archived_offering_takes_no_edits(before: str, after: str, held_back: list[str]) -> None:
    waiting = mapping.blocked(can_publish=True)({"state": before}, {"state": after}, ["name", "state"])
    assert list(waiting) == held_back
