"""Calls to one Odoo database as one user: address, key, protocol, language."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from itertools import count
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from sync_pipelines.core.errors import ConfigurationError, FailureKind
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.odoo.calls import PEER, checked
from sync_pipelines.systems.odoo.errors import OdooError, Reason, TracebackRedactor
from sync_pipelines.systems.odoo.protocols import CallProtocol, Json2Protocol, JsonRpcProtocol, date_of
from sync_pipelines.systems.odoo.values import parse_time
from sync_pipelines.systems.odoo.version import OdooVersion, probe
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import READ_DELAY, Transport, TransportStats

ProtocolChoice = Literal["auto", "json2", "jsonrpc"]

TIMEOUT = httpx.Timeout(90.0, connect=5.0)
"""A write whose row others keep changing is answered after 17 to 24 s, when the server's own tries are used up."""
DEADLINE = 180.0
"""The server kills a worker after 120 s."""
MAX_IN_FLIGHT = 4
"""Hosted databases put up with little parallelism, and more gains nothing on a small server."""
CONFLICT_ATTEMPTS = 3
CONFLICT_DELAY = 1.0
"""Seconds before a call that lost a race is sent again, at most; doubled for the next time."""


class OdooSession:
    """Calls methods of one database as one user. Use as ``async with``; opening sends nothing.

    Arguments:
        url: address of the server, with the path of a proxy if there is one.
        key: API key of the user; JSON-RPC also takes the password.
        database: needed for JSON-RPC, and when a server has several databases.
        login: needed for JSON-RPC.
        protocol: ``auto`` asks the server for its version: JSON-2 from 19 on, else JSON-RPC.
        lang: language that translated fields are read and written in, e.g. ``en_US``. It must be installed.
        throttle: rate limit and breaker.
        redactor: masks other secrets in error texts; the key is masked anyway.
        verify: whether TLS certificates are checked, or the SSL context to check them with.
        timeout, deadline, max_in_flight, read_delay: see :class:`Transport`.
        sleep, jitter: how to wait, and a number in [0, 1); given by tests.

    Raises:
        ConfigurationError: JSON-RPC without login or database.
        ValueError: the URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str,
        database: str | None = None,
        login: str | None = None,
        protocol: ProtocolChoice = "auto",
        lang: str = "en_US",
        throttle: Throttle | None = None,
        redactor: Redactor | None = None,
        verify: Any = True,
        timeout: httpx.Timeout = TIMEOUT,
        deadline: float = DEADLINE,
        max_in_flight: int = MAX_IN_FLIGHT,
        read_delay: float = READ_DELAY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._key = key
        self._database = database
        self._login = login
        self._context: Mapping[str, Any] = {"lang": lang}
        self._sleep = sleep
        self._jitter = jitter
        self._version: OdooVersion | None = None
        self._choosing = asyncio.Lock()
        self._transport = Transport(
            PEER,
            url,
            timeout=timeout,
            deadline=deadline,
            max_in_flight=max_in_flight,
            throttle=throttle,
            redactor=TracebackRedactor(redactor or Redactor(), (key,)),
            verify=verify,
            read_delay=read_delay,
            sleep=sleep,
            jitter=jitter,
        )
        self._protocol = None if protocol == "auto" else self._speaking(protocol == "json2")

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
        """What was asked of the server so far."""
        return self._transport.stats

    async def version(self) -> OdooVersion:
        """Return the server's version. Asked once a session."""
        if self._version is None:
            self._version, _ = await probe(self._transport)
        return self._version

    async def server_time(self) -> datetime:
        """Return the server's time: of its answer, or else of the newest contact. Our own clock is never asked.

        ``write_date`` is the database's time, which may differ by seconds; the overlap of a window covers that.

        Raises:
            PeerError: there is neither.
        """
        self._version, answer = await probe(self._transport)
        moment = date_of(answer)
        if moment is not None:
            return moment
        # A proxy took the header away. The newest row is older than now, so a window begins too early at worst.
        context = {"active_test": False}
        rows = await self.call(
            "res.partner",
            "search_read",
            domain=[],
            fields=["write_date"],
            order="write_date desc",
            limit=1,
            context=context,
        )
        try:
            return parse_time(rows[0]["write_date"])
        except (IndexError, KeyError, TypeError, ValueError):
            message = "the server tells no time: no Date header, and no contact to read it from"
            raise OdooError(FailureKind.PERMANENT, Reason.MALFORMED, message, operation="common.version") from None

    async def call(self, model: str, method: str, *, ids: Sequence[int] | None = None, **named: Any) -> Any:
        """Call a method; see :class:`Calls`. A call that lost a race was rolled back, and is sent again twice."""
        named["context"] = {**self._context, **(named.get("context") or {})}
        call = checked(model, method, ids, named)
        protocol = await self._chosen()
        for attempt in count(1):
            try:
                return await protocol.send(call)
            except OdooError as error:
                if error.reason is not Reason.CONFLICT or error.kind is not FailureKind.TRANSIENT:
                    raise
                if attempt >= CONFLICT_ATTEMPTS:
                    raise
            await self._sleep(CONFLICT_DELAY * 2.0 ** (attempt - 1) * (0.5 + self._jitter() / 2))
        raise AssertionError("unreachable")

    async def _chosen(self) -> CallProtocol:
        async with self._choosing:
            if self._protocol is None:
                self._protocol = self._speaking((await self.version()).has_json2)
            return self._protocol

    def _speaking(self, json2: bool) -> CallProtocol:
        if json2:
            return Json2Protocol(self._transport, key=self._key, database=self._database)
        if not self._login or not self._database:
            raise ConfigurationError(
                "odoo: before version 19 only JSON-RPC is there, which needs the database and the login; add them"
            )
        return JsonRpcProtocol(self._transport, database=self._database, login=self._login, key=self._key)
