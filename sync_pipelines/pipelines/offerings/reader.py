"""The left side: a provider's offerings on the chain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.mapping import record_of_chain
from sync_pipelines.systems.cometbft.source import ChainSource

BATCH = 500
"""Offerings mapped at a time: the whole provider comes in one answer, and the other side wants its turn meanwhile."""


class ChainReader:
    """Reads a provider's offerings, all as of one height."""

    def __init__(self, chain: ChainSource, connection: OfferingsConnection) -> None:
        self._chain = chain
        self._connection = connection

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all offerings of the provider."""
        height = await self._stand(sweep)
        rows = await self._chain.list_offerings(self._connection.provider, height=height)
        sweep.seen = len(rows)
        for first in range(0, len(rows), BATCH):
            yield [record_of_chain(row, self._connection) for row in rows[first : first + BATCH]]

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield single offerings by id; other providers' are none of this connection's business."""
        height = await self._stand(sweep)
        for key in natural_keys:
            if key.rpartition("/")[0] != self._connection.provider:
                sweep.notes.append(f"{key} is not of provider {self._connection.provider}; left to its own connection")
                continue
            row = await self._chain.get_offering(key, height=height)
            if row is not None:
                sweep.seen += 1
                yield [record_of_chain(row, self._connection)]

    async def _stand(self, sweep: Sweep) -> int:
        """Choose the height that the whole pass reads, after refusing a node that must not be believed."""
        tip = await self._chain.check()
        sweep.identity = f"{tip.chain_id}/{self._connection.provider}"
        sweep.position = {"height": tip.height}
        return tip.height
