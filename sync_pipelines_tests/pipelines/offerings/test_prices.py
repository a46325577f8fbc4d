"""From chain prices to Waldur components and exact decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.pipelines.offerings.chain_offering import ChainOffering, Unmappable, parse
from sync_pipelines.pipelines.offerings.prices import components_of, prices_of
from sync_pipelines_tests.pipelines.offerings.market import price_list


def offering(**fields: Any) -> ChainOffering:
    """Return a parsed offering with these fields."""
    identity = {"provider_address": "virtengine1abc", "sequence": 1}
    return parse({"id": identity, "state": 1, "category": "compute", "name": "VM", **fields})


def prices(parsed: ChainOffering, denominator: int = 1_000_000) -> dict[str, Decimal]:
    """Return the prices of an offering."""
    return prices_of(components_of(parsed), lambda denom: denominator)


@pytest.mark.parametrize(
    ("amount", "denominator", "price"),
    [
        ("50000", 10**6, "0.050000"),
        ("7", 10**6, "0.000007"),
        ("0", 10**6, "0"),
        ("1", 1, "1"),
        ("9007199254740993", 10**6, "9007199254.740993"),
        ("18446744073709551615", 10**8, "184467440737.09551615"),
        ("12345678900000000", 10**18, "0.0123456789"),
        ("999999999999", 1, "999999999999"),
        ("3", 4, "0.75"),
    ],
)
def test_an_amount_divided_by_the_denominator_is_exact(amount: str, denominator: int, price: str) -> None:
    assert prices(offering(prices=price_list({"cpu/hour": amount})), denominator) == {"cpu_hour": Decimal(price)}


@pytest.mark.parametrize(
    ("amount", "denominator", "told"),
    [
        ("1", 10**11, "more than 10 decimal places"),
        ("1", 10**18, "more than 10 decimal places"),
        ("1000000000000", 1, "more than 12 digits before the decimal point; is the currency_denominator right?"),
        ("18446744073709551615", 10**6, "more than 12 digits before the decimal point"),
    ],
)
def test_a_price_that_waldur_cannot_keep_is_told(amount: str, denominator: int, told: str) -> None:
    with pytest.raises(Unmappable, match=told.replace("?", r"\?")):
        prices(offering(prices=price_list({"cpu/hour": amount})), denominator)


@pytest.mark.parametrize(
    ("model", "billing_type"),
    [("hourly", "usage"), ("daily", "usage"), ("usage_based", "usage"), ("monthly", "fixed"), ("fixed", "fixed")],
)
def test_each_pricing_model_has_a_billing_type(model: str, billing_type: str) -> None:
    (base,) = components_of(offering(pricing={"model": model, "base_price": 50000, "currency": "uvirt"}))

    assert (base.type, base.billing_type, base.measured_unit) == ("base", billing_type, model)


def test_usage_rates_follow_the_base_price_in_one_order() -> None:
    pricing = {"model": "hourly", "base_price": 5, "currency": "uvirt", "usage_rates": {"gb-month": 2, "CPU_hour": 9}}

    parsed = offering(pricing=pricing)

    assert [component.type for component in components_of(parsed)] == ["base", "cpu_hour", "gb_month"]
    assert prices(parsed) == {
        "base": Decimal("0.000005"),
        "cpu_hour": Decimal("0.000009"),
        "gb_month": Decimal("0.000002"),
    }


@pytest.mark.parametrize("absent", [None, ...])
def test_absent_rates_and_lists_are_empty(absent: object) -> None:
    fields: dict[str, Any] = {} if absent is ... else {"usage_rates": absent}

    parsed = offering(
        pricing={"model": "fixed", "base_price": 5, "currency": "uvirt", **fields}, prices=None, tags=None
    )

    assert set(prices(parsed)) == {"base"}


def test_a_price_list_wins_over_the_older_pricing() -> None:
    parsed = offering(
        prices=price_list({"cpu/vcpu-hour": "12260", "ram/GiB-hour": "3026"}),
        pricing={"model": "hourly", "base_price": 1, "currency": "uvirt", "usage_rates": {"x": 1}},
    )

    assert prices(parsed) == {"cpu_vcpu_hour": Decimal("0.01226"), "ram_gib_hour": Decimal("0.003026")}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"prices": price_list({"cpu/core-hour": "1"}) + price_list({"CPU/core_hour": "2"})},
            "component 'cpu_core_hour'",
        ),
        ({"pricing": {"model": "hourly", "usage_rates": {"base": 1}}}, "component 'base'"),
        ({"pricing": {"model": "hourly", "usage_rates": {"per seat": 1}}}, "'per seat' is no component type"),
        ({"pricing": {"model": "hourly", "usage_rates": {"x" * 51: 1}}}, "is no component type"),
        ({"prices": price_list({"cpu/GB month": "1"})}, "'cpu_GB month' is no component type"),
        ({"prices": price_list({"/hour": "1"})}, "a resource_type is empty"),
        ({"pricing": {"model": "weekly"}}, "'weekly' is unknown; known are hourly"),
        ({"pricing": {}}, "'' is unknown"),
    ],
)
def test_prices_that_make_no_components_are_told(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(Unmappable, match=told):
        components_of(offering(**fields))


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("18446744073709551616", "does not fit 64 bits"),
        ("-1", "is not a whole number"),
        ("1.5", "is not a whole number"),
        ("1e3", "is not a whole number"),
        ("٣", "is not a whole number"),
        ("", "is not a whole number"),
        (1.0, "an amount is a whole number"),
        (float("nan"), "an amount is a whole number"),
        (True, "an amount is a whole number"),
        (None, "amount: Field required"),
    ],
)
def test_an_amount_that_cannot_be_meant_is_told(amount: object, told: str) -> None:
    line = {"resource_type": "cpu", "unit": "hour", "price": {"denom": "uvirt", "amount": amount}}

    with pytest.raises(Unmappable, match=rf"prices\.0\.price\.amount: .*{told.removeprefix('amount: ')}"):
        offering(prices=[line])
