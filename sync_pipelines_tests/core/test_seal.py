"""When absence from a snapshot means absence."""

from __future__ import annotations

import pytest

from sync_pipelines.core.seal import Previous, Sweep, judge_sweep

BEFORE = Previous("chain-1", 10)
AT_HEIGHT = Previous("chain-1", 10, {"height": 7, "node": "a"})


@pytest.mark.parametrize(
    ("sweep", "records", "duplicates", "previous", "incomplete", "suspicious"),
    [
        (Sweep("chain-1", declared=10, seen=10), 10, 0, BEFORE, None, None),
        (Sweep("chain-1", seen=10), 10, 0, BEFORE, None, None),
        (Sweep("chain-1", declared=12, seen=12, ignored=2), 10, 0, BEFORE, None, None),
        (Sweep("chain-1", declared=10, seen=9), 9, 0, BEFORE, "declares 10 rows, 9 were read", None),
        (Sweep("chain-1", declared=10, seen=11), 11, 0, BEFORE, "declares 10 rows, 11 were read", None),
        (Sweep("chain-1", declared=10, seen=11), 10, 1, BEFORE, None, None),
        (Sweep("chain-1", declared=10, seen=10), 9, 1, BEFORE, "declares 10 rows, 9 were read", None),
        (Sweep("chain-1", seen=10), 9, 1, BEFORE, "1 rows came twice", None),
        (Sweep("chain-1", seen=10, gaps=["page 3 vanished"]), 10, 0, BEFORE, "page 3 vanished", None),
        (Sweep("chain-2", declared=10, seen=10), 10, 0, BEFORE, None, "from 'chain-1' to 'chain-2'"),
        (Sweep("chain-1", declared=0, seen=0), 0, 0, BEFORE, None, "is empty, the last one had 10 records"),
        (Sweep("chain-1", declared=0, seen=0), 0, 0, Previous("chain-1", 0), None, None),
        (Sweep("chain-1", declared=0, seen=0), 0, 0, None, None, None),
        (Sweep("chain-1", seen=10, position={"height": 7, "node": "b"}), 10, 0, AT_HEIGHT, None, None),
        (Sweep("chain-1", seen=10), 10, 0, AT_HEIGHT, None, None),
        (Sweep("chain-1", seen=10, position={"height": 6}), 10, 0, AT_HEIGHT, None, "height went back from 7 to 6"),
    ],
)
def test_a_pass_is_sealed_when_every_row_was_read_and_nothing_is_strange(
    sweep: Sweep,
    records: int,
    duplicates: int,
    previous: Previous | None,
    incomplete: str | None,
    suspicious: str | None,
) -> None:
    seal = judge_sweep(sweep, records=records, duplicates=duplicates, previous=previous)

    assert seal.complete is (incomplete is None)
    assert seal.sealed is (incomplete is None and suspicious is None)
    assert (incomplete or suspicious or "") in "; ".join(seal.reasons)
    assert bool(seal.reasons) is not seal.sealed


def test_a_source_that_went_back_is_shown_with_the_advice_to_look_at_it() -> None:
    sweep = Sweep("chain-1", seen=10, position={"height": 6, "node": "b"})

    seal = judge_sweep(sweep, records=10, duplicates=0, previous=AT_HEIGHT)

    assert seal.suspicious == (
        "its height went back from 7 to 6: it was reset or restored, or a node that lags behind answers. "
        "Look at it before you approve anything",
    )
