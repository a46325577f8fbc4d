"""Plans: addressed by content, counted, and shown."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.plan import Action, Change, PlanCounts, PlanHash, preview

UPDATE = Change(
    action=Action.UPDATE,
    key="offering/1",
    natural_key="nk-1",
    right_key="r1",
    before={"name": "old", "state": "draft"},
    after={"name": "new", "state": "active"},
    fields=("name", "state"),
    reason="name, state changed at the source",
)


def _hash(*changes: Change, pair: str = "p", scope: str = "s") -> str:
    digest = PlanHash(pair, scope)
    for change in changes:
        digest.add(change)
    return digest.hex


def test_the_same_changes_have_the_same_hash_and_the_wording_of_a_reason_does_not_matter() -> None:
    assert _hash(UPDATE) == _hash(replace(UPDATE, reason="otherwise put"))
    assert len(_hash()) == 32


@pytest.mark.parametrize(
    "difference",
    [
        {"action": Action.ADOPT},
        {"key": "offering/2"},
        {"natural_key": "nk-2"},
        {"right_key": None},
        {"before": None},
        {"after": {"name": "other", "state": "active"}},
        {"fields": ("name",)},
        {"adopts": True},
        {"destructive": True},
        {"blocked": ("state",)},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_whatever_a_change_does_is_part_of_the_hash(difference: dict[str, Any]) -> None:
    assert _hash(replace(UPDATE, **difference)) != _hash(UPDATE)


def test_pair_scope_and_order_are_part_of_the_hash() -> None:
    other = replace(UPDATE, key="offering/2")
    hashes = {_hash(), _hash(scope="t"), _hash(pair="q"), _hash(UPDATE, other), _hash(other, UPDATE), _hash(UPDATE)}
    assert len(hashes) == 6


def test_counts_add_up() -> None:
    counts = PlanCounts()
    counts.add(UPDATE, state_field="state")
    counts.add(replace(UPDATE, fields=("name",), adopts=True), state_field="state")
    counts.add(replace(UPDATE, action=Action.CREATE, fields=("name", "state")), state_field="state")
    counts.add(replace(UPDATE, action=Action.RETIRE, destructive=True), state_field="state")
    counts.add(replace(UPDATE, action=Action.FORGET), state_field="state")

    assert (counts.changes, counts.writes, counts.state_changes, counts.adopted, counts.destructive) == (5, 4, 1, 1, 1)
    assert counts.per_field == {"name": 2, "state": 1}
    assert not counts.nothing_to_do


@pytest.mark.parametrize(
    ("counts", "nothing"),
    [
        (PlanCounts(), True),
        (PlanCounts(withheld=3, orphans=2), True),
        (PlanCounts(waiting=1), False),
        (PlanCounts(dead_lettered=1), False),
        (PlanCounts(forget=1), False),
    ],
)
def test_nothing_is_to_do_when_no_record_is_kept_out_by_a_failure(counts: PlanCounts, nothing: bool) -> None:
    assert counts.nothing_to_do is nothing


def test_a_preview_names_each_record_and_what_changes_on_it() -> None:
    text = preview("abcdef0123456789", [UPDATE], total=1)

    assert "**Plan `abcdef012345`**: 1 changes" in text
    assert (
        "| update | offering/1 | name: old → new; state: draft → active | name, state changed at the source |" in text
    )


def test_a_preview_shows_a_bounded_number_of_changes_and_counts_the_rest() -> None:
    changes = (replace(UPDATE, key=f"offering/{number}", after={"name": "x" * 10**5}) for number in range(2000))
    text = preview("abcdef0123456789", changes, total=2000, shown=20)

    assert text.count("| update |") == 20
    assert text.endswith("... and 1980 more changes")
    assert len(text) < 10_000


@pytest.mark.parametrize(
    "hostile",
    ["a | b", "a\\| b", "line\nbreak\r\n| forged | row |", "<img src=x>", "![x](http://spy/)", "`code`", "&lt;b&gt;"],
)
def test_a_hostile_name_cannot_break_out_of_its_cell(hostile: str) -> None:
    change = replace(UPDATE, key=hostile, before={"name": "x"}, after={"name": hostile}, fields=("name",))
    lines = preview("abcdef0123456789", [change], total=1).splitlines()

    (row,) = [line for line in lines if line.startswith("| update")]
    assert _cells(row) == 4
    for character in "<[`":
        assert all(row[at - 1] == "\\" for at, found in enumerate(row) if found == character)


@given(st.text())
def test_no_text_makes_more_cells_or_rows(text: str) -> None:
    change = replace(UPDATE, key=text, reason=text, action=Action.CREATE, fields=(text,))
    lines = preview("abcdef0123456789", [change], total=1).split("\n")

    assert len(lines) == 5
    assert _cells(lines[4]) == 4


def _cells(row: str) -> int:
    bars, escaped = 0, False
    for character in row:
        bars += character == "|" and not escaped
        escaped = character == "\\" and not escaped
    return bars - 1


def test_a_mapping_is_shown_by_the_parts_that_move() -> None:
    before = {"prices": {"cpu": Decimal("0.999999"), "ram": Decimal(1), "fee": Decimal(2)}}
    after = {"prices": {"cpu": Decimal("0.012"), "ram": Decimal("1.0"), "gpu": Decimal(3)}}
    change = Change(Action.UPDATE, "a/1", "a/1", "r1", before, after, ("prices",), "prices differs")
    text = preview("0" * 32, [change], total=1)
    assert "prices.cpu: 0.999999 → 0.012; prices.fee: 2 → (none); prices.gpu: (none) → 3" in text
    assert "prices.ram" not in text
