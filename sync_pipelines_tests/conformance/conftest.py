"""Fixtures: every check runs once for every registered subject that has what the check needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sync_pipelines_tests.conformance.needs import needs_of
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.registry import CONFORMING
from sync_pipelines_tests.conformance.subject import Registration, Subject


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Collect a check for the subjects that it applies to; for the others there is no such test."""
    if "registration" in metafunc.fixturenames:
        fit = [one for one in CONFORMING if needs_of(metafunc.function) <= one.can]
        metafunc.parametrize("registration", fit, ids=[one.name for one in fit])


@pytest.fixture
def subject(registration: Registration, engine: Engine) -> Iterator[Subject]:
    """An empty world."""
    with registration.opened(engine) as subject:
        yield subject


@pytest.fixture
def operator(subject: Subject) -> Operator:
    """Somebody who runs the subject."""
    return Operator(subject)
