"""Reads the details of many deployments: from the cache where it is fresh, else from the Director, a few at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from sqlalchemy import Engine

from sync_pipelines.core.errors import PeerError
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.deployments.catalog import Catalog
from sync_pipelines.pipelines.deployments.details import (
    Details,
    Reading,
    details_of,
    document_of,
    manner_digest,
    stamp_of,
)
from sync_pipelines.pipelines.deployments.lives import Lives
from sync_pipelines.pipelines.deployments.long_texts import LONG_TEXT, KeptTexts
from sync_pipelines.pipelines.deployments.manifest import ManifestFacts, read_manifest
from sync_pipelines.pipelines.deployments.refusals import is_of_the_director
from sync_pipelines.pipelines.deployments.safe_yaml import Limits
from sync_pipelines.store import peer_cache
from sync_pipelines.store.peer_cache import Cached
from sync_pipelines.store.scopes import Scope
from sync_pipelines.systems.bosh import BoshClient, DeploymentGone, Life, ListedDeployment, Vm

CHUNK = 500
"""Deployments whose kept details are fetched at a time, and handed on at a time when nothing has to be asked."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How details are read.

    Attributes:
        concurrency: deployments asked about at the same time.
        batch: deployments handed on, and kept, together.
        cache_seconds: how long details are used again; 0 for never.
        process_state: whether agents are asked for the state of processes.
        manifest: limits of what is read of a manifest.
    """

    concurrency: int = 5
    batch: int = 10
    cache_seconds: float = 300.0
    process_state: bool = False
    manifest: Limits = field(default_factory=Limits)


Read = tuple[ListedDeployment, Reading]


class DetailReader:
    """Reads details for one catalog.

    Arguments:
        client: the Director.
        engine: the store's database, with the cache.
        catalog: what kept claims are held against.
        texts: gets the manifests that are read.
    """

    def __init__(
        self, client: BoshClient, engine: Engine, scope: Scope, catalog: Catalog, pace: Pace, texts: KeptTexts
    ) -> None:
        self._client = client
        self._engine = engine
        self._scope = scope
        self._catalog = catalog
        self._manner = manner_digest(catalog, process_state=pace.process_state, manifest_bytes=pace.manifest.max_bytes)
        self._pace = pace
        self._texts = texts
        self._lives = Lives(client, 0)

    async def read(self, listed: Sequence[ListedDeployment]) -> AsyncGenerator[list[Read]]:
        """Yield deployments with their details, in the order in which they were given.

        Raises:
            PeerError: the Director cannot be asked at all (login refused, out of reach). What one deployment refuses
                is told in its own reading.
        """
        self._lives = Lives(self._client, len(listed))
        for first in range(0, len(listed), CHUNK):
            chunk = listed[first : first + CHUNK]
            kept = await self.kept(chunk)
            async with aclosing(self._pages(chunk, kept)) as pages:
                async for page in pages:
                    yield page

    async def kept(self, listed: Sequence[ListedDeployment]) -> Mapping[str, Cached]:
        """Return what is kept of deployments, whatever its age."""
        names = [one.name for one in listed if _is_storable(one.name)]

        def look() -> dict[str, Cached]:
            with self._engine.begin() as connection:
                return peer_cache.read(connection, self._scope, names)

        return await in_thread(look)

    async def _pages(self, chunk: Sequence[ListedDeployment], kept: Mapping[str, Cached]) -> AsyncGenerator[list[Read]]:
        """Yield the chunk while its details come in: more are on their way than are handed on, so that none waits."""
        places = asyncio.Semaphore(self._pace.concurrency)
        waiting: deque[tuple[ListedDeployment, Reading | asyncio.Task[Reading]]] = deque()
        under_way = asked = 0
        page: list[Read] = []
        rest = iter(chunk)
        try:
            while True:
                while under_way < self._pace.concurrency + self._pace.batch and (one := next(rest, None)) is not None:
                    self._lives.passed += 1
                    found = kept.get(one.name)
                    reading = self._fresh(one, found)
                    if reading is None:
                        under_way += 1
                        waiting.append((one, asyncio.create_task(self._ask(one, found, places))))
                    else:
                        waiting.append((one, reading))
                if not waiting:
                    break
                one, answer = waiting[0]
                if isinstance(answer, asyncio.Task):
                    page.append((one, await answer))
                    under_way, asked = under_way - 1, asked + 1
                else:
                    page.append((one, answer))
                waiting.popleft()
                if asked >= self._pace.batch:
                    await self._keep(page)
                    yield page
                    page, asked = [], 0
            if page:
                await self._keep(page)
                yield page
        finally:
            # Not left to themselves when one of them ends the run.
            tasks = [answer for _, answer in waiting if isinstance(answer, asyncio.Task)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _fresh(self, listed: ListedDeployment, found: Cached | None) -> Reading | None:
        if found is None or not found.is_fresh(stamp_of(listed, self._manner), self._pace.cache_seconds):
            return None
        details = details_of(found.document)
        return None if details is None else Reading(details, is_cached=True)

    async def _ask(self, listed: ListedDeployment, found: Cached | None, places: asyncio.Semaphore) -> Reading:
        async with places:
            earlier = earlier_facts(found)
            problems: list[str] = []
            try:
                facts = await self._facts(listed.name)
            except DeploymentGone:
                return Reading(None, earlier, is_gone=True)
            except PeerError as error:
                return Reading(None, earlier, (_told("manifest", error),))
            vms: tuple[Vm, ...] | None = None
            life: Life | None = None
            try:
                vms = await self._vms(listed.name)
            except DeploymentGone:
                return Reading(None, earlier, is_gone=True)
            except PeerError as error:
                problems.append(_told("VMs", error))
            try:
                life = await self._lives.of(listed.name)
            except PeerError as error:
                problems.append(_told("events", error))
            return Reading(Details(facts, vms, life), earlier, tuple(problems))

    async def _facts(self, name: str) -> ManifestFacts:
        text = await self._client.manifest(name)
        if text is not None and len(text) >= LONG_TEXT:
            return await in_thread(read_manifest, text, self._pace.manifest)
        facts = read_manifest(text, self._pace.manifest)
        if text is not None and facts.sha256 is not None:
            self._texts.keep(facts.sha256, text)
        return facts

    async def _vms(self, name: str) -> tuple[Vm, ...]:
        return await (self._client.vms_full(name) if self._pace.process_state else self._client.vms(name))

    async def _keep(self, page: Sequence[Read]) -> None:
        """Keep what was read completely. What was kept of the others stays: it is the last that is known of them."""
        rows = {
            listed.name: (stamp_of(listed, self._manner), document_of(reading.details, self._catalog))
            for listed, reading in page
            if reading.details is not None and not (reading.is_cached or reading.problems) and _is_storable(listed.name)
        }
        if not rows:
            return

        def put() -> None:
            with self._engine.begin() as connection:
                peer_cache.put(connection, self._scope, rows)

        await in_thread(put)


def earlier_facts(found: Cached | None) -> ManifestFacts | None:
    """Return what was known of a manifest when it was last read."""
    details = None if found is None else details_of(found.document)
    return None if details is None else details.manifest


def _told(what: str, error: PeerError) -> str:
    """Say what one deployment refused; raises what the Director as a whole refuses."""
    if is_of_the_director(error):
        raise error
    return f"its {what} could not be read: {error}"


def _is_storable(name: str) -> bool:
    return "\x00" not in name
