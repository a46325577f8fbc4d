"""The links that come with every record."""

from __future__ import annotations

from typing import Any

from sync_pipelines.sandbox.woocommerce.state import ShopState

BASE = "/wp-json/wc/v3"
CHANGEABLE = ("GET", "POST", "PUT", "PATCH", "DELETE")


def links(
    world: ShopState,
    path: str,
    collection: str,
    *,
    up: str | None = None,
    exists: bool = True,
    methods: tuple[str, ...] = CHANGEABLE,
) -> dict[str, Any]:
    """Return the links of a record.

    Arguments:
        path, collection, up: addresses below the API's base.
        exists: the methods are not told of a user or variation that was just deleted for good.
        methods: what may be done with the record.
    """
    own: dict[str, Any] = {"href": address(world, path)}
    if exists:
        own["targetHints"] = {"allow": list(methods)}
    found = {"self": [own], "collection": [{"href": address(world, collection)}]}
    if up is not None:
        found["up"] = [{"href": address(world, up)}]
    return found


def address(world: ShopState, path: str) -> str:
    """Return a whole address."""
    return f"{world.site_url}{BASE}/{path}"
