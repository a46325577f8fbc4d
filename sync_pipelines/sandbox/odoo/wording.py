"""What the stand-in can say in German."""

from __future__ import annotations

_GERMAN = {
    "Quotation": "Angebot",
    "Quotation Sent": "Angebot gesendet",
    "Sales Order": "Verkaufsauftrag",
    "Cancelled": "Storniert",
    "Order Date": "Auftragsdatum",
    "Customer": "Kunde",
    "Customer Reference": "Kundenreferenz",
}


def german(label: str) -> str:
    """Return a label in German, or as it is when it was not translated."""
    return _GERMAN.get(label, label)


COUNTRIES = {"AT": "Österreich", "CH": "Schweiz", "DE": "Deutschland", "FR": "Frankreich", "NL": "Niederlande"}
"""German names of countries by code."""
