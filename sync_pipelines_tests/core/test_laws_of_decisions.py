"""Laws of what the core decides: merge, plan, guard, life cycle, seal, retry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.guard import GuardFacts, GuardLimits, judge
from sync_pipelines.core.lifecycle import INITIAL, TRANSITIONS, Event, State, advance, sources_of
from sync_pipelines.core.retry import GiveUp, Pause, Retry, RetryPolicy, after_failure
from sync_pipelines.core.seal import Previous, Sweep, judge_sweep
from sync_pipelines.core.trees import PRESENCE, Base, Mover, Verdict, merge, same
from sync_pipelines_tests.core.law_cases import CONTENTS, TREES, WHOLE, law


@law
@given(CONTENTS, CONTENTS, CONTENTS, CONTENTS)
def test_a_merge_that_was_written_but_not_settled_asks_for_nothing_more(
    left: Any, right: Any, base_left: Any, base_right: Any
) -> None:
    base = Base(base_left, base_right)
    written = {**right, **{name: left[name] for name in merge(left, right, base).fields}}
    assert merge(left, written, base).agreed


@law
@given(WHOLE, WHOLE, st.none() | st.tuples(WHOLE, WHOLE), st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_matter_to_a_merge(left: Any, right: Any, agreed: Any, random: Any) -> None:
    def shuffled(content: Mapping[str, Any]) -> dict[str, Any]:
        return dict(random.sample(list(content.items()), len(content)))

    base = agreed and Base(*agreed)
    again = merge(shuffled(left), shuffled(right), agreed and Base(*map(shuffled, agreed)))
    assert list(again.fields.items()) == list(merge(left, right, base).fields.items())


@law
@given(CONTENTS, CONTENTS, CONTENTS, CONTENTS)
def test_each_field_is_merged_for_itself(left: Any, right: Any, base_left: Any, base_right: Any) -> None:
    def only(content: Mapping[str, Any], name: str) -> dict[str, Any]:
        return {name: content[name]} if name in content else {}

    apart: dict[str, Mover] = {}
    for name in sorted(left):
        base = Base(only(base_left, name), only(base_right, name))
        apart |= merge(only(left, name), only(right, name), base).fields
    assert merge(left, right, Base(base_left, base_right)).fields == apart


@law
@given(WHOLE, WHOLE, WHOLE, WHOLE)
def test_seen_from_the_other_side_the_other_one_moved(left: Any, right: Any, base_left: Any, base_right: Any) -> None:
    mirror = {Mover.SOURCE: Mover.TARGET, Mover.TARGET: Mover.SOURCE, Mover.BOTH: Mover.BOTH}
    one = merge(left, right, Base(base_left, base_right)).fields
    other = merge(right, left, Base(base_right, base_left)).fields
    assert other == {name: mirror[mover] for name, mover in one.items()}


@law
@given(CONTENTS, CONTENTS)
def test_without_a_base_exactly_the_differing_fields_are_written(left: Any, right: Any) -> None:
    differing = {name for name in left if not same(left[name], right.get(name))}
    assert merge(left, right, None).fields == dict.fromkeys(differing, Mover.UNKNOWN)


def _pass(left: dict[str, Any], right: dict[str, Any], base: dict[str, Base]) -> list[str]:
    """Plan from the three trees, carry the plan out, and return it."""
    plan = []
    for key in sorted({*left, *right, *base}):
        verdict = PRESENCE[key in left, key in right, key in base]
        fields = merge(left[key], right[key], base.get(key)).fields if key in left and key in right else {}
        match verdict:
            case Verdict.CREATE | Verdict.RECREATE:
                right[key] = dict(left[key])
            case Verdict.UPDATE | Verdict.ADOPT:
                right[key] = {**right[key], **{name: left[key][name] for name in fields}}
            case Verdict.RETIRE:
                del right[key]
        if key in left:
            base[key] = Base(left[key], right[key])
        elif verdict in (Verdict.RETIRE, Verdict.FORGET):
            del base[key]
        if fields or verdict not in (Verdict.UPDATE, Verdict.ORPHAN, Verdict.NOTHING):
            plan.append(f"{verdict} {key}")
    return plan


@law
@given(TREES, TREES, st.dictionaries(st.sampled_from("rst"), st.tuples(CONTENTS, CONTENTS)))
def test_a_second_pass_over_the_three_trees_has_nothing_to_do(left: Any, right: Any, agreed: Any) -> None:
    strangers = {key: dict(right[key]) for key in right if key not in left and key not in agreed}
    base = {key: Base(*contents) for key, contents in agreed.items()}

    _pass(left, right, base)

    assert _pass(left, right, base) == []
    assert set(base) == set(left)
    assert set(right) == {*left, *strangers}
    assert {key: right[key] for key in strangers} == strangers


@law
@given(TREES, TREES, TREES)
def test_after_an_honest_agreement_the_sides_become_equal(left: Any, right: Any, agreed: Any) -> None:
    base = {key: Base(content, content) for key, content in agreed.items()}
    _pass(left, right, base)
    for key, content in left.items():
        assert all(same(value, right[key].get(name)) for name, value in content.items())


LIMITS = st.builds(
    GuardLimits,
    max_fraction=st.decimals(0, 1, places=3),
    max_count=st.integers(0, 30),
    ignore_up_to=st.integers(0, 10),
)
COUNT = st.integers(0, 40)
DOUBTS = st.lists(st.text(max_size=3), max_size=2).map(tuple)


@law
@given(LIMITS, COUNT, COUNT, COUNT, DOUBTS)
def test_a_plan_passes_the_guard_exactly_when_it_keeps_every_limit(
    limits: GuardLimits, linked: int, destructive: int, others: int, doubts: tuple[str, ...]
) -> None:
    facts = GuardFacts(linked, destructive, destructive + others, doubts)
    unlimited = replace(limits, enabled=False)
    assert judge(unlimited, facts).held is (bool(doubts) and destructive > 0)
    many = destructive > limits.max_count
    large = destructive > limits.ignore_up_to and destructive > Fraction(limits.max_fraction) * linked
    doubtful = bool(doubts) and facts.changes > 0
    assert judge(limits, facts).held is (many or large or doubtful)


@law
@given(LIMITS, COUNT, COUNT, COUNT, st.integers(1, 20), DOUBTS)
def test_taking_more_away_never_frees_a_held_plan(
    limits: GuardLimits, linked: int, destructive: int, others: int, more: int, doubts: tuple[str, ...]
) -> None:
    facts = GuardFacts(linked, destructive, destructive + others, doubts)
    worse = replace(facts, destructive=destructive + more, changes=facts.changes + more)
    assert judge(limits, worse).held or not judge(limits, facts).held


@law
@given(LIMITS, COUNT, DOUBTS)
def test_a_plan_without_changes_passes_the_guard(limits: GuardLimits, linked: int, doubts: tuple[str, ...]) -> None:
    assert not judge(limits, GuardFacts(linked, 0, 0, doubts)).held


class LifeCycle(RuleBasedStateMachine):
    """A record to which everything that may happen does happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.state = INITIAL
        self.past: list[Event] = []

    def _happens(self, event: Event) -> None:
        self.state = advance(self.state, event)
        self.past.append(event)

    @rule()
    def agrees(self) -> None:
        self._happens(Event.AGREED)

    @precondition(lambda self: self.state in sources_of(Event.DRIFTED))
    @rule()
    def drifts(self) -> None:
        self._happens(Event.DRIFTED)

    @precondition(lambda self: self.state in sources_of(Event.ATTEMPT_FAILED))
    @rule(failures=st.integers(1, 8), kind=st.sampled_from(FailureKind))
    def fails(self, failures: int, kind: FailureKind) -> None:
        self._happens(Event.ATTEMPT_FAILED)
        match after_failure(kind, failures, RetryPolicy()):
            case Retry():
                self._happens(Event.RETRY_SCHEDULED)
            case GiveUp():
                self._happens(Event.GIVEN_UP)
            case Pause():
                assert self.state is State.FAILED

    @precondition(lambda self: self.state is State.DEAD_LETTERED)
    @rule()
    def is_reprocessed(self) -> None:
        self._happens(Event.REPROCESSED)

    @invariant()
    def the_state_is_the_one_the_table_gives(self) -> None:
        assert self.state in State
        assert self.state in TRANSITIONS.values() or self.state is INITIAL

    @invariant()
    def a_dead_letter_was_given_up_last(self) -> None:
        assert (self.state is State.DEAD_LETTERED) is (self.past[-1:] == [Event.GIVEN_UP])


