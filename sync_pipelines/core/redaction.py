"""Masking of secrets in text that people or logs will see.

A peer may echo a credential in any dress: percent-encoded in a URL, base64 inside a Basic header, escaped inside JSON.
Known secrets are masked in all of these; general patterns catch the ones nobody told us about.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, quote_plus

MASK = "***"

DERIVED_FORMS_FROM = 6
"""Shortest secret whose encoded forms are masked too. The encoded rest of a shorter one is too common a text."""

_TOKENS_MASKED = 8

_SECRET_NAME = r"[\w.-]*(?:token|passw(?:or)?d|pwd|secret|api[_-]?key|consumer[_-]?key|access[_-]?key|signature)"

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # "Authorization: Token abc" up to the end of the line.
    (re.compile(r"(?i)\b((?:proxy-)?authorization\s*[:=]\s*)[^\s\"'][^\r\n]*"), rf"\1{MASK}"),
    # The same as a quoted pair: {"Authorization": "Token abc"} or ('authorization', 'Token abc').
    (re.compile(r"(?i)(([\"'])(?:proxy-)?authorization\2\s*[:,]\s*b?([\"']))(?:(?!\3).)*"), rf"\1{MASK}"),
    # A scheme with its credential; a digit or "=" is asked for, so that "basic authentication" stays readable.
    (re.compile(r"(?i)\b(token|bearer|basic)(\s+)(?=\S*[\d=])[A-Za-z0-9._~+/=-]{16,}"), rf"\1\2{MASK}"),
    # token=abc, client_secret=abc in a query or a form.
    (re.compile(rf"(?i)\b({_SECRET_NAME}=)[^&\s\"'<>#;]+"), rf"\1{MASK}"),
    # "token": "abc" in JSON or in the text of a dict.
    (re.compile(rf"(?i)(([\"']){_SECRET_NAME}\2\s*:\s*b?([\"']))(?:\\.|(?!\3).)*"), rf"\1{MASK}"),
    # scheme://user:password@host
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/?#\s\"'<>]+@"), rf"\1{MASK}@"),
)


class Redactor:
    """Masks known secrets and things that look like credentials. Masking a masked text changes nothing.

    Arguments:
        secrets: values that must never be seen; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        # The mask is made of stars: a secret of nothing but stars must not make the text grow again and again, and the
        # mask must not swallow the first star of a secret that goes on after it.
        self._stars = re.compile(r"\*+") if any(not form.strip("*") for form in forms) else None
        alternatives = sorted((form for form in forms if form.strip("*")), key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, alternatives))) if alternatives else None

    def text(self, text: str) -> str:
        """Return the text with every secret replaced by ``***``."""
        while (masked := self._once(text)) != text:
            text = masked
        return text

    def _once(self, text: str) -> str:
        for known in (self._known, self._stars):
            text = known.sub(MASK, text) if known else text
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


class TokenRedactor(Redactor):
    """Masks what another redactor masks, a login's secrets, and the last tokens in use.

    Arguments:
        secrets: known from the beginning, unlike the tokens.
    """

    def __init__(self, inner: Redactor, secrets: Sequence[str]) -> None:
        super().__init__()
        self._inner = inner
        self._secrets = secrets
        self._tokens: deque[str] = deque(maxlen=_TOKENS_MASKED)
        self._masking = Redactor(secrets)

    def add(self, token: str) -> None:
        """Mask one more token."""
        self._tokens.append(token)
        self._masking = Redactor([*self._secrets, *self._tokens])

    def text(self, text: str) -> str:
        """Return the text with every secret replaced by ``***``."""
        return self._inner.text(self._masking.text(text))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    if len(secret) < DERIVED_FORMS_FROM:
        return
    data = secret.encode("utf-8", "surrogatepass")
    for encoded in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), encoded)
    # Servers that repeat a header like to change its case; some logs encode every single byte.
    yield from (secret.upper(), secret.lower(), secret.swapcase())
    yield from ("".join(f"%{byte:02x}" for byte in data), "".join(f"%{byte:02X}" for byte in data))
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield from _base64_forms(data)


def _base64_forms(data: bytes) -> Iterator[str]:
    """Yield the characters that the data surely makes at each of the three alignments, e.g. inside ``user:secret``."""
    for lead in range(3):
        encoded = base64.b64encode(bytes(lead) + data).decode()
        # A character holds six bits; its own are those that lie within the data from their first bit to their last.
        core = encoded[-(-8 * lead // 6) : 8 * (lead + len(data)) // 6]
        yield core
        yield core.replace("+", "-").replace("/", "_")
