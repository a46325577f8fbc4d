"""Hyperlinks in request bodies: Waldur names related objects by URL, and refuses bare uuids."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from sync_pipelines.sandbox.waldur.errors import Invalid
from sync_pipelines.sandbox.waldur.model import Category, Customer, Offering, parse_uuid
from sync_pipelines.sandbox.waldur.world import WaldurWorld

_OBJECT = re.compile(
    r"/api/(customers|marketplace-categories|marketplace-provider-offerings|marketplace-public-offerings"
    r"|marketplace-plans|marketplace-service-providers)/([^/.]+)/"
)


def find_category(world: WaldurWorld, url: str) -> Category:
    found = world.categories.get(_target(url, "marketplace-categories"))
    if found is None:
        raise Invalid(["Invalid hyperlink - Object does not exist."])
    return found


def find_customer(world: WaldurWorld, url: str) -> Customer:
    found = world.customers.get(_target(url, "customers"))
    if found is None:
        raise Invalid(["Invalid hyperlink - Object does not exist."])
    return found


def find_offering(world: WaldurWorld, url: str) -> Offering:
    found = world.offerings.get(_target(url, "marketplace-provider-offerings"))
    if found is None:
        raise Invalid(["Invalid hyperlink - Object does not exist."])
    return found


def _target(url: str, collection: str) -> str:
    """The uuid a URL points to within ``collection``. Scheme and host are not checked, as in the real server."""
    match = _OBJECT.fullmatch(urlsplit(url).path)
    if match is None:
        raise Invalid(["Invalid hyperlink - No URL match."])
    if match[1] != collection:
        raise Invalid(["Invalid hyperlink - Incorrect URL match."])
    return parse_uuid(match[2]) or ""
