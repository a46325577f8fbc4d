"""Whether the service lives, and whether it can work; for load balancers, without a token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy import Engine

from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.service.parts import Parts, parts_of
from sync_pipelines.service.problems import ProblemReply
from sync_pipelines.store.statements import text

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The answer when nothing is wrong."""

    status: str = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """Tell that the process answers."""
    return Health()


@router.get("/readyz", responses={503: {"model": ProblemReply}})
async def readyz(service: Annotated[Parts, Depends(parts_of)]) -> Health:
    """Tell that the database answers. Without Dagster, wishes are taken all the same."""
    await in_thread(_ask, service.engine)
    return Health()


def _ask(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
