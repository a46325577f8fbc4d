"""A run whose code server is gone is told from one that works."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from dagster import DagsterRun
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from sync_pipelines.orchestration.launcher import WatchedRunLauncher


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
