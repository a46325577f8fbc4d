"""Opens a connection: the transports of both peers with their limits, and the pair that the engine runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Engine

from sync_pipelines.core.redaction import Redactor
from sync_pipelines.engine.ports import Pair
from sync_pipelines.pipelines.connection_fields import Limits
from sync_pipelines.pipelines.offerings import mapping
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.reader import ChainReader
from sync_pipelines.pipelines.offerings.writer import WaldurTarget
from sync_pipelines.settings import Secret
from sync_pipelines.store.peers import PeerGate, PeerLimits
from sync_pipelines.systems.address_keys import keys_in_path
from sync_pipelines.systems.cometbft.source import ChainSource
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import READ_DELAY, Transport
from sync_pipelines.systems.waldur.client import WaldurClient
from sync_pipelines.systems.waldur.session import waldur_transport

NAME = "offerings"
METRIC_PREFIX = "offering_sync"
CONNECT_SECONDS = 5.0
"""A host that does not accept a connection by then is out of reach."""


@dataclass(frozen=True)
class OpenConnection:
    """A connection whose peers can be talked to.

    Attributes:
        transports: for the time that each peer took.
    """

    connection: OfferingsConnection
    pair: Pair
    chain: ChainSource
    waldur: WaldurClient
    transports: tuple[Transport, ...]

    @property
    def peer_seconds(self) -> dict[str, float]:
        """Seconds spent waiting for each peer."""
        seconds: dict[str, float] = {}
        for transport in self.transports:
            seconds[transport.peer] = round(seconds.get(transport.peer, 0.0) + transport.stats.total_seconds, 3)
        return seconds

    @property
    def peer_requests(self) -> dict[str, int]:
        """Requests sent to each peer."""
        requests: dict[str, int] = {}
        for transport in self.transports:
            requests[transport.peer] = requests.get(transport.peer, 0) + sum(transport.stats.requests.values())
        return requests


@asynccontextmanager
async def open_connection(
    connection: OfferingsConnection,
    engine: Engine,
    *,
    throttle: Throttle | None = None,
    read_delay: float = READ_DELAY,
) -> AsyncIterator[OpenConnection]:
    """Open both peers of a connection for the time of the block.

    Arguments:
        engine: the store's database.
        throttle: what both peers are asked through; by default the limits and breakers that all runs share.
        read_delay: seconds before a read that failed is sent again.
    """
    async with AsyncExitStack() as stack:
        chain_transport = await stack.enter_async_context(
            chain_transport_of(connection, engine, throttle=throttle, read_delay=read_delay)
        )
        redactor = Redactor(_secrets(connection))
        waldur = connection.waldur
        gate = throttle or _gate(engine, waldur.limits, waldur.url)

        async def transport_with(token: Secret) -> Transport:
            return await stack.enter_async_context(
                waldur_transport(
                    waldur.url,
                    token.reveal(),
                    throttle=gate,
                    redactor=redactor,
                    timeout=_timeout(waldur.timeout_seconds),
                    read_delay=read_delay,
                )
            )

        owner = await transport_with(waldur.token)
        staff = None if waldur.staff_token is None else await transport_with(waldur.staff_token)
        client = WaldurClient(owner, staff, owner_may_publish=waldur.owner_may_publish)
        chain = chain_of(connection, chain_transport)
        yield OpenConnection(
            connection=connection,
            pair=_pair(connection, chain, client),
            chain=chain,
            waldur=client,
            transports=tuple(transport for transport in (chain_transport, owner, staff) if transport is not None),
        )


def chain_transport_of(
    connection: OfferingsConnection,
    engine: Engine,
    *,
    throttle: Throttle | None = None,
    read_delay: float = READ_DELAY,
) -> Transport:
    """Return the transport to the chain's node, to be entered by the caller. Arguments as :func:`open_connection`."""
    chain = connection.chain
    return Transport(
        "chain",
        chain.rpc_url,
        throttle=throttle or _gate(engine, chain.limits, chain.rpc_url),
        timeout=_timeout(chain.timeout_seconds),
        redactor=Redactor(keys_in_path(chain.rpc_url)),
        read_delay=read_delay,
    )


def chain_of(connection: OfferingsConnection, transport: Transport) -> ChainSource:
    """Return the chain over an open transport."""
    chain = connection.chain
    return ChainSource(
        transport,
        chain_id=chain.chain_id,
        store_name=chain.store,
        key_prefix=chain.key_prefix,
        event_type=chain.event_type,
    )


def _pair(connection: OfferingsConnection, chain: ChainSource, client: WaldurClient) -> Pair:
    return Pair(
        name=NAME,
        scope=connection.name,
        left=ChainReader(chain, connection),
        right=WaldurTarget(client, connection),
        peers=("chain", "waldur"),
        guard=connection.guard.limits,
        retry=connection.retry,
        state_field="state",
        alike=mapping.alike,
        # Waldur cleans HTML in ways that are its own; what it shows after a write is what counts.
        lenient_fields=frozenset({"description"}),
        blocked=mapping.blocked(client.can_publish),
        out_of_service=mapping.out_of_service,
        retired=mapping.out_of_service,
        not_creatable=mapping.not_creatable,
        destructive=mapping.destructive,
        retires=connection.retire,
        in_flight=connection.in_flight,
        audit_names=("offering_id", "waldur_uuid", "provider_address"),
        audit_scope=connection.provider,
        metric_prefix=METRIC_PREFIX,
        known_links=connection.offering_map,
    )


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


def _gate(engine: Engine, limits: Limits, url: str) -> PeerGate:
    # Connections to one server share its bucket and breaker; those to another have their own.
    return PeerGate(engine, PeerLimits(rate=limits.requests_per_second, burst=limits.burst), urlsplit(url).netloc)


def _secrets(connection: OfferingsConnection) -> list[str]:
    tokens = (connection.waldur.token, connection.waldur.staff_token)
    return [token.reveal() for token in tokens if isinstance(token, Secret)]
