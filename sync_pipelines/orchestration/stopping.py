"""Stopping a Dagster run: the changes in hand are finished, and the run ends as canceled."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from dagster import DagsterExecutionInterruptedError, DagsterInstance, DagsterRunStatus

from sync_pipelines.core.errors import RunStopped
from sync_pipelines.engine.stopping import run_until_stopped

T = TypeVar("T")


def run_stoppable(work: Coroutine[Any, Any, T], instance: DagsterInstance, run_id: str) -> T:
    """Do a step's asynchronous work in place of ``asyncio.run``; a stop finishes what is in hand first.

    A stop is "Terminate" in the UI (Dagster sends SIGINT to the run's process), SIGTERM from whoever stops the
    container, or Ctrl-C at the command line.

    Raises:
        DagsterExecutionInterruptedError: it was stopped; Dagster ends the run as canceled. Carries what was done.
    """
    try:
        return run_until_stopped(work)
    except RunStopped as stopped:
        _announce(instance, run_id, str(stopped))
        raise DagsterExecutionInterruptedError(str(stopped)) from None


def _announce(instance: DagsterInstance, run_id: str, why: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is None:
        return
    instance.report_engine_event(why, run)
    if run.status is DagsterRunStatus.STARTED:
        # Without a request to cancel it, Dagster takes an interrupted run for a failed one.
        instance.report_run_canceling(run)
