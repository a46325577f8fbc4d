"""Random worlds, seeds 150 to 199. ``make simulate`` lives through as many more as you like, each of them twice."""

from __future__ import annotations

import pytest

from sync_pipelines_tests.simulation.database import SimulationDatabase
from sync_pipelines_tests.simulation.simulate import failures


@pytest.mark.parametrize("first", range(150, 200, 10))
def test_given_any_seed_both_sides_agree_or_something_explains_why(simulation: SimulationDatabase, first: int) -> None:
    assert not [str(failure) for failure in failures(simulation, range(first, first + 10), again=2)]
