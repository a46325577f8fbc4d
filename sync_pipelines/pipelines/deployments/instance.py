"""What is compared of a service instance: from the Director's side, and from Vault's in the same form. Pure.

The Director owns every field. One that is not known now (its events were pruned, its VMs could not be read) is left
out of the wanted content, so that what Vault has of it stays. Manifest texts and properties take part as digests only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.records import Content
from sync_pipelines.core.trees import same
from sync_pipelines.pipelines.deployments.confidence import PLACES
from sync_pipelines.pipelines.deployments.manifest import ManifestFacts, bag_digest, text_digest, uuid_of
from sync_pipelines.pipelines.deployments.matches import Match
from sync_pipelines.pipelines.deployments.safe_yaml import Fault
from sync_pipelines.pipelines.deployments.times import is_rfc_3339, moment_of, stamp
from sync_pipelines.systems.bosh.models import Life, ListedDeployment, NamedVersion, Vm, VmFull

RECONCILER = "deployment_reconciler"
"""``reconciled_by`` of an index entry that this pipeline wrote."""

ORPHAN_FIELDS = (
    "orphaned",
    "orphaned_at",
    "orphaned_reason",
    "orphan_check_count",
    "stale",
    "stale_since",
    "days_orphaned",
    "preservation_reason",
    "removal_began",
)
_ROW_KEYS = {
    "releases": ("name", "version"),
    "stemcells": ("name", "version"),
    "vms": ("id", "job_name", "index", "az", "cid", "ips", "active", "state", "job_state"),
}
ENTRY_TIMES = ("created_at", "updated_at", "reconciled_at", "unorphaned_at")


class Document(StrEnum):
    """Where a field of the content is kept."""

    ENTRY = "db"
    METADATA = "metadata"
    MANIFEST = "manifest"


KEPT_IN: Mapping[str, frozenset[Document]] = {
    "service_id": frozenset({Document.ENTRY}),
    "plan_id": frozenset({Document.ENTRY}),
    "service_name": frozenset({Document.ENTRY, Document.METADATA}),
    "plan_name": frozenset({Document.ENTRY, Document.METADATA}),
    "deployment_name": frozenset({Document.ENTRY}),
    "director": frozenset({Document.ENTRY}),
    "created_at": frozenset({Document.ENTRY}),
    "updated_at": frozenset({Document.ENTRY}),
    "orphaned": frozenset({Document.ENTRY}),
    "entry_shape": frozenset({Document.ENTRY}),
    "releases": frozenset({Document.METADATA}),
    "stemcells": frozenset({Document.METADATA}),
    "vms": frozenset({Document.METADATA}),
    "teams": frozenset({Document.METADATA}),
    "match_confidence": frozenset({Document.METADATA}),
    "match_reason": frozenset({Document.METADATA}),
    "latest_task_id": frozenset({Document.METADATA}),
    "properties_digest": frozenset({Document.METADATA}),
    "metadata_shape": frozenset({Document.METADATA}),
    "manifest_sha256": frozenset({Document.MANIFEST}),
}


def documents_behind(fields: Iterable[str]) -> frozenset[Document]:
    """Return the documents that must be written to bring these fields through."""
    return frozenset(document for field in fields for document in KEPT_IN[field])


def content_of_deployment(
    match: Match,
    listed: ListedDeployment,
    *,
    director: str,
    manifest: ManifestFacts | None = None,
    vms: Sequence[Vm] | None = None,
    life: Life | None = None,
) -> Content:
    """Return what Vault should hold about a deployment. What is ``None`` is not known, and left out.

    Arguments:
        director: what names the Director in the index entry.
        vms: as listed; process state is kept where it was asked for.
    """
    life = life or Life()
    known = {
        "service_id": match.service_id,
        "plan_id": match.plan_id,
        "service_name": match.service_name,
        "plan_name": match.plan_name,
        "deployment_name": listed.name,
        "director": director,
        "created_at": stamp(life.created_at) if life.created_at else None,
        "updated_at": stamp(life.updated_at) if life.updated_at else None,
        "orphaned": False,
        "entry_shape": [],
        "releases": _versions(listed.releases),
        "stemcells": _versions(listed.stemcells),
        "vms": None if vms is None else _ordered([_vm(vm) for vm in vms]),
        "teams": sorted(listed.teams),
        "match_confidence": match.confidence,
        "match_reason": match.code,
        "latest_task_id": life.latest_task_id,
        "properties_digest": manifest.bag_digest if manifest else None,
        "metadata_shape": [],
        "manifest_sha256": _storable_digest(manifest) if manifest else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def content_of_vault(
    instance_id: str,
    entry: object,
    metadata: object,
    manifest: object,
    *,
    bindings: Iterable[str] | None,
    has_credentials: bool | None,
    key: str | None = None,
) -> Content:
    """Return what Vault holds about an instance, in the form of :func:`content_of_deployment`.

    Arguments:
        instance_id: lower case.
        entry: value of the index, whatever it is.
        metadata, manifest: the documents; ``None`` when there are none.
        bindings: ids of the instance's bindings; ``None`` when they are not known.
        has_credentials: whether there is a secret of that name; ``None`` when that is not known.
        key: key of the index as it is spelled, when it is not the instance id.
    """
    row = entry if isinstance(entry, Mapping) else {}
    facts = metadata if isinstance(metadata, Mapping) else {}
    plan = row["plan"] if isinstance(row.get("plan"), Mapping) else {}
    created = moment_of(row.get("created_at")) or moment_of(row.get("created"))
    updated = moment_of(row.get("updated_at"))
    return {
        "service_id": _text(row.get("service_id")),
        "plan_id": _agreed({"plan_id": row.get("plan_id"), "plan.id": plan.get("id")}),
        "service_name": _agreed({"db": row.get("service_name"), "metadata": facts.get("service_name")}),
        "plan_name": _agreed({"db": plan.get("name"), "metadata": facts.get("plan_name")}),
        "deployment_name": _text(row.get("deployment_name")),
        "director": _text(row.get("director")),
        "created_at": stamp(created) if created else None,
        "updated_at": stamp(updated) if updated else None,
        "orphaned": row.get("orphaned") not in (None, False),
        "entry_shape": entry_shape(instance_id, entry, key),
        "releases": rows_of("releases", facts.get("releases")),
        "stemcells": rows_of("stemcells", facts.get("stemcells")),
        "vms": rows_of("vms", facts.get("vms")),
        "teams": rows_of("teams", facts.get("teams")),
        "match_confidence": confidence_of(facts.get("match_confidence")),
        "match_reason": _text(facts.get("match_reason")),
        "latest_task_id": _text(facts.get("latest_task_id")),
        "properties_digest": digest_of(facts.get("properties")),
        "metadata_shape": metadata_shape(metadata, bindings, has_credentials),
        "manifest_sha256": _text_digest(manifest),
    }


def entry_shape(instance_id: str, entry: object, key: str | None = None) -> list[str]:
    """Return what is wrong with an index entry beyond the values of its fields; nothing of it is quoted."""
    shape = [] if key in (None, instance_id) else ["its key is not the instance id in lower case"]
    if not isinstance(entry, Mapping):
        return [*shape, "it is no object"]
    shape += [f"{name} is no RFC 3339 time" for name in ENTRY_TIMES if name in entry and not is_rfc_3339(entry[name])]
    missing = [name for name in ("service_name", "plan", "reconciled_at") if entry.get(name) is None]
    if entry.get("created_at") is None and moment_of(entry.get("created")) is not None:
        missing.append("created_at")
    shape += [f"{name} is missing" for name in missing]
    if entry.get("plan") is not None and not isinstance(entry["plan"], Mapping):
        shape.append("plan is no object")
    if entry.get("reconciled") is not True or entry.get("reconciled_by") != RECONCILER:
        shape.append("it was not written by the reconciler")
    if entry.get("orphaned") in (None, False) and any(name in entry for name in ORPHAN_FIELDS):
        shape.append("marks of an orphan are left")
    return shape


def metadata_shape(metadata: object, bindings: Iterable[str] | None, has_credentials: bool | None) -> list[str]:
    """Return what is wrong with an instance's metadata beyond the values of its fields."""
    if metadata is None:
        return ["it is missing"]
    if not isinstance(metadata, Mapping):
        return ["it is no object"]
    shape = [f"{name} is missing" for name in ("service_name", "plan_name") if metadata.get(name) is None]
    if bindings is not None and not binding_counters_hold(metadata, bindings):
        shape.append("its binding counters are wrong")
    if has_credentials is not None and metadata.get("has_credentials") is not has_credentials:
        shape.append("has_credentials is wrong")
    return shape


