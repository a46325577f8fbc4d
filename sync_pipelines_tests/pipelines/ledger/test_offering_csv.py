"""A provider's offerings, as the CSV file it publishes."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from sync_pipelines.pipelines.ledger.offering_csv import (
    COLUMNS,
    MOST_RECORDS,
    CsvNotUtf8,
    InvalidRow,
    read_offerings,
)
from sync_pipelines.pipelines.ledger.payloads import SignedOfferings, decode_payload
from sync_pipelines_tests.pipelines.ledger.sources import expected

GOOD = dict.fromkeys(COLUMNS, "") | {
    "Offer Name": "Server",
    "Unique Internal identifier": "A-1",
    "Currency": "EUR",
    "Monthly price": "12.50",
    "Setup fee": "0",
    "Visibility": "Visible",
    "Product Type": "VPS",
    "Billing interval": "Monthly",
    "Stock": "In stock",
}


def file_of(*rows: dict[str, str] | list[str], header: tuple[str, ...] = COLUMNS, newline: str = "\n") -> bytes:
    """Return a file with a header and these rows."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator=newline)
    writer.writerow(header)
    writer.writerows(row if isinstance(row, list) else list(row.values()) for row in rows)
    return written.getvalue().encode()


def faults(*rows: dict[str, str] | list[str]) -> list[str]:
    """Return what is wrong with the rows of a file."""
    return [str(row) for row in read_offerings(file_of(*rows)).invalid]


def test_there_are_35_columns() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 35


def test_the_files_of_the_small_ledger_have_exactly_the_invalid_rows_that_are_listed() -> None:
    found: list[Any] = []
    for block in expected()["blocks"]:
        for each in block["entries"]:
            if each["label"] not in {"ProvOffering", "NPOffering"} or each["operation"] == "Delete":
                continue
            payload = decode_payload(each["label"], bytes.fromhex(each["value"]))
            assert isinstance(payload, SignedOfferings)
            place = (block["offset"], each["label"], each["key"])
            try:
                invalid = read_offerings(payload.csv_bytes).invalid
            except CsvNotUtf8:
                found.append((*place, "csv_not_utf8", None))
            else:
                found.extend((*place, "csv_row_invalid", str(row)) for row in invalid)

    fields = ("block_offset", "label", "key", "code", "detail")
    assert found == [
        tuple(each[field] for field in fields) for each in expected()["errors"] if each["code"].startswith("csv_")
    ]


def test_the_newest_files_of_the_small_ledger_give_the_active_rows_that_are_listed() -> None:
    newest: dict[str, dict[str, dict[str, str]]] = {}
    for block in expected()["blocks"]:
        for each in block["entries"]:
            if each["label"] not in {"ProvOffering", "NPOffering"}:
                continue
            newest.setdefault(each["key"], {})
            if each["operation"] == "Delete":
                newest[each["key"]] = {}
                continue
            payload = decode_payload(each["label"], bytes.fromhex(each["value"]))
            assert isinstance(payload, SignedOfferings)
            try:
                newest[each["key"]] = read_offerings(payload.csv_bytes).rows
            except CsvNotUtf8:
                continue

    active = [row for row in expected()["tables"]["provider_offerings"] if row["is_active"]]
    assert {(provider, name): row for provider, rows in newest.items() for name, row in rows.items()} == {
        (row["provider_pubkey"], row["offering_id"]): row["offering"] for row in active
    }


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_way_and_empty_ones_do_not_count(newline: str) -> None:
    data = file_of(GOOD, [], GOOD | {"Unique Internal identifier": "A-2"}, newline=newline)

    read = read_offerings(data)

    assert list(read.rows) == ["A-1", "A-2"]
    assert read.invalid == ()


def test_fields_count_by_position_whatever_the_header_says() -> None:
    read = read_offerings(file_of(GOOD, header=("one", "two")))

    assert read.rows == {"A-1": GOOD}


def test_blanks_around_a_value_do_not_count() -> None:
    padded = {column: f"  {value}\t" for column, value in GOOD.items()}

    assert read_offerings(file_of(padded)).rows == {"A-1": GOOD}


