"""The tree of what a subnet certifies: its root hash, and the parts of it that were asked for with the rest pruned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

Tree = Mapping[bytes, "Tree | bytes"]
Path = Sequence[bytes]
Items = list[tuple[bytes, "Tree | bytes"]]

_EMPTY, _FORK, _LABELED, _LEAF, _PRUNED = range(5)


def root_hash(tree: Tree | bytes) -> bytes:
    """Return the hash that is signed."""
    if isinstance(tree, bytes):
        return _hash("leaf", tree)
    return _level_hash(sorted(tree.items()))


def reveal(tree: Tree | bytes, paths: Sequence[Path]) -> list[Any]:
    """Return the tree as it travels, with everything pruned that no path asks for.

    A path that leads nowhere shows its neighbors, which prove that there is nothing.
    """
    if isinstance(tree, bytes):
        return [_LEAF, tree]
    items = sorted(tree.items())
    if any(not path for path in paths):
        return _level(items, frozenset(tree), None)
    return _level(items, _shown([label for label, _ in items], paths), paths)


def _level(items: Items, shown: frozenset[bytes], paths: Sequence[Path] | None) -> list[Any]:
    """Return labels that stand side by side; ``None`` as paths asks for everything below them."""
    if not any(label in shown for label, _ in items):
        return [_PRUNED, _level_hash(items)] if items else [_EMPTY]
    if len(items) > 1:
        left, right = _halves(items)
        return [_FORK, _level(left, shown, paths), _level(right, shown, paths)]
    ((label, content),) = items
    rest: list[Path] = [()] if paths is None else [path[1:] for path in paths if path[0] == label]
    return [_LABELED, label, reveal(content, rest) if rest else [_PRUNED, root_hash(content)]]


def _shown(labels: list[bytes], paths: Sequence[Path]) -> frozenset[bytes]:
    """Return the labels that paths lead to, or the neighbors of those that are not there."""
    shown: set[bytes] = set()
    for wanted in (path[0] for path in paths):
        if wanted in labels:
            shown.add(wanted)
        else:
            shown.update([one for one in labels if one < wanted][-1:], [one for one in labels if one > wanted][:1])
    return frozenset(shown)


def _level_hash(items: Items) -> bytes:
    if not items:
        return _hash("empty")
    if len(items) == 1:
        return _hash("labeled", items[0][0] + root_hash(items[0][1]))
    left, right = _halves(items)
    return _hash("fork", _level_hash(left) + _level_hash(right))


def _halves(items: Items) -> tuple[Items, Items]:
    middle = (len(items) + 1) // 2
    return items[:middle], items[middle:]


def _hash(kind: str, content: bytes = b"") -> bytes:
    domain = f"ic-hashtree-{kind}".encode()
    return hashlib.sha256(bytes([len(domain)]) + domain + content).digest()
