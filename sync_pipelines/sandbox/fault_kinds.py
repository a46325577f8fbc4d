"""What faults there are, and how one is described."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sync_pipelines.sandbox.exchange import HTML
from sync_pipelines.sandbox.rewriting import Memory, Rewrite


class FaultKind(StrEnum):
    """What happens to a request. *Commit* means that the application runs and keeps what it did."""

    LATENCY = "latency"
    """``seconds`` pass, then the request is served as usual."""
    STATUS = "status"
    """Answered with ``status``, ``headers`` and ``body``; the application never sees the request."""
    ERROR_AFTER_COMMIT = "error_after_commit"
    """The application runs; its answer is replaced by ``status`` (500) and an HTML page."""
    DROP = "drop"
    """The connection is closed without an answer; the application never sees the request."""
    DROP_AFTER_COMMIT = "drop_after_commit"
    """The application runs, then the connection is closed without an answer."""
    HANG = "hang"
    """Nothing for ``seconds``, then the connection is closed; the application never sees the request."""
    HANG_AFTER_COMMIT = "hang_after_commit"
    """The application runs, then nothing for ``seconds``, then the connection is closed."""
    TRUNCATED_BODY = "truncated_body"
    """Half of the real body as a complete answer with its own, honest length."""
    LOGIN_PAGE = "login_page"
    """200 with an HTML login page, as from a portal or proxy; the application never sees the request."""
    RESET_MID_BODY = "reset_mid_body"
    """The head and half of the body of the real answer, then a TCP reset."""
    WRONG_LENGTH = "wrong_length"
    """The real answer with a Content-Length larger than its body, then the connection is closed."""
    BROKEN_GZIP = "broken_gzip"
    """The real answer announced as gzip, with bytes that do not decompress."""
    REDIRECT = "redirect"
    """302 (or ``status``) to ``location``; the application never sees the request."""
    SLOW_DRIP = "slow_drip"
    """The real answer in small pieces with ``seconds`` between them."""
    PREVIOUS = "previous"
    """The application runs; its answer is replaced by the one to the request before, as a confused proxy does."""
    HEADERS = "headers"
    """The real answer with ``headers`` set."""
    REWRITE = "rewrite"
    """The real listing with its rows rewritten as ``rewrite`` says; answers without rows stay as they are."""
    ECHO = "echo"
    """Answered with ``status`` (400) and an error that repeats the request's own headers and address in many spellings,
    credentials included, in its body (JSON, or ``body`` and ``content_type`` before it), its headers and the
    ``Location``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to inject.

    Attributes:
        kind: what happens.
        method: regular expression the whole method must match.
        path: regular expression searched for in the path.
        query: regular expression searched for in the raw query string.
        sent: regular expression searched for in the request's body, for systems that name there what they are asked.
        times: how often it acts before it disarms itself; ``None`` for ever.
        skip: number of matching requests that are let through first.
        seconds: duration of latencies, hangs and pauses.
        status: status of replaced answers; 0 takes the usual one of the kind.
        headers: additional headers of replaced answers.
        body: body of replaced answers; ``None`` takes an HTML page.
        content_type: media type of replaced answers.
        location: target of redirects.
        rewrite: what is done to the rows of a listing.
    """

    kind: FaultKind
    method: str = ".*"
    path: str = ""
    query: str = ""
    sent: str = ""
    times: int | None = None
    skip: int = 0
    seconds: float = 0.0
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = HTML
    location: str = "http://elsewhere.invalid/"
    rewrite: Rewrite | None = None

    def concerns(self, method: str, path: str, query: str, body: str = "") -> bool:
        """Whether a request is of the kind that the fault takes."""
        asked = re.fullmatch(self.method, method) and re.search(self.path, path) and re.search(self.query, query)
        return bool(asked and re.search(self.sent, body))


@dataclass(slots=True)
class ArmedFault:
    """A fault that is switched on. ``matched`` and ``fired`` count requests."""

    fault: Fault
    matched: int = 0
    fired: int = 0
    memory: Memory = field(default_factory=Memory)

    def takes(self, method: str, path: str, query: str = "", body: str = "") -> bool:
        """Whether this request is the fault's; counts it."""
        fault = self.fault
        if not fault.concerns(method, path, query, body):
            return False
        if fault.times is not None and self.fired >= fault.times:
            return False
        self.matched += 1
        if self.matched <= fault.skip:
            return False
        self.fired += 1
        return True
