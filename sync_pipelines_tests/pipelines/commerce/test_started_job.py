"""Syncs that people start, taken up by Dagster: the sensor, the job, its end by the UI; and conflicts settled there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    ExecuteInProcessResult,
    RunRequest,
    SensorResult,
    build_sensor_context,
)
from sqlalchemy import Engine, event

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.orchestration.spec import SCOPE_TAG
from sync_pipelines.pipelines.commerce import settle_job, started_job
from sync_pipelines.pipelines.commerce.conflict_rows import open_conflicts
from sync_pipelines.sandbox.woocommerce import DEMO_KEY
from sync_pipelines_tests.pipelines.commerce.shop_runs import reason
from sync_pipelines_tests.pipelines.commerce.started import CUSTOMERS, Syncs, syncs_of

ADDRESS = "customer0@example.test"
NOTHING = "no sync waits for a worker"


@pytest.fixture
def syncs(engine: Engine) -> Iterator[Syncs]:
    """A shop with ten customers, none of them in Odoo."""
    with syncs_of(engine) as one:
        yield one


class Ticks:
    """A sensor that goes on from its cursor."""

    def __init__(self, syncs: Syncs) -> None:
        self._syncs = syncs
        self.cursor: str | None = None

    def tick(self) -> SensorResult:
        """Evaluate the sensor once."""
        definitions = self._syncs.served.definitions
        context = build_sensor_context(
            instance=self._syncs.served.instance,
            cursor=self.cursor,
            repository_def=definitions.get_repository_def(),
            resources={"store": self._syncs.engine},
        )
        found = definitions.resolve_sensor_def("commerce_started_syncs")(context)
        assert isinstance(found, SensorResult)
        self.cursor = found.cursor
        return found

    def asked(self) -> list[str]:
        """Evaluate the sensor once and return the syncs that runs are asked for."""
        return [one.tags[started_job.SYNC_TAG] for one in self.tick().run_requests or ()]


def launched(syncs: Syncs, request: RunRequest) -> ExecuteInProcessResult:
    """Carry out what a sensor asks for."""
    return run(syncs, started_job.JOB, dict(request.run_config), dict(request.tags))


def run(syncs: Syncs, job: str, config: dict[str, Any], tags: dict[str, str] | None = None) -> ExecuteInProcessResult:
    """Carry out a run of a job."""
    found = syncs.served.definitions.resolve_job_def(job)
    return found.execute_in_process(instance=syncs.served.instance, run_config=config, tags=tags, raise_on_error=False)


def carried_out(syncs: Syncs, sync_id: str) -> ExecuteInProcessResult:
    """Carry out a run about one sync."""
    return run(syncs, started_job.JOB, config_of(sync_id))


def config_of(sync_id: str) -> dict[str, Any]:
    """Return what a run about one sync is given."""
    return {"ops": {started_job.STEP: {"config": {"sync_id": sync_id}}}}


def told(instance: DagsterInstance, result: ExecuteInProcessResult) -> dict[str, Any]:
    """Return what a run says about its sync."""
    (entry,) = [one for one in instance.all_logs(result.run_id) if one.asset_materialization is not None]
    assert entry.asset_materialization is not None
    return {name: value.value for name, value in entry.asset_materialization.metadata.items()}


def settled(syncs: Syncs, conflict: str, resolution: str, **values: str) -> ExecuteInProcessResult:
    """Settle a conflict as the Launchpad does."""
    config = {"conflict": conflict, "resolution": resolution, "values": values}
    return run(syncs, settle_job.JOB, {"ops": {settle_job.STEP: {"config": config}}}, {"user": "ada"})


def test_given_a_sync_that_waits_then_one_run_is_asked_for_carries_it_out_and_tells_what_came_of_it(
    syncs: Syncs,
) -> None:
    ticks = Ticks(syncs)
    assert NOTHING in str(ticks.tick().skip_reason)
    sync_id = syncs.starts()

    (request,) = ticks.tick().run_requests or ()
    assert (request.run_key, request.tags[SCOPE_TAG]) == (None, "commerce/nordwind")
    assert ticks.asked() == [], "the run that was asked for will see to it"
    result = launched(syncs, request)

    assert result.success, reason(result)
    said = told(syncs.served.instance, result)
    assert said["items"].splitlines()[2:] == [
        "| customers | woocommerce | 0 | 0 | 0 | 0 | 0 |",
        f"| customers | odoo | {CUSTOMERS} | 0 | 0 | 0 | {CUSTOMERS} |",
    ]
    assert (said["sync"], said["organization"], said["status"], said["processed"]) == (sync_id, "org-1", "done", 10)
    assert "10 applied" in said["log"]
    assert NOTHING in str(ticks.tick().skip_reason)
    again = carried_out(syncs, sync_id[:13])
    assert again.success, "a sync that is over is left alone"
    assert syncs.is_in_odoo_once()


def test_given_a_run_that_is_gone_then_another_is_asked_for_when_the_sync_waits_again(syncs: Syncs) -> None:
    ticks, sync_id = Ticks(syncs), syncs.starts()
    assert ticks.asked() == [sync_id]
    job = syncs.served.definitions.resolve_job_def(started_job.JOB)
    waits = syncs.served.instance.create_run_for_job(
        job, run_config=config_of(sync_id), tags={started_job.SYNC_TAG: sync_id}, status=DagsterRunStatus.STARTING
    )
    ticks.cursor = None
    assert ticks.asked() == [], "its run waits for its turn"
    syncs.served.instance.delete_run(waits.run_id)

    assert ticks.asked() == [sync_id]
    assert ticks.asked() == [], "a run that ends before it can begin is not repeated every few seconds"
    syncs.asks("pause", syncId=sync_id)
    assert ticks.asked() == []
    syncs.asks("resume", syncId=sync_id)
    assert ticks.asked() == [sync_id], "what a person resumes does not wait"
    syncs.sql("UPDATE sync.sync_orchestration SET org_id = 'org-2'")
    assert ticks.asked() == [], "the shop is another organization's now"


def test_given_nothing_to_do_then_the_sensor_asks_the_database_one_question(syncs: Syncs) -> None:
    ticks = Ticks(syncs)
    asked: list[str] = []
    event.listen(syncs.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))

    ticks.tick()

    assert len(asked) == 1


def test_given_a_run_that_is_terminated_then_the_sync_is_left_to_the_next_one(syncs: Syncs) -> None:
    ticks, sync_id = Ticks(syncs), syncs.starts()
    syncs.at_create(3, lambda: os.kill(os.getpid(), signal.SIGINT))

    result = launched(syncs, (ticks.tick().run_requests or ())[0])

    run_ = syncs.served.instance.get_run_by_id(result.run_id)
    assert run_ is not None
    assert run_.status is DagsterRunStatus.CANCELED
    assert told(syncs.served.instance, result)["status"] == "processing"
    queue = syncs.queue(sync_id)
    assert queue["processed"] == syncs.creates.made < CUSTOMERS
    assert queue["processed"] + queue["pending"] == CUSTOMERS
    (request,) = ticks.tick().run_requests or ()
    assert launched(syncs, request).success
    assert syncs.queue(sync_id) == {"total": CUSTOMERS, "processed": CUSTOMERS}
    assert syncs.is_in_odoo_once()


def test_given_a_sync_that_fails_then_its_run_fails_says_why_and_is_not_repeated(syncs: Syncs) -> None:
    syncs.served.shop.world.access.revoke(DEMO_KEY.consumer_key)
    ticks, sync_id = Ticks(syncs), syncs.starts()

    result = launched(syncs, (ticks.tick().run_requests or ())[0])

    assert not result.success
    assert f"{sync_id} of nordwind failed: customers: " in reason(result)
    assert told(syncs.served.instance, result)["status"] == "failed"
    assert NOTHING in str(ticks.tick().skip_reason)
    unknown = carried_out(syncs, "sync-00000000")
    assert "there is no sync sync-00000000" in reason(unknown)


def test_given_a_conflict_then_a_run_settles_it_with_checked_values_and_the_next_sync_carries_it_out(
    syncs: Syncs,
) -> None:
    partner = syncs.served.odoo.world.create("res.partner", name="Somebody Else", email=ADDRESS)
    syncs.works(syncs.starts(syncConfig={"rateLimit": 50, "interBatchDelayMs": 0, "conflictStrategy": "manual"}))
    with syncs.engine.begin() as store:
        (conflict,) = open_conflicts(store, syncs.served.connection)
    assert (conflict.kind, conflict.fields["name"].right) == (Kind.DATA_MISMATCH, "Somebody Else")

    for values, why in (({}, "no value for name"), ({"name": "Ada", "color": "red"}, "color is not contested")):
        refused = settled(syncs, conflict.id, "custom", **values)
        assert not refused.success
        assert why in reason(refused)
    assert not settled(syncs, "conflict-0000", "accept").success
    result = settled(syncs, conflict.id[:17], "custom", name="Ada Bloom")

    assert result.success, reason(result)
    (output,) = [one.step_output_data for one in result.all_node_events if one.is_successful_output]
    said: dict[str, Any] = {name: value.value for name, value in output.metadata.items()}
    assert (said["conflict"], said["item"], said["resolution"], said["by"]) == (conflict.id, ADDRESS, "custom", "ada")
    assert said["settled"].splitlines()[-1] == "| name | Ada Bloom |"
    syncs.works(syncs.starts())
    assert syncs.served.odoo.world.read("res.partner", partner, "name")["name"] == "Ada Bloom"
    with syncs.engine.begin() as store:
        assert open_conflicts(store, syncs.served.connection) == []
