"""The routes for what pipelines keep of their work: plans, and records that were given up."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection, Engine

from sync_pipelines.core.access import Scope
from sync_pipelines.core.errors import LeaseHeld, PlanRefused
from sync_pipelines.engine import by_hand
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.commerce.one_way import PAIRS
from sync_pipelines.service.access import Caller, allowed
from sync_pipelines.service.owners import Owners, Place, exists, seen
from sync_pipelines.service.parts import Parts, parts_of
from sync_pipelines.service.problems import Problem, refusals
from sync_pipelines.store import plans, states
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.states import DeadLetter

PREFIX = "/api/v1"
MOST_LISTED = 200
MOST_AT_ONCE = 200
NO_PLAN = "There is no plan of this hash"

router = APIRouter(prefix=PREFIX, tags=["records"])
Service = Annotated[Parts, Depends(parts_of)]
Reader = Annotated[Caller, Depends(allowed(Scope.READ))]
Operator = Annotated[Caller, Depends(allowed(Scope.OPERATE))]
Approver = Annotated[Caller, Depends(allowed(Scope.APPROVE))]
Hash = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]


class PlanView(BaseModel):
    """A plan as it stands."""

    hash: str
    pipeline: str
    connection: str
    state: str
    runId: str
    createdAt: datetime
    counts: dict[str, Any]
    heldReasons: list[str]
    approvedBy: str | None
    approvedAt: datetime | None
    appliedAt: datetime | None

    @classmethod
    def of(cls, plan: StoredPlan) -> PlanView:
        """Return what is shown of a plan."""
        return cls(
            hash=plan.hash,
            pipeline=plan.pair,
            connection=plan.scope,
            state=plan.state,
            runId=plan.run_id,
            createdAt=plan.created_at,
            counts=plan.counts,
            heldReasons=list(plan.held_reasons),
            approvedBy=plan.approved_by,
            approvedAt=plan.approved_at,
            appliedAt=plan.applied_at,
        )


class PlansReply(BaseModel):
    """The newest plans first."""

    success: bool = True
    plans: list[PlanView]


class ChangeView(BaseModel):
    """A change of a plan."""

    action: str
    key: str
    fields: list[str]
    reason: str


class PlanReply(BaseModel):
    """A plan and its first changes."""

    success: bool = True
    plan: PlanView
    changes: list[ChangeView]


class DeadLettersReply(BaseModel):
    """Records that were given up, oldest first."""

    success: bool = True
    deadLetters: list[dict[str, Any]]


class ReprocessRequest(BaseModel):
    """Which dead letters are meant, by the numbers that they are listed with."""

    ids: list[int] = Field(min_length=1, max_length=MOST_AT_ONCE)


class ReprocessReply(BaseModel):
    """Which records were reset."""

    success: bool = True
    message: str
    reprocessed: list[int]


@router.get("/plans", responses=refusals(400, 401, 403, 503))
async def plans_listed(service: Service, caller: Reader, limit: Limit = 20) -> PlansReply:
    """List the newest plans of the caller's connections."""
    return PlansReply(plans=await in_thread(_plans, service.engine, service.owners, caller, limit))


@router.get("/plans/{hash_}", responses=refusals(400, 401, 403, 404, 503))
async def plan_shown(service: Service, caller: Reader, hash_: Hash, limit: Limit = 50) -> PlanReply:
    """Show a plan, by its whole hash: the beginning of one would tell of the plans of others."""
    return await in_thread(_plan, service.engine, service.owners, caller, hash_, limit)


@router.post("/plans/{hash_}/approve", responses=refusals(400, 401, 403, 404, 409, 429, 503))
async def plan_approved(service: Service, caller: Approver, hash_: Hash) -> PlanReply:
    """Let a held plan through, once. The next reconcile that makes the same plan applies it.

    Every change is checked again then: records that moved since are left alone and planned anew.
    """
    return await in_thread(_approve, service.engine, service.owners, caller, hash_)


