"""What the shop makes of texts and numbers before it keeps or shows them."""

from __future__ import annotations

import html
import re
import unicodedata
from decimal import Decimal, InvalidOperation

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)([^<>]*)>")
_ALLOWED_TAGS = """
a abbr b blockquote br cite code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins li ol p pre q s small span strong
sub sup table tbody td tfoot th thead tr u ul
"""
_ALLOWED = frozenset(_ALLOWED_TAGS.split())
_ENTITY = re.compile(r"&(?!(?:#\d+|#x[0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]*);)")
_BLOCK = re.compile(r"\s*<(?:p|div|ul|ol|table|h[1-6]|blockquote|pre|hr)\b", re.IGNORECASE)
_AMOUNT = '<span class="woocommerce-Price-amount amount"{hidden}><bdi>{amount}</bdi></span>'
_SYMBOL = '<span class="woocommerce-Price-currencySymbol" translate="no">&euro;</span>'


def cleaned_number(text: str) -> str:
    """Return a price, weight or length as it is kept: every sign but digits, point and minus is dropped.

    Nothing is checked, so "9,90abc" becomes 990 and "1e3" becomes 13 (both recorded).
    """
    kept = re.sub(r"[^0-9.\-]", "", text)
    whole, point, rest = kept.partition(".")
    return whole + point + rest.replace(".", "")


def decimal_of(text: object) -> Decimal:
    """Return an amount, 0 for what is none."""
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return Decimal(0)


def cleaned_html(text: str) -> str:
    """Return a text without tags that authors may not use; bare signs of HTML are escaped."""
    parts, at = [], 0
    for tag in _TAG.finditer(text):
        parts += [_escaped(text[at : tag.start()]), tag[0] if tag[2].lower() in _ALLOWED else ""]
        at = tag.end()
    return "".join([*parts, _escaped(text[at:])])


def _escaped(text: str) -> str:
    return _ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")


def stripped(text: str) -> str:
    """Return a plain text without tags and outer spaces."""
    return _TAG.sub("", text).strip()


def paragraphs(text: str) -> str:
    """Return a text as readers see it, each paragraph within its tags."""
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
    shown = []
    for block in blocks:
        is_block = _BLOCK.match(block) is not None
        shown.append(block if is_block else "<p>" + re.sub(r"(?<!<br />)\n", "<br />\n", block) + "</p>")
    return "".join(f"{block}\n" for block in shown)


def slug_of(text: str) -> str:
    """Return a text as part of an address."""
    plain = re.sub(r"&[A-Za-z#0-9]+;", "", _TAG.sub("", html.unescape(text.replace("&amp;", ""))))
    folded = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[\s-]+", "-", re.sub(r"[^a-z0-9\s_-]", "", folded)).strip("-")


def user_name_of(text: str) -> str:
    """Return the signs of a text that may be part of a user name."""
    return re.sub(r"[^a-z0-9 _.\-@]", "", text.lower())


def amount_html(amount: Decimal, *, hidden: bool = False) -> str:
    """Return an amount as a page shows it."""
    return _AMOUNT.format(hidden=' aria-hidden="true"' if hidden else "", amount=f"{_SYMBOL}{amount:,.2f}")


def sale_html(regular: Decimal, sale: Decimal) -> str:
    """Return two prices, the first crossed out."""
    return (
        f'<del aria-hidden="true">{amount_html(regular)}</del> <span class="screen-reader-text">Original price was: '
        f'&euro;{regular:,.2f}.</span><ins aria-hidden="true">{amount_html(sale)}</ins>'
        f'<span class="screen-reader-text">Current price is: &euro;{sale:,.2f}.</span>'
    )


def range_html(least: Decimal, most: Decimal) -> str:
    """Return the prices of a product with variations."""
    if least == most:
        return amount_html(least)
    return (
        f'{amount_html(least, hidden=True)} <span aria-hidden="true">&ndash;</span> {amount_html(most, hidden=True)}'
        f'<span class="screen-reader-text">Price range: &euro;{least:,.2f} through &euro;{most:,.2f}</span>'
    )
