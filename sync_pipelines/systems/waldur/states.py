"""States of a Waldur offering and the shortest legal way from one to another.

Measured on 7.0.7, staff and owner alike::

    from \\ action   activate   pause    unpause   archive    draft
    Draft           Active     400      400       Archived   Draft
    Active          400        Paused   400       Archived   Draft
    Paused          Active     400      Active    Archived   Draft
    Archived        400        400      400       Archived   Draft

``activate`` and ``unpause`` need a plan. Newer servers add ``Unavailable``, entered from Active and left to Active.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """State of an offering as Waldur prints it."""

    DRAFT = "Draft"
    ACTIVE = "Active"
    PAUSED = "Paused"
    ARCHIVED = "Archived"
    UNAVAILABLE = "Unavailable"


class Action(StrEnum):
    """State action: the last segment of its path, in Waldur's spelling."""

    PAUSE = "pause"
    UNPAUSE = "unpause"
    ARCHIVE = "archive"
    DRAFT = "draft"
    MAKE_AVAILABLE = "make_available"
    MAKE_UNAVAILABLE = "make_unavailable"
    ACTIVATE = "activate"


TRANSITIONS: Mapping[tuple[State, Action], State] = MappingProxyType(
    {
        (State.DRAFT, Action.ACTIVATE): State.ACTIVE,
        (State.DRAFT, Action.ARCHIVE): State.ARCHIVED,
        (State.DRAFT, Action.DRAFT): State.DRAFT,
        (State.ACTIVE, Action.PAUSE): State.PAUSED,
        (State.ACTIVE, Action.ARCHIVE): State.ARCHIVED,
        (State.ACTIVE, Action.DRAFT): State.DRAFT,
        (State.ACTIVE, Action.MAKE_UNAVAILABLE): State.UNAVAILABLE,
        (State.PAUSED, Action.ACTIVATE): State.ACTIVE,
        (State.PAUSED, Action.UNPAUSE): State.ACTIVE,
        (State.PAUSED, Action.ARCHIVE): State.ARCHIVED,
        (State.PAUSED, Action.DRAFT): State.DRAFT,
        (State.ARCHIVED, Action.ARCHIVE): State.ARCHIVED,
        (State.ARCHIVED, Action.DRAFT): State.DRAFT,
        (State.UNAVAILABLE, Action.MAKE_AVAILABLE): State.ACTIVE,
        (State.UNAVAILABLE, Action.ARCHIVE): State.ARCHIVED,
    }
)
"""Every legal action and where it leads. Anything else is 400 ``["Offering state is invalid."]``."""

STAFF_ACTIONS = frozenset({Action.ACTIVATE})
"""Actions that 7.0 grants to staff only: an owner may do everything else, but never publish."""

PLAN_ACTIONS = frozenset({Action.ACTIVATE, Action.UNPAUSE})
"""Actions that are refused while the offering has no plan; an archived plan counts."""


def actions_between(current: str, wanted: str) -> tuple[Action, ...]:
    """Return the fewest actions that lead from one state to another; empty when already there.

    Among ways of equal length the one without staff actions is taken (Paused to Active by ``unpause``).

    Arguments:
        current: state just read from the server; never one remembered or taken from an event.
        wanted: state to reach.

    Raises:
        ValueError: a state that this table does not know, or no way between the two.
    """
    start, goal = State(current), State(wanted)
    ways: deque[tuple[State, tuple[Action, ...]]] = deque([(start, ())])
    seen = {start}
    while ways:
        state, actions = ways.popleft()
        if state is goal:
            return actions
        # Staff actions come last in Action, so that an equally short way without them is found first.
        for action in Action:
            following = TRANSITIONS.get((state, action))
            if following is not None and following not in seen:
                seen.add(following)
                ways.append((following, (*actions, action)))
    raise ValueError(f"no way from {current} to {wanted}")


def overview_needs_staff(state: str) -> bool:
    """Return whether only staff may change name and description: an owner may until the offering leaves Draft."""
    return state != State.DRAFT


def can_be_updated(state: str) -> bool:
    """Return whether ``update_*`` actions are accepted: an archived offering refuses all of them but prices."""
    return state != State.ARCHIVED
