"""Keys in addresses: providers of hosted nodes put the customer's key into the path of the URL."""

from __future__ import annotations

from urllib.parse import urlsplit

SHORTEST_KEY = 12
"""Shorter parts of a path, such as ``rpc`` or ``cosmoshub-4``, are names and no keys."""


def keys_in_path(url: str) -> list[str]:
    """Return the parts of a URL's path that may be a key, to be masked in errors."""
    return [part for part in urlsplit(url).path.split("/") if len(part) >= SHORTEST_KEY]