def binding_counters_hold(metadata: Mapping[str, Any], bindings: Iterable[str]) -> bool:
    """Say whether metadata counts the bindings that there are, in whatever order it lists them."""
    ids, listed = sorted(bindings), metadata.get("binding_ids")
    is_listed = isinstance(listed, list) and all(isinstance(name, str) for name in listed) and sorted(listed) == ids
    return is_listed and metadata.get("has_bindings") is bool(ids) and same(metadata.get("bindings_count"), len(ids))


def rows_of(field: str, value: object) -> list[Any] | str | None:
    """Return a list of Vault's metadata in the order and with the keys that are compared.

    Arguments:
        field: ``releases``, ``stemcells``, ``vms`` or ``teams``.
    """
    if value is None:
        return None
    if not isinstance(value, list):
        return "it is no list"
    keys = _ROW_KEYS.get(field)
    try:
        return _ordered([_text(row) if keys is None else _row(keys, row) for row in value])
    except ValueError:
        return "it holds a number out of range"


def digest_of(properties: object) -> str | None:
    """Return the digest of the properties in Vault; ``None`` when there are none that have one."""
    try:
        return bag_digest(properties) if isinstance(properties, Mapping) else None
    except ValueError:
        return None


def confidence_of(value: object) -> Decimal | str | None:
    """Return a confidence of Vault's metadata with four places; instead of anything else, that it is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value <= 1:
        return "no number from 0 to 1"
    return Decimal(value if isinstance(value, int) else str(value)).quantize(PLACES)


def alike(field: str, wanted: object, found: object) -> bool:
    """Compare a field: what is not known agrees with anything, and a creation that Vault dates earlier is older proof.

    Events are pruned, so the Director's first sight of a deployment may be younger than the deployment.
    """
    if wanted is None:
        return True
    if field in ("created_at", "updated_at"):
        wanted_at, found_at = moment_of(wanted), moment_of(found)
        if wanted_at is None or found_at is None:
            return False
        return found_at <= wanted_at if field == "created_at" else found_at == wanted_at
    return same(wanted, found)


def is_orphaned(content: Content) -> bool:
    """Say whether Vault shows an instance as orphaned."""
    return content.get("orphaned") is True


def not_orphanable(key: str, entry: object) -> str | None:
    """Say why an entry of the index without a deployment is reported, and not marked as orphaned; ``None`` otherwise.

    Only what is surely a service instance is marked: the index is shared with the broker.
    """
    if uuid_of(key) is None:
        return "its key is no instance id; correct or remove it by hand"
    if not isinstance(entry, Mapping):
        return "its entry is no object and it has no deployment; restore a backup or remove it by hand"
    if not (_is_text(entry.get("service_id")) and _is_text(entry.get("plan_id"))):
        return "its entry names no service and plan, and it has no deployment; complete or remove it by hand"
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _versions(rows: Sequence[NamedVersion] | None) -> list[dict[str, str]] | None:
    return None if rows is None else [{"name": row.name, "version": row.version} for row in sorted(set(rows))]


def _row(keys: Iterable[str], row: object) -> dict[str, Any]:
    known = {name: row[name] for name in keys if name in row} if isinstance(row, Mapping) else {}
    return {name: "an object" if isinstance(value, Mapping) else value for name, value in known.items()}


def _vm(vm: Vm) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": vm.id,
        "job_name": vm.job,
        "index": vm.index,
        "az": vm.az,
        "cid": vm.cid,
        "ips": sorted(vm.ips),
        "active": vm.active,
    }
    return {**row, "state": vm.state, "job_state": vm.job_state} if isinstance(vm, VmFull) else row


def _ordered(rows: Iterable[Any]) -> list[Any]:
    return sorted(rows, key=canonical_json)


def _storable_digest(manifest: ManifestFacts) -> str | None:
    """Return the digest of a text that is to be stored: one over the size limit is not."""
    too_large = manifest.unreadable is not None and manifest.unreadable.fault is Fault.TOO_LARGE
    return None if too_large else manifest.sha256


def _agreed(told: Mapping[str, object]) -> object:
    """Return what the places that say something agree on; where they do not, who says what."""
    texts = {place: _text(value) for place, value in told.items()}
    values = [text for text in texts.values() if text is not None]
    return (values[0] if values else None) if len(set(values)) <= 1 else texts


def _text(value: object) -> str | None:
    """Return a text; instead of anything else, which may be a secret in the wrong place, what kind of thing it is."""
    return value if value is None or isinstance(value, str) else f"a value of type {type(value).__name__}, not a text"


def _text_digest(manifest: object) -> str | None:
    text = manifest.get("manifest") if isinstance(manifest, Mapping) else None
    return text_digest(text) if isinstance(text, str) else None
