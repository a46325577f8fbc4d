"""What a pipeline adds to the assets and checks that every pair has: selectors, derived assets, probes, numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import AssetCheckSeverity, AssetKey, DagsterInstance
from sqlalchemy import Engine, text

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines_tests.engine.worlds import World
from sync_pipelines_tests.orchestration.instances import shipped_instance
from sync_pipelines_tests.orchestration.memory_pipeline import OpenWorld, defined, pipeline_of, run
from sync_pipelines_tests.pipelines.offerings.dagster_runs import checks, materialized, reason


@pytest.fixture
def world(engine: Engine) -> World:
    """A world of three records at the source."""
    world = World(engine)
    world.fill(3)
    return world


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_derived_asset_stands_between_the_left_snapshot_and_nothing_else(world: World) -> None:
    pipeline = pipeline_of(world)
    graph = defined(world, pipeline).resolve_asset_graph()

    assert [key.path[-1] for key in pipeline.made] == [
        "source_snapshot",
        "matches",
        "target_snapshot",
        "plan",
        "applied",
    ]
    matches = graph.get(AssetKey(["worlds", "matches"]))
    assert matches.parent_keys == {AssetKey(["worlds", "source_snapshot"])}
    assert matches.kinds == {"postgres", "table"}
    assert {key.name for key in matches.check_keys} == {"unasked"}


def test_given_a_run_then_the_additions_are_reported_beside_what_every_pair_has(
    world: World, instance: DagsterInstance
) -> None:
    result = run(world, instance)

    assert result.success, reason(result)
    shown, answers = materialized(result), checks(result)
    assert (shown["matches"]["matched"], shown["matches"]["table"]) == (3, "| name |\n|---|")
    assert (shown["applied"]["scanned"], shown["applied"]["created"], shown["applied"]["forgotten"]) == (3, 3, 0)
    assert (answers["applied.well_linked"], answers["target_snapshot.answering"]) == (True, False)
    assert "matches.unasked" not in answers
    by_name = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    assert by_name["answering"].description == "could not be answered: target: no reply"
    assert by_name["answering"].severity is AssetCheckSeverity.WARN
    assert not any(by_name[name].blocking for name in ("well_linked", "answering"))


def test_given_plan_mode_then_the_probes_answer_after_the_plan(world: World, instance: DagsterInstance) -> None:
    result = run(world, instance, {"mode": "plan"})

    assert result.success
    assert checks(result)["applied.well_linked"] is False
    assert materialized(result).keys() == {"source_snapshot", "matches", "target_snapshot", "plan"}


def test_given_a_held_plan_then_the_probes_answer_all_the_same(world: World, instance: DagsterInstance) -> None:
    assert run(world, instance).success
    world.policies["guard"] = GuardLimits(max_count=0)
    world.left.remove("k01")

    result = run(world, instance)

    assert "is held" in reason(result)
    assert checks(result)["applied.well_linked"] is True


@pytest.mark.parametrize("given", [["name:k02"], ["nk-k02"], ["name:k02", "nk-k02"]])
def test_given_selectors_then_they_are_translated_before_anything_is_read(
    world: World, instance: DagsterInstance, given: list[str]
) -> None:
    result = run(world, instance, {"keys": given})

    assert result.success, reason(result)
    assert list(world.links()) == ["k02"]
    assert "matches" not in materialized(result)


@pytest.mark.parametrize(
    ("given", "said"), [("service:redis", "there is no service"), ("none:k02", "none:k02 selects nothing")]
)
def test_given_selectors_that_name_nothing_then_the_run_says_so_and_nothing_is_read(
    world: World, instance: DagsterInstance, given: str, said: str
) -> None:
    result = run(world, instance, {"keys": [given]})

    assert said in reason(result)
    assert (world.left.reads, materialized(result)) == (0, {})


def test_given_a_forced_run_then_what_was_kept_is_forgotten_first(world: World, instance: DagsterInstance) -> None:
    opened = OpenWorld(world.pair)

    usual = run(world, instance, opened=opened)
    assert (usual.success, opened.forgotten) == (True, 0)
    forced = run(world, instance, {"force_full": True}, opened=opened)

    assert opened.forgotten == 1
    assert materialized(forced)["applied"]["forgotten"] == 1


def test_given_additions_then_a_derived_asset_is_two_rows_of_the_event_log_and_an_answer_one(
    world: World, database_url: str, tmp_path: Path
) -> None:
    with shipped_instance(tmp_path, database_url) as instance:
        plain, full = run(world, instance, derived=(), probes=()), run(world, instance)

    assert plain.success
    assert full.success
    with world.engine.connect() as connection:
        query = text("SELECT run_id, count(*) AS number FROM event_logs GROUP BY run_id")
        rows = {row.run_id: row.number for row in connection.execute(query)}
    assert rows[plain.run_id] <= 25
    assert rows[full.run_id] == rows[plain.run_id] + 2 + 2
