"""Conversations with a network that a test runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from sync_pipelines.core.errors import PeerError
from sync_pipelines.systems.internet_computer import IcAgent

CANISTER = "ggi4a-wyaaa-aaaai-actqq-cai"
_T = TypeVar("_T")


def talk(url: str, conversation: Callable[[IcAgent], Awaitable[_T]], **options: Any) -> _T:
    """Hold a conversation; waiting between retries takes no time."""

    async def run() -> _T:
        async with IcAgent(url, **{"read_delay": 0.0, **options}) as agent:
            return await conversation(agent)

    return asyncio.run(run())


def refused(url: str, conversation: Callable[[IcAgent], Awaitable[Any]], **options: Any) -> PeerError:
    """Return the error that a conversation ends with."""
    with pytest.raises(PeerError) as caught:
        talk(url, conversation, **options)
    return caught.value
