"""A run whose code server is gone is told from one that works."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

from dagster import DagsterRun
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from sync_pipelines.orchestration.launcher import WatchedRunLauncher
from sync_pipelines.orchestration.process_tag import PROCESS_TAG


def _run(**address: object) -> DagsterRun:
    return DagsterRun(job_name="job", tags={GRPC_INFO_TAG: json.dumps(address)})


def test_a_local_socket_that_nobody_serves_means_the_run_is_dead(tmp_path: Path) -> None:
    launcher = WatchedRunLauncher()
    run = _run(host="localhost", socket=str(tmp_path / "gone"))
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED


def test_a_port_that_nobody_serves_is_given_three_looks() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        run = _run(host="127.0.0.1", port=unused.getsockname()[1])
        launcher = WatchedRunLauncher()
        looks = [launcher.check_run_worker_health(run).status for _ in range(3)]
    assert looks == [WorkerStatus.RUNNING, WorkerStatus.RUNNING, WorkerStatus.FAILED]


def test_a_run_that_was_not_launched_through_a_code_server_is_left_alone() -> None:
    assert WatchedRunLauncher().check_run_worker_health(DagsterRun(job_name="job")).status == WorkerStatus.RUNNING


def test_a_run_of_a_command_that_was_killed_is_dead_and_one_of_a_living_command_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", _TELLS_ITS_TAG], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        run = DagsterRun(job_name="job", tags={PROCESS_TAG: command.stdout.readline().strip()})
        alive = WatchedRunLauncher().check_run_worker_health(run).status
        command.kill()
    dead = WatchedRunLauncher().check_run_worker_health(run).status

    assert (alive, dead) == (WorkerStatus.RUNNING, WorkerStatus.NOT_FOUND)


def test_a_run_of_a_command_on_another_host_is_left_alone() -> None:
    run = DagsterRun(job_name="job", tags={PROCESS_TAG: "another-host:1:1"})
    assert WatchedRunLauncher().check_run_worker_health(run).status == WorkerStatus.RUNNING


_TELLS_ITS_TAG = """
import time
from sync_pipelines.orchestration.process_tag import this_process
print(this_process(), flush=True)
time.sleep(60)
"""
