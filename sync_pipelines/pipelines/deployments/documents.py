"""The documents of an instance in Vault, made from what is there and what is wanted. Pure.

All of them keep what they do not know: other programs write into the same documents. Where nothing but a stamp would
change, the document comes back as it is, so that writing it again is no write at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sync_pipelines.core.records import Content
from sync_pipelines.core.trees import same
from sync_pipelines.pipelines.deployments.history import with_entry
from sync_pipelines.pipelines.deployments.instance import (
    ENTRY_TIMES,
    ORPHAN_FIELDS,
    RECONCILER,
    binding_counters_hold,
    confidence_of,
    digest_of,
    rows_of,
)
from sync_pipelines.pipelines.deployments.manifest import bag_digest
from sync_pipelines.pipelines.deployments.times import is_rfc_3339, moment_of, stamp
from sync_pipelines.systems.vault.documents import same_json

STALE_AFTER = timedelta(days=30)
_FROM_CONTENT = (
    "service_name",
    "plan_name",
    "releases",
    "stemcells",
    "vms",
    "teams",
    "match_confidence",
    "match_reason",
    "latest_task_id",
)

Json = dict[str, Any]


def merged_entry(existing: object, content: Content, now: datetime) -> Json:
    """Return the index entry of an instance that has a deployment.

    ``created_at`` is set once; only earlier proof moves it. Marks of an orphan go, and ``unorphaned_at`` says when.

    Arguments:
        existing: the entry as it is; ``None``, or anything that is no object, counts as empty.
        content: of :func:`content_of_deployment`.
        now: aware.
    """
    before: Json = dict(existing) if isinstance(existing, Mapping) else {}
    merged = {name: value for name, value in before.items() if name not in ORPHAN_FIELDS}
    for name in ENTRY_TIMES:
        moment = moment_of(merged.get(name))
        if moment is None:
            merged.pop(name, None)
        elif not is_rfc_3339(merged[name]):
            merged[name] = stamp(moment)
    for name in ("service_id", "plan_id", "deployment_name", "service_name", "director"):
        if content.get(name) is not None:
            merged[name] = content[name]
    plan = merged["plan"] if isinstance(merged.get("plan"), Mapping) else {}
    merged["plan"] = {**plan, "id": content["plan_id"], "name": content["plan_name"]}
    if created := _created(merged, content):
        merged["created_at"] = created
    if content.get("updated_at") is not None and not _same_moment(merged.get("updated_at"), content["updated_at"]):
        merged["updated_at"] = content["updated_at"]
    merged |= {"reconciled": True, "reconciled_by": RECONCILER}
    if same_json(merged, before) and "reconciled_at" in merged:
        return before
    if before.get("orphaned") not in (None, False):
        merged["unorphaned_at"] = stamp(now)
    merged["reconciled_at"] = stamp(now)
    return merged


def orphaned_entry(existing: Mapping[str, Any], now: datetime, stale_after: timedelta = STALE_AFTER) -> Json:
    """Return the index entry of an instance whose deployment is gone. Nothing of it is removed.

    ``orphaned_at`` is set once. After a time the entry is stale, and says since when; ``days_orphaned`` is how long it
    had been an orphan then, and does not grow any more.

    Arguments:
        existing: an entry that :func:`not_orphanable` says nothing against.
        now: aware.
    """
    merged = dict(existing)
    since = moment_of(merged.get("orphaned_at")) if merged.get("orphaned") is True else None
    if since is None:
        since = now
        merged["orphaned_at"] = stamp(now)
    merged["orphaned"] = True
    merged.setdefault("orphaned_reason", "no_bosh_deployment")
    if now - since > stale_after:
        merged["stale"] = True
        merged.setdefault("stale_since", stamp(now))
        merged["days_orphaned"] = (now - since).days
        merged["preservation_reason"] = "service_instance_historical_data"
    return merged


def merged_metadata(
    existing: object,
    content: Content,
    property_bag: Mapping[str, Any] | None,
    now: datetime,
    bindings: Iterable[str] | None,
    has_credentials: bool | None = None,
    fields: Collection[str] | None = None,
) -> Json:
    """Return the metadata of an instance. The history grows by one entry when anything else changes, else by none.

    Arguments:
        existing: the document as it is; ``None``, or anything that is no object, counts as empty.
        property_bag: of the manifest as it is now; ``None`` keeps the properties that are there.
        now: aware.
        bindings: ids of the instance's bindings; ``None`` keeps the counters that are there.
        has_credentials: whether there are any; ``None`` keeps what is there.
        fields: of the content that were found to differ; others stay as somebody else may just have set them. ``None``
            for all of them.
    """
    before: Json = dict(existing) if isinstance(existing, Mapping) else {}
    merged = dict(before)
    for name in _FROM_CONTENT if fields is None else _written(fields):
        if content.get(name) is not None and not same(content[name], _found(name, before)):
            merged[name] = content[name]
    if property_bag is not None and bag_digest(property_bag) != digest_of(before.get("properties")):
        merged["properties"] = dict(property_bag)
    if bindings is not None:
        ids = sorted(bindings)
        if not binding_counters_hold(before, ids):
            merged |= {"has_bindings": bool(ids), "bindings_count": len(ids), "binding_ids": ids}
    if has_credentials is not None:
        merged["has_credentials"] = has_credentials
    if before and same_json(merged, before):
        return before
    merged.setdefault("variables", [])
    merged["reconciled_at"] = stamp(now)
    merged["history"] = with_entry(before, merged, content, now)
    return merged


def merged_manifest(existing: object, text: str, now: datetime) -> Json:
    """Return the document that holds a manifest; as it is when it holds that text already."""
    before: Json = dict(existing) if isinstance(existing, Mapping) else {}
    if before.get("manifest") == text:
        return before
    seconds = int(now.timestamp())
    return {**before, "manifest": text, "updated_at": seconds, "reconciled": True, "reconciled_by": "reconciler"}


def _written(fields: Collection[str]) -> list[str]:
    # What is missing in the metadata alone does not differ, because the index has it too; the shape tells.
    shaped = ("service_name", "plan_name") if "metadata_shape" in fields else ()
    return [name for name in _FROM_CONTENT if name in fields or name in shaped]


def _created(merged: Mapping[str, Any], content: Content) -> str | None:
    """Return the creation time to write; ``None`` when nothing says one, or the one that is there stands."""
    kept = moment_of(merged.get("created_at"))
    known = [moment_of(content.get("created_at")), kept or moment_of(merged.get("created"))]
    earliest = min((moment for moment in known if moment is not None), default=None)
    if earliest is None or (kept is not None and kept <= earliest):
        return None
    return stamp(earliest)


def _same_moment(kept: object, wanted: object) -> bool:
    one, other = moment_of(kept), moment_of(wanted)
    return one is not None and other is not None and one.replace(microsecond=0) == other.replace(microsecond=0)


def _found(name: str, metadata: Mapping[str, Any]) -> object:
    value = metadata.get(name)
    if name in ("releases", "stemcells", "vms", "teams"):
        return rows_of(name, value)
    return confidence_of(value) if name == "match_confidence" else value if isinstance(value, str) else None
