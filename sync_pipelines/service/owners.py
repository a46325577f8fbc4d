"""Whose what the store keeps is: its scopes, by the organization of the connection that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.pipelines.commerce.one_way import PAIRS
from sync_pipelines.service.access import Caller
from sync_pipelines.settings import NamedConnection

Place = tuple[str, str]
"""A pair of systems, and a scope of it."""
Owners = Mapping[Place, str]
"""Place -> organization."""


def owners(pairs: Mapping[str, Sequence[NamedConnection]], shops: Sequence[ShopConnection] = ()) -> Owners:
    """Return whose each scope is.

    Arguments:
        pairs: pipeline -> its connections, of those whose pair has the pipeline's name.
        shops: each has a scope for every entity, in either pair.
    """
    found = {(pair, one.name): one.organization for pair, all_ in pairs.items() for one in all_}
    return found | {
        (pair, shop.scope(entity)): shop.organization for shop in shops for entity in shop.entities for pair in PAIRS
    }


def seen(caller: Caller, known: Owners) -> list[Place]:
    """Return the scopes that exist for a caller; what the connections file has no more is nobody's."""
    return [place for place, organization in known.items() if caller.sees(organization)]


def exists(caller: Caller, known: Owners, place: Place) -> bool:
    """Whether a scope exists for a caller. One that the connections file has no more does for those of all alone."""
    return caller.organization is None or known.get(place) == caller.organization
