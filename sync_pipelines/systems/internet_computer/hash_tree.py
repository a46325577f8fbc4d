"""The tree inside a certificate: its hash, and what can be looked up in it.

A tree as it comes from CBOR: ``[0]`` empty, ``[1, left, right]`` fork, ``[2, label, tree]`` labeled, ``[3, content]``
leaf, ``[4, hash]`` pruned.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

_HASH_BYTES = 32


class HashTreeError(ValueError):
    """A tree that is not one."""


def root_hash(tree: Any) -> bytes:
    """Return the hash of a tree, which is what a certificate signs.

    Raises:
        HashTreeError: malformed.
    """
    match tree:
        case [0]:
            return _hash("empty", b"")
        case [1, left, right]:
            return _hash("fork", root_hash(left) + root_hash(right))
        case [2, bytes(label), below]:
            return _hash("labeled", label + root_hash(below))
        case [3, bytes(content)]:
            return _hash("leaf", content)
        case [4, bytes(pruned)] if len(pruned) == _HASH_BYTES:
            return pruned
        case _:
            raise HashTreeError("a node of a tree that is none of the five kinds")


def lookup(tree: Any, path: Sequence[bytes]) -> bytes | None:
    """Return the content of the leaf at a path; ``None`` when it is not there, or not shown.

    Raises:
        HashTreeError: malformed, or no leaf is there.
    """
    found = subtree(tree, path)
    match found:
        case None | [0]:
            return None
        case [3, bytes(content)]:
            return content
        case [4, _]:
            return None
        case _:
            raise HashTreeError(f"no leaf at {_told(path)}")


def subtree(tree: Any, path: Sequence[bytes]) -> Any:
    """Return the tree at a path; ``None`` when it is not there, or not shown."""
    for label in path:
        tree = dict(children(tree)).get(label)
        if tree is None:
            return None
    return tree


def children(tree: Any) -> list[tuple[bytes, Any]]:
    """Return labels and trees below a node, as far as they are shown.

    Raises:
        HashTreeError: malformed, or the labels are not in order: a path could then lead to two places.
    """
    found = list(_labeled(tree))
    if any(one >= other for (one, _), (other, _) in itertools.pairwise(found)):
        raise HashTreeError("labels of a fork that are not in order")
    return found


def _labeled(tree: Any) -> Iterator[tuple[bytes, Any]]:
    match tree:
        case [1, left, right]:
            yield from _labeled(left)
            yield from _labeled(right)
        case [2, bytes(label), below]:
            yield label, below


def _hash(kind: str, content: bytes) -> bytes:
    domain = f"ic-hashtree-{kind}".encode()
    return hashlib.sha256(bytes((len(domain),)) + domain + content).digest()


def _told(path: Sequence[bytes]) -> str:
    return "/".join(label.decode() if label.isalnum() else label.hex() for label in path)