LifeCycle.TestCase.settings = settings(law, stateful_step_count=20)
TestLifeCycle = LifeCycle.TestCase


@law
@given(
    st.none() | st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 2),
    st.lists(st.text(min_size=1, max_size=3), max_size=2),
    st.none() | st.builds(Previous, st.sampled_from(["one", "other"]), st.integers(0, 3)),
)
def test_a_pass_with_gaps_is_never_sealed(
    declared: int | None, seen: int, duplicates: int, gaps: list[str], previous: Previous | None
) -> None:
    records = max(seen - duplicates, 0)
    sweep = Sweep("one", declared=declared, seen=seen, gaps=gaps)

    seal = judge_sweep(sweep, records=records, duplicates=duplicates, previous=previous)

    complete = not gaps and (not duplicates if declared is None else declared == seen - duplicates)
    other_scope = previous is not None and previous.identity != "one"
    emptied = previous is not None and previous.records > 0 and records == 0
    assert seal.complete is complete
    assert seal.sealed is (complete and not other_scope and not emptied)
    assert set(gaps) <= set(seal.reasons)


@law
@given(
    st.sampled_from(FailureKind),
    st.integers(1, 200),
    st.builds(RetryPolicy, st.floats(0.001, 1e4), st.floats(0.001, 1e5), st.integers(0, 100)),
    st.none() | st.floats(0, 1e6),
)
def test_waits_for_a_retry_are_bounded_and_never_shorter_than_asked(
    kind: FailureKind, failures: int, policy: RetryPolicy, asked: float | None
) -> None:
    decision = after_failure(kind, failures, policy, retry_after=asked)
    if isinstance(decision, Retry):
        assert failures <= policy.max_retries
        wished = timedelta(seconds=asked or 0)
        assert max(wished, timedelta(0)) <= decision.delay <= max(wished, timedelta(seconds=policy.cap))
        later = after_failure(kind, failures + 1, policy, retry_after=asked)
        assert isinstance(later, GiveUp) or (isinstance(later, Retry) and later.delay >= decision.delay)
