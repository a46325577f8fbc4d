"""SIGKILL at every point in the life of a change, for every kind of change: after the rerun all is as without it."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sync_pipelines_tests.conformance.registry import REGISTERED
from sync_pipelines_tests.conformance.subject import Registration
from sync_pipelines_tests.kills.outcome import Undisturbing, expect_as_undisturbed
from sync_pipelines_tests.kills.points import CHANGE_POINTS
from sync_pipelines_tests.kills.worlds import actions_of, opened

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("registration", "label", "action"),
    [
        pytest.param(registration, label, action, id=f"{label}-{action}-{registration.name}")
        for registration in REGISTERED
        for label in CHANGE_POINTS
        for action in actions_of(registration)
        if registration.is_killed_at(label)
    ],
)
def test_given_a_kill_then_after_the_rerun_all_is_as_without_it(
    registration: Registration, label: str, action: str, engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(registration, engine, action) as world:
        world.kill(CHANGE_POINTS[label])

        world.let_time_pass()
        world.reconcile()

        expect_as_undisturbed(world, undisturbed(registration, action))
