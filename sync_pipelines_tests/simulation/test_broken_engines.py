"""The simulation finds an engine that does not keep its promises: each is broken on purpose here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync_pipelines.core.seal import Seal
from sync_pipelines.engine import apply, attempt, compare
from sync_pipelines.store import snapshots
from sync_pipelines_tests.simulation.database import SimulationDatabase
from sync_pipelines_tests.simulation.world import World

ENOUGH = 60
"""Worlds within which a broken engine has to be found out; each search starts near a world that is known to do it."""

Break = Callable[[pytest.MonkeyPatch], None]


def no_fence_on_the_wire(patch: pytest.MonkeyPatch) -> None:
    """A paused run that wakes up without its lease sends what it was about to send."""
    patch.setattr(attempt, "check_fence", lambda: None)


def every_snapshot_is_sealed(patch: pytest.MonkeyPatch) -> None:
    """Listings that are short, empty or of somebody else are believed."""
    patch.setattr(snapshots, "judge_sweep", lambda *_, **__: Seal((), ()))


def edits_are_overwritten(patch: pytest.MonkeyPatch) -> None:
    """The target need not be what the plan saw."""
    patch.setattr(attempt, "_satisfied", lambda work, current: True)


def nothing_is_recovered(patch: pytest.MonkeyPatch) -> None:
    """What a killed run left behind stays as it is."""
    for module in (apply, compare):
        patch.setattr(module, "recover", lambda connection, run: None)


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "first", "found"),
    [
        (edits_are_overwritten, 0, "the plan saw"),
        (nothing_is_recovered, 8, "effects are still open"),
        (no_fence_on_the_wire, 230, "without holding the lease"),
        (every_snapshot_is_sealed, 46, "although the source never lost"),
    ],
    ids=["edits are overwritten", "nothing is recovered", "no fence on the wire", "every snapshot is sealed"],
)
def test_given_an_engine_that_breaks_a_promise_a_world_notices(
    simulation: SimulationDatabase, monkeypatch: pytest.MonkeyPatch, how: Break, first: int, found: str
) -> None:
    how(monkeypatch)
    simulation.clear()
    stories = (World(seed, simulation).live() for seed in range(first, first + ENOUGH))
    assert any(found in reason for story in stories for reason in story.broken), f"no world of {ENOUGH} noticed"
