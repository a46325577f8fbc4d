"""The one way to talk to an external system over HTTP.

A :class:`Transport` adds to httpx what every client needs and none may forget: explicit timeouts, a bound on requests
in flight, the shared throttle, retries of reads only, redirects that never leave the origin, and failures classified by
whether the request can have had an effect. What an *answer* means is for each system's own client to say.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.fencing import check_fence
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.connections import Connections
from sync_pipelines.systems.network_failures import classify_network_failure
from sync_pipelines.systems.response_body import BodyBroken, BodyTooLarge, read_body
from sync_pipelines.systems.retry_after import retry_after_seconds
from sync_pipelines.systems.throttle import NoThrottle, Throttle

DEFAULT_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
MAX_IN_FLIGHT = 8
"""httpx's connection pool slows down beyond this."""
MAX_BODY = 64 * 1024 * 1024
READ_ATTEMPTS = 3
READ_DELAY = 0.5
"""Seconds before a read is sent again, at most; doubled for the next time."""
MAX_REDIRECTS = 3
LONGEST_WAIT = 60.0
"""Seconds a read waits for a rate limit by itself; a longer wait is the caller's to plan."""

_NO_SEGMENT = re.compile(r"[/\\\x00-\x1f\x7f]")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PASSING_STATUSES = frozenset({502, 503, 504})
_REDIRECTS = frozenset({300, 301, 302, 303, 305, 307, 308})
_OF_THE_WIRE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
_EXCERPT = 300
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)


@dataclass
class TransportStats:
    """What a transport did so far.

    Attributes:
        requests: exchanges started, by method; retries and followed redirects count.
        seconds: time spent in exchanges, by method, without waiting for the throttle or between retries.
        retries: reads sent again.
        failures: exchanges that ended without a whole answer.
        rate_limited: answers with status 429.
        bytes_received: unpacked body bytes.
    """

    requests: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    retries: int = 0
    failures: int = 0
    rate_limited: int = 0
    bytes_received: int = 0

    @property
    def total_seconds(self) -> float:
        """Time spent in exchanges of all methods."""
        return sum(self.seconds.values())


def segment(value: str) -> str:
    """Return one path segment, percent-encoded.

    Raises:
        ValueError: the value is empty, ``.``, ``..`` or contains a slash or a control character: it would address
            another object than the one meant.
    """
    if value in ("", ".", "..") or _NO_SEGMENT.search(value):
        raise ValueError(f"{value!r} cannot be one segment of a path")
    return quote(value, safe="")


