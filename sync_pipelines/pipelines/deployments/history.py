"""The history in an instance's metadata: what was changed, and when. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.deployments.times import moment_of, stamp
from sync_pipelines.systems.vault.documents import same_json

KEPT_FOR = timedelta(days=30)
MOST = 1000
_WATCHED = {"releases": "releases updated", "stemcells": "stemcells updated", "vms": "VMs updated"}


def with_entry(before: Mapping[str, Any], after: Mapping[str, Any], content: Content, now: datetime) -> list[Any]:
    """Return the history of metadata that changes now: the old one, an entry about this change, and not too much.

    Entries of the last 30 days are kept, at most 1,000. One without a readable time cannot be proved old, so it stays
    as long as there is room.

    Arguments:
        before: the metadata that was there; empty when there was none.
        after: what it becomes.
        now: aware.
    """
    kept = [entry for entry in _entries(before.get("history")) if not _is_old(entry, now)]
    return [*kept, _entry(before, after, content, now)][-MOST:]


def _entries(history: object) -> list[Any]:
    if history is None:
        return []
    # Something else than a list is somebody's, too.
    return history if isinstance(history, list) else [history]


def _is_old(entry: object, now: datetime) -> bool:
    moment = moment_of(entry.get("timestamp")) if isinstance(entry, Mapping) else None
    return moment is not None and now - moment > KEPT_FOR


def _entry(before: Mapping[str, Any], after: Mapping[str, Any], content: Content, now: datetime) -> dict[str, Any]:
    changed = {name: name in before and not same_json(before[name], after.get(name)) for name in _WATCHED}
    notes = [f" - {note}" for name, note in _WATCHED.items() if changed[name]]
    return {
        "timestamp": int(now.timestamp()),
        "iso_timestamp": stamp(now),
        "action": "reconciliation",
        "description": "Instance reconciled from BOSH deployment" + "".join(notes),
        "source": "deployment_reconciler",
        "state": "active",
        "deployment": content["deployment_name"],
        # Not known from the list alone, when the manifest could not be read.
        "match_confidence": content.get("match_confidence", after.get("match_confidence")),
        "match_reason": content.get("match_reason", after.get("match_reason")),
        "changes": {
            **{f"{name}_changed": changed[name] for name in _WATCHED},
            "fields_added": sorted(set(after) - set(before) - {"history"}),
            "fields_removed": sorted(set(before) - set(after)),
        },
    }
