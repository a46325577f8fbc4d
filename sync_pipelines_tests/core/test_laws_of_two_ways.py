"""Laws of the two-way merge: it settles, it forgets no change, and it treats both sides alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.trees import same
from sync_pipelines.core.two_way import Agreements, Contest, Merged, Rule, Side, View, empty, merge_two_ways
from sync_pipelines_tests.core.law_cases import CONTENTS, WHOLE, law

RULES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([Rule(), Rule(Side.LEFT), Rule(Side.RIGHT)]))
SMALL = st.integers(0, 3)


@dataclass
class World:
    """Two sides that are edited, merged, and written to, each write of which may fail."""

    sides: dict[Side, dict[str, Any]]
    rules: dict[str, Rule]
    merged: dict[str, Any] | None = None
    agreed: dict[Side, Agreements] = field(default_factory=lambda: {Side.LEFT: {}, Side.RIGHT: {}})

    def merge(self) -> Merged:
        left, right = (View(dict(self.sides[side]), self.agreed[side]) for side in Side)
        result = merge_two_ways(self.merged, left, right, self.rules)
        self.merged = dict(result.content)
        self.agreed = {Side.LEFT: result.left, Side.RIGHT: result.right}
        return result

    def write(self, side: Side) -> None:
        """Bring a side to what is merged, contested fields left out."""
        self.sides[side] |= self.merge().settled

    def settle(self) -> Merged:
        for side in Side:
            self.write(side)
        return self.merge()


EDITS = st.lists(
    st.tuples(st.sampled_from(Side), st.sampled_from("ab"), SMALL)
    | st.tuples(st.sampled_from(["merge", "write left", "write right"]), st.none(), st.none()),
    max_size=12,
)


def lived(edits: Any, rules: Any) -> World:
    world = World({side: {"a": 0, "b": 0} for side in Side}, dict(rules))
    world.settle()
    for who, name, value in edits:
        if isinstance(who, Side):
            world.sides[who][name] = value
        elif who == "merge":
            world.merge()
        else:
            world.write(Side(who.removeprefix("write ")))
    return world


@law
@given(EDITS, RULES)
def test_after_the_last_edit_both_sides_agree_or_a_contest_says_why(edits: Any, rules: Any) -> None:
    world = lived(edits, rules)

    settled = world.settle()

    for name in "ab":
        if name in settled.contests:
            contest = settled.contests[name]
            assert (contest.left, contest.right) == tuple(world.sides[side][name] for side in Side)
            assert contest.left != contest.right
        else:
            assert world.sides[Side.LEFT][name] == world.sides[Side.RIGHT][name]
    assert not settled.taken


@law
@given(EDITS, RULES)
def test_once_it_settled_nothing_is_taken_or_written_any_more(edits: Any, rules: Any) -> None:
    world = lived(edits, rules)
    world.settle()
    before = {side: dict(content) for side, content in world.sides.items()}
    merged, agreed = dict(world.merged or {}), dict(world.agreed)

    again = world.settle()

    assert world.sides == before
    assert (again.content, again.taken, world.agreed) == (merged, {}, agreed)


@law
@given(EDITS, RULES, st.sampled_from(Side), st.sampled_from("ab"), SMALL)
def test_a_change_made_while_both_sides_agree_is_never_lost(
    edits: Any, rules: Any, side: Side, name: str, value: int
) -> None:
    world = lived(edits, rules)
    if name in world.settle().contests:
        return
    world.sides[side][name] = value

    world.settle()

    assert [world.sides[one][name] for one in Side] == [value, value]


@law
@given(EDITS, SMALL, SMALL)
def test_where_nobody_owns_a_field_two_changes_of_it_are_a_contest(edits: Any, one: int, other: int) -> None:
    world = lived(edits, {})
    if "a" in world.settle().contests:
        return
    before = world.sides[Side.LEFT]["a"]
    world.sides[Side.LEFT]["a"], world.sides[Side.RIGHT]["a"] = one, other

    assert ("a" in world.settle().contests) is (len({before, one, other}) == 3)


@law
@given(st.none() | WHOLE, CONTENTS, CONTENTS, RULES)
def test_both_sides_are_treated_alike(merged: Any, left: Any, right: Any, rules: Any) -> None:
    result = merge_two_ways(merged, View(left), View(right), rules)
    turned_rules = {name: replace(rule, owner=rule.owner.other) if rule.owner else rule for name, rule in rules.items()}
    turned = merge_two_ways(merged, View(right), View(left), turned_rules)

    assert {name: Contest(c.right, c.left, c.base) for name, c in turned.contests.items()} == dict(result.contests)
    for name, value in result.content.items():
        assert same(turned.content[name], value) or (empty(value) and empty(turned.content[name]))


@law
@given(st.none() | WHOLE, CONTENTS, CONTENTS, RULES)
def test_every_field_is_decided_and_an_agreement_shows_what_a_side_says(
    merged: Any, left: Any, right: Any, rules: Any
) -> None:
    result = merge_two_ways(merged, View(left), View(right), rules)

    assert {*result.content, *result.contests} == {*(merged or {}), *left, *right}
    for agreements, now in ((result.left, left), (result.right, right)):
        assert all(same(agreement.shown, now[name]) for name, agreement in agreements.items())
