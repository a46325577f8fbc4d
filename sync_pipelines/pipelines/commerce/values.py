"""Canonical forms of values: what two systems write differently and mean the same is one value."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.odoo import PEER as ODOO
from sync_pipelines.systems.odoo import Outcome, money

# One at sign, no blanks, and a domain of at least two labels, none of them empty. Odoo takes "name@host.test." for an
# address, WooCommerce does not.
_EMAIL = re.compile(r"[^\s@<>,;()\"]+@[^\s@<>,;()\".]+(\.[^\s@<>,;()\".]+)+")
_TAG = re.compile(r"<[^>]*>")
_BREAK = re.compile(r"<br\s*/?>|</(p|div|li|h[1-6])>", re.IGNORECASE)
_NATIONAL_ZERO = re.compile(r"^(\s*(?:\+|00)[\d\s]*)\(0\)")
_KILOGRAMS = {
    "kg": Decimal(1),
    "g": Decimal("0.001"),
    "lbs": Decimal("0.45359237"),
    "lb": Decimal("0.45359237"),
    "oz": Decimal("0.028349523125"),
}

WEIGHT_UNITS = frozenset(_KILOGRAMS)
"""Units that weights can be converted between."""


def line(text: str | None) -> str | None:
    """Return a text of one line without needless blanks; ``None`` for an empty one."""
    return " ".join((text or "").split()) or None


def name_in_shop(text: str | None) -> str | None:
    """Return :func:`line` of a product's name, which the shop shows HTML-escaped and lets have a few tags."""
    return line(html.unescape(_TAG.sub("", text or "")))


def plain_text(markup: str | None) -> str | None:
    """Return what HTML says: lines without tags, blanks at their ends and empty lines between them."""
    text = _TAG.sub("", _BREAK.sub("\n", markup or ""))
    return text_lines(html.unescape(text))


def text_lines(text: str | None) -> str | None:
    """Return a text without needless blanks and empty lines; ``None`` for an empty one."""
    lines = (" ".join(part.split()) for part in (text or "").splitlines())
    return "\n".join(part for part in lines if part) or None


def email_key(email: str | None) -> str:
    """Return an e-mail address as it is compared: letter case and blanks around it do not matter."""
    return (email or "").strip().lower()


def is_email(text: str) -> bool:
    """Say whether a text, as :func:`email_key` returns it, is one e-mail address."""
    return _EMAIL.fullmatch(text) is not None


def phone_number(phone: str | None) -> str | None:
    """Return digits, with ``+`` before an international number, however it is grouped.

    A leading ``00`` is a ``+``, and the ``(0)`` after a country's code is for callers within it. A text with letters
    (an extension, a remark) is kept as it is.
    """
    text = line(phone)
    if text is None or any(character.isalpha() for character in text):
        return text
    digits = "".join(character for character in _NATIONAL_ZERO.sub(r"\1", text) if character in "0123456789")
    if not digits:
        return text
    if text.lstrip("( ").startswith("+"):
        return f"+{digits}"
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def price(amount: Decimal | None, digits: int) -> Decimal | None:
    """Return an amount rounded half up to the currency's places."""
    return None if amount is None else money(amount, digits)


def weight(amount: Decimal | int | None, unit: str, wanted: str) -> Decimal | None:
    """Return a weight in another unit, with the two places that Odoo keeps; ``None`` for none or nothing.

    Arguments:
        unit: the shop's or Odoo's unit, one of :data:`WEIGHT_UNITS`.
        wanted: the unit of the result.
    """
    if not amount:
        return None
    # What was merged comes back from JSON, where 40.00 is 40.
    exact = Decimal(amount)
    converted = exact if unit == wanted else exact * _KILOGRAMS[unit] / _KILOGRAMS[wanted]
    return converted.quantize(Decimal("0.01"), ROUND_HALF_UP) or None


def done_or_raise(outcomes: Sequence[Outcome]) -> int:
    """Return the id of the only record of a write to Odoo.

    Raises:
        PeerError: it was not done, or nobody knows.
    """
    (outcome,) = outcomes
    if outcome.done and outcome.id is not None:
        return outcome.id
    raise outcome.error or PeerError(ODOO, FailureKind.AMBIGUOUS, "it was not told what became of a write")
