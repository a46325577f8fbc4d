"""Keep the recursion limit: what guards this process against deeply nested input of strangers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def recursion_limit_kept() -> Iterator[None]:
    """Undo what an import within the block does to the recursion limit of the whole process.

    ``py_ecc`` raises it to 100,000 on import. With that, JSON nested some 50,000 deep ends the process with a
    segmentation fault, where otherwise there is a ``RecursionError`` to be told.
    """
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
