"""The route that shows the audit log: who had what done to which records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Engine

from sync_pipelines.core.access import Scope
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.service.access import Caller, allowed
from sync_pipelines.service.owners import Owners, seen
from sync_pipelines.service.parts import Parts, parts_of
from sync_pipelines.service.problems import refusals
from sync_pipelines.store import audit

MOST_LISTED = 500

router = APIRouter(prefix="/api/v1", tags=["records"])
Service = Annotated[Parts, Depends(parts_of)]
Reader = Annotated[Caller, Depends(allowed(Scope.READ))]
_EXAMPLE = {
    "chain": "offerings",
    "number": 42,
    "hash": "9f2c" * 16,
    "entry": {"timestamp": "2026-11-20T02:14:05Z", "action": "update", "offering_id": "okra/7", "success": True},
}


class AuditEntry(BaseModel, json_schema_extra={"examples": [_EXAMPLE]}):
    """An entry, by its place in the log of a pipeline; the hash proves the entry and all before it."""

    chain: str
    number: int
    hash: str
    entry: Mapping[str, Any]


class AuditReply(BaseModel):
    """The newest entries first."""

    success: bool = True
    entries: list[AuditEntry]


@router.get("/audit", responses=refusals(400, 401, 403, 503))
async def audited(
    service: Service,
    caller: Reader,
    pipeline: Annotated[str | None, Query(max_length=100)] = None,
    key: Annotated[str | None, Query(max_length=500, description="Only entries about this record.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Only from this time on.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
) -> AuditReply:
    """List the newest entries: to a token of one organization those about its connections.

    The whole log, and the proof that nobody altered it, are `sync-pipelines audit`'s.
    """
    found = await in_thread(_entries, service.engine, service.owners, caller, pipeline, key, since, limit)
    return AuditReply(entries=found)


def _entries(
    engine: Engine,
    owners: Owners,
    caller: Caller,
    pipeline: str | None,
    key: str | None,
    since: datetime | None,
    limit: int,
) -> list[AuditEntry]:
    places = None if caller.organization is None else seen(caller, owners)
    with engine.connect() as connection:
        found = audit.newest(connection, places=places, chain=pipeline, key=key, since=since, limit=limit)
    return [AuditEntry(chain=chain, number=one.number, hash=one.hash, entry=one.entry) for chain, one in found]
