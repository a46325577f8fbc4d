"""An import must not take the guard against deeply nested input away."""

import sys

import pytest

from sync_pipelines.core.recursion import recursion_limit_kept


def test_what_a_block_does_to_the_recursion_limit_ends_with_it() -> None:
    limit = sys.getrecursionlimit()

    with recursion_limit_kept():
        sys.setrecursionlimit(limit + 1000)

    assert sys.getrecursionlimit() == limit


def test_the_limit_comes_back_after_an_import_that_failed() -> None:
    limit = sys.getrecursionlimit()

    def fail() -> None:
        sys.setrecursionlimit(limit + 1000)
        raise ImportError

    with pytest.raises(ImportError), recursion_limit_kept():
        fail()

    assert sys.getrecursionlimit() == limit
