"""Takes old runs out of Dagster's storage, with their events and logs, by Dagster's own means."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter

_FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_ASSET_EVENTS = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION)
_PAGE = 100


def prune_runs(instance: DagsterInstance, days: int, *, dry_run: bool = False) -> int:
    """Delete finished runs that were created more than some days ago.

    A run that has the newest materialization or observation of an asset or of one of its partitions stays: without it a
    replicated day would count as missing, and be replicated again.

    Arguments:
        days: 0 keeps all runs.
        dry_run: only count.

    Returns how many were deleted, or would be.
    """
    if not days:
        return 0
    filters = RunsFilter(statuses=_FINISHED, created_before=datetime.now(UTC) - timedelta(days=days))
    deleted = 0
    cursor: str | None = None
    while runs := instance.get_runs(filters, cursor=cursor, limit=_PAGE):
        for run in runs:
            # A cursor is a run that has to be there still.
            if _is_newest(instance, run.run_id):
                cursor = run.run_id
                continue
            deleted += 1
            if dry_run:
                cursor = run.run_id
            else:
                _delete(instance, run.run_id)
    return deleted


def _delete(instance: DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])


def _is_newest(instance: DagsterInstance, run_id: str) -> bool:
    for event_type in _ASSET_EVENTS:
        told: dict[AssetKey, dict[str | None, int]] = defaultdict(dict)
        for record in instance.get_records_for_run(run_id, of_type=event_type).records:
            event = record.event_log_entry.dagster_event
            if event is not None and event.asset_key is not None:
                told[event.asset_key][event.partition] = record.storage_id
        if any(_has_newest(instance, event_type, key, ids) for key, ids in told.items()):
            return True
    return False


def _has_newest(
    instance: DagsterInstance, event_type: DagsterEventType, key: AssetKey, ids: dict[str | None, int]
) -> bool:
    fetch = (
        instance.fetch_materializations
        if event_type is DagsterEventType.ASSET_MATERIALIZATION
        else instance.fetch_observations
    )
    if any(record.storage_id in ids.values() for record in fetch(key, limit=1).records):
        return True
    partitions = {partition for partition in ids if partition is not None}
    if not partitions:
        return False
    newest = instance.event_log_storage.get_latest_storage_id_by_partition(key, event_type, partitions)
    return any(newest.get(partition) == ids[partition] for partition in partitions)
