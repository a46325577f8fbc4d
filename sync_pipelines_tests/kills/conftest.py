"""What a run that nobody disturbs leaves behind, once for every world that runs are killed in."""

from __future__ import annotations

from functools import cache

import pytest

from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.conformance.subject import Registration
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.kills.outcome import Outcome, Undisturbing, outcome_of
from sync_pipelines_tests.kills.worlds import opened


@pytest.fixture(scope="package")
def undisturbed(postgres_server: EmbeddedServer, migrated_template: str) -> Undisturbing:
    """Returns what is left of a world in which no run was killed."""

    @cache
    def run(registration: Registration, occasion: str, *, refused: bool = False) -> Outcome:
        with (
            fresh_engine(postgres_server, migrated_template) as engine,
            opened(registration, engine, occasion, refused=refused) as world,
        ):
            world.reconcile()
            world.let_time_pass()
            world.reconcile()
            return outcome_of(world)

    return run
