"""SIGKILL of a run that follows the chain: whatever it had read is looked at, by another run if need be."""

from __future__ import annotations

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine

from sync_pipelines.pipelines.offerings import events
from sync_pipelines_tests.kills.chain_run import following
from sync_pipelines_tests.kills.outcome import Undisturbing, expect_as_undisturbed
from sync_pipelines_tests.kills.points import EVENT_POINTS
from sync_pipelines_tests.kills.worlds import ACTIONS, World, opened
from sync_pipelines_tests.pipelines.offerings.dagster_runs import defined, requests
from sync_pipelines_tests.pipelines.offerings.market import CHAIN_ID, Market
from sync_pipelines_tests.pipelines.offerings.subject import OFFERINGS, OfferingsSubject

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("label", "action"),
    [
        pytest.param(label, action, id=f"{label}-{action}-offerings")
        for label, actions in (("mid-cursor", ["update"]), ("after-cursor", ACTIONS))
        for action in actions
    ],
)
def test_given_a_kill_after_the_watermark_moved_then_the_retry_sensor_asks_for_the_reconcile_that_is_owed(
    label: str, action: str, engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(OFFERINGS, engine, action) as world, DagsterInstance.ephemeral() as instance:
        market = _market(world)
        world.kill(EVENT_POINTS[label], following(market.connection()))
        assert _position(world) == market.chain.height

        world.let_time_pass()
        definitions = defined(market)
        (asked,) = requests(definitions, "offerings_retries", market, instance)
        assert (asked.partition_key, asked.run_config) == ("nordlys", {})
        world.reconcile()

        assert requests(definitions, "offerings_retries", market, instance) == []
        expect_as_undisturbed(world, undisturbed(OFFERINGS, action))


def test_given_a_kill_before_the_watermark_is_committed_then_the_window_is_read_again(
    engine: Engine, undisturbed: Undisturbing
) -> None:
    with opened(OFFERINGS, engine, "update") as world:
        market = _market(world)
        world.kill(EVENT_POINTS["before-cursor"], following(market.connection()))
        assert _position(world) is None
        assert world.rows("SELECT * FROM sync.chain_event") == []

        world.let_time_pass()
        following(market.connection())(engine)

        assert _position(world) == market.chain.height
        assert world.rows("SELECT * FROM sync.owed_reconcile") == []
        expect_as_undisturbed(world, undisturbed(OFFERINGS, "update"))


def _market(world: World) -> Market:
    assert isinstance(world.subject, OfferingsSubject)
    return world.subject.market


def _position(world: World) -> int | None:
    with world.engine.begin() as connection:
        position = events.position(connection, CHAIN_ID)
    return None if position is None else position.height