class Transport:
    """HTTP access to one peer with one set of credentials. Use as ``async with``.

    Arguments:
        peer: name of the system, shared by the throttle and shown in errors.
        base_url: scheme, host and an optional path that is put before every path; slashes at its end do not matter.
        headers: sent with every request, credentials included.
        auth: signs each exchange anew, retries and followed redirects too: a signature may be good for one use only.
        timeout: httpx timeouts in seconds; they bound each step of an exchange.
        deadline: seconds that one whole exchange may take, so that an answer that drips in cannot hold a run.
        max_in_flight: requests at the same time, those included that wait for their turn.
        throttle: rate limit and breaker; none by default.
        redactor: masks secrets in error texts.
        verify: whether TLS certificates are checked, or the SSL context to check them with.
        breaking_statuses: statuses that the breaker counts as failures of the peer itself.
        read_delay: seconds before a read that failed is sent again, at most; doubled for the next time.
        sleep, jitter: how to wait, and a number in [0, 1); given by tests.
    """

    def __init__(
        self,
        peer: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        timeout: httpx.Timeout = DEFAULT_TIMEOUT,
        deadline: float = 120.0,
        max_in_flight: int = MAX_IN_FLIGHT,
        throttle: Throttle | None = None,
        redactor: Redactor | None = None,
        verify: Any = True,
        max_body: int = MAX_BODY,
        breaking_statuses: frozenset[int] = _PASSING_STATUSES,
        read_delay: float = READ_DELAY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.peer = peer
        self.stats = TransportStats()
        self.redactor = redactor or Redactor()
        self._base = httpx.URL(base_url.rstrip("/"))
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise ValueError(f"{self.redactor.text(base_url)!r} is not an http(s) URL")
        # For errors. Without the path, in which hosted nodes carry their key, and without user and password.
        self._server = f"{self._base.scheme}://{self._base.netloc.decode('ascii')}"
        self._throttle: Throttle = throttle or NoThrottle()
        self._deadline = deadline
        self._max_body = max_body
        self._breaking_statuses = breaking_statuses
        self._read_delay = read_delay
        self._sleep = sleep
        self._jitter = jitter
        self._slots = asyncio.Semaphore(max_in_flight)
        self._connections = Connections(
            self._base.host,
            {"Accept": "application/json", "Accept-Encoding": "gzip", **(headers or {})},
            timeout,
            verify,
            auth,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connections.aclose()

    @property
    def base_path(self) -> str:
        """Path of the base URL, without a slash at its end; empty for a bare host."""
        return self._base.path.rstrip("/")

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        write: bool | None = None,
        operation: str | None = None,
        follow: bool = True,
    ) -> httpx.Response:
        """Send a request and return the whole answer, whatever its status except a redirect and 429.

        Reads are sent up to three times when the peer is out of reach or answers 502, 503, 504 or 429. Writes are sent
        once.

        Arguments:
            path: below the base URL; its segments are safe already, see :func:`segment`.
            params: query as httpx takes it: a mapping, or pairs where a name repeats.
            json: body.
            form: body as an HTML form has it, instead of ``json``.
            content: body as it is, instead of ``json``; its type is told in ``headers``.
            write: whether the request can change something; by default every method but GET, HEAD and OPTIONS.
            operation: what errors call the request; by default method and path.
            follow: whether a read follows redirects; without it the redirect itself is the answer.

        Raises:
            PeerError: transient (nothing happened), ambiguous (a write whose outcome is unknown), rate limited, or
                permanent (refused redirect, answer too large, request that cannot be encoded).
            LeaseLost: a write of a run whose lease may be somebody else's by now; nothing was sent.
        """
        is_write = method not in _SAFE_METHODS if write is None else write
        operation = operation or f"{method} {path.partition('?')[0]}"
        request = self._build(operation, method, path, headers, params=params, json=json, data=form, content=content)
        attempt = 0
        while True:
            attempt += 1
            # A slot comes before a turn, and is kept until the outcome is told: turns taken in advance would be a queue
            # that keeps other runs out, and whose members do not know of the pause that the one before was asked for.
            async with self._slots:
                await self._admitted(operation)
                if is_write:
                    # The wait for a turn, or a stop of the whole process, may have outlasted the lease.
                    check_fence()
                outcome = await self._exchange(operation, request, is_write, follow)
                await self._report(outcome)
            delay = None if is_write or attempt >= READ_ATTEMPTS else self._delay(outcome, attempt)
            if delay is None:
                break
            self.stats.retries += 1
            await self._sleep(delay)
        if isinstance(outcome, PeerError):
            raise outcome
        return outcome

    async def _admitted(self, operation: str) -> None:
        try:
            await self._throttle.admit(self.peer)
        except PeerError as refused:
            refused.operation = refused.operation or operation
            raise

    def error(
        self, kind: FailureKind, message: str, response: httpx.Response | None = None, *, operation: str | None = None
    ) -> PeerError:
        """Return an error with a redacted message and, for a text answer, the beginning of its body."""
        if response is None:
            return PeerError(self.peer, kind, self.redactor.text(message), operation=operation)
        excerpt = body_excerpt(response, self.redactor)
        return PeerError(
            self.peer,
            kind,
            self.redactor.text(message) + (f": {excerpt}" if excerpt else ""),
            status=response.status_code,
            retry_after=retry_after_seconds(response.headers, datetime.now(UTC)),
            operation=operation,
        )

    def _build(
        self, operation: str, method: str, path: str, headers: Mapping[str, str] | None, **parts: Any
    ) -> httpx.Request:
        if any(part in (".", "..") for part in path.partition("?")[0].split("/")):
            raise ValueError(f"path with dot segments: {path!r}")
        url = f"{self._base}/{path.lstrip('/')}" if path else str(self._base)
        try:
            return self._connections.build(method, url, headers=headers, **parts)
        except (ValueError, httpx.InvalidURL) as error:
            # For instance text with half a surrogate pair: it has no UTF-8 form.
            raise self.error(
                FailureKind.PERMANENT, f"the request cannot be encoded: {error}", operation=operation
            ) from None

    async def _exchange(
        self, operation: str, request: httpx.Request, is_write: bool, follow: bool
    ) -> httpx.Response | PeerError:
        for _ in range(MAX_REDIRECTS + 1):
            outcome = await self._send(operation, request, is_write)
            if isinstance(outcome, PeerError):
                return outcome
            if outcome.status_code == 429:
                self.stats.rate_limited += 1
                return self.error(FailureKind.RATE_LIMITED, "too many requests", outcome, operation=operation)
            if outcome.status_code not in _REDIRECTS or (not follow and not is_write):
                return outcome
            target = self._redirected(operation, request, outcome, is_write)
            if isinstance(target, PeerError):
                return target
            request = target
        return self.error(FailureKind.PERMANENT, f"more than {MAX_REDIRECTS} redirects", operation=operation)

    async def _send(self, operation: str, request: httpx.Request, is_write: bool) -> httpx.Response | PeerError:
        started = time.monotonic()
        self.stats.requests[request.method] += 1
        try:
            async with asyncio.timeout(self._deadline):
                answer = await self._receive(request)
        except (httpx.HTTPError, httpx.InvalidURL, BodyBroken, BodyTooLarge, TimeoutError) as failure:
            self.stats.failures += 1
            kind, message = classify_network_failure(failure, is_write)
            return self.error(kind, f"{self._server}: {message}", operation=operation)
        finally:
            spent = time.monotonic() - started
            self.stats.seconds[request.method] = self.stats.seconds.get(request.method, 0.0) + spent
        self.stats.bytes_received += len(answer.content)
        return answer

    async def _receive(self, request: httpx.Request) -> httpx.Response:
        async with self._connections.sent(request) as streamed:
            body = await read_body(streamed, self._max_body)
        unpacked = [(name, value) for name, value in streamed.headers.raw if name.lower() not in _OF_THE_WIRE]
        return httpx.Response(streamed.status_code, headers=unpacked, content=body, request=request)

    def _redirected(
        self, operation: str, request: httpx.Request, answer: httpx.Response, is_write: bool
    ) -> httpx.Request | PeerError:
        def refused(reason: str) -> PeerError:
            error = self.error(FailureKind.PERMANENT, reason, operation=operation)
            error.status = answer.status_code
            return error

        location = answer.headers.get("Location", "")
        if is_write or request.method not in ("GET", "HEAD"):
            # Following would turn POST into GET: the answer then looks like a success and nothing is written.
            return refused(
                f"{request.method} was redirected to {location!r}; is a slash missing at the end of the path?"
            )
        try:
            target = request.url.join(location)
        except httpx.InvalidURL:
            return refused(f"redirect to an unreadable address {location!r}")
        if not location or _origin(target) != _origin(self._base):
            return refused(f"redirect to another origin {location!r} not followed: credentials stay here")
        return httpx.Request(request.method, target.copy_with(userinfo=request.url.userinfo), headers=request.headers)

    def _delay(self, outcome: httpx.Response | PeerError, attempt: int) -> float | None:
        """Return the seconds to wait before a read is sent again; ``None`` when it is not."""
        backoff = self._read_delay * 2.0 ** (attempt - 1) * (0.5 + self._jitter() / 2)
        if isinstance(outcome, PeerError):
            if outcome.kind not in (FailureKind.TRANSIENT, FailureKind.RATE_LIMITED):
                return None
            wait = outcome.retry_after
        elif outcome.status_code in _PASSING_STATUSES:
            wait = retry_after_seconds(outcome.headers, datetime.now(UTC))
        else:
            return None
        if wait is None:
            return backoff
        return wait if wait <= LONGEST_WAIT else None

    async def _report(self, outcome: httpx.Response | PeerError) -> None:
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in self._breaking_statuses:
                await self._throttle.succeeded(self.peer)
                return
            wait = retry_after_seconds(outcome.headers, datetime.now(UTC))
            failure = self.error(FailureKind.TRANSIENT, "the peer is out of order", outcome)
            await self._throttle.failed(self.peer, failure)
        else:
            wait = outcome.retry_after
            if outcome.kind in (FailureKind.TRANSIENT, FailureKind.AMBIGUOUS):
                await self._throttle.failed(self.peer, outcome)
        if wait is not None:
            await self._throttle.wait_until(self.peer, wait)


def body_excerpt(response: httpx.Response, redactor: Redactor) -> str:
    """Return the first 300 characters of a text body, redacted, on one line; empty for other bodies.

    Of HTML it is what a browser would show.
    """
    kind = response.headers.get("Content-Type", "text/plain")
    if not any(part in kind for part in ("text", "json", "xml")):
        return ""
    # Redacted before it is cut: half a secret would not be recognised.
    text = redactor.text(response.content[: 64 * _EXCERPT].decode("utf-8", "replace"))[: 16 * _EXCERPT]
    if "html" in kind:
        text = redactor.text(_TAGS.sub(" ", text))
    return " ".join(text.split())[:_EXCERPT]


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)
