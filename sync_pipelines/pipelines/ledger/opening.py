"""Opens a connection: the agent of its network with the limits that all runs share, and its canister."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.core.retry import RetryPolicy
from sync_pipelines.pipelines.ledger.asking import Asking
from sync_pipelines.pipelines.ledger.canister_source import CanisterSource
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.source import BlockSource
from sync_pipelines.pipelines.ledger.token_source import TokenSource
from sync_pipelines.store.peers import PeerGate, PeerLimits
from sync_pipelines.systems.internet_computer import MAINNET_ROOT_KEY, IcAgent, Icrc3Ledger, LedgerCanister
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import READ_DELAY, TransportStats

CONNECT_SECONDS = 5.0
"""A host that does not accept a connection by then is out of reach."""
FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
"""Seconds before a question is asked again, for the first time and at most."""


@dataclass(frozen=True)
class OpenLedger:
    """A connection whose canister can be asked.

    Attributes:
        agent: of its network.
        canister: the ledger's methods.
        source: the ledger as the import reads it.
    """

    connection: LedgerConnection
    agent: IcAgent
    canister: LedgerCanister
    source: BlockSource

    @property
    def stats(self) -> TransportStats:
        """What was asked of the network so far."""
        return self.agent.stats


@asynccontextmanager
async def open_ledger(
    connection: LedgerConnection,
    engine: Engine,
    *,
    throttle: Throttle | None = None,
    read_delay: float = READ_DELAY,
    first_retry: float = FIRST_RETRY,
) -> AsyncIterator[OpenLedger]:
    """Open a connection for the time of the block. Sends nothing, but where answers of a test network are verified.

    Arguments:
        engine: the store's database.
        throttle: what the network is asked through; by default the limits and the breaker that all runs share.
        read_delay: seconds before a request that failed is sent again.
        first_retry: seconds before a question whose requests all failed is asked again.

    Raises:
        ConfigurationError: answers are to be verified, and the library for it is not there or the root key not known.
        PeerError: the root key is asked for, and the replica does not answer.
    """
    shared = PeerLimits(rate=connection.limits.requests_per_second, burst=connection.limits.burst)
    gate = throttle or PeerGate(engine, shared, urlsplit(connection.address).netloc)
    root_key = await _root_key(connection, gate, read_delay)
    async with _agent(connection, gate, read_delay, root_key) as agent:
        canister = LedgerCanister(agent, connection.canister_id)
        retry = RetryPolicy(first_retry, LONGEST_RETRY, connection.max_retries)
        yield OpenLedger(connection, agent, canister, _source(connection, agent, canister, Asking(retry)))


def _source(connection: LedgerConnection, agent: IcAgent, canister: LedgerCanister, asking: Asking) -> BlockSource:
    if connection.source == "icrc3":
        log = Icrc3Ledger(agent, connection.canister_id)
        return TokenSource(log, asking, connection.name, proves=connection.verify_certificates)
    return CanisterSource(canister, asking)


def _agent(connection: LedgerConnection, gate: Throttle, read_delay: float, root_key: bytes | None) -> IcAgent:
    seconds = connection.timeout_seconds
    return IcAgent(
        connection.address,
        root_key=root_key,
        throttle=gate,
        timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
        read_delay=read_delay,
    )


async def _root_key(connection: LedgerConnection, gate: Throttle, read_delay: float) -> bytes | None:
    if not (connection.verify_queries or connection.verify_certificates):
        return None
    if connection.environment == "production":
        return MAINNET_ROOT_KEY
    # Every test network has a key of its own, which only its replica knows.
    async with _agent(connection, gate, read_delay, None) as agent:
        root_key = (await agent.status()).root_key
    if root_key is None:
        raise ConfigurationError(
            f"{connection.name}: the replica at {connection.address} does not tell its root key, so its answers cannot "
            "be verified; switch verify_queries off"
        )
    return root_key
