"""Opens a connection: the transports of its peers with their limits, and the pair that the engine runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Engine

from sync_pipelines.core.redaction import Redactor
from sync_pipelines.engine.ports import Pair
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.connection_fields import Limits
from sync_pipelines.pipelines.deployments.catalog_source import BROKER, BrokerCatalog, CatalogSource, FileCatalog
from sync_pipelines.pipelines.deployments.connection import Broker, DeploymentsConnection
from sync_pipelines.pipelines.deployments.debugging import debugging
from sync_pipelines.pipelines.deployments.director_info import InfoCache
from sync_pipelines.pipelines.deployments.held import TargetSettings
from sync_pipelines.pipelines.deployments.instance import alike
from sync_pipelines.pipelines.deployments.manifest_texts import DirectorTexts
from sync_pipelines.pipelines.deployments.run_status import METRIC_PREFIX, RunCount
from sync_pipelines.pipelines.deployments.safe_yaml import Limits as YamlLimits
from sync_pipelines.pipelines.deployments.scan import DirectorScan
from sync_pipelines.pipelines.deployments.vault_cache import VaultCache
from sync_pipelines.pipelines.deployments.vault_target import VaultTarget
from sync_pipelines.settings import Secret
from sync_pipelines.store.peers import PeerGate, PeerLimits
from sync_pipelines.store.scopes import Scope, ensure_scope
from sync_pipelines.systems import bosh
from sync_pipelines.systems.bosh import BoshClient, BoshSession
from sync_pipelines.systems.bosh.logins import basic
from sync_pipelines.systems.private_ca import trusting
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import READ_DELAY, Transport, TransportStats
from sync_pipelines.systems.vault.engines import open_kv
from sync_pipelines.systems.vault.index import Index
from sync_pipelines.systems.vault.kv import Kv
from sync_pipelines.systems.vault.paths import PEER as VAULT
from sync_pipelines.systems.vault.session import VaultSession, vault_transport

__all__ = ["METRIC_PREFIX", "NAME", "OpenConnection", "open_connection"]

NAME = "deployments"
CONNECT_SECONDS = 5.0
"""A host that does not accept a connection by then is out of reach."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class OpenConnection:
    """A connection whose peers can be talked to.

    Attributes:
        director: the Director's client.
        scan: what the left side says; after a pass it knows what each deployment is.
        kv: the mount in Vault.
        target: the right side, with the backups.
        stats: what was asked of each peer, by its name.
    """

    connection: DeploymentsConnection
    pair: Pair
    scope: Scope
    director: BoshClient
    scan: DirectorScan
    kv: Kv
    target: VaultTarget
    stats: dict[str, TransportStats]

    @property
    def peer_seconds(self) -> dict[str, float]:
        """Seconds spent waiting for each peer."""
        return {peer: round(stats.total_seconds, 3) for peer, stats in self.stats.items()}

    @property
    def peer_requests(self) -> dict[str, int]:
        """Requests sent to each peer; those to a UAA are not counted."""
        return {peer: sum(stats.requests.values()) for peer, stats in self.stats.items()}

    async def forget_cached(self) -> None:
        """Let the next pass ask the Director and Vault for everything."""
        await self.scan.forget_cached()


@asynccontextmanager
async def open_connection(
    connection: DeploymentsConnection,
    engine: Engine,
    *,
    throttle: Throttle | None = None,
    read_delay: float = READ_DELAY,
    clock: Callable[[], datetime] = _now,
    is_run: bool | None = None,
) -> AsyncIterator[OpenConnection]:
    """Open all peers of a connection for the time of the block, which counts as a run when the Director was scanned.

    Arguments:
        engine: the store's database.
        throttle: what the peers are asked through; by default the limits and breakers that all runs share.
        read_delay: seconds before a read that failed is sent again.
        clock: present time, aware.
        is_run: whether it is opened for a run, so that failing to open it is a failed one; ``False``: only to look at
            something, so that not even a scan is counted.

    Raises:
        PeerError: Vault does not tell which version its mount has.
    """
    redactor = Redactor(_secrets(connection))
    count = RunCount(engine, await in_thread(_scope, engine, connection.name), is_run=is_run)
    try:
        async with AsyncExitStack() as stack:
            stack.enter_context(debugging(connection.name, wanted=connection.reconciler.debug))
            opening = _Opening(connection, engine, count.scope, stack, redactor, throttle, read_delay, clock)
            opened = await opening.opened()
            count.scan = opened.scan
            yield opened
            await opened.target.reading.keep_last_read()
    except BaseException as error:
        await count.end(error, redactor)
        raise
    await count.end(None, redactor)


