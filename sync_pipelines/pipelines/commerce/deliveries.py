"""A run that looks only at the records that deliveries of the shop's webhooks name."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Engine

from sync_pipelines.core.errors import SyncError
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.commerce.connection import EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.runs import Progress, Request, carry_out
from sync_pipelines.store import webhook_inbox
from sync_pipelines.store.webhook_inbox import Taken
from sync_pipelines.systems.throttle import Throttle


async def carry_out_delivered(
    connection: ShopConnection,
    store: Engine,
    request: Request,
    log: logging.Logger,
    done: list[Progress],
    *,
    throttle: Throttle | None = None,
) -> None:
    """Take what waits in the inbox of a shop, and synchronize the records it names, as :func:`carry_out` does.

    A delivery is handled once all it names was read and merged: what could not be written then has a state and a retry
    of its own. A run that dies before leaves it to the next one.

    Raises:
        SyncError: as :func:`carry_out`.
    """
    taken = await in_thread(_take, store, connection, request.run_id)
    named = _named(taken, request.entities)
    log.info("%s: %d deliveries name %s", connection.name, len(taken), _told(named))
    try:
        if named:
            wanted = replace(request, entities=list(named), named=named)
            await carry_out(connection, store, wanted, log, done, throttle=throttle)
    except SyncError:
        await in_thread(_mark, store, taken, request.entities, done)
        raise
    await in_thread(_mark, store, taken, request.entities, done)


def _take(store: Engine, connection: ShopConnection, run_id: str) -> list[Taken]:
    with store.begin() as transaction:
        return webhook_inbox.take(transaction, connection.name, run_id)


def _named(taken: Sequence[Taken], entities: Sequence[EntityType]) -> dict[EntityType, list[str]]:
    """Return the records that are named, each once, by entity and in the order in which those are synchronized."""
    keys = {
        entity: dict.fromkeys(key for delivery in taken for key in delivery.names.get(entity.value, ()))
        for entity in entities
    }
    return {entity: list(named) for entity, named in keys.items() if named}


def _mark(store: Engine, taken: Sequence[Taken], entities: Sequence[EntityType], done: Sequence[Progress]) -> None:
    merged = {progress.entity for progress in done if progress.merges is not None}
    missed = {entity.value for entity in entities if entity not in merged}
    handled = [delivery.id for delivery in taken if not missed & delivery.names.keys()]
    if handled:
        with store.begin() as transaction:
            webhook_inbox.mark_handled(transaction, handled)


def _told(named: dict[EntityType, list[str]]) -> str:
    return ", ".join(f"{len(keys)} {entity}" for entity, keys in named.items()) or "nothing"