def test_of_two_rows_with_one_identifier_the_last_good_one_wins() -> None:
    second, third = GOOD | {"Offer Name": "second"}, GOOD | {"Offer Name": "third", "Currency": "XYZ"}

    read = read_offerings(file_of(GOOD, second, third))

    assert read.rows == {"A-1": second}
    assert [row.record for row in read.invalid] == [3]


def test_a_bad_row_is_told_with_its_number_and_the_line_it_begins_on() -> None:
    several_lines = GOOD | {"Description": "one\ntwo\nthree"}

    read = read_offerings(file_of(several_lines, [], GOOD | {"Stock": "maybe"}))

    assert read.invalid == (InvalidRow(record=2, line=6, reason="Stock: 'maybe'"),)


@pytest.mark.parametrize("count", [1, 34, 36])
def test_a_row_of_another_length_is_left_out(count: int) -> None:
    assert faults([*GOOD.values(), "more"][:count]) == [f"record 1: {count} fields"]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("Currency", ["EUR", "USD", "USDT", "BTC", "ETH", "usdt", "Eth"]),
        ("Visibility", ["Visible", "invisible"]),
        ("Product Type", ["VPS", "Dedicated", "cloud", "MANAGED"]),
        ("Virtualization type", ["", "None", "KVM", "vmware", "Xen", "Hyper-V", "HyperV"]),
        ("Billing interval", ["hour", "Hourly", "Day", "daily", "month", "Monthly", "year", "Yearly"]),
        ("Stock", ["In stock", "in-stock", "Out of stock", "out-of-stock", "Limited"]),
        ("Memory Error Correction", ["", "ECC", "ECC Registered", "ecc-reg", "eccreg", "non-ECC", "NonECC", "non ecc"]),
        ("Monthly price", ["0", "0.0", "1e2", "12.", ".5", "-1", "+3.5E-2"]),
        ("Setup fee", ["0", "9.99"]),
    ],
)
def test_words_are_known_in_any_case_and_numbers_in_any_form(column: str, words: list[str]) -> None:
    assert faults(*(GOOD | {column: word} for word in words)) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("Currency", ""),
        ("Currency", "XYZ"),
        ("Visibility", "hidden"),
        ("Product Type", "Toaster"),
        ("Virtualization type", "QEMU2"),
        ("Billing interval", "weekly"),
        ("Stock", ""),
        ("Memory Error Correction", "ECC2"),
        ("Monthly price", "12,50"),
        ("Monthly price", "nan"),
        ("Monthly price", "inf"),
        ("Monthly price", "1e999"),
        ("Monthly price", "1_000"),
        ("Monthly price", "٣"),
        ("Setup fee", ""),
    ],
)
def test_a_value_that_is_none_of_its_column_is_quoted(column: str, value: str) -> None:
    assert faults(GOOD | {column: value}) == [f"record 1: {column}: {value!r}"]


def test_a_long_bad_value_is_quoted_in_part() -> None:
    (told,) = faults(GOOD | {"Currency": "x" * 10_000})

    assert len(told) < 100


def test_a_field_beyond_the_reader_costs_that_row_alone() -> None:
    read = read_offerings(file_of(GOOD | {"Description": "x" * 200_000}, GOOD))

    assert [row.record for row in read.invalid] == [1]
    assert list(read.rows) == ["A-1"]


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", file_of()])
def test_a_file_without_rows_has_none(data: bytes) -> None:
    assert read_offerings(data).rows == {}
    assert read_offerings(data).invalid == ()


def test_of_a_file_without_end_only_so_many_rows_are_read() -> None:
    read = read_offerings(b"header\n" + b"a\n" * (2 * MOST_RECORDS))

    assert len(read.invalid) == MOST_RECORDS + 1
    assert str(read.invalid[-1]) == f"record {MOST_RECORDS + 1}: only {MOST_RECORDS} rows are read"


def test_what_is_not_utf8_is_told_with_its_place() -> None:
    with pytest.raises(CsvNotUtf8, match="from byte 3 on"):
        read_offerings(b"abc\xff")
