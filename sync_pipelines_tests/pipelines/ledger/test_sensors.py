"""What starts runs: one import for each advance of the tip, one run for all the days that wait."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, Definitions, build_schedule_context
from sqlalchemy import Engine, text

from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.runs import position_of
from sync_pipelines.sandbox.internet_computer import LedgerWorld
from sync_pipelines.sandbox.internet_computer.faults import RejectCode, reject
from sync_pipelines_tests.ledgers import small_world
from sync_pipelines_tests.pipelines.ledger.dagster_runs import (
    END,
    NAME,
    START,
    Replicated,
    connection_of,
    idle,
    reason,
    replicated,
)
from sync_pipelines_tests.pipelines.ledger.sources import CANISTER


@pytest.fixture
def small(engine: Engine) -> Iterator[Replicated]:
    """The small ledger, nothing imported yet."""
    with replicated(engine, small_world()) as one:
        yield one


def _waiting(instance: DagsterInstance, definitions: Definitions, tag: str, job: str) -> str:
    """Put a run there that is about to start."""
    found = definitions.resolve_job_def(job)
    return instance.create_run_for_job(found, tags={SCOPE_TAG: tag}, status=DagsterRunStatus.STARTING).run_id


def test_given_an_advance_of_the_tip_then_one_run_is_asked_for_once(small: Replicated) -> None:
    (first,) = small.tick("tip").run_requests or ()
    assert first.run_key is not None
    assert first.run_key.startswith("dc:1:8388608:->")
    assert first.tags[SCOPE_TAG] == "ledger/dc"
    assert "was asked for" in str(small.tick("tip").skip_reason), "the schedule repeats what failed"

    small.imported()
    assert "nothing new" in str(small.tick("tip").skip_reason)

    small.world.grow(2)
    (second,) = small.tick("tip").run_requests or ()
    assert second.run_key is not None
    before, after = first.run_key.split("->")[1], second.run_key.split("->")[0]
    assert after.endswith(before)
    small.imported()
    assert "nothing new" in str(small.tick("tip").skip_reason)


def test_given_a_run_that_waits_then_no_other_is_asked_for_until_it_is_done(small: Replicated) -> None:
    run_id = _waiting(small.instance, small.definitions, "ledger/dc", "ledger_dc_import")
    assert "an import waits for its turn" in str(small.tick("tip").skip_reason)
    small.instance.delete_run(run_id)
    assert len(small.tick("tip").run_requests or ()) == 1


def test_given_a_node_that_lags_or_does_not_answer_then_nothing_is_asked_for(small: Replicated) -> None:
    small.imported()
    small.world.lag(2, times=1)
    assert "before what is stored" in str(small.tick("tip").skip_reason)
    with small.engine.connect() as connection:
        row = connection.execute(text("SELECT behind_since, tip_position FROM sync.ledger_position")).one()
    assert row.behind_since is not None
    assert "nothing new" in str(small.tick("tip").skip_reason)

    small.stand_in.faults.add("status", status=503)
    assert "HTTP 503" in str(small.tick("tip").skip_reason)


def test_given_another_last_block_at_the_same_position_then_an_import_is_asked_for(small: Replicated) -> None:
    small.imported()
    small.world.told["ledger:latest_block_hash"] = bytes(range(32))
    assert len(small.tick("tip").run_requests or ()) == 1
    assert not small.imported().success


def test_given_days_that_wait_then_one_run_over_their_range_is_asked_for(small: Replicated) -> None:
    assert "nothing was imported yet" in str(small.tick("days").skip_reason)
    small.imported()

    (request,) = small.tick("days").run_requests or ()
    assert (request.tags[START], request.tags[END]) == ("2023-12-31", "2024-01-04")
    assert request.tags[SCOPE_TAG] == "ledger/dc/days"
    assert "asking again soon" in str(small.tick("days").skip_reason)
    run_id = _waiting(small.instance, small.definitions, "ledger/dc/days", "ledger_dc_days")
    assert "wait for the run before" in str(small.tick("days").skip_reason)
    small.instance.delete_run(run_id)

    small.derived(request.tags[START], request.tags[END])
    assert "every day is derived" in str(small.tick("days").skip_reason)

    small.world.grow(1)
    small.imported()
    (only,) = small.tick("days").run_requests or ()
    assert only.tags[START] == only.tags[END] == "2024-01-04"


def test_given_a_run_over_days_that_came_to_nothing_then_it_is_asked_for_again_later_and_later(
    small: Replicated,
) -> None:
    small.imported()
    waits = []
    for _ in range(3):
        result = small.tick("days")
        assert len(result.run_requests or ()) == 1
        assert result.cursor is not None
        asked = json.loads(result.cursor)
        waits.append(asked["times"])
        asked["again_at"] = 0
        small.instance.daemon_cursor_storage.set_cursor_values({"ledger_dc_days": json.dumps(asked)})
    assert waits == [1, 2, 3]


def test_the_schedule_imports_whatever_the_sensor_says_but_not_beside_another_import(tmp_path: Path) -> None:
    definitions = idle(connection_of("http://replica.test"))
    repository = definitions.get_repository_def()
    schedule = repository.get_schedule_def("ledger_dc_every_600_s")
    assert schedule.cron_schedule == "*/10 * * * *"
    # The context opens the instance once more, and has to let go of it first.
    with (
        DagsterInstance.local_temp(str(tmp_path)) as instance,
        build_schedule_context(
            instance=instance, scheduled_execution_time=datetime(2026, 1, 1, tzinfo=UTC), repository_def=repository
        ) as context,
    ):
        (request,) = schedule.evaluate_tick(context).run_requests or ()
        assert request.tags[SCOPE_TAG] == "ledger/dc"
        _waiting(instance, definitions, "ledger/dc", "ledger_dc_import")
        assert not schedule.evaluate_tick(context).run_requests


def test_the_block_in_the_making_is_seen_apart_and_replaced_when_it_is_committed(engine: Engine) -> None:
    with replicated(engine, small_world(), live=True) as one:
        one.imported()
        first = _pending(one)
        assert first > 0
        stored = position_of(engine, NAME)
        one.world.stir()
        one.tick("tip")
        assert _pending(one) > first
        assert position_of(engine, NAME) == stored

        one.world.commit()
        one.imported()
        assert _pending(one) == 0


def test_given_a_canister_that_does_not_show_its_next_block_then_what_is_committed_is_imported(engine: Engine) -> None:
    with replicated(engine, small_world(), live=True) as one:
        one.imported()
        one.world.grow(1)
        reject(one.stand_in.replica, RejectCode.CANISTER_ERROR, method="next_block_entries")
        assert len(one.tick("tip").run_requests or ()) == 1
        assert one.imported().success
        assert "nothing new" in str(one.tick("tip").skip_reason)


def test_given_another_canister_under_the_same_name_then_nothing_of_it_is_noted_and_the_run_says_why(
    small: Replicated,
) -> None:
    def noted() -> object:
        with small.engine.connect() as connection:
            return connection.execute(text("SELECT * FROM sync.ledger_position")).one()

    small.imported()
    before, other = noted(), LedgerWorld("other", canister_id="gplx4-aqaaa-aaaai-actra-cai")
    other.grow(3)
    with replicated(small.engine, other, canister_id=other.canister_id, live=True) as one:
        assert len(one.tick("tip").run_requests or ()) == 1
        assert f"has imported the canister {CANISTER} so far" in reason(one.imported())
    assert noted() == before


def test_the_guides_variables_say_how_often_a_ledger_is_looked_at_and_where() -> None:
    environment = {"FLUSH_INTERVAL_SECONDS": "7", "ENVIRONMENT": "development", "CANISTER_ID": CANISTER}
    connection = LedgerConnection.model_validate({"name": NAME}, context={"environment": environment})

    sensor = idle(connection).get_repository_def().get_sensor_def("ledger_dc_tip")

    assert sensor.minimum_interval_seconds == 7
    assert connection.address == "http://localhost:4943"
    assert f"the tip of {CANISTER} every 7 s" in str(sensor.description)


def _pending(one: Replicated) -> int:
    with one.engine.connect() as connection:
        count: int = connection.execute(text("SELECT count(*) FROM sync.ledger_pending")).scalar_one()
    return count
