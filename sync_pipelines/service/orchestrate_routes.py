"""The route of the shops' syncs: one address, and the ``action`` in the body says what is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from sync_pipelines.core.access import DEFAULT_ORGANIZATION, Scope
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.commerce import orchestrator
from sync_pipelines.pipelines.commerce.orchestrator import Answer
from sync_pipelines.service.access import Caller, authenticated
from sync_pipelines.service.parts import Parts, parts_of
from sync_pipelines.service.problems import Problem, ProblemReply
from sync_pipelines.store import audit

PATH = "/api/v1/integrations/sync/orchestrate"
CHAIN = "commerce"
"""The audit log's chain of what people ask for; what is written to the systems is in those of the pairs."""
ORGANIZATION_HEADER = "x-org-id"
NEEDS: Mapping[str, Scope] = {
    "start": Scope.OPERATE,
    "pause": Scope.OPERATE,
    "resume": Scope.OPERATE,
    "cancel": Scope.OPERATE,
    "resolve-conflict": Scope.APPROVE,
}
"""Action -> the scope that it needs; ``read`` for the others."""
_SYNC = "sync-5f0c1d8e-7a52-4d0b-9a55-0c6f3d1e2b4a"
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "start": {
        "action": "start",
        "systems": ["woocommerce", "odoo"],
        "entityTypes": ["customers", "products"],
        "syncConfig": {
            "conflictStrategy": "auto-retry",
            "batchSize": 50,
            "maxRetries": 3,
            "rateLimit": 10,
            "interBatchDelayMs": 2000,
        },
    },
    **{
        action: {"action": action, "syncId": _SYNC}
        for action in ("status", "pause", "resume", "cancel", "conflicts", "activity")
    },
    "list": {"action": "list"},
    "resolve-conflict": {
        "action": "resolve-conflict",
        "conflictId": "conflict-2d1e6c0a",
        "resolution": "accept",
        "customData": None,
    },
}

router = APIRouter(tags=["commerce"])


class OrchestrateReply(BaseModel):
    """What an action is answered; which of the fields there are depends on it."""

    model_config = ConfigDict(extra="allow")

    success: bool = True
    syncId: str | None = None
    status: str | None = None
    message: str | None = None


class OrchestrateRequest(BaseModel):
    """What is wanted. Each action reads its own fields; for ``start`` others are mistakes."""

    model_config = ConfigDict(extra="allow")

    action: str = Field(json_schema_extra={"enum": list(EXAMPLES)})


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemReply} for code in (400, 401, 403, 404, 409, 413, 429, 503)
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": OrchestrateRequest.model_json_schema(),
                "examples": {name: {"value": example} for name, example in EXAMPLES.items()},
            }
        },
    }
}


@router.post(
    PATH,
    response_model=OrchestrateReply,
    responses={202: {"model": OrchestrateReply, "description": "The sync is queued (start)."}, **_PROBLEMS},
    openapi_extra=_BODY,
)
async def orchestrate(
    request: Request,
    service: Annotated[Parts, Depends(parts_of)],
    caller: Annotated[Caller, Depends(authenticated)],
) -> JSONResponse:
    """Start syncs of shops, watch and steer them, and settle their conflicts.

    10 requests a minute for an organization, whatever they ask. ``x-org-id`` may name the organization; a token of all
    organizations needs it unless it means ``default``, and for a token of one another's is as if it were not there.
    """
    body = await request.body()
    organization = _organization(caller, request.headers.get(ORGANIZATION_HEADER))
    action = _action(body)
    caller.must(NEEDS.get(action, Scope.READ))
    shops = [name for name, shop in service.shops.items() if shop.organization == organization]
    asker = orchestrator.Caller(organization, caller.name, shops)
    told = await in_thread(_answer, service.engine, caller, asker, action, body)
    if not told.body["success"]:
        raise Problem(told.status, str(told.body["error"]), headers=told.headers)
    return JSONResponse(told.body, told.status)


def _answer(engine: Engine, caller: Caller, asker: orchestrator.Caller, action: str, body: bytes) -> Answer:
    told = orchestrator.answer(engine, asker, body)
    if action in NEEDS and told.body["success"]:
        about = {name: told.body[name] for name in ("syncId", "conflictId") if name in told.body}
        with engine.begin() as connection:
            entry = caller.entry(f"orchestrate_{action}", organization=asker.org, **about)
            audit.append(connection, CHAIN, entry, scope=asker.org, key=next(iter(about.values()), None))
    return told


def _organization(caller: Caller, named: str | None) -> str:
    if named is not None and not caller.sees(named):
        raise Problem(404, "There is no such organization")
    return caller.organization or named or DEFAULT_ORGANIZATION


def _action(body: bytes) -> str:
    """Return the action; empty where there is none, which the orchestrator words."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = request.get("action") if isinstance(request, dict) else None
    return found if isinstance(found, str) else ""
