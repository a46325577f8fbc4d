"""The subnet that hosts the canisters: its nodes, which sign query replies, and its certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import cbor2

from sync_pipelines.sandbox.internet_computer import leb128
from sync_pipelines.sandbox.internet_computer.hash_tree import Path, Tree, reveal, root_hash
from sync_pipelines.sandbox.internet_computer.identities import identity
from sync_pipelines.sandbox.internet_computer.representation import hash_of
from sync_pipelines.sandbox.internet_computer.threshold_key import ThresholdKey, can_sign

SELF_DESCRIBED = 55799
_SECOND = 10**9


class Subnet:
    """Keys and certificates.

    Arguments:
        seed: another one makes other keys.
        delegated: the subnet has a key of its own and a delegation from the root, as all but one have.

    Attributes:
        nodes: who signs; the last of them is the one that lags.
        certifies: whether certificates and a root key can be had.
        ranges: pairs of first and last canister id that the subnet hosts.
    """

    def __init__(self, seed: str = "subnet", *, delegated: bool = False) -> None:
        self.nodes = tuple(identity(f"{seed}, node {number}") for number in range(2))
        self.ranges: tuple[tuple[bytes, bytes], ...] = ()
        self.delegated = delegated
        self.certifies = can_sign()
        self._root = ThresholdKey(f"{seed}, root")
        self._key = ThresholdKey(f"{seed}, own") if delegated else self._root
        self._signatures: dict[bytes, bytes] = {}

    @property
    def root_key(self) -> bytes:
        """The key that clients trust, in DER."""
        return self._root.der_key

    @cached_property
    def id(self) -> bytes:
        """The subnet's principal."""
        return self._key.principal

    def signature(self, answer: Mapping[str, Any], now_ns: int, *, behind: bool) -> dict[str, Any]:
        """Return a node's signature of a query's answer.

        Arguments:
            answer: what is signed, the id of the request included.
            behind: the lagging node signs.
        """
        node = self.nodes[-1 if behind else 0]
        hashed = hash_of({**answer, "timestamp": now_ns})
        return {
            "timestamp": now_ns,
            "signature": node.sign(b"\x0bic-response" + hashed),
            "identity": node.principal,
        }

    def certificate(self, canisters: Tree, paths: Sequence[Path], now_ns: int) -> bytes:
        """Return a certificate that shows the paths that were asked for, and always the time.

        Arguments:
            canisters: what is certified of each canister, by its id.
            now_ns: the time; certificates of the same second are signed once.
        """
        second = now_ns // _SECOND * _SECOND
        tree = {**self._described(second), b"canister": canisters}
        certificate: dict[str, Any] = {
            "tree": reveal(tree, [*paths, (b"time",)]),
            "signature": self._signed(self._key, tree),
        }
        if self.delegated:
            certificate["delegation"] = {"subnet_id": self.id, "certificate": self._delegation(second)}
        return _described(certificate)

    def _delegation(self, second: int) -> bytes:
        tree = self._described(second // (3600 * _SECOND) * (3600 * _SECOND))
        own: Path = (b"subnet", self.id)
        shown = reveal(tree, [(b"time",), own, (b"canister_ranges", self.id)])
        return _described({"tree": shown, "signature": self._signed(self._root, tree)})

    def _described(self, time_ns: int) -> dict[bytes, Tree | bytes]:
        """Return what is certified of the subnet itself; clients of ``v3`` look for the ranges in another place."""
        ranges = _described([list(pair) for pair in self.ranges])
        nodes: Tree = {node.principal: {b"public_key": node.der_key} for node in self.nodes}
        described: dict[bytes, Tree | bytes] = {
            b"time": leb128.unsigned(time_ns),
            b"subnet": {self.id: {b"public_key": self._key.der_key, b"canister_ranges": ranges, b"node": nodes}},
        }
        if self.ranges:
            described[b"canister_ranges"] = {self.id: {self.ranges[0][0]: ranges}}
        return described

    def _signed(self, key: ThresholdKey, tree: Tree) -> bytes:
        message = b"\x0dic-state-root" + root_hash(tree)
        if message not in self._signatures:
            if len(self._signatures) > 64:
                self._signatures.clear()
            self._signatures[message] = key.sign(message)
        return self._signatures[message]


def _described(value: Any) -> bytes:
    return cbor2.dumps(cbor2.CBORTag(SELF_DESCRIBED, value))
