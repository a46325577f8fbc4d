"""Living through seeds, and through them again: the same seed tells the same story."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sync_pipelines_tests.simulation.database import SimulationDatabase
from sync_pipelines_tests.simulation.world import Story, World


@dataclass(frozen=True)
class Failure:
    """A seed that broke a promise, or that was not the same the second time."""

    seed: int
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"seed {self.seed}: " + "; ".join(self.reasons)


def failures(database: SimulationDatabase, seeds: Iterable[int], *, again: int = 1) -> list[Failure]:
    """Live through all seeds, then again through every ``again``-th of them, and return those that failed."""
    seeds = list(seeds)
    first = _live(database, seeds)
    second = {story.seed: story for story in _live(database, seeds[::again])}
    found = []
    for story in first:
        reasons = story.broken or tuple(_difference(story, second.get(story.seed, story)))
        if reasons:
            found.append(Failure(story.seed, reasons))
    return found


def _live(database: SimulationDatabase, seeds: list[int]) -> list[Story]:
    database.clear()
    return [World(seed, database).live() for seed in seeds]


def _difference(one: Story, other: Story) -> Iterator[str]:
    for first, second in itertools.zip_longest(one.lines, other.lines):
        if first != second:
            yield f"not the same twice: {first!r}, then {second!r}"
            return
