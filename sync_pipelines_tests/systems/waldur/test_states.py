import itertools

import pytest

from sync_pipelines.systems.waldur.states import (
    STAFF_ACTIONS,
    TRANSITIONS,
    Action,
    State,
    actions_between,
    can_be_updated,
    overview_needs_staff,
)


@pytest.mark.parametrize(
    ("current", "wanted", "actions"),
    [
        ("Draft", "Draft", []),
        ("Draft", "Active", ["activate"]),
        ("Draft", "Paused", ["activate", "pause"]),
        ("Draft", "Archived", ["archive"]),
        ("Active", "Draft", ["draft"]),
        ("Active", "Paused", ["pause"]),
        ("Active", "Archived", ["archive"]),
        ("Paused", "Active", ["unpause"]),
        ("Paused", "Archived", ["archive"]),
        ("Archived", "Active", ["draft", "activate"]),
        ("Archived", "Paused", ["draft", "activate", "pause"]),
        ("Archived", "Archived", []),
        ("Unavailable", "Active", ["make_available"]),
        ("Unavailable", "Paused", ["make_available", "pause"]),
        ("Unavailable", "Archived", ["archive"]),
    ],
)
def test_the_shortest_legal_way_is_taken(current: str, wanted: str, actions: list[str]) -> None:
    assert list(actions_between(current, wanted)) == actions


@pytest.mark.parametrize(("current", "wanted"), list(itertools.product(State, State)))
def test_every_way_is_legal_step_by_step_and_ends_where_it_should(current: State, wanted: State) -> None:
    state = current
    for action in actions_between(current, wanted):
        state = TRANSITIONS[state, action]
    assert state is wanted


@pytest.mark.parametrize("state", ["", "active", "Deleted"])
def test_an_unknown_state_is_refused_rather_than_guessed(state: str) -> None:
    with pytest.raises(ValueError, match="State"):
        actions_between(state, State.ACTIVE)


def test_resuming_a_paused_offering_needs_no_staff() -> None:
    assert not STAFF_ACTIONS & set(actions_between(State.PAUSED, State.ACTIVE))
    assert list(STAFF_ACTIONS) == [Action.ACTIVATE]


def test_rights_and_updates_depend_on_the_state() -> None:
    assert [state for state in State if not overview_needs_staff(state)] == [State.DRAFT]
    assert [state for state in State if not can_be_updated(state)] == [State.ARCHIVED]
