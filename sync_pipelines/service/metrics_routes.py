"""The metrics of all pipelines, for Prometheus."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials

from sync_pipelines.core.access import Scope
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.exposition import CONTENT_TYPE, exposition
from sync_pipelines.service.access import BEARER, authenticated, installation
from sync_pipelines.service.parts import Parts, parts_of
from sync_pipelines.service.problems import ProblemReply

router = APIRouter(tags=["metrics"])
_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}}


async def _may_scrape(
    request: Request,
    service: Annotated[Parts, Depends(parts_of)],
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> None:
    """Let in whoever may read everything: the names of all organizations' connections are among the labels."""
    if service.settings.metrics_open:
        return
    caller = await authenticated(request, given)
    caller.must(Scope.READ)
    installation(caller)


@router.get(
    "/metrics",
    dependencies=[Depends(_may_scrape)],
    response_class=PlainTextResponse,
    responses={**_TEXT, **{status: {"model": ProblemReply} for status in (401, 403, 503)}},
)
async def metrics(service: Annotated[Parts, Depends(parts_of)]) -> PlainTextResponse:
    """Return all metrics of all pipelines in the text format of Prometheus."""
    return PlainTextResponse(await in_thread(exposition, service.engine), media_type=CONTENT_TYPE)
