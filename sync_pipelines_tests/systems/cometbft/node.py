"""A served stand-in chain for the tests of its client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sync_pipelines.sandbox.cometbft import ChainWorld, create_app
from sync_pipelines.sandbox.cometbft.websocket import EventSockets
from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.server import serve
from sync_pipelines.systems.cometbft import ChainSource
from sync_pipelines.systems.transport import Transport

T = TypeVar("T")
PROVIDER = "virtengine1rk28937hz050m2lm46skdlvvx39csat7pjvyv3"
CHAIN_ID = "virtengine-demo-1"


@dataclass(frozen=True, slots=True)
class Node:
    """A chain, served."""

    world: ChainWorld
    url: str
    sockets: EventSockets
    faults: FaultInjector

    def ask(self, question: Callable[[ChainSource], Awaitable[T]], *, chain_id: str = CHAIN_ID) -> T:
        """Put a question to the chain through the client under test."""
        return self.call(lambda transport: question(ChainSource(transport, chain_id=chain_id)))

    def call(self, question: Callable[[Transport], Awaitable[T]]) -> T:
        """Ask over a transport of one's own use."""

        async def run() -> T:
            async with Transport("chain", self.url) as transport:
                return await question(transport)

        return asyncio.run(run())


@contextmanager
def running(world: ChainWorld) -> Iterator[Node]:
    """Serve a world until the block is left."""
    app = create_app(world)
    faults = FaultInjector(app)
    with serve(faults) as url:
        yield Node(world, url, app.state.sockets, faults)
