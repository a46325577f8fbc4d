"""The marketplace accounts as the command line knows them. They are pulled: nothing is written to a marketplace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sync_pipelines.cli.wording import none_enabled
from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.registry import enabled_connections

if TYPE_CHECKING:
    from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection

MARKETPLACES = "marketplaces"
PULLED = (
    "marketplaces are pulled: 'sync-pipelines marketplaces sync' does it, 'sync-pipelines marketplaces status' tells "
    "where they stand"
)


def accounts() -> tuple[MarketplaceConnection, ...]:
    """Return the marketplace connections of the connections file, inactive ones too; maybe none.

    Raises:
        ConfigurationError: the file is wrong.
    """
    return enabled_connections(MARKETPLACES)


def chosen_accounts(wanted: Sequence[str]) -> list[MarketplaceConnection]:
    """Return the connections that words of the command line stand for; all of them for none.

    Arguments:
        wanted: names of connections, or the same behind ``marketplaces/``.

    Raises:
        ConfigurationError: there is no such connection, or none at all.
    """
    configured = accounts()
    if not configured:
        raise none_enabled(MARKETPLACES, kind="connection")
    names = [word.removeprefix(f"{MARKETPLACES}/") for word in wanted]
    if unknown := sorted(set(names) - {one.name for one in configured}):
        known = ", ".join(one.name for one in configured)
        raise ConfigurationError(f"no marketplace connection is named {unknown[0]!r}; there is {known}")
    return [one for one in configured if not names or one.name in names]
