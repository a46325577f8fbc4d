"""A replica with its canisters: what it answers to requests, and what can be wrong with it."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cbor2

from sync_pipelines.sandbox.internet_computer.canister import Canister, Reject, Reply, too_large
from sync_pipelines.sandbox.internet_computer.envelopes import (
    Envelope,
    Malformed,
    check_canister,
    check_expiry,
    paths_of,
    read_envelope,
)
from sync_pipelines.sandbox.internet_computer.hash_tree import Tree
from sync_pipelines.sandbox.internet_computer.principals import principal_bytes, principal_text
from sync_pipelines.sandbox.internet_computer.subnet import Subnet
from sync_pipelines.sandbox.request_log import LoggedRequest

REPLY_LIMIT = 3 * 1024 * 1024
"""Most bytes of a query's reply."""
_KEPT_LOG = 10_000


class NotOffered(Exception):
    """Something that this machine lacks what is needed for."""


@dataclass(slots=True)
class ArmedReject:
    """A reject that takes the place of replies. ``fired`` counts them."""

    reject: Reject
    method: str
    times: int | None
    skip: int
    fired: int = 0

    def takes(self, method: str) -> bool:
        """Whether this query gets the reject; counts it."""
        if not re.fullmatch(self.method, method) or (self.times is not None and self.fired >= self.times):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.fired += 1
        return True


@dataclass(slots=True)
class _Hook:
    method: str
    action: Callable[[], object]
    skip: int


