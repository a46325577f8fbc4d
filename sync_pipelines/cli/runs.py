"""Reconciles as Dagster runs, carried out by this process and seen in the UI like any other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sync_pipelines.cli.pipelines import Configured
from sync_pipelines.cli.session import operator
from sync_pipelines.core.errors import RunStopped
from sync_pipelines.orchestration.dagster_ui import without_class
from sync_pipelines.orchestration.process_tag import PROCESS_TAG, this_process

if TYPE_CHECKING:
    from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult

WAIT_SECONDS = 120.0
"""How long to wait for another run over the same connection; a killed one may never end."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked to do; the run options of the Launchpad."""

    plan_only: bool = False
    keys: Sequence[str] = ()
    approve: str = ""
    force_full: bool = False

    @property
    def config(self) -> dict[str, Any]:
        """Return the run options as run config."""
        options: dict[str, Any] = {"mode": "plan"} if self.plan_only else {}
        options |= {"keys": list(self.keys)} if self.keys else {}
        options |= {"approve": self.approve} if self.approve else {}
        options |= {"force_full": True} if self.force_full else {}
        return options


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        seconds: without the time it waited for its turn.
        made: metadata of what it materialized, by the last part of the asset's key.
    """

    run_id: str
    success: bool
    reason: str | None
    seconds: float
    made: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def run_reconcile(
    instance: DagsterInstance,
    configured: Configured,
    options: Options,
    *,
    verbose: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Ended:
    """Reconcile one connection as a run of the Dagster job.

    Arguments:
        verbose: print the run's log to stderr as well.
        say: told what is being waited for.
    """
    return run_job(
        instance,
        configured.pipeline.job,
        configured.full_name,
        {"resources": {"options": {"config": options.config}}},
        partition=configured.name,
        verbose=verbose,
        say=say,
    )


def run_job(
    instance: DagsterInstance,
    job: str,
    scope: str,
    config: Mapping[str, Any],
    *,
    partition: str | None = None,
    selected: Sequence[AssetKey] | None = None,
    tags: Mapping[str, str] | None = None,
    verbose: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Ended:
    """Carry out a Dagster job in this process, when it is its turn.

    Arguments:
        scope: what it works on; runs of one scope take turns.
        config: run config.
        partition: partition key, for a job of one partition.
        selected: the only assets to be made; all of the job by default.
        tags: more tags, such as a range of partitions.
    """
    from dagster._core.utils import make_new_run_id

    from sync_pipelines.definitions import defs
    from sync_pipelines.orchestration.spec import SCOPE_TAG

    _wait_for_turn(instance, {SCOPE_TAG: scope}, say)
    started = time.monotonic()
    with _ending(instance, make_new_run_id()) as run_id:
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=partition,
            asset_selection=selected,
            # The log is kept in the instance in any case.
            run_config={
                **config,
                "loggers": {"console": {"config": {"log_level": "INFO" if verbose else "CRITICAL"}}},
            },
            tags={SCOPE_TAG: scope, "user": operator(), PROCESS_TAG: this_process(), **(tags or {})},
            run_id=run_id,
            raise_on_error=False,
        )
    reason = None if result.success else _reason(result)
    return Ended(result.run_id, result.success, reason, time.monotonic() - started, _made(result))


def _made(result: ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    return {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


@contextmanager
def _ending(instance: DagsterInstance, run_id: str) -> Iterator[str]:
    """Leave no unfinished run behind: it would keep its connection's place in the queue for ever."""
    try:
        yield run_id
    except BaseException:
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, "the command that ran it was interrupted")
        raise


def _wait_for_turn(instance: DagsterInstance, tags: dict[str, str], say: Callable[[str], None]) -> None:
    from dagster import DagsterRunStatus, RunsFilter

    # Queued runs wait for this one: the queue counts it by the same tag.
    busy = RunsFilter(tags=tags, statuses=[DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
    deadline = time.monotonic() + WAIT_SECONDS
    while running := instance.get_run_records(busy, limit=1):
        if time.monotonic() > deadline:
            return
        say(f"waiting for run {running[0].dagster_run.run_id[:8]} of the same connection to end")
        time.sleep(1)


def _reason(result: ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            if error is None:
                continue
            if error.cls_name == "DagsterExecutionInterruptedError":
                # Dagster has turned the signal into a failed step.
                if said := without_class(error.message):
                    raise RunStopped(said)
                raise KeyboardInterrupt
            return without_class(error.message)
    failures = [event.message for event in result.all_events if event.is_run_failure and event.message]
    return failures[0] if failures else f"see run {result.run_id} in the Dagster UI"
