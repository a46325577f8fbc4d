"""Customers of either system as one form, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.commerce.customers.mapping import (
    PartnerRow,
    ShopMark,
    alike,
    links_by_reference,
    natural_key,
    not_creatable_in_shop,
    parse_partner_row,
    record_of_odoo,
    record_of_shop,
)
from sync_pipelines.pipelines.commerce.customers.writing import (
    delivery_values,
    odoo_values,
    shop_values,
    split_name,
)
from sync_pipelines.systems.odoo import Partner
from sync_pipelines.systems.odoo.parsing import parse_partner
from sync_pipelines.systems.woocommerce import Address, Customer
from sync_pipelines_tests.pipelines.commerce.test_values import WORLD

MARK = ShopMark("1", frozenset({"guest@mail.example.test"}))
HOME = {
    "first_name": "Anna",
    "last_name": "Bloom",
    "address_1": "Lane 1",
    "city": "Berlin",
    "postcode": "10115",
    "country": "DE",
    "state": "DE-BE",
}
SHIPPING = Address(**{**HOME, "address_1": "Quay 4"})
ANNA = Customer(
    id=7,
    email="Anna@Mail.example.test ",
    first_name="Anna",
    last_name=" Bloom",
    role="customer",
    billing=Address(**HOME, email="anna@mail.example.test", phone="0049 30 1234", company="Bloom Ltd"),
    shipping=Address(**HOME),
)
CASES = {
    "full": replace(ANNA, shipping=SHIPPING),
    "shipped home": ANNA,
    "shipped nowhere": replace(ANNA, shipping=Address()),
    "bare": Customer(id=8, email="b@mail.example.test", role="subscriber"),
    "unknown state": replace(ANNA, billing=replace(ANNA.billing, state="Elsewhere"), shipping=Address()),
    "another person": replace(ANNA, shipping=replace(SHIPPING, first_name="Ben", phone="030 99")),
}


def content_of(customer: Customer) -> Content:
    return record_of_shop(customer, WORLD).content


def as_partner(number: int, values: dict[str, Any], **more: Any) -> Partner:
    """Return the partner that Odoo shows after these values were written."""
    row = {"id": number, "type": "contact", "active": True, **values, **more}
    for column in ("country_id", "state_id"):
        row[column] = [row[column], ""] if row.get(column) else False
    row["email_normalized"] = (row.get("email") or "").strip().lower() or False
    return parse_partner(row)


def seen_in_odoo(partner: Partner, *deliveries: Partner, staff: tuple[int, ...] = ()) -> Any:
    return record_of_odoo(PartnerRow(partner), deliveries, WORLD, MARK, staff)


@pytest.mark.parametrize("customer", CASES.values(), ids=CASES.keys())
def test_given_a_customer_when_written_to_odoo_and_read_then_the_content_is_the_same(customer: Customer) -> None:
    content = content_of(customer)
    partner = as_partner(20, odoo_values(content, content.keys(), WORLD))
    deliveries = [as_partner(21, delivery_values(content, WORLD), type="delivery")] if content["shipping"] else []
    record = seen_in_odoo(partner, *deliveries)
    assert record.content == content
    assert record.natural_key == natural_key(content) == record_of_shop(customer, WORLD).natural_key


@pytest.mark.parametrize("customer", CASES.values(), ids=CASES.keys())
def test_given_a_content_when_written_to_the_shop_and_read_then_it_is_the_same(customer: Customer) -> None:
    content = content_of(customer)
    record = record_of_shop(customer, WORLD)
    values = shop_values(content, content.keys(), record.meta, content["email"])
    names = {name: values[name] for name in ("email", "first_name", "last_name")}
    shipping = Address(**values["shipping"]) if "shipping" in values else customer.shipping
    written = replace(customer, **names, billing=Address(**values["billing"]), shipping=shipping)
    assert content_of(written) == content


def test_given_what_both_write_differently_when_mapped_then_the_contents_are_equal() -> None:
    content = content_of(ANNA)
    assert content["email"] == "anna@mail.example.test"
    assert content["name"] == "Anna Bloom"
    assert content["phone"] == "+49301234"
    assert (content["country"], content["state"], content["shipping"]) == ("DE", "BE", None)


def test_given_a_state_that_odoo_lacks_when_mapped_then_a_note_says_so() -> None:
    record = record_of_shop(CASES["unknown state"], WORLD)
    assert record.content["state"] is None
    assert record.meta["notes"] == ["Odoo has no state 'Elsewhere' of DE, it was left out"]


@pytest.mark.parametrize(
    ("name", "first", "last", "parts"),
    [
        ("Anna  Bloom", "Anna", "Bloom", ("Anna", "Bloom")),
        ("Anna Maria Stone", "Anna Maria", "Bloom", ("Anna Maria", "Stone")),
        ("Ann van Bloom", "Anna", "van Bloom", ("Ann", "van Bloom")),
        ("Ben Alan Stone", "Anna", "Bloom", ("Ben Alan", "Stone")),
        ("Cher", "Anna", "Bloom", ("Cher", "")),
        (None, "Anna", "Bloom", ("", "")),
    ],
)
def test_given_a_full_name_when_split_then_the_parts_of_the_shop_stay_as_far_as_they_can(
    name: str | None, first: str, last: str, parts: tuple[str, str]
) -> None:
    assert tuple(split_name(name, first, last).values()) == parts


def test_given_an_invoice_in_another_name_when_the_name_changes_then_the_invoice_keeps_its_own() -> None:
    customer = replace(ANNA, billing=replace(ANNA.billing, last_name="Stone", email="office@mail.example.test"))
    record = record_of_shop(customer, WORLD)
    changed = {**record.content, "name": "Anna Reed", "email": "reed@mail.example.test"}
    values = shop_values(changed, ["name", "email"], record.meta, record.content["email"])
    assert values == {"email": "reed@mail.example.test", "first_name": "Anna", "last_name": "Reed"}


@pytest.mark.parametrize(
    ("role", "paying", "kept"),
    [
        ("customer", False, True),
        ("subscriber", False, True),
        ("shop_manager", False, False),
        ("shop_manager", True, True),
    ],
)
def test_given_a_user_of_the_shop_when_mapped_then_staff_who_never_bought_is_withheld(
    role: str, paying: bool, kept: bool
) -> None:
    record = record_of_shop(replace(ANNA, role=role, is_paying_customer=paying), WORLD)
    assert (record.withheld is None) is kept


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"is_company": True}, "a company"),
        ({"supplier_rank": 2}, "a supplier"),
        ({"supplier_rank": 2, "customer_rank": 1}, None),
        ({"email": "Guest@mail.example.test", "email_normalized": "guest@mail.example.test"}, "a guest"),
        ({"ref": MARK.guest_reference("x@mail.example.test")}, "a guest"),
        ({"email": False, "email_normalized": False}, "without an e-mail address"),
        ({"id": 99}, "a user of Odoo"),
        ({"is_company": True, "ref": "WC-1-C5"}, None),
        ({"active": False}, None),
    ],
)
def test_given_a_partner_when_mapped_then_it_is_withheld_where_it_is_no_customer(
    row: dict[str, Any], reason: str | None
) -> None:
    email = {"email": "x@mail.example.test", "email_normalized": "x@mail.example.test"}
    known = parse_partner_row({"id": 3, "name": "X", "type": "contact", "active": True, **email, **row})
    record = record_of_odoo(known, (), WORLD, MARK, staff=(99,))
    assert record.withheld is None if reason is None else reason in (record.withheld or "")


@pytest.mark.parametrize("email", ["no mail", "x(at)mail.example.test", "x@mail.example.test.", ""])
def test_given_a_linked_partner_with_a_wrong_address_when_mapped_then_it_is_invalid_and_still_known(email: str) -> None:
    record = seen_in_odoo(as_partner(3, {"name": "X", "email": email, "ref": "WC-1-C5"}))
    assert record.invalid
    assert "correct it in Odoo" in record.invalid
    assert links_by_reference([record]) == {"5": "3"}


def test_given_one_reference_twice_when_linked_then_nobody_is_guessed() -> None:
    values = {"name": "X", "email": "x@mail.example.test", "ref": "WC-1-C5"}
    records = [seen_in_odoo(as_partner(number, values)) for number in (3, 4)]
    other = seen_in_odoo(as_partner(6, {**values, "ref": "WC-2-C5"}))
    assert links_by_reference([*records, other]) == {}


def test_given_several_delivery_addresses_when_mapped_then_the_oldest_in_use_counts() -> None:
    content = content_of(CASES["full"])
    values = delivery_values(content, WORLD)
    partner = as_partner(20, odoo_values(content, content.keys(), WORLD))
    old = as_partner(21, {**values, "street": "Old"}, type="delivery", active=False)
    new = as_partner(25, {**values, "street": "New"}, type="delivery")
    record = seen_in_odoo(partner, new, as_partner(22, values, type="delivery"), old)
    assert record.content == content
    assert record.meta["delivery_id"] == 22


def test_given_a_shipping_address_without_a_state_when_compared_then_it_is_alike_but_for_other_parts() -> None:
    shipping = content_of(CASES["full"])["shipping"]
    assert alike("shipping", shipping, {**shipping, "state": None})
    assert not alike("shipping", shipping, {**shipping, "state": "HH"})
    assert not alike("shipping", shipping, {**shipping, "state": None, "zip": "1"})
    assert not alike("shipping", shipping, None)
    assert not alike("name", "a", "A")


def test_given_an_archived_partner_when_it_is_missing_in_the_shop_then_it_is_not_made_there() -> None:
    content = content_of(ANNA)
    assert not_creatable_in_shop(content) is None
    assert not_creatable_in_shop({**content, "active": False}) == "it is archived in Odoo"
