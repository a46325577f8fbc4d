"""Details of one deployment as they may be kept: facts and digests. Pure.

The Director's list shows names, teams, releases and stemcells; manifest, VMs and events cost a request each, so what
was learned from them is kept for a while. What is kept holds no text and no property of a manifest. The ids that a
manifest claims are kept only where the catalog has them: anything else may be a secret in the wrong place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.core.canonical import canonical_bytes
from sync_pipelines.pipelines.deployments.catalog import Catalog
from sync_pipelines.pipelines.deployments.manifest import Claims, ManifestFacts, Unreadable, Versioned
from sync_pipelines.pipelines.deployments.safe_yaml import Fault
from sync_pipelines.systems.bosh import Life, ListedDeployment, Vm, VmFull

_FORMAT = 1
"""Of the kept documents; another one means that they are read anew."""
_UNKNOWN = "(not in the catalog)"


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of a deployment beyond the list.

    Attributes:
        vms, life: ``None`` when they could not be read.
    """

    manifest: ManifestFacts
    vms: tuple[Vm, ...] | None
    life: Life | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of asking for details.

    Attributes:
        details: ``None`` when the manifest could not be read now.
        earlier: facts of the manifest when it was last read; of use for telling what the deployment is.
        problems: what could not be read, and why.
        is_gone: the Director does not know the deployment any more.
        is_cached: nothing was asked.
    """

    details: Details | None
    earlier: ManifestFacts | None = None
    problems: tuple[str, ...] = ()
    is_gone: bool = False
    is_cached: bool = False


def stamp_of(listed: ListedDeployment, manner: str) -> str:
    """Return the digest of a list entry; when it changes, the details are out of date.

    The lock counts: while it is held, and when it is given back, details change without anything else in the list.

    Arguments:
        manner: digest of how details are read, see :func:`manner_digest`.
    """
    entry = [
        _FORMAT,
        manner,
        listed.locked,
        sorted(listed.teams),
        *(
            None if rows is None else sorted([row.name, row.version] for row in rows)
            for rows in (listed.releases, listed.stemcells)
        ),
    ]
    return hashlib.blake2b(canonical_bytes(entry), digest_size=16).hexdigest()


def manner_digest(catalog: Catalog, *, process_state: bool, manifest_bytes: int) -> str:
    """Return the digest of what details depend on beside the Director.

    Arguments:
        catalog: the kept claims are held against it.
        process_state: whether VMs have the state of their processes.
        manifest_bytes: up to which a manifest is understood.
    """
    manner = [catalog.model_dump(mode="json"), process_state, manifest_bytes]
    return hashlib.blake2b(canonical_bytes(manner), digest_size=16).hexdigest()


def document_of(details: Details, catalog: Catalog) -> dict[str, Any]:
    """Return details in JSON types, fit to be kept."""
    facts = replace(details.manifest, claims=_known_claims(details.manifest.claims, catalog))
    life = details.life
    return {
        "manifest": asdict(facts),
        "vms": None if details.vms is None else [_vm_document(vm) for vm in details.vms],
        "life": life and {**asdict(life), "created_at": _text(life.created_at), "updated_at": _text(life.updated_at)},
    }


def details_of(document: Any) -> Details | None:
    """Return kept details; ``None`` when another version of this program kept them."""
    try:
        return Details(
            manifest=_facts(document["manifest"]),
            vms=None if document["vms"] is None else tuple(_vm(row) for row in document["vms"]),
            life=None if document["life"] is None else _life(document["life"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _known_claims(claims: Claims, catalog: Catalog) -> Claims:
    services = {text for service in catalog.services for text in (service.id, service.name)}
    plans = {
        text
        for offer in catalog.offers
        for text in (
            offer.plan.id,
            offer.plan.name,
            offer.long_id,
            offer.plan.id.removeprefix(f"{offer.service.id}-"),
        )
    }

    def known(claim: str | None, among: set[str]) -> str | None:
        return claim if claim is None or claim in among else _UNKNOWN

    return replace(claims, service_id=known(claims.service_id, services), plan_id=known(claims.plan_id, plans))


def _facts(row: Mapping[str, Any]) -> ManifestFacts:
    unreadable = row["unreadable"]
    return ManifestFacts(
        sha256=row["sha256"],
        unreadable=unreadable and Unreadable(Fault(unreadable["fault"]), unreadable["line"], unreadable["column"]),
        releases=tuple(Versioned(**item) for item in row["releases"]),
        stemcells=tuple(Versioned(**item) for item in row["stemcells"]),
        instance_groups=tuple(row["instance_groups"]),
        claims=Claims(**row["claims"]),
        bag_digest=row["bag_digest"],
    )


def _vm_document(vm: Vm) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": vm.id,
        "job": vm.job,
        "index": vm.index,
        "cid": vm.cid,
        "az": vm.az,
        "ips": list(vm.ips),
        "active": vm.active,
    }
    return {**row, "state": vm.state, "job_state": vm.job_state} if isinstance(vm, VmFull) else row


def _vm(row: Mapping[str, Any]) -> Vm:
    known = {**row, "ips": tuple(row["ips"]), "agent_id": None, "created_at": None}
    if "job_state" not in row:
        return Vm(**known)
    return VmFull(**known, vm_type=None, vitals=None, processes=(), disk_cids=(), stemcell=None)


def _life(row: Mapping[str, Any]) -> Life:
    return Life(_moment(row["created_at"]), _moment(row["updated_at"]), row["latest_task_id"])


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
