"""Plans: addressed by content, counted, and shown."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.plan import Action, Change, PlanCounts, PlanHash, markdown_cell, preview
from sync_pipelines_tests.core.law_cases import law

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


def test_what_markdown_would_read_is_escaped_and_blanks_are_one() -> None:
    assert markdown_cell("a | b\\ \r\n  `c` <d> & [e](f)") == r"a \| b\\ \`c\` \<d> \& \[e\](f)"


@law
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


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (1, Decimal("1.5"), "f: 1 → 1.5"),
        (None, [1, {"a": True}], 'f: null → [1,{"a":true}]'),
        ("x" * 60, "y", f"f: {'x' * 60} → y"),
        ("x" * 61, "y", f"f: {'x' * 57}... → y"),
        ("x" * 45, "y" * 45, f"f: {'x' * 45} → {'y' * 45}"),
        ("x" * 46, "y" * 45, "f: changed"),
        ({"a": 1}, "y", 'f: {"a":1} → y'),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, "f.a.c: 2 → 3"),
        (dict.fromkeys("abcd", 1), dict.fromkeys("abcd", 2), "f.a: 1 → 2; f.b: 1 → 2; f.c: 1 → 2; f.d: 1 → 2"),
        (
            dict.fromkeys("abcdef", 1),
            dict.fromkeys("abcdef", 2),
            "f.a: 1 → 2; f.b: 1 → 2; f.c: 1 → 2; f.d: 1 → 2; f: 2 more",
        ),
    ],
)
def test_a_field_is_shown_short(before: Any, after: Any, shown: str) -> None:
    change = Change(Action.UPDATE, "a/1", "a/1", "r1", {"f": before}, {"f": after}, ("f",), "why")
    text = preview("0" * 32, [change], total=1)
    assert text.splitlines()[-1] == f"| update | a/1 | {_escaped(shown)} | why |"


def _escaped(text: str) -> str:
    return text.replace("[", "\\[").replace("]", "\\]")


@pytest.mark.parametrize(
    "change",
    [
        replace(UPDATE, action=Action.CREATE, before=None),
        replace(UPDATE, action=Action.CREATE),
        replace(UPDATE, before=None),
        replace(UPDATE, after=None),
    ],
    ids=["create", "create of a lost one", "nothing before", "nothing after"],
)
def test_without_a_before_and_an_after_the_fields_are_named(change: Change) -> None:
    assert "| name, state |" in preview("0" * 32, [change], total=1)


def test_a_preview_is_markdown_with_a_head_a_table_and_a_rest() -> None:
    changes = [replace(UPDATE, key=f"o/{number}", fields=(), reason="why") for number in range(60)]
    assert preview("abcdef0123456789", [], total=0) == "**Plan `abcdef012345`**: 0 changes\n"
    lines = preview("abcdef0123456789", changes, total=60).split("\n")
    assert lines[:5] == [
        "**Plan `abcdef012345`**: 60 changes",
        "",
        "| action | record | change | why |",
        "|---|---|---|---|",
        "| update | o/0 |  | why |",
    ]
    assert lines[-3:] == ["| update | o/49 |  | why |", "", "... and 10 more changes"]
    assert "more" not in preview("0" * 32, changes[:50], total=50)


def test_each_action_has_its_counter_and_says_whether_it_writes() -> None:
    for action in Action:
        counts = PlanCounts()
        for _ in range(2):
            counts.add(replace(UPDATE, action=action, blocked=("state",)), state_field=None)
        assert getattr(counts, action.value) == 2
        assert (counts.changes, counts.writes, counts.blocked, counts.state_changes) == (2, 2 * action.writes, 2, 0)


def test_the_hash_of_a_plan_stays_what_it_was() -> None:
    assert _hash() == "32269b1f53d6f43c569b4f225a6d7417"
    assert _hash(UPDATE) == "ada3bd0ce00e08cc009e563377d8da83"
