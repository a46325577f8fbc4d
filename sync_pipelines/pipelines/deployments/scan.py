"""The left side: the service instances among a Director's deployments."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from logging import DEBUG

from sqlalchemy import Engine

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.deployments.catalog import Catalog
from sync_pipelines.pipelines.deployments.catalog_source import CatalogSource
from sync_pipelines.pipelines.deployments.connection import DeploymentsConnection
from sync_pipelines.pipelines.deployments.debugging import LOG
from sync_pipelines.pipelines.deployments.deployment_record import Seen, seen_of
from sync_pipelines.pipelines.deployments.detail_reader import CHUNK, DetailReader, Pace, earlier_facts
from sync_pipelines.pipelines.deployments.director_info import InfoCache
from sync_pipelines.pipelines.deployments.long_texts import KeptTexts
from sync_pipelines.pipelines.deployments.matcher import Matcher
from sync_pipelines.pipelines.deployments.matches import Match, NeedsReview, NoMatch, Outcome
from sync_pipelines.pipelines.deployments.safe_yaml import Limits
from sync_pipelines.pipelines.deployments.selection import chosen
from sync_pipelines.store import peer_cache
from sync_pipelines.store.scopes import Scope
from sync_pipelines.systems.bosh import BoshClient, Deployments, ListedDeployment

KEPT_TEXTS = 32_000_000
"""Characters of manifests that are kept from the scan to the writing of one run."""
NAMED = 10
"""Deployments named in one note; the others are counted."""


class DirectorScan:
    """Reads a Director's list and the details that are not known yet, and tells what each deployment is.

    Attributes:
        seen: deployments of the last pass, in the list's order; empty before the first.
        texts: manifests that were read, as long as there is room for them.
        began: when the first pass was begun, by ``time.monotonic``; ``None`` before.
    """

    def __init__(
        self,
        client: BoshClient,
        engine: Engine,
        scope: Scope,
        source: CatalogSource,
        info: InfoCache,
        connection: DeploymentsConnection,
    ) -> None:
        self.seen: list[Seen] = []
        self.began: float | None = None
        self.texts = KeptTexts(KEPT_TEXTS)
        self._client = client
        self._engine = engine
        self._scope = scope
        self._source = source
        self._info = info
        self._connection = connection
        self._catalog: Catalog | None = None

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield every instance, batch by batch as details come in."""
        self._begin()
        reader, matcher = await self._ready()
        listed = (await self._list(sweep)).entries
        sweep.declared = sweep.seen = len(listed)
        async with aclosing(reader.read(listed)) as pages:
            async for page in pages:
                rows = [seen_of(one, reading, matcher, director=self._connection.name) for one, reading in page]
                self._note(rows)
                yield [record for _, record in rows if record is not None]
        sweep.ignored = sum(not seen.is_record for seen in self.seen)
        if not sweep.gaps:
            await self._purge(listed)
        sweep.notes += _notes(self.seen)

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the instances with these ids; of others no details are asked."""
        self._begin()
        reader, matcher = await self._ready()
        listed = (await self._list(sweep)).entries
        wanted = set(natural_keys)
        concerned = [
            one
            for one, outcome, is_known in await self._told(reader, matcher, listed)
            if outcome.instance_id in wanted or (outcome.instance_id is None and not is_known)
        ]
        async with aclosing(reader.read(concerned)) as pages:
            async for page in pages:
                rows = [seen_of(one, reading, matcher, director=self._connection.name) for one, reading in page]
                rows = [(seen, record) for seen, record in rows if seen.outcome.instance_id in wanted]
                self._note(rows)
                sweep.seen += len(rows)
                yield [record for _, record in rows if record is not None]
        sweep.notes += _notes(self.seen)

    async def select(self, selectors: Sequence[str]) -> list[str]:
        """Return the instance ids that words such as ``service:redis`` stand for. One request; details as kept.

        Raises:
            SelectsNothing: a word stands for nothing.
        """
        reader, matcher = await self._ready()
        listed = (await self._client.deployments()).entries
        outcomes = [outcome for _, outcome, _ in await self._told(reader, matcher, listed)]
        return chosen(selectors, outcomes, await self.catalog())

    async def catalog(self) -> Catalog:
        """Return the catalog, read once."""
        if self._catalog is None:
            self._catalog = await self._source.catalog()
        return self._catalog

    async def forget_cached(self, names: Sequence[str] | None = None) -> None:
        """Let the next pass read these deployments anew, or everything."""

        def forget() -> None:
            with self._engine.begin() as connection:
                peer_cache.forget(connection, self._scope, names)

        await in_thread(forget)

    def _begin(self) -> None:
        self.began = time.monotonic() if self.began is None else self.began
        self.seen = []

    def _note(self, rows: Sequence[tuple[Seen, Record | None]]) -> None:
        self.seen += [seen for seen, _ in rows]
        if LOG.isEnabledFor(DEBUG):
            for seen, _ in rows:
                LOG.debug("%s: %s", seen.name, _told_of(seen))

    async def _ready(self) -> tuple[DetailReader, Matcher]:
        options, catalog = self._connection.reconciler, await self.catalog()
        pace = Pace(
            concurrency=options.max_concurrency,
            batch=options.batch_size,
            cache_seconds=options.cache_ttl.total_seconds(),
            process_state=self._connection.director.process_state,
            manifest=Limits(max_bytes=self._connection.manifest_max_bytes),
        )
        reader = DetailReader(self._client, self._engine, self._scope, catalog, pace, self.texts)
        return reader, Matcher(catalog, self._connection.match.rules, self._connection.match.threshold)

    async def _list(self, sweep: Sweep) -> Deployments:
        """Read the list, and say what keeps absence from being believed."""
        listing = await self._client.deployments()
        LOG.debug("the Director lists %d deployments to %s", len(listing.entries), listing.scope.identity)
        sweep.identity = f"Director {await self._uuid()} as {listing.scope.identity}"
        if not listing.scope.sees_everything:
            sweep.gaps.append(
                f"the login ({listing.scope.identity}) is shown the deployments of its teams only, which looks as if "
                "the others were gone; give it bosh.read"
            )
        if not listing.entries:
            sweep.gaps.append("the Director lists no deployments at all; if that is right, there is nothing to do here")
        return listing

    async def _uuid(self) -> str:
        known = await self._info.known()
        if known is not None:
            return known.uuid
        info = await self._client.info()
        await self._info.keep(info)
        return info.uuid

    async def _told(
        self, reader: DetailReader, matcher: Matcher, listed: Sequence[ListedDeployment]
    ) -> list[tuple[ListedDeployment, Outcome, bool]]:
        """Say what each deployment is by what is known already, and whether its manifest was ever read."""
        told = []
        for first in range(0, len(listed), CHUNK):
            chunk = listed[first : first + CHUNK]
            kept = await reader.kept(chunk)
            for one in chunk:
                facts = earlier_facts(kept.get(one.name))
                outcome = matcher.match(one.name, facts, [release.name for release in one.releases or ()])
                told.append((one, outcome, facts is not None))
        return told

    async def _purge(self, listed: Sequence[ListedDeployment]) -> None:
        names = [one.name for one in listed if "\x00" not in one.name]

        def purge() -> None:
            with self._engine.begin() as connection:
                peer_cache.purge(connection, self._scope, names)

        await in_thread(purge)


def _told_of(seen: Seen) -> str:
    details = "details as kept" if seen.is_cached else "details read"
    match seen.outcome:
        case Match() | NeedsReview() as found:
            kind = "is" if isinstance(found, Match) else "may be"
            what = f"{kind} instance {found.instance_id} of plan {found.plan_id}"
            why = f"{found.strategy}, confidence {found.confidence}: {'; '.join(found.reasons)}"
        case NoMatch(reason=reason):
            what, why = "is no instance", reason
    return f"{what} ({why}); {details}" + "".join(f"; {problem}" for problem in seen.problems)


def _notes(seen: Sequence[Seen]) -> list[str]:
    cached = sum(one.is_cached for one in seen)
    notes = [f"details of {cached} of {len(seen)} deployments were known from an earlier run"] if cached else []
    if locked := [one.name for one in seen if one.is_locked]:
        notes.append(f"a change is under way at {_named(locked)}")
    notes += [f"{one.name}: {'; '.join(one.problems)}" for one in seen if one.problems][:NAMED]
    if (more := sum(bool(one.problems) for one in seen) - NAMED) > 0:
        notes.append(f"details of {more} more deployments could not be read or understood")
    return notes


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
