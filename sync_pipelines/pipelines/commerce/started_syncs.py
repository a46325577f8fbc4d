"""The syncs that people started, as whoever takes them up sees them: which ones wait, and what came of one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.core.orchestration import Counts, percent_complete
from sync_pipelines.core.plan import markdown_cell
from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.store import orchestrations, sync_items
from sync_pipelines.store.orchestrations import Orchestration
from sync_pipelines.store.sync_items import Part

SHORTEST_ID = 9
"""Characters of an id that are asked for at least: ``sync-`` and four more."""


@dataclass(frozen=True, slots=True)
class Started:
    """A sync, and the shop that it is about."""

    shop: ShopConnection
    sync: Orchestration


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a sync is.

    Attributes:
        parts: its items by system and entity.
    """

    sync: Orchestration
    parts: Mapping[Part, Counts]

    @property
    def total(self) -> Counts:
        """All items."""
        return sum(self.parts.values(), Counts())

    @property
    def percent(self) -> int:
        """How much of it is processed."""
        return percent_complete(self.total.processed, self.total.total)


def waiting(store: Connection, configured: Iterable[ShopConnection]) -> list[Started]:
    """Return the syncs of some shops that a worker may take up, the oldest first. One query."""
    shops = {(one.organization, one.name): one for one in configured}
    found = orchestrations.waiting(store, shops=[name for _, name in shops])
    # A shop that was given to another organization leaves what the former one started undone.
    return [Started(shops[one.org, one.shop], one) for one in found if (one.org, one.shop) in shops]


def named(store: Connection, organizations: Collection[str], sync_id: str) -> Orchestration:
    """Return a sync of some organizations by its id, or by as much of it as no other one begins with.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    found = orchestrations.beginning_with(store, organizations, sync_id) if len(sync_id) >= SHORTEST_ID else []
    if len(found) > 1:
        raise ConfigurationError(f"more than one sync begins with {sync_id}; give more of the id")
    if not found:
        raise ConfigurationError(f"there is no sync {sync_id}; 'sync-pipelines commerce syncs' lists those there are")
    return found[0]


def find(store: Connection, configured: Iterable[ShopConnection], sync_id: str) -> Started:
    """Return a sync with its shop, by its id as in :func:`named`.

    Raises:
        ConfigurationError: there is none, or more than one, or its shop is none of these.
    """
    shops = {(one.organization, one.name): one for one in configured}
    sync = named(store, {organization for organization, _ in shops}, sync_id)
    if (sync.org, sync.shop) not in shops:
        raise ConfigurationError(
            f"{sync.sync_id} is about {sync.shop}, which is no enabled shop of {sync.org} any more"
        )
    return Started(shops[sync.org, sync.shop], sync)


def standing(store: Connection, sync: Orchestration) -> Standing:
    """Return how far a sync is by now."""
    now = orchestrations.read(store, sync.sync_id)
    return Standing(now, sync_items.counts(store, now))


def markdown(found: Standing) -> str:
    """Return the items of a sync as a markdown table: a row for each entity and system."""
    head = [
        "| entity | system | processed | failed | skipped | pending | total |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    rows = [
        f"| {markdown_cell(entity)} | {system} | {one.processed} | {one.failed} | {one.skipped} | {one.pending} | "
        f"{one.total} |"
        for (system, entity), one in found.parts.items()
    ]
    return "\n".join([*head, *rows])
