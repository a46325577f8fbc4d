"""The shops as the command line knows them. They are synchronized both ways: no source, no target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync_pipelines.cli.wording import none_enabled
from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.commerce.one_way import PAIRS
from sync_pipelines.pipelines.registry import enabled_connections

if TYPE_CHECKING:
    from sync_pipelines.pipelines.commerce.connection import EntityType, ShopConnection

COMMERCE = "commerce"
BOTH_WAYS = (
    "a shop is synchronized both ways: 'sync-pipelines commerce sync' does it, 'sync-pipelines commerce status' tells "
    "where it stands"
)
ENTITIES = ("customers", "products", "inventory", "orders", "payments")
"""Names for the options, so that help does not load the pipeline."""


def shops() -> tuple[ShopConnection, ...]:
    """Return the enabled shops of the connections file; maybe none.

    Raises:
        ConfigurationError: the file is wrong.
    """
    return enabled_connections(COMMERCE)


def chosen_shops(wanted: str | None) -> list[ShopConnection]:
    """Return the shop that a word of the command line stands for; all of them for ``None``.

    Arguments:
        wanted: a connection's name, or the same behind ``commerce/``.

    Raises:
        ConfigurationError: there is none.
    """
    configured = shops()
    if not configured:
        raise none_enabled(COMMERCE)
    if wanted in (None, COMMERCE):
        return list(configured)
    assert wanted is not None
    found = [one for one in configured if one.name == wanted.removeprefix(f"{COMMERCE}/")]
    if not found:
        raise ConfigurationError(
            f"no shop is named {wanted!r}; there {'are' if len(configured) > 1 else 'is'} "
            f"{', '.join(one.name for one in configured)}"
        )
    return found


def shop_scopes(wanted: str | None) -> list[tuple[str, str]]:
    """Return the pairs and scopes of a shop (``nordwind``) or of an entity of it (``nordwind.orders``); maybe none.

    All there are for ``None``.

    Arguments:
        wanted: may have the pipeline before it (``commerce/nordwind``), or one of the pairs (``commerce_odoo/...``).
    """
    before, _, name = (wanted or "").rpartition("/")
    chosen = [*PAIRS] if before in ("", COMMERCE) else [before] if before in PAIRS else []
    return [
        (pair, scope)
        for shop in shops()
        for scope in map(shop.scope, shop.entities)
        for pair in chosen
        if wanted is None or name in (shop.name, scope)
    ]


def entity_of(scope: str) -> tuple[ShopConnection, EntityType]:
    """Return the shop and the entity that a scope is about.

    Raises:
        ConfigurationError: the connections file knows no such shop any more.
    """
    for shop in shops():
        for entity in shop.entities:
            if shop.scope(entity) == scope:
                return shop, entity
    raise ConfigurationError(f"{scope} is no entity of a shop that the connections file has")


def chosen_entities(connection: ShopConnection, wanted: tuple[str, ...]) -> list[EntityType]:
    """Return the entities of a shop that are meant, in their order; all of them for none.

    Raises:
        ConfigurationError: the shop does not synchronize one of them.
    """
    if missing := sorted(set(wanted) - set(connection.entities)):
        raise ConfigurationError(
            f"{connection.name} does not synchronize {' and '.join(missing)}; it does {', '.join(connection.entities)}"
        )
    return [entity for entity in connection.entities if not wanted or entity in wanted]
