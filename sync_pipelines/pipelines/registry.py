"""Which pipelines there are: the sections that the connections file may have, and what is enabled in each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from sync_pipelines.settings import has_section, load_section

_MODELS: Mapping[str, str] = {
    "offerings": "OfferingsConnection",
    "deployments": "DeploymentsConnection",
    "ledger": "LedgerConnection",
    "commerce": "ShopConnection",
    "marketplaces": "MarketplaceConnection",
}
"""Section, which is also the package of the pipeline -> class of a connection, in its module ``connection``."""

SECTIONS = tuple(_MODELS)


def enabled_connections(section: str) -> tuple[Any, ...]:
    """Return the enabled connections of a pipeline, in the order of the file; empty without a connections file.

    Those of marketplaces have no ``enabled``, all of them count: of an inactive one there is still something to show.
    Nothing of a pipeline is imported unless the file has its section: each Dagster run is a process of its own, and
    the pipelines that it does not serve would double what it costs to start.

    Raises:
        ConfigurationError: the file is wrong.
    """
    if not has_section(section, known=SECTIONS):
        return ()
    model = getattr(import_module(f"sync_pipelines.pipelines.{section}.connection"), _MODELS[section])
    found = load_section(section, model, known=SECTIONS)
    return tuple(connection for connection in found if getattr(connection, "enabled", True))
