"""Requests as they arrive: read, checked and refused as a replica does."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import cbor2

from sync_pipelines.sandbox.internet_computer.identities import verifies
from sync_pipelines.sandbox.internet_computer.principals import (
    ANONYMOUS,
    LONGEST,
    ed25519_raw,
    principal_text,
    self_authenticating,
)
from sync_pipelines.sandbox.internet_computer.representation import hash_of

AHEAD_NS = 300 * 10**9
DRIFT_NS = 30 * 10**9
"""So much further ahead than five minutes may a request expire, because clocks differ."""

_LONGEST_NONCE = 32
_MOST_PATHS = 1000
_MOST_LABELS = 127
_ALWAYS = {"request_type": str, "sender": bytes, "ingress_expiry": int}
_FIELDS: Mapping[str, Mapping[str, type]] = {
    "query": {**_ALWAYS, "canister_id": bytes, "method_name": str, "arg": bytes},
    "read_state": {**_ALWAYS, "paths": Sequence},
}
_OPTIONAL = frozenset({"nonce"})
_ENVELOPE = {"content", "sender_pubkey", "sender_sig", "sender_delegation"}


class Malformed(Exception):
    """A request that is answered by HTTP 400 and a text."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request that was read and whose sender is who it says."""

    content: Mapping[str, Any]
    request_id: bytes

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody signed."""
        return bool(self.content["sender"] == ANONYMOUS)


def read_envelope(body: bytes, kind: str) -> Envelope:
    """Return a request of one kind.

    Arguments:
        kind: the request type that the path takes.

    Raises:
        Malformed: it is no such request, or the signature is not right.
    """
    envelope = _cbor(body)
    if not isinstance(envelope, Mapping) or not isinstance(envelope.get("content"), Mapping):
        raise _unparsable("missing field `content`")
    if extra := set(envelope) - _ENVELOPE:
        raise _unparsable(f"unknown field `{_any(extra)}`")
    content = envelope["content"]
    _check_fields(content, kind)
    try:
        request_id = hash_of(content)
    except (TypeError, ValueError) as error:
        raise _unparsable(str(error)) from None
    _check_signature(envelope, content, request_id)
    return Envelope(content, request_id)


def check_expiry(envelope: Envelope, now_ns: int) -> None:
    """Refuse a request that expired, or expires too late.

    Raises:
        Malformed: that is so.
    """
    expiry = envelope.content["ingress_expiry"]
    latest = now_ns + AHEAD_NS + DRIFT_NS
    if not now_ns <= expiry <= latest:
        raise Malformed(
            "Invalid request expiry: Specified ingress_expiry not within expected range: "
            f"Minimum allowed expiry: {_moment(now_ns)}, Maximum allowed expiry: {_moment(latest)}, "
            f"Provided expiry:        {_moment(expiry)}"
        )


def check_canister(envelope: Envelope, addressed: bytes) -> None:
    """Refuse a request for another canister than the one in the URL.

    Raises:
        Malformed: that is so.
    """
    named = envelope.content["canister_id"]
    if named != addressed:
        raise Malformed(
            f"Specified CanisterId {principal_text(named)} does not match effective canister id in URL "
            f"{principal_text(addressed)}"
        )


def paths_of(envelope: Envelope) -> list[tuple[bytes, ...]]:
    """Return the paths that a ``read_state`` asks for.

    Raises:
        Malformed: they are no paths, or too many or too long ones.
    """
    paths = envelope.content["paths"]
    if len(paths) > _MOST_PATHS:
        raise Malformed(f"Invalid read state request: at most {_MOST_PATHS} paths are allowed")
    for path in paths:
        if isinstance(path, bytes | str) or not isinstance(path, Sequence):
            raise _unparsable("invalid type: expected a sequence of byte strings")
        if any(not isinstance(label, bytes) for label in path):
            raise _unparsable("invalid type: expected byte string")
        if len(path) > _MOST_LABELS:
            raise Malformed(f"Invalid read state request: a path has at most {_MOST_LABELS} labels")
    return [tuple(path) for path in paths]


def _cbor(body: bytes) -> Any:
    source = io.BytesIO(body)
    try:
        decoded = cbor2.CBORDecoder(source, read_size=1).decode()
    except (cbor2.CBORDecodeError, RecursionError, ValueError) as error:
        raise _unparsable(str(error)) from None
    if source.tell() != len(body):
        raise _unparsable("trailing data")
    return decoded.value if isinstance(decoded, cbor2.CBORTag) and decoded.tag == 55799 else decoded


def _check_fields(content: Mapping[str, Any], kind: str) -> None:
    said = content.get("request_type")
    if said != kind:
        raise _unparsable(f"unknown variant `{said}`, expected `{kind}`")
    for name, needed in _FIELDS[kind].items():
        if name not in content:
            raise _unparsable(f"missing field `{name}`")
        value = content[name]
        if (
            not isinstance(value, needed)
            or isinstance(value, bool)
            or (needed is Sequence and isinstance(value, bytes | str))
        ):
            raise _unparsable(f"invalid type for field `{name}`")
    if extra := set(content) - set(_FIELDS[kind]) - _OPTIONAL:
        raise _unparsable(f"unknown field `{_any(extra)}`")
    nonce = content.get("nonce", b"")
    if not isinstance(nonce, bytes) or len(nonce) > _LONGEST_NONCE:
        raise Malformed(f"Invalid nonce: at most {_LONGEST_NONCE} bytes are allowed")
    if len(content["sender"]) > LONGEST or len(content.get("canister_id", b"")) > LONGEST:
        raise _unparsable(f"a principal has at most {LONGEST} bytes")


def _check_signature(envelope: Mapping[str, Any], content: Mapping[str, Any], request_id: bytes) -> None:
    # Some agents send null for what an anonymous request does not have; replicas take that.
    key, signature, delegation = (envelope.get(f"sender_{part}") for part in ("pubkey", "sig", "delegation"))
    if content["sender"] == ANONYMOUS:
        if (key, signature, delegation) != (None, None, None):
            raise Malformed("Invalid signature: an anonymous request must not be signed")
        return
    if not isinstance(key, bytes) or not isinstance(signature, bytes):
        raise Malformed("Missing signature from user")
    if delegation is not None:
        raise Malformed("Invalid delegation: delegations are not offered here")
    raw = ed25519_raw(key)
    if raw is None:
        raise Malformed("Invalid public key: only Ed25519 is offered here")
    if self_authenticating(key) != content["sender"]:
        raise Malformed("Invalid signature: the sender is not the principal of the public key")
    if not verifies(raw, b"\x0aic-request" + request_id, signature):
        raise Malformed("Invalid signature: Ed25519 signature could not be verified")


def _unparsable(reason: str) -> Malformed:
    return Malformed(f"Could not parse body as CBOR message: {reason}")


def _any(names: set[Any]) -> str:
    return min(map(str, names))


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{nanoseconds} ns"
