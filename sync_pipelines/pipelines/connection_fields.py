"""Parts of the connections file that several pipelines have: addresses, limits, the guard."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.settings import Strict


def _http_url(value: str) -> str:
    text = value.strip()
    # A misspelled URL may carry a password: it is not repeated.
    if "@" in text:
        raise ValueError("credentials do not belong into a URL; use the token fields")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not an http(s) URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"{text!r} is not an http(s) URL, such as https://host.example:26657")
    if parts.query or parts.fragment or any(character.isspace() for character in text):
        raise ValueError(f"{text!r} has a query, a fragment or blanks; give the address only")
    # Spelled in one way: the address tells servers apart, and each has its own limits.
    default_port = {"http": 80, "https": 443}[parts.scheme]
    name = f"[{host}]" if ":" in host else host
    netloc = name if port in (None, default_port) else f"{name}:{port}"
    return parts._replace(netloc=netloc).geturl().rstrip("/")


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Whole = Annotated[int, BeforeValidator(_number)]
"""A whole number; ``true`` and ``false`` are none, although Python counts them as 1 and 0."""


class Limits(Strict):
    """How hard a peer may be asked: over all runs together."""

    requests_per_second: float | None = Field(default=None, gt=0)
    burst: Whole = Field(default=10, ge=1)

    def __str__(self) -> str:
        rate = "no limit" if self.requests_per_second is None else f"{self.requests_per_second:g} a second"
        return f"{rate}, burst {self.burst}"


class Guard(Strict):
    """Limits of the guard; see ``core.guard.GuardLimits``."""

    enabled: bool = True
    max_fraction: Decimal = Field(default=Decimal("0.2"), ge=0, le=1)
    max_count: Whole = Field(default=500, ge=0)
    ignore_up_to: Whole = Field(default=0, ge=0)

    @property
    def limits(self) -> GuardLimits:
        """Return the limits as the core knows them."""
        return GuardLimits(self.enabled, self.max_fraction, self.max_count, self.ignore_up_to)


def path_of(name: str, info: ValidationInfo) -> Path:
    """Return a path of the connections file, which is relative to its folder."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / Path(name).expanduser()


def different_limits(asked: Iterable[tuple[str, str, str, Limits]]) -> str | None:
    """Say which connections ask one server with different limits; ``None`` when there are none.

    One bucket serves all connections to a server: the limits of one would loosen or tighten those of the other.

    Arguments:
        asked: name of the connection, field of the peer, its URL and limits.
    """
    first: dict[tuple[str, str], tuple[str, Limits]] = {}
    for connection, peer, url, limits in asked:
        server = urlsplit(url).netloc
        name, known = first.setdefault((peer, server), (connection, limits))
        if limits != known:
            return (
                f"{name} and {connection} ask the same server {server} with different limits ({known} and {limits}), "
                f"but it has one limit for all: give both the same {peer}.limits"
            )
    return None
