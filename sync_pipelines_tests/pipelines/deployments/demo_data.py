"""The demo's Director, catalog and Vault, from the data that the stand-ins are seeded with."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from sync_pipelines import sandbox
from sync_pipelines.core.records import Content
from sync_pipelines.core.trees import merge
from sync_pipelines.pipelines.deployments.catalog import Catalog, load_catalog
from sync_pipelines.pipelines.deployments.instance import alike, content_of_deployment, content_of_vault
from sync_pipelines.pipelines.deployments.manifest import read_manifest, uuid_of
from sync_pipelines.pipelines.deployments.matcher import Matcher
from sync_pipelines.pipelines.deployments.matches import Match, Outcome
from sync_pipelines.systems.bosh.models import ListedDeployment
from sync_pipelines.systems.bosh.parsing import parse_deployments
from sync_pipelines.systems.vault.documents import read_json

DATA = Path(sandbox.__file__).parent / "data" / "deployments"
DIRECTOR = "bosh-demo"


@cache
def catalog() -> Catalog:
    """Return the demo's catalog."""
    return load_catalog(DATA / "catalog.json")


@cache
def listed() -> dict[str, ListedDeployment]:
    """Return the Director's list, by name."""
    rows = parse_deployments(
        json.loads((DATA / "deployments.json").read_text()), releases=True, stemcells=True, locks=True
    )
    return {row.name: row for row in rows}


@cache
def secrets() -> dict[str, Any]:
    """Return what Vault holds, by path."""
    secrets: dict[str, Any] = read_json((DATA / "vault.json").read_bytes())["secrets"]
    return secrets


def manifest_text(name: str) -> str | None:
    """Return a deployment's manifest; ``None`` for those without."""
    path = DATA / f"{name}.yaml"
    return path.read_text(encoding="utf-8") if path.exists() else None


def outcome(name: str) -> Outcome:
    """Match a deployment of the demo."""
    releases = [release.name for release in listed()[name].releases or ()]
    return Matcher(catalog()).match(name, read_manifest(manifest_text(name)), releases)


def wanted() -> dict[str, Content]:
    """Return what Vault should hold, by instance id."""
    contents = {}
    for name, row in listed().items():
        match = outcome(name)
        if isinstance(match, Match):
            facts = read_manifest(manifest_text(name))
            contents[match.instance_id] = content_of_deployment(match, row, director=DIRECTOR, manifest=facts)
    return contents


def found() -> dict[str, Content]:
    """Return what Vault holds, by instance id."""
    contents = {}
    for key, entry in secrets()["db"].items():
        instance_id = uuid_of(key)
        if instance_id is not None:
            contents[instance_id] = content_of_vault(
                instance_id,
                entry,
                secrets().get(f"{instance_id}/metadata"),
                secrets().get(f"{instance_id}/manifest"),
                bindings=list(secrets().get(f"{instance_id}/bindings", {})),
                has_credentials=f"{instance_id}/credentials" in secrets(),
                key=key,
            )
    return contents


def differing(left: Content, right: Content) -> set[str]:
    """Return the fields that Vault shows otherwise than wanted."""
    return set(merge(left, right, None, alike).fields)
