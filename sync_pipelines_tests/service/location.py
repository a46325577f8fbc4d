"""A code location with a job in the place of the marketplaces' cycle: it does what its options say."""

import time
from pathlib import Path

from dagster import Config, Definitions, OpExecutionContext, in_process_executor, job, op
from pydantic import Field

from sync_pipelines.service.settings import CYCLE_JOB, CYCLE_STEP

GATE = "GATE"
"""Name of the file in DAGSTER_HOME as long as which a cycle goes on."""


class Options(Config):
    """As the real cycle has them."""

    connections: list[str] = Field(default_factory=list)


@op(name=CYCLE_STEP)
def cycle(context: OpExecutionContext, config: Options) -> None:
    """Fail for the connection ``broken``; else wait until nobody holds the gate."""
    if "broken" in config.connections:
        raise RuntimeError("the marketplace is closed, token=abcdef0123456789")
    gate = Path(context.instance.root_directory) / GATE
    while gate.exists():
        time.sleep(0.1)


@job(name=CYCLE_JOB, executor_def=in_process_executor)
def marketplaces_cycle() -> None:
    """One cycle."""
    cycle()


defs = Definitions(jobs=[marketplaces_cycle])
