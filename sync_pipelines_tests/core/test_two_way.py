"""The two-way merge by example: who spoke, who is heard, and what a person is asked."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipelines.core.two_way import Agreement, Choice, Contest, Merged, Rule, Side, View, empty, merge_two_ways

LEFT, RIGHT = Rule(Side.LEFT), Rule(Side.RIGHT)
ABSENT = object()


def agreed_on(value: Any) -> dict[str, Agreement]:
    return {"f": Agreement(value, value)}


def merged_field(left: Any, right: Any, base: Any = ABSENT, rule: Rule | None = None, **more: Any) -> Merged:
    """Merge one field of a record on which both sides once agreed, unless there is no base."""
    agreed = {} if base is ABSENT else agreed_on(base)
    return merge_two_ways(
        None if base is ABSENT else {"f": base},
        View({"f": left}, agreed),
        View({"f": right}, agreed),
        {"f": rule} if rule else {},
        **more,
    )


@pytest.mark.parametrize("rule", [None, LEFT, RIGHT])
@pytest.mark.parametrize(
    ("left", "right", "value", "taken"),
    [
        (1, 1, 1, {}),
        (2, 1, 2, {"f": Side.LEFT}),
        (1, 2, 2, {"f": Side.RIGHT}),
        (None, 1, None, {"f": Side.LEFT}),
        (1, "", "", {"f": Side.RIGHT}),
    ],
)
def test_what_only_one_side_changed_is_taken_whoever_owns_the_field(
    left: Any, right: Any, value: Any, taken: dict[str, Side], rule: Rule | None
) -> None:
    merged = merged_field(left, right, 1, rule)

    assert (merged.content, merged.taken, merged.contests) == ({"f": value}, taken, {})


def test_what_both_sides_changed_to_the_same_is_agreed() -> None:
    merged = merged_field(2, 2, 1)

    assert merged.content == {"f": 2}
    assert merged.left == merged.right == agreed_on(2)


@pytest.mark.parametrize(("rule", "value", "overruled"), [(LEFT, 2, 3), (RIGHT, 3, 2)])
def test_what_both_changed_differently_goes_by_the_owner_of_the_field(rule: Rule, value: int, overruled: int) -> None:
    merged = merged_field(2, 3, 1, rule)

    assert merged.content == {"f": value}
    assert merged.overruled == {"f": overruled}


def test_without_an_owner_it_is_a_contest_and_nothing_is_to_be_written() -> None:
    merged = merged_field(2, 3, 1)

    assert merged.contests == {"f": Contest(2, 3, 1)}
    assert merged.settled == {}
    assert merged.content == {"f": 1}
    assert merged.left == merged.right == agreed_on(1)


def test_a_contest_ends_when_one_side_takes_its_change_back() -> None:
    contested = merged_field(2, 3, 1)

    merged = merge_two_ways(contested.content, View({"f": 2}, contested.left), View({"f": 1}, contested.right), {})

    assert (merged.content, merged.contests) == ({"f": 2}, {})


def test_records_that_meet_for_the_first_time_fill_in_what_the_other_lacks() -> None:
    merged = merge_two_ways(None, View({"a": "", "b": 1, "c": 0}), View({"a": "x", "b": None, "c": 2}), {})

    assert merged.settled == {"a": "x", "b": 1}
    assert merged.contests == {"c": Contest(0, 2)}


def test_a_record_of_one_side_is_merged_as_it_is() -> None:
    merged = merge_two_ways(None, View({"f": 1}), View({}), {})

    assert merged.content == {"f": 1}
    assert (merged.left, merged.right) == (agreed_on(1), {})


def test_a_field_that_one_side_does_not_have_goes_by_the_other() -> None:
    merged = merge_two_ways({"f": 1}, View({"f": 2}, agreed_on(1)), View({}), {"f": RIGHT})

    assert merged.content == {"f": 2}


def test_a_change_that_has_not_arrived_across_is_not_lost_to_an_edit_there() -> None:
    first = merged_field(2, 1, 1)
    edited = View({"f": 3}, first.right)

    assert merge_two_ways(first.content, View({"f": 2}, first.left), edited, {}).contests == {"f": Contest(2, 3, 2)}
    owned = merge_two_ways(first.content, View({"f": 2}, first.left), edited, {"f": LEFT})
    assert (owned.content, owned.overruled) == ({"f": 2}, {"f": 3})


def test_our_own_write_coming_back_says_nothing_new() -> None:
    first = merged_field(2, 1, 1)

    echo = merge_two_ways(first.content, View({"f": 2}, first.left), View({"f": 2}, first.right), {})

    assert (echo.content, echo.taken, echo.right) == ({"f": 2}, {}, agreed_on(2))


def test_a_side_that_shows_something_else_than_it_was_told_says_nothing_new_by_that() -> None:
    cleaned = View({"f": "a"}, {"f": Agreement("<b>a</b>", "a")})

    merged = merge_two_ways({"f": "<b>a</b>"}, View({"f": "<b>a</b>"}, agreed_on("<b>a</b>")), cleaned, {})

    assert (merged.content, merged.taken) == ({"f": "<b>a</b>"}, {})
    assert merged.right == cleaned.agreed


def test_values_that_a_pair_calls_alike_are_no_change() -> None:
    merged = merged_field("A@B", "a@b", alike=lambda name, one, other: str(one).lower() == str(other).lower())

    assert (merged.content, merged.contests) == ({"f": "A@B"}, {})


def test_a_field_that_goes_one_way_stands_as_its_owner_says() -> None:
    rule = Rule(Side.LEFT, one_way=True)

    assert merged_field(1, 5, 1, rule).content == {"f": 1}
    assert merged_field(1, 5, 1, rule).overruled == {"f": 5}
    assert merged_field(2, 1, 1, rule).taken == {"f": Side.LEFT}
    assert merged_field("", "x", rule=rule).content == {"f": ""}


def test_a_field_that_goes_one_way_needs_an_owner() -> None:
    with pytest.raises(ValueError, match="needs an owner"):
        Rule(one_way=True)


def test_a_choice_settles_a_contest_until_both_sides_show_it() -> None:
    choices = {"f": Choice(9, 2, 3)}

    chosen = merged_field(2, 3, 1, choices=choices)
    half = merge_two_ways(
        chosen.content, View({"f": 9}, chosen.left), View({"f": 3}, chosen.right), {}, choices=choices
    )
    done = merge_two_ways(half.content, View({"f": 9}, half.left), View({"f": 9}, half.right), {})

    assert [one.settled for one in (chosen, half, done)] == [{"f": 9}] * 3
    assert done.left == done.right == agreed_on(9)
    edited = merge_two_ways(done.content, View({"f": 4}, done.left), View({"f": 9}, done.right), {}, choices=choices)
    assert edited.content == {"f": 4}


def test_a_choice_is_void_once_somebody_edited_the_field_again() -> None:
    merged = merged_field(2, 4, 1, choices={"f": Choice(9, 2, 3)})

    assert merged.contests == {"f": Contest(2, 4, 1)}


@pytest.mark.parametrize(("value", "is_empty"), [(None, True), ("", True), ([], True), (0, False), (False, False)])
def test_nothing_and_zero_are_two_things(value: object, is_empty: bool) -> None:
    assert empty(value) is is_empty


def test_given_a_value_on_its_way_then_a_cleaned_form_of_it_has_arrived_and_nobody_typed_it() -> None:
    agreed = {"f": Agreement("a", "a")}
    lenient = {Side.RIGHT: {"f"}}

    merged = merge_two_ways(
        {"f": " b "}, View({"f": " b "}, agreed_on(" b ")), View({"f": "b"}, agreed), {}, lenient=lenient
    )
    edited = merge_two_ways(
        {"f": " b "}, View({"f": " b "}, agreed_on(" b ")), View({"f": "c"}, agreed), {}, lenient=lenient
    )

    assert (merged.contests, merged.right) == ({}, {"f": Agreement(" b ", "b")})
    assert edited.contests == {"f": Contest(" b ", "c", " b ")}


def test_given_nothing_on_its_way_then_a_change_of_blanks_and_signs_alone_is_an_edit() -> None:
    sides = View({"f": "b!"}, agreed_on("b!")), View({"f": "b"}, agreed_on("b!"))

    assert merge_two_ways({"f": "b!"}, *sides, {}, lenient={Side.RIGHT: {"f"}}).content == {"f": "b"}
