"""Block windows: partitions of a chain's events, named so that they sort by chain and height."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_KEY = re.compile(r"^(?P<chain>[^:\s]+):(?P<first>[0-9]{12})-(?P<last>[0-9]{12})$")
KEPT_WINDOWS = 20_000
"""Windows kept as partitions; older ones are dropped from the list (their events stay in the database)."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A range of heights of one chain, both ends included."""

    chain_id: str
    first: int
    last: int

    @property
    def key(self) -> str:
        """Partition key, e.g. ``virtengine-1:000000001200-000000001299``."""
        return f"{self.chain_id}:{self.first:012d}-{self.last:012d}"


def window_of(key: str) -> Window:
    """Return the window of a partition key.

    Raises:
        ValueError: not a key of this form.
    """
    match = _KEY.match(key)
    if match is None:
        raise ValueError(f"{key!r} is no block window, such as virtengine-1:000000001200-000000001299")
    return Window(match["chain"], int(match["first"]), int(match["last"]))


def windows_over(chain_id: str, first: int, last: int, size: int) -> list[Window]:
    """Return the windows that a range of heights touches, aligned to multiples of ``size``."""
    starts = range(first - first % size, last + 1, size) if first <= last else ()
    return [Window(chain_id, start, start + size - 1) for start in starts]


def ranges(windows: Iterable[Window]) -> list[Window]:
    """Join adjacent windows of a chain into as few ranges as possible."""
    joined: list[Window] = []
    for window in sorted(windows):
        if joined and joined[-1].chain_id == window.chain_id and window.first <= joined[-1].last + 1:
            joined[-1] = Window(window.chain_id, joined[-1].first, max(joined[-1].last, window.last))
        else:
            joined.append(window)
    return joined
