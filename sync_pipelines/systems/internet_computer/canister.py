"""Calling one canister's queries with typed arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.systems.internet_computer import candid
from sync_pipelines.systems.internet_computer.agent import IcAgent
from sync_pipelines.systems.internet_computer.errors import UnexpectedReply, query_of, unexpected
from sync_pipelines.systems.internet_computer.principal import principal_bytes, principal_text


class Canister:
    """One canister on one network.

    Arguments:
        agent: talks to the network.
        identifier: text of its principal, e.g. ``ggi4a-wyaaa-aaaai-actqq-cai``, or its bytes.

    Raises:
        ConfigurationError: the identifier is none.
    """

    def __init__(self, agent: IcAgent, identifier: str | bytes) -> None:
        try:
            self.principal = principal_bytes(identifier) if isinstance(identifier, str) else identifier
            self.text = principal_text(self.principal)
        except ValueError as error:
            raise ConfigurationError(f"canister id: {error}") from None
        self.agent = agent

    async def query(
        self, method: str, types: Sequence[candid.Type], values: Sequence[Any], replies: Sequence[candid.Type]
    ) -> list[Any]:
        """Return what a query replies.

        Arguments:
            types, values: of the arguments.
            replies: types of what comes back.

        Raises:
            PeerError: as ``errors.py`` classifies it.
        """
        reply = await self.agent.query(self.principal, method, candid.encode(types, values))
        try:
            return candid.decode(reply, replies)
        except candid.CandidError as error:
            raise self.unexpected(method, f"a reply of {len(reply)} bytes that cannot be read: {error}") from None

    def unexpected(self, method: str, reason: str) -> UnexpectedReply:
        """Return the error for a reply of another shape than the interface promises."""
        return unexpected(query_of(method, self.principal), reason)
