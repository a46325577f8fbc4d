"""When deployments were made and last changed: asked one by one, or of all of them at once where that takes less."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sync_pipelines.core.errors import PeerError
from sync_pipelines.pipelines.deployments.debugging import LOG
from sync_pipelines.pipelines.deployments.refusals import is_of_the_director
from sync_pipelines.systems.bosh import BoshClient, Life

MANY = 20
"""Deployments that are asked for one by one, before it is tried to read all events."""
SAVING = 10
"""All events are read in so many times fewer requests than one by one, or not at all."""


class Lives:
    """Tells the lives of the deployments of one list.

    Arguments:
        listed: how many there are.

    Attributes:
        passed: how many of the list were gone through so far, asked for or not.
    """

    def __init__(self, client: BoshClient, listed: int) -> None:
        self.passed = 0
        self._client = client
        self._listed = listed
        self._asked = 0
        self._known: Mapping[str, Life] | None = None
        self._is_tried = False
        self._trying = asyncio.Lock()

    async def of(self, name: str) -> Life:
        """Return the life of a deployment.

        Raises:
            PeerError: it cannot be told.
        """
        self._asked += 1
        if self._asked > MANY and not self._is_tried:
            async with self._trying:
                if not self._is_tried:
                    self._known = await self._all()
                    self._is_tried = True
        if self._known is not None:
            return self._known.get(name, Life())
        return await self._client.life_of(name)

    async def _all(self) -> Mapping[str, Life] | None:
        # As many of the rest are asked for as of those before, one can expect.
        requests = (self._listed - self.passed) * self._asked // max(self.passed, 1) // SAVING
        if requests < 1:
            return None
        try:
            return await self._client.lives(requests)
        except PeerError as error:
            if is_of_the_director(error):
                raise
            LOG.debug("the events of all deployments cannot be read, so they are asked for one by one: %s", error)
            return None
