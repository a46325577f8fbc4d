"""What is left of a world when all runs are over, and what it must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from sync_pipelines_tests.conformance.subject import Registration
from sync_pipelines_tests.kills.worlds import LOOSE_ENDS, World


@dataclass(frozen=True)
class Outcome:
    """What the target shows and the engine remembers, and how many records were made at the target."""

    remembered: dict[str, Any]
    creates: int


class Undisturbing(Protocol):
    """Tells what is left of a world in which no run was killed."""

    def __call__(self, registration: Registration, occasion: str, *, refused: bool = False) -> Outcome: ...


def outcome_of(world: World) -> Outcome:
    """Return what is left of a world."""
    return Outcome(world.remembered(), world.subject.creates())


def expect_as_undisturbed(world: World, expected: Outcome) -> None:
    """Check a world after the rerun: it is as if no run had been killed, and another run has nothing to do."""
    found = outcome_of(world)
    for name, remembered in found.remembered.items():
        assert remembered == expected.remembered[name], name
    assert found.creates == expected.creates, "nothing is made twice"
    assert world.audit_is_intact()
    before = world.subject.commits()
    world.let_time_pass()
    following = world.reconcile()
    assert (world.subject.commits(), following.plan.changes) == (before, 0), "a further run writes nothing"
    assert world.rows(LOOSE_ENDS) == []
