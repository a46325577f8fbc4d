"""Sends queries and reads of the state to a gateway or a replica of the Internet Computer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx

from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.internet_computer.envelope import (
    envelope,
    ingress_expiry,
    query_content,
    read_state_content,
)
from sync_pipelines.systems.internet_computer.errors import (
    PEER,
    ClockSkew,
    query_of,
    read_answer,
    rejection,
    unexpected,
)
from sync_pipelines.systems.internet_computer.principal import principal_text
from sync_pipelines.systems.internet_computer.query_signatures import QuerySignatures
from sync_pipelines.systems.internet_computer.request_id import Hashable, request_id
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import DEFAULT_TIMEOUT, MAX_IN_FLIGHT, READ_DELAY, Transport, TransportStats

MAX_REPLY = 3 * 1024 * 1024 + 64 * 1024
"""A query replies with at most 3 MiB; the rest is for what stands around it."""

_STALE_SECONDS = 60.0
"""A request that is older and out of its time was held up, and not made by a wrong clock."""
_CBOR = {"Accept": "application/cbor", "Content-Type": "application/cbor"}


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """What a replica says of itself.

    Attributes:
        root_key: key of the network as DER, if told. On any network but the mainnet it has to be learnt somewhere.
        implementation: version of the replica.
        health: e.g. ``healthy``.
    """

    root_key: bytes | None
    implementation: str | None
    health: str | None


class IcAgent:
    """Talks to one network, anonymously. Use as ``async with``; opening sends nothing.

    Without ``root_key`` an answer is as good as the one node that gave it, and as the gateway in between: nothing
    proves that the canister said so. Who copies a ledger relies on its chain of hashes instead.

    Arguments:
        url: of the gateway, e.g. ``https://icp-api.io``.
        root_key: key of the network as DER. With it, signatures of all answers to queries are verified, at the cost of
            a second for each new subnet. See ``certificates.py``.
        throttle: rate limit and breaker of the gateway.
        redactor: masks secrets in error texts.
        timeout, deadline, max_in_flight, read_delay: see :class:`Transport`.
        now: seconds since 1970.

    Raises:
        ConfigurationError: a root key is given, but the library that verifies is not installed.
        ValueError: the URL is none, or the root key.
    """

    def __init__(
        self,
        url: str,
        *,
        root_key: bytes | None = None,
        throttle: Throttle | None = None,
        redactor: Redactor | None = None,
        timeout: httpx.Timeout = DEFAULT_TIMEOUT,
        deadline: float = 120.0,
        max_in_flight: int = MAX_IN_FLIGHT,
        read_delay: float = READ_DELAY,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._redactor = redactor or Redactor()
        self._signatures = QuerySignatures(self, root_key, now) if root_key is not None else None
        # Newest first. Old replicas answer 404 to what they do not know.
        self._versions: tuple[str, ...] = ("v3", "v2")
        self._transport = Transport(
            PEER,
            url,
            throttle=throttle,
            redactor=self._redactor,
            timeout=timeout,
            deadline=deadline,
            max_in_flight=max_in_flight,
            max_body=MAX_REPLY,
            read_delay=read_delay,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    @property
    def stats(self) -> TransportStats:
        """What was asked of the network so far."""
        return self._transport.stats

    def now(self) -> float:
        """Return what our clock says, in seconds since 1970."""
        return self._now()

    @property
    def redactor(self) -> Redactor:
        """Masks secrets in what peers tell."""
        return self._redactor

    @property
    def root_key(self) -> bytes | None:
        """The key by which answers are verified; ``None`` when they are not."""
        return self._signatures.root_key if self._signatures else None

    async def query(self, canister: bytes, method: str, arg: bytes) -> bytes:
        """Return the reply of a canister's query, as Candid.

        Arguments:
            canister: its principal.
            arg: the arguments, as Candid.

        Raises:
            PeerError: as ``errors.py`` classifies it; ``NotVerified`` when the answer is to be proved and is not.
        """
        operation = query_of(method, canister)
        content, answer = await self._post(
            f"canister/{principal_text(canister)}/query", partial(query_content, canister, method, arg), operation
        )
        if self._signatures is not None:
            await self._signatures.check(canister, request_id(content), answer, operation)
        if answer.get("status") == "rejected":
            raise rejection(operation, answer, self._redactor)
        reply = answer.get("reply")
        arg_back = reply.get("arg") if answer.get("status") == "replied" and isinstance(reply, dict) else None
        if not isinstance(arg_back, bytes):
            raise unexpected(operation, "neither a reply nor a reject")
        return arg_back

    async def status(self) -> ReplicaStatus:
        """Return what the replica says of itself. Nothing proves it."""
        operation = "GET /api/v2/status"
        headers = {"Accept": "application/cbor"}
        response = await self._transport.request("GET", "api/v2/status", headers=headers, operation=operation)
        told = read_answer(operation, response, redactor=self._redactor, now=self._now())
        root_key, version, health = (told.get(name) for name in ("root_key", "impl_version", "replica_health_status"))
        return ReplicaStatus(
            root_key if isinstance(root_key, bytes) else None,
            version if isinstance(version, str) else None,
            health if isinstance(health, str) else None,
        )

    async def read_state(self, canister: bytes, paths: Sequence[Sequence[bytes]]) -> bytes:
        """Return the certificate of the subtrees at the paths, as seen by the canister's subnet. It is not verified."""
        return await self._read_state(f"canister/{principal_text(canister)}/read_state", paths)

    async def read_subnet_state(self, subnet: bytes, paths: Sequence[Sequence[bytes]]) -> bytes:
        """Return the certificate of the subtrees at the paths, as seen by a subnet. It is not verified."""
        return await self._read_state(f"subnet/{principal_text(subnet)}/read_state", paths)

    async def _read_state(self, path: str, paths: Sequence[Sequence[bytes]]) -> bytes:
        operation = f"read_state of {path.rsplit('/', 1)[0]}"
        _, answer = await self._post(path, partial(read_state_content, paths), operation)
        certificate = answer.get("certificate")
        if not isinstance(certificate, bytes):
            raise unexpected(operation, "an answer without a certificate")
        return certificate

    async def _post(
        self, path: str, content: Callable[[int], dict[str, Hashable]], operation: str
    ) -> tuple[dict[str, Hashable], dict[str, Any]]:
        """Return what was asked in the end, and the answer. ``content`` makes the question from its expiry."""
        made = self._now()
        asked = content(ingress_expiry(made))
        try:
            return asked, await self._sent(path, asked, operation)
        except ClockSkew:
            if self._now() - made < _STALE_SECONDS:
                raise
        # Waits for a turn and attempts that timed out used up the time of the request: the clocks need not differ.
        asked = content(ingress_expiry(self._now()))
        return asked, await self._sent(path, asked, operation)

    async def _sent(self, path: str, content: Mapping[str, Hashable], operation: str) -> dict[str, Any]:
        body = envelope(content)
        for version in self._versions:
            response = await self._transport.request(
                "POST", f"api/{version}/{path}", content=body, headers=_CBOR, write=False, operation=operation
            )
            if response.status_code != 404:
                break
        if response.is_success:
            self._versions = (version,)
        return read_answer(operation, response, redactor=self._redactor, now=self._now())
