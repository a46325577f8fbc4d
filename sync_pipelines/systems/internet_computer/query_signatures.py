"""Proving that the nodes of a canister's subnet gave an answer to a query.

A node signs what it answers; that it is a node of the subnet is told by a certificate, which is read once for a subnet.
One node's word is what a query gives, so that a node that lags or lies is not found out by this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.internet_computer import bls, hash_tree
from sync_pipelines.systems.internet_computer.certificates import CertificateError, bls_key, verify
from sync_pipelines.systems.internet_computer.errors import PEER, NotVerified
from sync_pipelines.systems.internet_computer.principal import ED25519_DER_PREFIX, principal_text
from sync_pipelines.systems.internet_computer.request_id import Hashable, representation_hash

MAX_AGE_SECONDS = 300

_DOMAIN = b"\x0bic-response"
_REJECT_FIELDS = ("reject_code", "reject_message", "error_code")


class StateReader(Protocol):
    """Reads certificates; an ``IcAgent`` does."""

    async def read_state(self, canister: bytes, paths: Sequence[Sequence[bytes]]) -> bytes:
        """Return a certificate of the canister's subnet."""

    async def read_subnet_state(self, subnet: bytes, paths: Sequence[Sequence[bytes]]) -> bytes:
        """Return a certificate of a subnet."""


class QuerySignatures:
    """Verifies answers to queries, and keeps the keys of the nodes it has learnt of.

    Arguments:
        reader: where certificates come from.
        root_key: key of the network, as DER.
        now: seconds since 1970.

    Raises:
        ConfigurationError: the library that verifies is not installed.
        ValueError: the root key is none.
    """

    def __init__(self, reader: StateReader, root_key: bytes, now: Callable[[], float]) -> None:
        bls.require()
        bls_key(root_key)
        self.root_key = root_key
        self._reader = reader
        self._now = now
        self._keys: dict[bytes, dict[bytes, bytes]] = {}
        self._learning = asyncio.Lock()

    async def check(self, canister: bytes, asked: bytes, answer: Mapping[str, Any], operation: str) -> None:
        """Return if each signature of an answer, a reply or a reject, is right and recent.

        Arguments:
            asked: identifier of the request.
            answer: as it came.

        Raises:
            NotVerified: an answer that is not proved.
            PeerError: the certificate cannot be read.
        """
        try:
            signatures = [_signature(each) for each in answer["signatures"]]
            if not signatures:
                raise CertificateError("an answer without signatures")
            for timestamp, signature, node in signatures:
                if abs(timestamp / 1e9 - self._now()) > MAX_AGE_SECONDS:
                    raise CertificateError(f"an answer signed {timestamp / 1e9 - self._now():+.0f} s from now")
                key = await self._key(canister, node)
                if not _is_signed(_signed_part(answer, asked, timestamp), signature, key):
                    raise CertificateError(f"the signature of node {principal_text(node)} is wrong")
        except (KeyError, TypeError):
            raise _not_verified(operation, "an answer without readable signatures") from None
        except (CertificateError, ValueError) as error:
            raise _not_verified(operation, str(error)) from None

    async def _key(self, canister: bytes, node: bytes) -> bytes:
        async with self._learning:
            if node not in self._keys.get(canister, {}):
                # Nodes come and go: one that is not known may be new.
                self._keys[canister] = await self._learn(canister)
            try:
                return self._keys[canister][node]
            except KeyError:
                raise CertificateError(f"{principal_text(node)} is no node of the canister's subnet") from None

    async def _learn(self, canister: bytes) -> dict[bytes, bytes]:
        paths = ((b"time",), (b"subnet",))
        certificate = verify(
            await self._reader.read_state(canister, paths), self.root_key, now=self._now(), canister=canister
        )
        keys = _node_keys(certificate.tree, certificate.subnet)
        if not keys:
            data = await self._reader.read_subnet_state(certificate.subnet, paths)
            own = verify(data, self.root_key, now=self._now(), canister=None)
            if own.subnet != certificate.subnet:
                raise CertificateError("a certificate of another subnet than the one asked for")
            keys = _node_keys(own.tree, own.subnet)
        return keys


def _node_keys(tree: Any, subnet: bytes) -> dict[bytes, bytes]:
    nodes = hash_tree.children(hash_tree.subtree(tree, (b"subnet", subnet, b"node")))
    found = {node: hash_tree.lookup(below, (b"public_key",)) for node, below in nodes}
    return {node: key for node, key in found.items() if key is not None}


def _signature(value: Any) -> tuple[int, bytes, bytes]:
    match value:
        case {"timestamp": int(timestamp), "signature": bytes(signature), "identity": bytes(node)} if timestamp >= 0:
            return timestamp, signature, node
        case _:
            raise TypeError("a signature without time, bytes or node")


def _signed_part(answer: Mapping[str, Any], asked: bytes, timestamp: int) -> bytes:
    signed: dict[str, Hashable] = {"status": answer["status"], "request_id": asked, "timestamp": timestamp}
    if answer["status"] == "replied":
        signed["reply"] = answer["reply"]
    else:
        signed.update({name: answer[name] for name in _REJECT_FIELDS if answer.get(name) is not None})
    return _DOMAIN + representation_hash(signed)


def _is_signed(message: bytes, signature: bytes, der_key: bytes) -> bool:
    if not der_key.startswith(ED25519_DER_PREFIX):
        raise CertificateError("a node whose key is not of Ed25519")
    try:
        VerifyKey(der_key.removeprefix(ED25519_DER_PREFIX)).verify(message, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


def _not_verified(operation: str, reason: str) -> NotVerified:
    return NotVerified(PEER, FailureKind.PERMANENT, f"the answer is not proved: {reason}", operation=operation)
