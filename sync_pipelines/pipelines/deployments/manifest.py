"""What a deployment's manifest says, as facts that may be kept and shown. Pure.

A manifest holds credentials. The facts hold none: names, versions, ids and digests. What Vault keeps of the text itself
comes from :func:`property_bag`, called when it is written and at no other time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.pipelines.deployments.safe_yaml import Fault, Limits, YamlFault, read_yaml

BAG_KEYS = ("properties", "blacksmith", "meta", "networks", "instance_groups")
"""Top-level keys of a manifest that the instance's metadata keeps."""

UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_WHOLE_UUID = re.compile(UUID)
_VERBATIM = frozenset({"releases", "stemcells"})
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, order=True)
class Versioned:
    """A release or a stemcell. Of a stemcell given by operating system, the name is that system's."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a manifest says it is an instance of; ``None`` where it says nothing, or nothing fit to be an id.

    Attributes:
        service_id: of ``properties.blacksmith``, as ``plan_id`` and ``instance_id`` are.
        instance_id: lower case, a UUID.
        params_instance_id: of ``meta.params.instance_id``; lower case, a UUID.
        odd_instance_id: ``properties.blacksmith`` has an instance id that is none, such as a path.
    """

    service_id: str | None = None
    plan_id: str | None = None
    instance_id: str | None = None
    params_instance_id: str | None = None
    odd_instance_id: bool = False

    @property
    def has_metadata(self) -> bool:
        """Whether ``properties.blacksmith`` says anything."""
        return bool(self.service_id or self.plan_id or self.instance_id)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a manifest is not read. Kind and place only, never a part of the text."""

    fault: Fault
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = "" if self.line is None else f" (line {self.line}, column {self.column})"
        return f"the manifest is not read: {self.fault.value}{place}"


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """What is known of a manifest.

    Attributes:
        sha256: of the text in UTF-8, hex; ``None`` when there is no text (the deployment never succeeded).
        unreadable: why nothing else is known.
        bag_digest: hex digest of :func:`property_bag`; ``None`` when it is not known.
    """

    sha256: str | None = None
    unreadable: Unreadable | None = None
    releases: tuple[Versioned, ...] = ()
    stemcells: tuple[Versioned, ...] = ()
    instance_groups: tuple[str, ...] = ()
    claims: Claims = Claims()
    bag_digest: str | None = None


def read_manifest(text: str | None, limits: Limits | None = None) -> ManifestFacts:
    """Return the facts of a manifest. Nothing is raised: a text that cannot be read is a fact, too.

    Arguments:
        text: as the Director gives it; ``None`` for a deployment that never succeeded.
    """
    if text is None:
        return ManifestFacts()
    digest = text_digest(text)
    try:
        manifest = _mapping(text, limits)
    except YamlFault as fault:
        return ManifestFacts(sha256=digest, unreadable=Unreadable(fault.fault, fault.line, fault.column))
    return ManifestFacts(
        sha256=digest,
        releases=tuple(_versioned(manifest.get("releases"), "name")),
        stemcells=tuple(_versioned(manifest.get("stemcells"), "os", "name", "alias")),
        instance_groups=tuple(_group_names(manifest.get("instance_groups"))),
        claims=_claims(manifest),
        bag_digest=bag_digest(_bag(manifest)),
    )


def property_bag(text: str | None, limits: Limits | None = None) -> dict[str, Any] | None:
    """Return the part of a manifest that the instance's metadata keeps, in JSON types; ``None`` when it is unreadable.

    It holds secrets: it goes to Vault and nowhere else.
    """
    if text is None:
        return None
    try:
        return _bag(_mapping(text, limits))
    except YamlFault:
        return None


def text_digest(text: str) -> str:
    """Return the SHA-256 of a manifest's text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def bag_digest(bag: Mapping[str, Any]) -> str:
    """Return the digest of a property bag, in hex: the same before it went to Vault and after it came back."""
    return fingerprint(_stored(bag)).hex()


def _stored(value: Any) -> Any:
    """Return what comes back from a version 2 mount: 64-bit floats, so that 2^53 + 1 is 2^53."""
    if isinstance(value, Mapping):
        return {key: _stored(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_stored(inner) for inner in value]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    try:
        return Decimal(repr(float(value)))
    except OverflowError:
        return value


def uuid_of(value: object) -> str | None:
    """Return an instance id in lower case; ``None`` when it is no UUID, and so nothing to build a path of."""
    return value.lower() if isinstance(value, str) and _WHOLE_UUID.fullmatch(value) else None


def _mapping(text: str, limits: Limits | None) -> dict[str, Any]:
    manifest = read_yaml(text, limits, verbatim=_VERBATIM)
    if not isinstance(manifest, dict):
        raise YamlFault(Fault.NOT_A_MAPPING)
    return manifest


def _bag(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: manifest[key] for key in BAG_KEYS if key in manifest}


def _versioned(rows: object, *names: str) -> Iterator[Versioned]:
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and (name := next(filter(None, map(_name, map(row.get, names))), None)):
            yield Versioned(name, _name(row.get("version")) or "")


def _group_names(rows: object) -> Iterator[str]:
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and (name := _name(row.get("name"))):
            yield name


def _claims(manifest: Mapping[str, Any]) -> Claims:
    metadata = _under(manifest, "properties", "blacksmith")
    told = metadata.get("instance_id")
    return Claims(
        service_id=_name(metadata.get("service_id")),
        plan_id=_name(metadata.get("plan_id")),
        instance_id=uuid_of(told),
        params_instance_id=uuid_of(_under(manifest, "meta", "params").get("instance_id")),
        odd_instance_id=told is not None and uuid_of(told) is None,
    )


def _under(document: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _name(value: object) -> str | None:
    """Return a short text; a number counts as it reads (``plan_id: 3``)."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= _LONGEST_NAME else None
