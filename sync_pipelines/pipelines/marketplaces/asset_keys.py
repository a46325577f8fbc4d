"""Names of the pipeline's assets, steps and jobs."""

from __future__ import annotations

from dagster import AssetKey

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.pipelines.marketplaces.connection import NAME

CYCLE_JOB = f"{NAME}_cycle"
CYCLE_STEP = f"{NAME}__cycle"
CYCLE_TAG = f"{NAME}/cycle"
"""Value of the run tag by which cycles take turns."""


def asset_key(kind: str, stream: Stream) -> AssetKey:
    """Return the key of what is pulled of the connections of a kind."""
    return AssetKey([NAME, kind, stream.value])


def step_name(kind: str) -> str:
    """Return the name of the step that makes both assets of a kind."""
    return f"{NAME}__{kind}"


def job_name(kind: str) -> str:
    """Return the name of the job that pulls days of connections of a kind."""
    return f"{NAME}_{kind}"
