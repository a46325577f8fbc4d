"""Is this Waldur connection fit to be synchronized? Asked at start-up and by ``doctor``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Sequence
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.waldur.models import uuid_hex
from sync_pipelines.systems.waldur.session import OFFERINGS, PEER, WaldurSession


async def refuse_ignored_filters(session: WaldurSession, customer_uuid: str) -> None:
    """Raise a permanent ``PeerError`` unless filters by attribute and by customer are applied.

    Waldur ignores parameters that it does not know, and so does a proxy that drops the query: a lookup then returns the
    first offering of somebody else. Ids drawn at random must therefore find nothing.

    Arguments:
        customer_uuid: the customer that will be synchronized; its filter must find no more than there is without it.
    """
    chance = uuid.uuid4().hex
    canaries = {
        "attributes": [("attributes", json.dumps({"sync_filter_canary": chance}))],
        "customer_uuid": [("customer_uuid", chance)],
        "attributes with customer_uuid": [
            ("attributes", json.dumps({"sync_filter_canary": chance})),
            ("customer_uuid", uuid_hex(customer_uuid)),
        ],
    }
    for name, params in canaries.items():
        listing = await session.list(OFFERINGS, [*params, ("field", "uuid"), ("page_size", "1")])
        if listing.total:
            message = (
                f"filters are ignored by this server: {name} with a random id finds {listing.total} offerings; "
                "a lookup could take a stranger's offering, so nothing is written"
            )
            raise PeerError(PEER, FailureKind.PERMANENT, message, operation=f"GET /api/{OFFERINGS}")


async def connection_problems(
    owner: WaldurSession,
    staff: WaldurSession | None,
    customer_uuid: str,
    category_uuids: Sequence[str],
    offering_type: str,
) -> list[str]:
    """Return what is wrong, one sentence each, free of secrets."""
    problems = [f"{value!r} is not a uuid" for value in (customer_uuid, *category_uuids) if not _is_uuid(value)]
    problems += await _token_problems("owner", owner)
    if problems:
        return problems
    if staff is not None:
        problems += await _token_problems("staff", staff)
    problems += await _customer_problems(owner, customer_uuid)
    for category_uuid in category_uuids:
        path = f"marketplace-categories/{uuid_hex(category_uuid)}/"
        problems += await _failure(f"category {category_uuid}", owner.read(path))
    problems += await _type_problems(owner, offering_type)
    problems += await _failure("filters", refuse_ignored_filters(owner, customer_uuid))
    return problems


async def _token_problems(role: str, session: WaldurSession) -> list[str]:
    try:
        # The answer holds the token itself: only these three values are looked at, and none is passed on.
        me = await session.read("users/me/")
    except PeerError as error:
        return [f"{role} token: {error}"]
    problems = []
    if not _get(me, "is_active", True):
        problems.append(f"{role} token: the user is not active")
    if role == "staff" and not _get(me, "is_staff", False):
        problems.append("staff token: the user is not staff, so offerings cannot be published")
    lifetime = _get(me, "token_lifetime", None)
    if lifetime is not None:
        problems.append(
            f"{role} token: expires after {lifetime} s without use; set the user's token_lifetime to empty, "
            "or keep the reconcile interval below it"
        )
    return problems


async def _customer_problems(session: WaldurSession, customer_uuid: str) -> list[str]:
    params = [("field", name) for name in ("uuid", "name", "is_service_provider", "blocked")]
    try:
        customer = await session.read(f"customers/{uuid_hex(customer_uuid)}/", params)
    except PeerError as error:
        if error.kind is FailureKind.GONE:
            return [f"customer {customer_uuid}: does not exist, or the owner token has no role in it"]
        return [f"customer {customer_uuid}: {error}"]
    problems = []
    if not _get(customer, "is_service_provider", True):
        problems.append(f"customer {customer_uuid}: is not a service provider; register it as one in Waldur")
    if _get(customer, "blocked", False):
        problems.append(f"customer {customer_uuid}: is blocked, so Waldur refuses every change of its offerings")
    return problems


async def _type_problems(session: WaldurSession, offering_type: str) -> list[str]:
    try:
        plugins = await session.read("marketplace-plugins/")
    except PeerError as error:
        return [f"offering types: {error}"]
    known = sorted(str(_get(plugin, "offering_type", "")) for plugin in plugins) if isinstance(plugins, list) else []
    if offering_type in known:
        return []
    return [f"offering type {offering_type!r}: not registered at this server; it knows {', '.join(known)}"]


async def _failure(what: str, request: Awaitable[Any]) -> list[str]:
    try:
        await request
    except PeerError as error:
        return [f"{what}: {error}"]
    return []


def _is_uuid(value: str) -> bool:
    try:
        uuid_hex(value)
    except ValueError:
        return False
    return True


def _get(value: Any, name: str, default: Any) -> Any:
    return value.get(name, default) if isinstance(value, dict) else default
