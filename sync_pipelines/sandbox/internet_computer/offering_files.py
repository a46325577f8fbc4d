"""The CSV files in which providers describe what they rent out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = [
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
]

_USUAL = {
    "Currency": "EUR",
    "Monthly price": "49.00",
    "Setup fee": "0.0",
    "Visibility": "Visible",
    "Product Type": "VPS",
    "Virtualization type": "KVM",
    "Billing interval": "Monthly",
    "Stock": "In stock",
    "Processor Brand": "AMD",
    "Processor Amount": "1",
    "Processor Cores": "8",
    "Processor Speed": "3.1 GHz",
    "Processor Name": "EPYC 7313P",
    "Memory Error Correction": "ECC",
    "Memory Type": "DDR4",
    "Memory Amount": "32 GB",
    "Hard Disk Drive Amount": "0",
    "Total Hard Disk Drive Capacity": "0",
    "Solid State Disk Amount": "2",
    "Total Solid State Disk Capacity": "960 GB",
    "Unmetered": "Unmetered inbound",
    "Uplink speed": "1 Gbit",
    "Traffic": "20480",
    "Datacenter Country": "NO",
    "Datacenter City": "Oslo",
    "Datacenter Coordinates": "59.9139,10.7522",
    "Features": "KVM over IP, Native IPv6",
    "Operating Systems": "Debian, Ubuntu",
    "Payment Methods": "Bitcoin, PayPal",
}


def offering(identifier: str, **values: str) -> dict[str, str]:
    """Return the cells of one offering; columns that are not named have usual values.

    Arguments:
        values: cells by column name in lower case with underscores, such as ``monthly_price``.
    """
    named = {column.lower().replace(" ", "_"): column for column in COLUMNS}
    cells = {"Offer Name": f"Server {identifier}", "Unique Internal identifier": identifier, **_USUAL}
    cells["Product page URL"] = f"https://example.com/{identifier}"
    return cells | {named[name]: value for name, value in values.items()}


def offering_file(rows: Iterable[Mapping[str, str]], *, line_end: str = "\n") -> bytes:
    """Return a CSV file with a header and a row for each offering."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator=line_end)
    writer.writerow(COLUMNS)
    writer.writerows([row.get(column, "") for column in COLUMNS] for row in rows)
    return file.getvalue().encode()
