"""The routes that show what pipelines keep of their work: plans, and records that were given up."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel
from sqlalchemy import Engine

from sync_pipelines.core.access import Scope
from sync_pipelines.core.errors import PlanRefused
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.service.access import Caller, allowed
from sync_pipelines.service.owners import Owners, exists, seen
from sync_pipelines.service.parts import Parts, parts_of
from sync_pipelines.service.problems import Problem, ProblemReply
from sync_pipelines.store import plans, states
from sync_pipelines.store.plans import StoredPlan

PREFIX = "/api/v1"
MOST_LISTED = 200
NO_PLAN = "There is no plan of this hash"

router = APIRouter(prefix=PREFIX, tags=["records"])
Service = Annotated[Parts, Depends(parts_of)]
Reader = Annotated[Caller, Depends(allowed(Scope.READ))]
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


def _problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": ProblemReply} for code in codes}


@router.get("/plans", responses=_problems(400, 401, 403, 503))
async def plans_listed(service: Service, caller: Reader, limit: Limit = 20) -> PlansReply:
    """List the newest plans of the caller's connections."""
    return PlansReply(plans=await in_thread(_plans, service.engine, service.owners, caller, limit))


@router.get("/plans/{hash_}", responses=_problems(400, 401, 403, 404, 503))
async def plan_shown(
    service: Service, caller: Reader, hash_: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], limit: Limit = 50
) -> PlanReply:
    """Show a plan, by its whole hash: the beginning of one would tell of the plans of others."""
    return await in_thread(_plan, service.engine, service.owners, caller, hash_, limit)


@router.get("/dead-letters", responses=_problems(400, 401, 403, 503))
async def dead_letters(service: Service, caller: Reader) -> DeadLettersReply:
    """List the open dead letters of the caller's connections."""
    return DeadLettersReply(deadLetters=await in_thread(_letters, service.engine, service.owners, caller))


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
        try:
            found = plans.find_plan(connection, hash_)
        except PlanRefused:
            raise Problem(404, NO_PLAN) from None
        if not exists(caller, owners, (found.pair, found.scope)):
            raise Problem(404, NO_PLAN)
        changes = list(plans.changes(connection, found.id, limit=limit))
    shown = [
        ChangeView(action=one.action.value, key=one.key, fields=list(one.fields), reason=one.reason) for one in changes
    ]
    return PlanReply(plan=PlanView.of(found), changes=shown)


def _letters(engine: Engine, owners: Owners, caller: Caller) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [
            {"pipeline": pair, **asdict(letter)}
            for pair, scope in seen(caller, owners)
            for letter in states.letters(connection, pair, scope=scope)
        ]