@dataclass(frozen=True)
class _Opening:
    """The parts of a connection on the way to being open."""

    connection: DeploymentsConnection
    engine: Engine
    scope: Scope
    stack: AsyncExitStack
    redactor: Redactor
    throttle: Throttle | None
    read_delay: float
    clock: Callable[[], datetime]

    async def opened(self) -> OpenConnection:
        stats: dict[str, TransportStats] = {}
        director = self.connection.director
        ttl = self.connection.reconciler.cache_ttl.total_seconds()
        info = InfoCache(self.engine, self.scope, director.url, ttl)
        session = await self.stack.enter_async_context(await self._session(info))
        stats[bosh.PEER] = session.stats
        client = BoshClient(session)
        kv = await self._kv(stats)
        scan = DirectorScan(client, self.engine, self.scope, await self._catalog(stats), info, self.connection)
        index = Index(kv, self.connection.vault.index)
        cache = VaultCache(self.engine, self.scope) if ttl else None
        target = VaultTarget(kv, index, DirectorTexts(client, scan), _settings(self.connection), self.clock, cache)
        pair = _pair(self.connection, scan, target)
        return OpenConnection(self.connection, pair, self.scope, client, scan, kv, target, stats)

    async def _session(self, info: InfoCache) -> BoshSession:
        director = self.connection.director
        known = await info.known() if director.auth == "auto" else None
        auth = director.auth if director.auth != "auto" else None
        return BoshSession(
            director.url,
            director.login,
            auth=("uaa" if known.auth == "uaa" else "basic") if known else auth,
            uaa_url=director.uaa_url or (known.uaa_url if known else None),
            ca=director.ca_cert,
            throttle=self._gate(director.limits, director.url),
            redactor=self.redactor,
            timeout=_timeout(director.timeout_seconds),
            # Not of the scan alone: manifests are asked for again when they are written.
            max_in_flight=self.connection.reconciler.max_concurrency,
            read_delay=self.read_delay,
        )

    async def _kv(self, stats: dict[str, TransportStats]) -> Kv:
        vault = self.connection.vault
        transport = await self.stack.enter_async_context(
            vault_transport(
                vault.url,
                namespace=vault.namespace,
                throttle=self._gate(vault.limits, vault.url),
                timeout=_timeout(vault.timeout_seconds),
                verify=trusting(vault.ca_cert) if vault.ca_cert else True,
                read_delay=self.read_delay,
            )
        )
        stats[VAULT] = transport.stats
        session = VaultSession(transport, vault.credentials, secrets=_secrets(self.connection))
        return await open_kv(session, vault.mount, version=None if vault.kv_version == "auto" else vault.kv_version)

    async def _catalog(self, stats: dict[str, TransportStats]) -> CatalogSource:
        broker = self.connection.catalog
        if not isinstance(broker, Broker):
            return FileCatalog(broker)
        transport = await self.stack.enter_async_context(
            Transport(
                BROKER,
                broker.url,
                headers={
                    "Authorization": basic(broker.username, broker.password.reveal()),
                    "X-Broker-API-Version": broker.api_version,
                },
                throttle=self._gate(broker.limits, broker.url),
                timeout=_timeout(broker.timeout_seconds),
                redactor=self.redactor,
                verify=trusting(broker.ca_cert) if broker.ca_cert else True,
                read_delay=self.read_delay,
            )
        )
        stats[BROKER] = transport.stats
        return BrokerCatalog(transport)

    def _gate(self, limits: Limits, url: str) -> Throttle:
        # Connections to one server share its bucket and breaker; those to another have their own.
        shared = PeerLimits(rate=limits.requests_per_second, burst=limits.burst)
        return self.throttle or PeerGate(self.engine, shared, urlsplit(url).netloc)


def _pair(connection: DeploymentsConnection, scan: DirectorScan, target: VaultTarget) -> Pair:
    return Pair(
        name=NAME,
        scope=connection.name,
        left=scan,
        right=target,
        peers=(bosh.PEER, VAULT),
        guard=connection.guard.limits,
        retry=connection.retry,
        alike=alike,
        retired=target.orphans.retired,
        untracked=target.orphans.untracked,
        approval=target.orphans.approval,
        renames=True,
        in_flight=connection.in_flight,
        audit_names=("instance_id", "vault_path", "director"),
        audit_scope=connection.name,
        metric_prefix=METRIC_PREFIX,
    )


def _settings(connection: DeploymentsConnection) -> TargetSettings:
    orphans = connection.orphans
    return TargetSettings(
        director=connection.name,
        other_directors=connection.others_on_same_vault,
        backup=connection.reconciler.backup,
        stale_after=timedelta(days=orphans.stale_after_days),
        remove=orphans.remove,
        remove_after=timedelta(days=orphans.remove_after_days),
        server=urlsplit(connection.vault.url).netloc,
        manifest_limits=YamlLimits(max_bytes=connection.manifest_max_bytes),
    )


def _scope(engine: Engine, name: str) -> Scope:
    with engine.begin() as connection:
        return ensure_scope(connection, NAME, name)


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


def _secrets(connection: DeploymentsConnection) -> list[str]:
    director, vault, catalog = connection.director, connection.vault, connection.catalog
    given = [director.password, director.client_secret, vault.token, vault.role_id, vault.secret_id]
    if isinstance(catalog, Broker):
        given.append(catalog.password)
    return [secret.reveal() for secret in given if isinstance(secret, Secret)]
