"""What a run shows beside the plan: the matches, and the checks that only this pipeline has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dagster import MetadataValue
from sqlalchemy import Engine

from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.orchestration.spec import Derived, Metadata, Probe, ProbeResult
from sync_pipelines.pipelines.deployments.deployment_record import Seen
from sync_pipelines.pipelines.deployments.match_report import SHOWN, report_of, table_of
from sync_pipelines.pipelines.deployments.pair import OpenConnection
from sync_pipelines.store import observations
from sync_pipelines.store.scopes import Scope

SAMPLE = 3
"""Backups read by each run; others each time."""


async def select(opened: OpenConnection, keys: Sequence[str]) -> Sequence[str]:
    """Return the instance ids that people mean; see :meth:`DirectorScan.select`."""
    return await opened.scan.select(keys)


def numbers_of(opened: OpenConnection) -> Mapping[str, int]:
    """Return the run's own numbers."""
    report = report_of(opened.scan.seen)
    return {"deployments_scanned": report.deployments, "instances_found": report.matched}


def _describe(engine: Engine, scope: Scope, opened: OpenConnection) -> Metadata:
    report = report_of(opened.scan.seen)
    looked_at = (*report.review, *report.unmatched, *report.unknown, *report.doubtful)
    names = ", ".join(report.others[:SHOWN]) or "none"
    return {
        **report.numbers,
        "confidence": MetadataValue.json(report.by_confidence),
        "other_deployments": MetadataValue.text(names),
        "to_look_at": MetadataValue.md(table_of(looked_at)),
    }


MATCHES = Derived(
    name="matches",
    description="Which instance of which plan each deployment is, how that was found, and how sure it is.",
    describe=_describe,
    kinds=frozenset({"director"}),
)


async def _unmatched(opened: OpenConnection, engine: Engine, scope: Scope) -> ProbeResult | None:
    if not opened.scan.seen:
        return None
    found = report_of(opened.scan.seen).unmatched
    told = f"{len(found)} deployments look like instances and fit no plan; complete the catalog, or add matching rules"
    return _answer("unmatched", found, told, "every deployment with an instance id fits a plan")


async def _low_confidence(opened: OpenConnection, engine: Engine, scope: Scope) -> ProbeResult | None:
    if not opened.scan.seen:
        return None
    report = report_of(opened.scan.seen)
    misread = tuple(one for one in report.doubtful if one.problems)
    told = (
        f"{len(report.review)} deployments need review and nothing is written for them; of {len(misread)} others the "
        "details could not be read or understood"
    )
    return _answer("needs_review", (*report.review, *misread), told, "every match is at or above the threshold")


async def _orphaned(opened: OpenConnection, engine: Engine, scope: Scope) -> ProbeResult:
    def count() -> tuple[int, list[str], int]:
        with engine.begin() as connection:
            marked, keys = observations.holding(connection, scope, "right", {"orphaned": True}, SHOWN)
            stale, _ = observations.holding(connection, scope, "right", {"orphaned": True, "stale": True}, 1)
        return marked, keys, stale

    marked, keys, stale = await in_thread(count)
    return ProbeResult(
        passed=not marked,
        description=f"{marked} instances have no deployment, {stale} of them for long; see docs/deployments.md"
        if marked
        else "every instance has its deployment",
        metadata={
            "orphaned": marked,
            "stale": stale,
            "instances": MetadataValue.md(_listed(keys)),
        },
    )


async def _restorable(opened: OpenConnection, engine: Engine, scope: Scope) -> ProbeResult | None:
    ids = sorted(opened.target.reading.backed_up)
    if not ids:
        return None
    verified = await opened.target.backups.verify_sample(SAMPLE, ids)
    broken = [f"{one.instance_id} of {one.taken_at}: {one.problem}" for one in verified if one.problem is not None]
    return ProbeResult(
        passed=not broken,
        description="; ".join(broken) or f"{len(verified)} backups were read and are whole",
        metadata={
            "verified": len(verified),
            "broken": len(broken),
            "with_backups": len(ids),
            "remarks": MetadataValue.md(_listed(opened.target.backups.remarks)),
        },
    )


def _listed(remarks: Sequence[str]) -> str:
    more = [f"- and {len(remarks) - SHOWN} more"] if len(remarks) > SHOWN else []
    return "\n".join([*(f"- {remark}" for remark in remarks[:SHOWN]), *more]) or "none"


def _answer(name: str, found: Sequence[Seen], told: str, fine: str) -> ProbeResult:
    return ProbeResult(
        passed=not found,
        description=told if found else fine,
        metadata={name: len(found), "table": MetadataValue.md(table_of(found))},
    )


PROBES = (
    Probe("unmatched", "matches", "Every deployment with an instance id fits a plan of the catalog.", _unmatched),
    Probe("low_confidence", "matches", "Every match is sure enough, and was read completely.", _low_confidence),
    Probe("orphaned", "vault_snapshot", "Every instance in Vault has a deployment.", _orphaned),
    Probe("backups_restorable", "applied", f"The newest backups of {SAMPLE} instances can be read.", _restorable),
)