class Replica:
    """Answers what a boundary node and a replica behind it answer.

    Attributes:
        subnet: keys, nodes and certificates.
        skew_seconds: so far is its clock ahead of the real one.
        checks_anonymous_expiry: also anonymous requests must expire within the allowed range. The specification lets
            a replica be lenient here, and then a client with a wrong clock finds out late.
        signs: query replies carry signatures of nodes.
        reply_limit: most bytes of a reply.
        latency_seconds: passes before every answer.
        queries: canister and method of each query that was well formed.
        requests: what arrived over HTTP.
    """

    def __init__(self, canisters: Sequence[Canister], subnet: Subnet | None = None) -> None:
        self.subnet = subnet or Subnet()
        self.skew_seconds = 0.0
        self.checks_anonymous_expiry = True
        self.signs = True
        self.reply_limit = REPLY_LIMIT
        self.latency_seconds = 0.0
        self.queries: deque[tuple[str, str]] = deque(maxlen=_KEPT_LOG)
        self.requests: deque[LoggedRequest] = deque(maxlen=_KEPT_LOG)
        self.rejects: list[ArmedReject] = []
        self._hooks: list[_Hook] = []
        self._canisters: dict[bytes, Canister] = {}
        for canister in canisters:
            self.add(canister)

    def add(self, canister: Canister) -> None:
        """Host a canister. The subnet's range of ids covers all it hosts."""
        self._canisters[principal_bytes(canister.id)] = canister
        ids = sorted(self._canisters)
        self.subnet.ranges = ((ids[0], ids[-1]),)

    def after(self, method: str, action: Callable[[], object], *, skip: int = 0) -> None:
        """Do something once when a query of a method was answered.

        Arguments:
            skip: such queries that are answered before.
        """
        self._hooks.append(_Hook(method, action, skip))

    @property
    def now_ns(self) -> int:
        """The time by its own clock."""
        return time.time_ns() + int(self.skew_seconds * 10**9)

    def status(self) -> dict[str, Any]:
        """Return what everybody may ask."""
        told: dict[str, Any] = {
            "ic_api_version": "0.18.0",
            "impl_version": "0.9.0",
            "replica_health_status": "healthy",
        }
        return told | ({"root_key": self.subnet.root_key} if self.subnet.certifies else {})

    def query(self, addressed: bytes, body: bytes) -> dict[str, Any]:
        """Answer a query, or reject it.

        Raises:
            Malformed: it is refused as a request.
        """
        envelope = read_envelope(body, "query")
        check_canister(envelope, addressed)
        self._check_expiry(envelope)
        self._check_hosted(addressed)
        method = envelope.content["method_name"]
        self.queries.append((principal_text(addressed), method))
        behind = False
        answer: dict[str, Any]
        try:
            reply = self._reply(addressed, method, envelope.content["arg"])
            answer, behind = {"status": "replied", "reply": {"arg": reply.arg}}, reply.behind
        except Reject as reject:
            answer = {"status": "rejected", "reject_code": reject.code, "reject_message": reject.message}
            answer |= {"error_code": reject.error_code} if reject.error_code else {}
        if self.signs:
            signed = {**answer, "request_id": envelope.request_id}
            answer["signatures"] = [self.subnet.signature(signed, self.now_ns, behind=behind)]
        self._call_hooks(method)
        return answer

    def read_state(self, addressed: bytes, body: bytes, *, of_subnet: bool) -> dict[str, Any]:
        """Return a certificate of what was asked for.

        Raises:
            Malformed: it is refused as a request.
            NotOffered: nothing can be certified here.
        """
        envelope = read_envelope(body, "read_state")
        self._check_expiry(envelope)
        if not self.subnet.certifies:
            raise NotOffered("certificates are not offered: the package py_ecc is not installed")
        if of_subnet and addressed != self.subnet.id:
            raise Malformed("error: subnet_not_found\ndetails: The specified subnet does not exist.")
        if not of_subnet:
            self._check_hosted(addressed)
        paths = paths_of(envelope)
        for path in paths:
            _check_path(path, None if of_subnet else addressed)
        return {"certificate": self._certificate(paths)}

    def certificate(self, paths: Sequence[Sequence[bytes]]) -> bytes | None:
        """Return a certificate for a canister that hands it out itself, ``None`` when there is none to be had."""
        return self._certificate(paths) if self.subnet.certifies else None

    def _certificate(self, paths: Sequence[Sequence[bytes]]) -> bytes:
        canisters: Tree = {
            id_: {b"certified_data": canister.certified_data} for id_, canister in self._canisters.items()
        }
        return self.subnet.certificate(canisters, paths, self.now_ns)

    def _reply(self, addressed: bytes, method: str, arg: bytes) -> Reply:
        for armed in self.rejects:
            if armed.takes(method):
                raise armed.reject
        canister = self._canisters.get(addressed)
        if canister is None:
            raise Reject(3, f"Canister {principal_text(addressed)} not found", "IC0301")
        reply = canister.query(method, arg)
        if len(reply.arg) > self.reply_limit:
            raise too_large(canister.id, len(reply.arg), self.reply_limit)
        return reply

    def _check_expiry(self, envelope: Envelope) -> None:
        if self.checks_anonymous_expiry or not envelope.is_anonymous:
            check_expiry(envelope, self.now_ns)

    def _check_hosted(self, addressed: bytes) -> None:
        """Refuse an id outside the subnet's range: boundary nodes know no subnet for it."""
        if not any(first <= addressed <= last for first, last in self.subnet.ranges):
            raise Malformed("error: canister_not_found\ndetails: The specified canister does not exist.")

    def _call_hooks(self, method: str) -> None:
        for hook in [one for one in self._hooks if one.method == method]:
            if hook.skip:
                hook.skip -= 1
            else:
                self._hooks.remove(hook)
                hook.action()


def encoded(answer: dict[str, Any]) -> bytes:
    """Return an answer as it travels."""
    return cbor2.dumps(cbor2.CBORTag(55799, answer))


def _check_path(path: Sequence[bytes], canister: bytes | None) -> None:
    """Refuse paths that a replica shows nobody, or not at this address."""
    top = path[0] if path else b""
    open_to_all = {b"time": 1, b"subnet": 6, b"canister_ranges": 3}
    if top in open_to_all and len(path) <= open_to_all[top]:
        return
    if canister is not None and top == b"canister" and len(path) >= 3 and path[1] == canister:
        return
    raise Malformed("Invalid read state request: the path is not supported at this address")
