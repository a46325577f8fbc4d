"""Keys of the pipeline's assets, and the name of the job that makes them."""

from __future__ import annotations

from dagster import AssetKey

from sync_pipelines.pipelines.commerce.connection import NAME

JOB = f"{NAME}_sync"
PLAN, CONFLICTS, APPLIED = "plan", "conflicts", "applied"
STARTED = "started_syncs"


def asset(name: str) -> AssetKey:
    """Key of one of the pipeline's own assets."""
    return AssetKey([NAME, name])


def snapshot_key(peer: str) -> AssetKey:
    """Key of what a system says."""
    return asset(f"{peer}_snapshot")


def system_key(peer: str) -> AssetKey:
    """Key of a system itself, outside of Dagster."""
    return AssetKey([peer, f"{peer}_{NAME}"])
