"""What a worker needs to know of a shop: that its records can be synchronized, entity by entity, at a given pace."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Engine

from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.orchestration import SyncEntity
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine.apply import Applied
from sync_pipelines.engine.pace import Pace
from sync_pipelines.engine.two_way import TwoWayPair, synchronize
from sync_pipelines.store.plans import StoredPlan


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a shop's records are to be synchronized.

    Attributes:
        run_id: id of the sync; the plans have to carry it, because the numbers are counted from them.
        writes_to: systems that are written to; the others are only read.
        pace: in which batches.
        patience: seconds to wait for another run of the same records to end.
        begin: is told the pair before anything of it is done, and returns the pair to work on.
    """

    run_id: str
    log: logging.Logger
    writes_to: Collection[Side]
    pace: Pace
    patience: float
    begin: Callable[[TwoWayPair], Awaitable[TwoWayPair]]


@dataclass(frozen=True, slots=True)
class Pass:
    """What came of synchronizing the records of an entity once: plans, and what became of those that were applied."""

    plans: Mapping[Side, StoredPlan]
    applied: Mapping[Side, Applied]


class OpenedShop(Protocol):
    """A shop whose systems can be talked to. WooCommerce is on the left."""

    async def synchronize(self, entity: SyncEntity, terms: Terms) -> Pass:
        """Read, merge, plan, and carry out.

        A plan that is held is returned, and does not keep the other system's plan from being carried out.

        Raises:
            SyncError: it could not be done; the other entities are.
            RunStopped: it was asked to stop.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pairs:
    """A shop of which all pairs are open."""

    engine: Engine
    pairs: Mapping[SyncEntity, TwoWayPair]

    async def synchronize(self, entity: SyncEntity, terms: Terms) -> Pass:
        """Do one run of the engine."""
        if entity not in self.pairs:
            raise SyncError(f"{entity} is not synchronized here")
        done = await synchronize(
            self.engine,
            await terms.begin(self.pairs[entity]),
            run_id=terms.run_id,
            log=terms.log,
            writes_to=terms.writes_to,
            pace=terms.pace,
            patience=terms.patience,
        )
        return Pass(done.plans, done.applied)
