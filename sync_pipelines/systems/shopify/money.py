"""Amounts: GraphQL cuts zeros off (``"34.5"``) and adds some to yen (``"12800.0"``)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_IN_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
_PLACES = {**dict.fromkeys(_WHOLE.split(), 0), **dict.fromkeys(_IN_THOUSANDTHS.split(), 3)}
"""Places of the currencies that have not two, by ISO 4217."""


def in_places(amount: Any, currency: str) -> Decimal:
    """Return an amount, given as text, with the places of its currency. One with more is not rounded: it keeps them.

    Raises:
        ValueError: it is no number.
        ArithmeticError: it is not even written like one.
    """
    number = Decimal(amount) if isinstance(amount, str) else None
    if number is None or not number.is_finite():
        raise ValueError(f"{amount!r} is no amount")
    placed = number.quantize(Decimal(1).scaleb(-_PLACES.get(currency, 2)))
    return placed if placed == number else number
