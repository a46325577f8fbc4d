"""Launches runs and tells a run whose process is dead from one that works."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import grpc
from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

from sync_pipelines.orchestration.process_tag import PROCESS_TAG, is_gone

_LOOKS_BEFORE_DEAD = 3


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, whose runs live in the code server, plus the check that run monitoring needs.

    The default launcher cannot be asked after a run. When a code server dies together with its runs (SIGKILL, a
    reboot), they stay "started" for ever and keep their slot in the queue: the scope would never be synced again.
    """

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self._unreachable: Counter[str] = Counter()

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process of ``run`` is alive, as its code server says.

        A server behind a port is given several looks, for it may be on another machine; a local socket that nobody
        serves is proof enough.
        """
        if is_gone(run.tags.get(PROCESS_TAG, "")):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the command that ran it was killed")
        info = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
        if not info:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "not launched here")
        client = DagsterGrpcClient(
            port=info.get("port"),
            socket=info.get("socket"),
            host=info.get("host") or "localhost",
            use_ssl=bool(info.get("use_ssl")),
        )
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=10)
        except DagsterUserCodeUnreachableError as error:
            looks = 1 if info.get("socket") else _LOOKS_BEFORE_DEAD
            return self._when_unreachable(run.run_id, error, looks)
        self._unreachable.pop(run.run_id, None)
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its code server no longer runs it")

    def _when_unreachable(
        self, run_id: str, error: DagsterUserCodeUnreachableError, looks: int
    ) -> CheckRunHealthResult:
        cause = error.__cause__
        if not isinstance(cause, grpc.RpcError) or cause.code() != grpc.StatusCode.UNAVAILABLE:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its code server is slow to answer", transient=True)
        self._unreachable[run_id] += 1
        if self._unreachable[run_id] < looks:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its code server did not answer", transient=True)
        del self._unreachable[run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, "its code server is gone")
