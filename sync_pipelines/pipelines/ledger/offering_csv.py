"""The offerings of a provider, as the CSV file it publishes. Pure.

The rules are those of the canister's own reader: fields count by position, not by the names in the first line; blanks
around a value do not count; a bad row costs that row alone.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sync_pipelines.core.errors import SyncError

COLUMNS: Final = (
    "Offer Name",
    "Description",
    "Unique Internal identifier",
    "Product page URL",
    "Currency",
    "Monthly price",
    "Setup fee",
    "Visibility",
    "Product Type",
    "Virtualization type",
    "Billing interval",
    "Stock",
    "Processor Brand",
    "Processor Amount",
    "Processor Cores",
    "Processor Speed",
    "Processor Name",
    "Memory Error Correction",
    "Memory Type",
    "Memory Amount",
    "Hard Disk Drive Amount",
    "Total Hard Disk Drive Capacity",
    "Solid State Disk Amount",
    "Total Solid State Disk Capacity",
    "Unmetered",
    "Uplink speed",
    "Traffic",
    "Datacenter Country",
    "Datacenter City",
    "Datacenter Coordinates",
    "Features",
    "Operating Systems",
    "Control Panel",
    "GPU Name",
    "Payment Methods",
)

IDENTIFIER: Final = "Unique Internal identifier"

_WORDS: Final = {
    "Currency": frozenset({"eur", "usd", "usdt", "btc", "eth"}),
    "Visibility": frozenset({"visible", "invisible"}),
    "Product Type": frozenset({"vps", "dedicated", "cloud", "managed"}),
    "Virtualization type": frozenset({"kvm", "vmware", "xen", "hyper-v", "hyperv", "none", ""}),
    "Billing interval": frozenset({"hourly", "hour", "daily", "day", "monthly", "month", "yearly", "year"}),
    "Stock": frozenset({"in stock", "in-stock", "out of stock", "out-of-stock", "limited"}),
    "Memory Error Correction": frozenset(
        {
            *("ecc", "ecc registered", "ecc-registered", "ecc-reg", "eccreg"),
            *("non-ecc", "nonecc", "non ecc", ""),
        }
    ),
}
"""Column -> the words it may hold, lower case."""

_NUMBERS: Final = frozenset({"Monthly price", "Setup fee"})
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST_QUOTE: Final = 60

MOST_RECORDS: Final = 20_000
"""Rows of a file that are read: the canister takes 32 KiB, which is 16,384 rows of one letter."""


class CsvNotUtf8(SyncError):
    """The file is not UTF-8; nothing of it is read. ``position`` is the first bad byte."""

    def __init__(self, position: int) -> None:
        self.position = position
        super().__init__(f"the offerings are not UTF-8, from byte {position} on")


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """A row that is left out.

    Attributes:
        record: which row, from 1 for the first one behind the header, empty lines not counted.
        line: where it begins in the file, from 1 for the header.
        reason: the column and its value, or what else is wrong.
    """

    record: int
    line: int
    reason: str

    def __str__(self) -> str:
        return f"record {self.record}: {self.reason}"


@dataclass(frozen=True, slots=True)
class OfferingFile:
    """A provider's whole set of offerings.

    Attributes:
        rows: identifier -> column -> value without blanks around it. Of two rows with one identifier, the last.
        invalid: rows that are left out, in the order of the file.
    """

    rows: dict[str, dict[str, str]]
    invalid: tuple[InvalidRow, ...]


def read_offerings(csv_bytes: bytes) -> OfferingFile:
    """Read the bytes of a :class:`~sync_pipelines.pipelines.ledger.payloads.SignedOfferings`.

    Raises:
        CsvNotUtf8: they are no text.
    """
    try:
        text = csv_bytes.decode()
    except UnicodeDecodeError as error:
        raise CsvNotUtf8(error.start) from None
    rows: dict[str, dict[str, str]] = {}
    invalid: list[InvalidRow] = []
    records = _records(text)
    next(records, None)
    for number, (line, fields) in enumerate(records, start=1):
        if number > MOST_RECORDS:
            invalid.append(InvalidRow(number, line, f"only {MOST_RECORDS} rows are read"))
            break
        if isinstance(fields, str):
            invalid.append(InvalidRow(number, line, fields))
            continue
        row = dict(zip(COLUMNS, (field.strip() for field in fields), strict=False))
        reason = f"{len(fields)} fields" if len(fields) != len(COLUMNS) else _fault(row)
        if reason:
            invalid.append(InvalidRow(number, line, reason))
        else:
            rows[row[IDENTIFIER]] = row
    return OfferingFile(rows, tuple(invalid))


def _records(text: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield first line and fields of every record that is not empty; instead of fields, why there are none."""
    reader = csv.reader(io.StringIO(text, newline=""))
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, str(error)
        else:
            if fields:
                yield line, fields


def _fault(row: dict[str, str]) -> str | None:
    for column, value in row.items():
        words = _WORDS.get(column)
        wrong = value.lower() not in words if words is not None else column in _NUMBERS and not _is_number(value)
        if wrong:
            return f"{column}: {_quoted(value)}"
    return None


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None and math.isfinite(float(value))


def _quoted(value: str) -> str:
    return repr(value if len(value) <= _LONGEST_QUOTE else value[:_LONGEST_QUOTE] + "…")
