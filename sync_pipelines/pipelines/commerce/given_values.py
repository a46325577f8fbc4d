"""What is wrong with a value that a person gives for a field: both systems would be written to with it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from sync_pipelines.pipelines.commerce.values import email_key, is_email

_COUNTRY = re.compile(r"[A-Z]{2}")


def no_text(value: Any) -> str | None:
    """Say what is wrong with what must not be empty."""
    return None if str(value or "").strip() else "must not be empty"


def no_address(value: Any) -> str | None:
    """Say what is wrong with an e-mail address."""
    return None if is_email(email_key(value)) else "is no e-mail address such as ada@example.com"


def no_amount(value: Any) -> str | None:
    """Say what is wrong with a price or a weight; none is as good as any."""
    return "must not be below zero" if value is not None and value < 0 else None


def no_count(value: Any) -> str | None:
    """Say what is wrong with a number of pieces."""
    if value is None or Decimal(value) % 1:
        return "must be a whole number"
    return no_amount(value)


def no_country(value: Any) -> str | None:
    """Say what is wrong with the code of a country; none is as good as any."""
    return (
        None if value is None or _COUNTRY.fullmatch(str(value)) else "is no country's code of two letters, such as ZA"
    )
