"""The three-tree table, and the merge of linked records by field."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.trees import PRESENCE, Base, Mover, Verdict, merge, same
from sync_pipelines_tests.core.law_cases import law

CONTENTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4)


def test_the_table_knows_every_combination_of_left_right_and_base() -> None:
    assert set(PRESENCE) == set(itertools.product((True, False), repeat=3))
    assert set(PRESENCE.values()) == set(Verdict)


@pytest.mark.parametrize(
    ("left", "right", "base_left", "base_right", "mover"),
    [
        (1, 1, 1, 1, None),
        (2, 1, 1, 1, Mover.SOURCE),
        (1, 2, 1, 1, Mover.TARGET),
        (2, 3, 1, 1, Mover.BOTH),
        (2, 2, 1, 1, None),
        (" a ", "a", " a ", "a", None),
        (" b ", "a", " a ", "a", Mover.SOURCE),
        (" a ", "b", " a ", "a", Mover.TARGET),
        (Decimal("1.0"), 1, 9, 9, None),
        (True, 1, True, True, Mover.TARGET),
        (1, None, 1, None, None),
    ],
)
def test_a_field_is_written_when_somebody_moved_it_and_the_sides_differ(
    left: Any, right: Any, base_left: Any, base_right: Any, mover: Mover | None
) -> None:
    merged = merge({"f": left}, {"f": right}, Base({"f": base_left}, {"f": base_right}))

    assert merged.fields == ({} if mover is None else {"f": mover})


def test_without_an_agreement_every_difference_is_written() -> None:
    assert merge({"a": 1, "b": 2}, {"a": 1}, None).fields == {"b": Mover.UNKNOWN}
    assert merge({"a": 1, "b": 2}, {"a": 3, "b": 2}, Base({}, {})).fields == {"a": Mover.UNKNOWN}


def test_fields_that_only_the_right_has_are_none_of_our_business() -> None:
    assert merge({"a": 1}, {"a": 1, "theirs": 2}, None).agreed


def test_a_target_that_never_shows_a_field_is_not_written_for_ever() -> None:
    assert merge({"a": 1}, {}, Base({"a": 1}, {})).agreed


def test_the_reason_groups_fields_by_who_moved_them() -> None:
    base = Base({"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1, "c": 1})
    merged = merge({"a": 2, "b": 2, "c": 1}, {"a": 1, "b": 1, "c": 3}, base)
    assert merged.reason == "a, b changed at the source; c changed at the target"


def test_a_pair_may_say_itself_what_is_alike() -> None:
    assert merge({"a": "X"}, {"a": "x"}, None, lambda name, one, other: str(one).lower() == str(other).lower()).agreed


def test_what_is_alike_is_asked_field_by_field() -> None:
    asked: list[tuple[str, object, object]] = []

    def alike(name: str, wanted: object, found: object) -> bool:
        asked.append((name, wanted, found))
        return name == "a"

    assert merge({"b": 2, "a": 1}, {"a": 3}, None, alike).fields == {"b": Mover.UNKNOWN}
    assert asked == [("a", 1, 3), ("b", 2, None)]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (0.1, Decimal("0.1"), True),
        (True, 1, False),
        ([False], [0], False),
        ("a", "a", True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (None, "", False),
        ("1", 1, False),
        ("2026-01-02T00:00:00Z", datetime(2026, 1, 2, tzinfo=UTC), True),
    ],
)
def test_values_are_compared_by_their_canonical_form(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal


@law
@given(CONTENTS, CONTENTS, CONTENTS, CONTENTS)
def test_writing_the_merged_fields_brings_the_sides_into_agreement(
    left: dict[str, int], right: dict[str, int], base_left: dict[str, int], base_right: dict[str, int]
) -> None:
    merged = merge(left, right, Base(base_left, base_right))
    written = {**right, **{name: left[name] for name in merged.fields}}

    assert merge(left, written, Base(left, written)).agreed
    assert merged.fields.keys() <= left.keys()
    assert merge(left, written, None).fields.keys() <= base_left.keys()
