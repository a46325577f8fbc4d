"""The life of a record: nothing happens that is not in the table."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.lifecycle import (
    INITIAL,
    TRANSITIONS,
    Event,
    IllegalTransition,
    State,
    advance,
    mermaid,
    sources_of,
    target_of,
)
from sync_pipelines_tests.core.law_cases import law


def test_the_states_are_the_documented_ones() -> None:
    assert {str(state) for state in State} == {
        "pending",
        "synced",
        "out_of_sync",
        "failed",
        "retrying",
        "dead_lettered",
    }


@law
@given(st.lists(st.sampled_from(Event)))
def test_whatever_happens_a_record_is_in_one_of_its_states_and_refusals_leave_it_there(events: list[Event]) -> None:
    state = INITIAL
    for event in events:
        if (state, event) in TRANSITIONS:
            state = advance(state, event)
        else:
            with pytest.raises(IllegalTransition, match=f"a {state} record cannot be {event}"):
                advance(state, event)
        assert state in State


@pytest.mark.parametrize("event", Event)
def test_each_event_leads_to_one_state(event: Event) -> None:
    assert {after for (_, candidate), after in TRANSITIONS.items() if candidate is event} == {target_of(event)}
    assert all(advance(state, event) is target_of(event) for state in sources_of(event))


def test_every_state_can_be_reached_and_left_and_every_record_can_come_to_agree() -> None:
    reached = {INITIAL}
    for _ in State:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(State)
    assert set(sources_of(Event.AGREED)) == set(State)


def test_a_dead_letter_comes_back_only_by_agreement_or_a_person() -> None:
    ways = {event for event in Event if (State.DEAD_LETTERED, event) in TRANSITIONS}
    assert ways == {Event.AGREED, Event.REPROCESSED}


def test_giving_up_always_follows_a_failure() -> None:
    assert sources_of(Event.GIVEN_UP) == (State.FAILED,)
    assert sources_of(Event.RETRY_SCHEDULED) == (State.FAILED,)


def test_the_diagram_shows_every_transition() -> None:
    lines = mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> pending"]
    for (before, event), after in TRANSITIONS.items():
        assert (f"    {before} --> {after}: {event}" in lines) is (before != after)


def test_the_table_has_no_duplicate_pairs_beside_those_it_lists() -> None:
    assert len(TRANSITIONS) == 16
    assert set(TRANSITIONS) <= set(itertools.product(State, Event))