@router.get("/dead-letters", responses=refusals(400, 401, 403, 503))
async def dead_letters(service: Service, caller: Reader) -> DeadLettersReply:
    """List the open dead letters of the caller's connections."""
    return DeadLettersReply(deadLetters=await in_thread(_letters, service.engine, service.owners, caller))


@router.post("/dead-letters/reprocess", responses=refusals(400, 401, 403, 404, 413, 429, 503))
async def dead_letters_reprocessed(service: Service, caller: Operator, wanted: ReprocessRequest) -> ReprocessReply:
    """Take records up again that were given up. The next reconcile reads their source anew before it writes."""
    ids = await in_thread(_reprocess, service.engine, service.owners, caller, set(wanted.ids))
    return ReprocessReply(message=f"{len(ids)} records were reset; the next reconcile takes them up", reprocessed=ids)


def _plans(engine: Engine, owners: Owners, caller: Caller, limit: int) -> list[PlanView]:
    with engine.connect() as connection:
        found = [
            plan
            for pair, scope in seen(caller, owners)
            for plan in plans.list_plans(connection, pair=pair, scope=scope, limit=limit)
        ]
    return [PlanView.of(plan) for plan in sorted(found, key=lambda plan: plan.id, reverse=True)[:limit]]


def _plan(engine: Engine, owners: Owners, caller: Caller, hash_: str, limit: int) -> PlanReply:
    with engine.connect() as connection:
        return _reply(connection, _found(connection, owners, caller, hash_), limit)


def _approve(engine: Engine, owners: Owners, caller: Caller, hash_: str) -> PlanReply:
    with engine.begin() as connection:
        plan = _found(connection, owners, caller, hash_)
        if plan.pair in PAIRS:
            raise Problem(409, "A shop's sync approves and applies at once: use 'sync-pipelines approve'")
        try:
            approved = by_hand.approve(connection, plan, caller.entry("approve", approved_by=caller.name))
        except (LeaseHeld, PlanRefused) as error:
            raise Problem(409, str(error)) from None
        return _reply(connection, approved, MOST_LISTED)


def _found(connection: Connection, owners: Owners, caller: Caller, hash_: str) -> StoredPlan:
    try:
        found = plans.find_plan(connection, hash_)
    except PlanRefused:
        raise Problem(404, NO_PLAN) from None
    if not exists(caller, owners, (found.pair, found.scope)):
        raise Problem(404, NO_PLAN)
    return found


def _reply(connection: Connection, plan: StoredPlan, limit: int) -> PlanReply:
    changes = [
        ChangeView(action=one.action.value, key=one.key, fields=list(one.fields), reason=one.reason)
        for one in plans.changes(connection, plan.id, limit=limit)
    ]
    return PlanReply(plan=PlanView.of(plan), changes=changes)


def _reprocess(engine: Engine, owners: Owners, caller: Caller, ids: Set[int]) -> list[int]:
    """Reset all of them, or none."""
    with engine.begin() as connection:
        chosen = [(place, one) for place, one in _open_letters(connection, owners, caller) if one.id in ids]
        if unknown := sorted(ids - {one.id for _, one in chosen}):
            raise Problem(404, f"There is no open dead letter {', '.join(map(str, unknown))}")
        for place in sorted({place for place, _ in chosen}):
            keys = [one.key for whose, one in chosen if whose == place]
            by_hand.reprocess(connection, *place, keys, caller.entry("reprocess"), "key")
    return sorted(ids)


def _letters(engine: Engine, owners: Owners, caller: Caller) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        found = _open_letters(connection, owners, caller)
    return [{"pipeline": pair, **asdict(letter)} for (pair, _), letter in found]


def _open_letters(connection: Connection, owners: Owners, caller: Caller) -> list[tuple[Place, DeadLetter]]:
    return [
        ((pair, scope), letter)
        for pair, scope in seen(caller, owners)
        for letter in states.letters(connection, pair, scope=scope)
    ]
