"""Fixtures: a bench for each registered pipeline, shared by the cells of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine

from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.conformance.subject import Registration
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.faults.bench import Bench, bench_of
from sync_pipelines_tests.faults.marks import Ear, Marks, listening
from sync_pipelines_tests.faults.pair import PairFaults
from sync_pipelines_tests.faults.registry import FAULTY


@pytest.fixture(scope="module")
def engines() -> list[Engine]:
    """Every engine that the module made so far."""
    return []


@pytest.fixture(scope="module")
def new_engine(
    postgres_server: EmbeddedServer, migrated_template: str, engines: list[Engine]
) -> Iterator[Callable[[], Engine]]:
    """Makes engines on migrated databases, which go when the module is done."""
    with ExitStack() as stack:

        def make() -> Engine:
            engine = stack.enter_context(fresh_engine(postgres_server, migrated_template))
            engines.append(engine)
            return engine

        yield make


def marks_of_all() -> Marks:
    """Return the marks of every registered pipeline."""
    return Marks(secret for _, pair in FAULTY for secret in pair.secrets)


class Benches:
    """The bench of each pipeline, made when it is first asked for and made anew when it is used up."""

    def __init__(self, new_engine: Callable[[], Engine]) -> None:
        self._new_engine = new_engine
        self._open: dict[str, tuple[Bench, ExitStack]] = {}
        self.used: list[Bench] = []

    def of(self, registration: Registration, pair: PairFaults) -> Bench:
        """Return a bench whose world is well."""
        found = self._open.get(registration.name)
        if found is not None and (found[0].spoiled or found[0].rounds >= pair.rounds):
            found[1].close()
            found = None
        if found is None:
            stack = ExitStack()
            bench = stack.enter_context(bench_of(registration, pair, self._new_engine(), self._new_engine()))
            found = self._open[registration.name] = bench, stack
            self.used.append(bench)
        return found[0]

    def close(self) -> None:
        """Stop everything."""
        for _, stack in self._open.values():
            stack.close()


@pytest.fixture(scope="module")
def ear() -> Iterator[Ear]:
    """Hears every log of the module for the marks of all pipelines."""
    with listening(marks_of_all()) as ear:
        yield ear


@pytest.fixture(scope="module")
def benches(new_engine: Callable[[], Engine]) -> Iterator[Benches]:
    """Benches that the cells of a module share."""
    benches = Benches(new_engine)
    yield benches
    benches.close()
