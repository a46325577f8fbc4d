from collections.abc import Iterator

import pytest

from sync_pipelines_tests.systems.bosh.director import Director, info, reply


@pytest.fixture
def director() -> Iterator[Director]:
    """A Director with basic logins and an empty list of deployments."""
    director = Director()
    director.answers("/info", info())
    director.answers("/deployments", reply([]))
    with director.running():
        yield director
