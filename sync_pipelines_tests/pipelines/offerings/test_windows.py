"""Block windows: partition keys that sort, and ranges that join."""

from __future__ import annotations

import pytest

from sync_pipelines.pipelines.offerings.windows import Window, ranges, window_of, windows_over


@pytest.mark.parametrize(
    "window", [Window("virtengine-1", 0, 99), Window("v", 1200, 1299), Window("v", 10**11, 10**11)]
)
def test_a_key_leads_back_to_its_window(window: Window) -> None:
    assert window_of(window.key) == window


def test_keys_sort_like_their_heights() -> None:
    keys = [window.key for window in windows_over("c", 1, 10_000, 100)]
    assert keys == sorted(keys)


@pytest.mark.parametrize("key", ["", "c", "c:1-2", "c:000000000001", "c d:000000000001-000000000002"])
def test_another_text_is_no_window(key: str) -> None:
    with pytest.raises(ValueError, match="is no block window, such as"):
        window_of(key)


@pytest.mark.parametrize(
    ("first", "last", "spans"),
    [
        (1, 1, [(0, 99)]),
        (99, 100, [(0, 99), (100, 199)]),
        (100, 299, [(100, 199), (200, 299)]),
        (5, 4, []),
    ],
)
def test_windows_are_aligned_and_cover_the_range(first: int, last: int, spans: list[tuple[int, int]]) -> None:
    assert [(window.first, window.last) for window in windows_over("c", first, last, 100)] == spans


def test_adjacent_windows_of_a_chain_join() -> None:
    windows = [Window("b", 0, 9), Window("a", 10, 19), Window("a", 0, 9), Window("a", 30, 39), Window("a", 35, 49)]
    assert ranges(windows) == [Window("a", 0, 19), Window("a", 30, 49), Window("b", 0, 9)]
