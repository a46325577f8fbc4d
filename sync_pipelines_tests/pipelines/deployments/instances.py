"""One instance as the Director shows it, for tests of its documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.deployments.instance import content_of_deployment
from sync_pipelines.pipelines.deployments.manifest import ManifestFacts
from sync_pipelines.pipelines.deployments.matches import Match, Strategy
from sync_pipelines.systems.bosh.models import Life, ListedDeployment, NamedVersion, Vm

ID = "12345678-1234-1234-1234-123456789abc"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
DIRECTOR = "bosh-demo"

MATCH = Match(
    deployment=f"redis-small-{ID}",
    strategy=Strategy.METADATA,
    code="manifest_metadata",
    confidence=Decimal("0.9"),
    reasons=(),
    service_id="redis",
    service_name="Redis",
    plan_id="redis-small",
    plan_name="small",
    instance_id=ID,
)
LISTED = ListedDeployment(
    name=MATCH.deployment,
    teams=("b", "a"),
    releases=(NamedVersion("redis", "17"), NamedVersion("bpm", "1")),
    stemcells=(NamedVersion("jammy", "1.719"),),
    locked=False,
)


def wanted(
    *,
    listed: dict[str, Any] | None = None,
    manifest: ManifestFacts | None = None,
    vms: Sequence[Vm] | None = None,
    life: Life | None = None,
) -> Content:
    """Return what Vault should hold about the instance, with these changes."""
    row = replace(LISTED, **(listed or {}))
    return content_of_deployment(MATCH, row, director=DIRECTOR, manifest=manifest, vms=vms, life=life)
