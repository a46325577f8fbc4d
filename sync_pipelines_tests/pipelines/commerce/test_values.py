"""Canonical values: what is written differently and means the same is one value."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sync_pipelines.pipelines.commerce import values
from sync_pipelines.pipelines.commerce.geography import Geography, Place, shop_state
from sync_pipelines.systems.odoo import Country, CountryState, Reference

COUNTRIES = (
    (57, "DE", "Germany"),
    (113, "JP", "Japan"),
    (49, "CO", "Colombia"),
    (65, "EG", "Egypt"),
    (233, "US", "USA"),
)
STATES = (
    (1, 57, "BE", "Berlin"),
    (2, 113, "JP-13", "Tōkyō"),
    (3, 49, "ANT", "Antioquia"),
    (4, 65, "ALX", "Alexandria"),
    (5, 233, "NY", "New York"),
)
WORLD = Geography.of(
    [Country(*row) for row in COUNTRIES],
    [CountryState(number, Reference(country, ""), code, name) for number, country, code, name in STATES],
)


@pytest.mark.parametrize(
    ("phone", "canonical"),
    [
        ("+00 555 0015", "+005550015"),
        ("0000-555-0015", "+005550015"),
        ("0049 (30) 12/34", "+49301234"),
        ("+49 (0)30 1234", "+49301234"),
        ("(030) 1234", "0301234"),
        ("030 1234 ext. 5", "030 1234 ext. 5"),
        ("  ", None),
        (None, None),
        ("-", "-"),
    ],
)
def test_given_a_phone_when_made_canonical_then_grouping_does_not_matter(phone: str, canonical: str | None) -> None:
    assert values.phone_number(phone) == canonical
    assert values.phone_number(canonical) == canonical


@pytest.mark.parametrize(
    ("email", "good"),
    [
        ("a@b.test", True),
        ("a+tag@mail.b.test", True),
        ("a(at)b.test", False),
        ("no mail", False),
        ("a@b.test.", False),
        ("a@b", False),
        ("a@b..test", False),
        ("a@b.test,c@d.test", False),
        ("", False),
    ],
)
def test_given_a_text_when_checked_then_only_one_whole_address_is_one(email: str, good: bool) -> None:
    assert values.is_email(email) is good


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Copper, hand finished.</p>\n", "Copper, hand finished."),
        ("<p>One<br />two</p>\n<p>A &amp; B</p>", "One\ntwo\nA & B"),
        ("3 &lt; 4", "3 < 4"),
        ("<p> </p>", None),
    ],
)
def test_given_html_when_read_as_text_then_its_markup_is_gone(markup: str, text: str | None) -> None:
    assert values.plain_text(markup) == text


@pytest.mark.parametrize(
    ("shown", "name"),
    [("A &amp; B", "A & B"), (" Salt  <b>set</b> ", "Salt set"), ("a &lt; b", "a < b"), ("&quot;x&quot;", '"x"')],
)
def test_given_a_product_name_of_the_shop_when_read_then_it_is_unescaped(shown: str, name: str) -> None:
    assert values.name_in_shop(shown) == name


@pytest.mark.parametrize(
    ("amount", "digits", "rounded"),
    [("14.8997", 2, "14.90"), ("0.125", 2, "0.13"), ("-0.125", 2, "-0.13"), ("12.0", 2, "12.00"), ("150.5", 0, "151")],
)
def test_given_an_amount_when_rounded_then_half_a_unit_goes_up(amount: str, digits: int, rounded: str) -> None:
    assert str(values.price(Decimal(amount), digits)) == rounded


@pytest.mark.parametrize(
    ("amount", "unit", "wanted", "result"),
    [
        ("337", "g", "kg", "0.34"),
        ("0.35", "kg", "g", "350.00"),
        ("1", "lbs", "kg", "0.45"),
        ("16", "oz", "lbs", "1.00"),
        ("0.3337", "kg", "kg", "0.33"),
        ("0", "kg", "kg", None),
        ("1", "g", "kg", None),
    ],
)
def test_given_a_weight_when_converted_then_it_has_the_places_of_odoo(
    amount: str, unit: str, wanted: str, result: str | None
) -> None:
    converted = values.weight(Decimal(amount), unit, wanted)
    assert converted == (None if result is None else Decimal(result))


@pytest.mark.parametrize(
    ("country", "state", "place"),
    [
        ("DE", "DE-BE", Place("DE", "BE")),
        ("de", "be", Place("DE", "BE")),
        ("JP", "JP13", Place("JP", "13")),
        ("CO", "CO-ANT", Place("CO", "ANT")),
        ("EG", "EGALX", Place("EG", "ALX")),
        ("US", "New York", Place("US", "NY")),
        ("Germany", "", Place("DE")),
        ("", "BE", Place()),
    ],
)
def test_given_a_place_of_the_shop_when_understood_then_it_is_one_of_odoo(
    country: str, state: str, place: Place
) -> None:
    assert WORLD.of_shop(country, state) == place


def test_given_a_place_that_odoo_lacks_when_understood_then_it_is_left_out_with_a_note() -> None:
    state, country = WORLD.of_shop("DE", "Somewhere"), WORLD.of_shop("Nederland", "")
    assert (state.country, state.state) == ("DE", None)
    assert state.note
    assert "no state 'Somewhere' of DE" in state.note
    assert country.country is None
    assert country.note
    assert "'Nederland' is no country" in country.note


@pytest.mark.parametrize(("number", "country_id", "code", "name"), STATES)
def test_given_a_state_of_odoo_when_sent_to_the_shop_then_it_comes_back_as_the_same(
    number: int, country_id: int, code: str, name: str
) -> None:
    place = WORLD.of_odoo(country_id, number)
    assert place.country
    assert place.state
    assert WORLD.of_shop(place.country, shop_state(place.country, place.state)) == place
    assert WORLD.state_id(place.country, place.state) == number
    assert WORLD.country_id(place.country) == country_id
    assert WORLD.of_odoo(None, number) == Place()
