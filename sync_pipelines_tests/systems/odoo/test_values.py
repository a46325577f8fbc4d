"""Values keep their meaning on the way there and back."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from sync_pipelines.systems.odoo.answers import NotJson, decoded
from sync_pipelines.systems.odoo.parsing import LINES, PARTNERS, VARIANTS, parse_rows
from sync_pipelines.systems.odoo.values import Reference, encoded, money, wire_time

NOON = datetime(2026, 11, 22, 12, 0, 0, 999999, tzinfo=UTC)


def test_a_moment_is_sent_as_naive_utc_in_whole_seconds() -> None:
    assert wire_time(NOON) == "2026-11-22 12:00:00"
    assert wire_time(NOON.astimezone(timezone(timedelta(hours=5)))) == "2026-11-22 12:00:00"
    assert encoded({"at": NOON}) == b'{"at":"2026-11-22 12:00:00"}'


@pytest.mark.parametrize(
    "value",
    [
        Decimal("NaN"),
        Decimal("Infinity"),
        float("nan"),
        Decimal("12345678901234567.89"),
        NOON.replace(tzinfo=None),
        "\ud800",
    ],
)
def test_what_odoo_would_store_as_something_else_is_not_sent(value: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        encoded({"list_price": value})


def test_a_decimal_is_sent_as_the_number_it_is() -> None:
    assert encoded([Decimal("9.90"), Decimal("0.1"), Decimal("1E+2")]) == b"[9.9,0.1,100.0]"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("12.005", "12.01"),
        ("12.344999", "12.34"),
        ("0.30000000000000004", "0.30"),
        ("-0.005", "-0.01"),
        ("1e12", "1000000000000.00"),
    ],
)
def test_money_is_rounded_to_the_currency(stored: str, shown: str) -> None:
    assert format(money(decoded(stored.encode()), 2), "f") == shown


def test_a_price_that_is_no_number_spoils_its_row_only() -> None:
    rows = decoded(b'[{"id": 1, "list_price": 9.9}, {"id": 2, "list_price": NaN}, {"id": 3, "weight": -Infinity}]')
    good, malformed = parse_rows(VARIANTS, rows)
    assert [(row.id, row.list_price) for row in good] == [(1, Decimal("9.9"))]
    assert [row.key for row in malformed] == ["product.product 2", "product.product 3"]
    assert "list_price: NaN is not a finite number" in malformed[0].message


def test_what_is_no_json_is_told() -> None:
    for content in (b"", b"<html>", b'[{"id": 1', b"[" * 100_000):
        with pytest.raises(NotJson):
            decoded(content)


def test_false_is_empty_for_every_type() -> None:
    row = {"id": 7, "name": False, "country_id": False, "write_date": False, "is_company": False, "phone": ""}
    [partner], malformed = parse_rows(PARTNERS, [row])
    assert not malformed
    assert (partner.name, partner.country, partner.write_date, partner.phone) == ("", None, None, "")
    assert (partner.active, partner.is_company) == (True, False)


def test_a_many2one_is_an_id_with_a_name() -> None:
    [line], _ = parse_rows(LINES, [{"id": 1, "product_id": [3, "[A] B"], "order_id": [4, False], "tax_id": [2, 1]}])
    assert (line.product, line.order, line.tax_ids) == (Reference(3, "[A] B"), Reference(4, ""), (2, 1))


@pytest.mark.parametrize(
    "row",
    [
        {"country_id": 3},
        {"country_id": ["3", "x"]},
        {"name": 5},
        {"active": "yes"},
        {"write_date": "2026-99-99 00:00:00"},
        {"write_date": "yesterday"},
    ],
)
def test_a_value_of_another_kind_is_told_with_its_row(row: dict[str, object]) -> None:
    good, [malformed] = parse_rows(PARTNERS, [{"id": 8, **row}])
    assert (good, malformed.record, malformed.key) == ((), 8, "res.partner 8")
    assert next(iter(row)) in malformed.message


def test_a_row_without_an_id_cannot_be_named() -> None:
    with pytest.raises(ValueError, match="id"):
        parse_rows(PARTNERS, [{"name": "x"}])
