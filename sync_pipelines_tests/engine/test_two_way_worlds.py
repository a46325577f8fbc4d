"""Random lives of two systems that both are edited. A seed that fails is lived again by its number alone."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import Engine

from sync_pipelines_tests.engine.random_two_ways import RandomLife

SEEDS = int(os.environ.get("TWO_WAY_SEEDS", "12"))
"""Lives to live; ``TWO_WAY_FIRST`` is the first of them."""
FIRST = int(os.environ.get("TWO_WAY_FIRST", "0"))


@pytest.mark.long
def test_given_any_seed_both_systems_come_to_agree_or_a_conflict_says_why(engine: Engine) -> None:
    assert not failures(engine, range(FIRST, FIRST + SEEDS))


@pytest.mark.long
def test_given_many_more_seeds_both_systems_come_to_agree_or_a_conflict_says_why(engine: Engine) -> None:
    assert not failures(engine, range(1000, 1060))


def failures(engine: Engine, seeds: range) -> list[str]:
    """Return what is wrong at the end of the lives, with the story that led to it."""
    found = []
    for seed in seeds:
        life = RandomLife(engine, seed)
        if wrongs := life.live():
            found.append("\n  ".join([f"seed {seed}: {'; '.join(wrongs)}", *life.story]))
    return found
