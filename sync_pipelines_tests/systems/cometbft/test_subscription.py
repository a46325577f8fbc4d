"""Wake-ups over the websocket: they come, and a connection that died or fell silent is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.cometbft import ChainWorld, create_app
from sync_pipelines.sandbox.server import serve
from sync_pipelines.systems.cometbft import WakeUp, wake_ups
from sync_pipelines_tests.systems.cometbft.node import PROVIDER, Node

Hints = AsyncGenerator[WakeUp, None]


def _listening(node: Node, scenario: Callable[[Hints], Awaitable[None]], *, silence: float = 5.0) -> None:
    async def run() -> None:
        hints = wake_ups(node.url, "marketplace_event", silence=silence, first_pause=0.01, longest_pause=0.05)
        try:
            async with asyncio.timeout(20):
                await scenario(hints)
        finally:
            await hints.aclose()

    asyncio.run(run())


def test_a_connection_and_every_marketplace_transaction_wake_up(node: Node) -> None:
    async def scenario(hints: Hints) -> None:
        assert await anext(hints) == WakeUp(1, "connected")
        node.world.empty_block()
        node.world.failed_tx()
        node.world.create_offering(PROVIDER, {"name": "one"})
        assert await anext(hints) == WakeUp(4, "event")

    _listening(node, scenario)


def test_the_queries_are_of_the_grammar_and_two_in_number(node: Node) -> None:
    async def scenario(hints: Hints) -> None:
        await anext(hints)
        assert node.sockets.subscriptions == [
            "tm.event='Tx' AND marketplace_event.event_id EXISTS",
            "tm.event='NewBlockHeader'",
        ]

    _listening(node, scenario)


@pytest.mark.parametrize("end", ["drop", "stop_node", "cancel"])
def test_after_the_end_of_a_connection_there_is_a_new_one_that_says_where_the_chain_is(node: Node, end: str) -> None:
    async def scenario(hints: Hints) -> None:
        assert (await anext(hints)).height == 1
        node.sockets.silent = True
        node.world.create_offering(PROVIDER, {"name": "unheard"})
        getattr(node.sockets, end)()
        assert await anext(hints) == WakeUp(2, "connected")
        node.sockets.silent = False
        node.world.create_offering(PROVIDER, {"name": "heard"})
        assert await anext(hints) == WakeUp(3, "event")

    _listening(node, scenario)


def test_a_silent_connection_is_given_up(node: Node) -> None:
    async def scenario(hints: Hints) -> None:
        await anext(hints)
        node.sockets.silent = True
        node.world.create_offering(PROVIDER, {"name": "unheard"})
        assert await anext(hints) == WakeUp(2, "connected")

    _listening(node, scenario, silence=0.3)


def test_block_headers_keep_a_quiet_connection_alive(node: Node) -> None:
    async def scenario(hints: Hints) -> None:
        await anext(hints)
        following = asyncio.ensure_future(anext(hints))
        for _ in range(8):
            await asyncio.sleep(0.1)
            node.world.empty_block()
        assert not following.done()
        node.world.create_offering(PROVIDER, {"name": "one"})
        assert (await following).reason == "event"

    _listening(node, scenario, silence=0.5)


def test_a_full_node_is_asked_again_until_there_is_room(node: Node) -> None:
    async def scenario(hints: Hints) -> None:
        node.sockets.max_clients = 0
        first = asyncio.ensure_future(anext(hints))
        await asyncio.sleep(0.2)
        assert not first.done()
        node.sockets.max_clients = 100
        assert (await first).reason == "connected"

    _listening(node, scenario)


def test_a_node_that_is_away_is_found_when_it_is_back() -> None:
    world = ChainWorld()
    with serve(create_app(world)) as url:
        port = int(url.rpartition(":")[2])

    async def run() -> WakeUp:
        hints = wake_ups(url, "marketplace_event", first_pause=0.01, longest_pause=0.05)
        waiting = asyncio.ensure_future(anext(hints))
        await asyncio.sleep(0.1)
        with serve(create_app(world), port=port):
            async with asyncio.timeout(10):
                found = await waiting
            await hints.aclose()
        return found

    assert asyncio.run(run()) == WakeUp(1, "connected")


def test_a_subscription_that_the_node_refuses_is_an_error_and_not_an_endless_loop(node: Node) -> None:
    async def run() -> None:
        async with asyncio.timeout(5):
            await anext(wake_ups(node.url, "not an event type"))

    with pytest.raises(PeerError, match="failed to parse query") as refused:
        asyncio.run(run())

    assert refused.value.kind is FailureKind.PERMANENT


@pytest.mark.parametrize("url", ["", "ftp://chain.test", "chain.test:26657"])
def test_an_unusable_url_is_an_error(url: str) -> None:
    async def run() -> None:
        await anext(wake_ups(url, "marketplace_event"))

    with pytest.raises(PeerError, match="unusable URL") as refused:
        asyncio.run(run())

    assert refused.value.kind is FailureKind.PERMANENT
