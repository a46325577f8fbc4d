"""SIGTERM and SIGINT: the changes in hand are finished, nothing new is begun, and the next run does the rest."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from sync_pipelines_tests.pipelines.offerings import stopped_run
from sync_pipelines_tests.pipelines.offerings.children import child, wait_until
from sync_pipelines_tests.pipelines.offerings.market import Market
from sync_pipelines_tests.pipelines.offerings.stopped_run import INTERRUPTED, RUN_ID

CREATE = r"^/api/marketplace-provider-offerings/$"
OFFERINGS = 20
SLOW = 0.2
"""Seconds that Waldur takes for each write."""
PROMPT = 10.0
"""Seconds within which a process ends that has nothing to finish; on a busy machine."""


def _stop(process: subprocess.Popen[str], number: signal.Signals) -> str:
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    return said


def _offer(market: Market) -> list[str]:
    return [market.offer(name=f"VM {number}") for number in range(OFFERINGS)]


def _is_finished_in_part(market: Market) -> int:
    """Assert that every change was done to the end or not begun. Returns how many were done."""
    assert market.rows("SELECT key FROM sync.effect WHERE state <> 'settled'") == []
    states = {
        row.state: row.n for row in market.rows("SELECT state, count(*) AS n FROM sync.plan_change GROUP BY state")
    }
    done: int = states["applied"]
    assert states == {"applied": done, "skipped": OFFERINGS - done}
    assert market.writes.count("create") == market.writes.count("activate") == done
    return done


def _is_completed_by_the_next_run(market: Market, offerings: list[str]) -> None:
    market.reconcile()
    assert all(market.synced(offering_id) for offering_id in offerings)
    assert market.writes.count("create") == OFFERINGS
    assert all(market.offering(offering_id).state == "Active" for offering_id in offerings)
    assert market.audit_is_intact()


@pytest.mark.long
def test_given_sigterm_while_offerings_are_created_then_those_begun_are_finished_and_the_next_run_does_the_rest(
    market: Market, tmp_path: Path, database_url: str
) -> None:
    offerings = _offer(market)
    market.waldur.faults.add("latency", method="POST", seconds=SLOW)
    with child(stopped_run, market, tmp_path, database_url) as process:
        wait_until(lambda: market.writes.count("create") >= 3, process)
        said = _stop(process, signal.SIGTERM)

    market.waldur.faults.clear()
    done = _is_finished_in_part(market)
    assert 3 <= done < OFFERINGS
    assert process.returncode == INTERRUPTED
    assert f"stopped by SIGTERM: {done} of {OFFERINGS} changes done, {OFFERINGS - done} left" in said
    assert market.rows("SELECT state, outcome->>'stopped' FROM sync.plan") == [("applied", "stopped by SIGTERM")]
    _is_completed_by_the_next_run(market, offerings)


def test_given_sigint_while_a_side_is_read_then_the_run_ends_at_once_and_gives_its_lease_back(
    market: Market, tmp_path: Path, database_url: str
) -> None:
    offering_id = market.offer()
    fault = market.waldur.faults.add("hang", method="GET", times=1, seconds=600)
    with child(stopped_run, market, tmp_path, database_url) as process:
        wait_until(lambda: bool(fault.fired), process)
        asked_at = time.monotonic()
        said = _stop(process, signal.SIGINT)

    assert time.monotonic() - asked_at < PROMPT
    assert process.returncode == INTERRUPTED
    assert "stopped by SIGINT" in said
    market.reconcile()
    assert market.synced(offering_id)


@pytest.mark.long
def test_given_a_second_signal_then_the_run_ends_at_once_and_the_next_one_finds_what_it_had_sent(
    market: Market, tmp_path: Path, database_url: str
) -> None:
    offering_id = market.offer()
    market.waldur.faults.add("hang_after_commit", method="POST", path=CREATE, times=1, seconds=600)
    with child(stopped_run, market, tmp_path, database_url) as process:
        wait_until(lambda: "create" in market.writes, process)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        _stop(process, signal.SIGTERM)

    assert process.returncode == INTERRUPTED
    assert market.rows("SELECT state FROM sync.effect") == [("intended",)]
    market.reconcile()
    market.let_time_pass()
    market.reconcile()
    assert market.synced(offering_id)
    assert market.writes.count("create") == 1


@pytest.mark.long
@pytest.mark.parametrize("terminated", [True, False], ids=["terminated in the UI", "its container is stopped"])
def test_given_a_dagster_run_that_is_stopped_then_it_ends_as_canceled_and_nothing_is_half_done(
    market: Market, tmp_path: Path, database_url: str, terminated: bool
) -> None:
    offerings = _offer(market)
    market.waldur.faults.add("latency", method="POST", seconds=SLOW)
    (tmp_path / "dagster").mkdir()
    with (
        DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance,
        child(stopped_run, market, tmp_path, database_url, str(tmp_path / "dagster")) as process,
    ):
        wait_until(lambda: market.writes.count("create") >= 3, process)
        run = instance.get_run_by_id(RUN_ID)
        assert run is not None
        if terminated:
            # What the launcher does for "Terminate": the request, then an interrupt for the run's process.
            instance.report_run_canceling(run)
        _stop(process, signal.SIGINT if terminated else signal.SIGTERM)
        ended = instance.get_run_by_id(RUN_ID)
        assert ended is not None
        assert ended.status is DagsterRunStatus.CANCELED
        messages = [entry.message for entry in instance.all_logs(RUN_ID)]

    market.waldur.faults.clear()
    done = _is_finished_in_part(market)
    assert 3 <= done < OFFERINGS
    assert any(f"{done} of {OFFERINGS} changes done" in message for message in messages)
    _is_completed_by_the_next_run(market, offerings)
