"""The address of the shops' webhooks. Who may call it is shown by the signature of each delivery, not by a token."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.commerce.webhooks import Answer, bounded, received
from sync_pipelines.service.parts import Parts, parts_of
from sync_pipelines.service.problems import Problem, ProblemReply
from sync_pipelines.systems.woocommerce.webhooks import MAX_BODY

PREFIX = "/api/webhooks/woocommerce"
LONGEST = MAX_BODY
"""Bytes of a delivery: a product with its descriptions is longer than what the other routes take."""

router = APIRouter(prefix=PREFIX, tags=["commerce"])
_REFUSED: dict[int | str, dict[str, Any]] = {code: {"model": ProblemReply} for code in (400, 401, 404, 413)}


class DeliveryReply(BaseModel):
    """What became of a delivery."""

    success: bool = True
    answer: Answer
    reason: str = ""


@router.post("/{shop}", responses=_REFUSED)
async def deliver(shop: str, request: Request, service: Annotated[Parts, Depends(parts_of)]) -> DeliveryReply:
    """Take what a shop's webhook delivers; ``shop`` is the connection's name."""
    connection = service.shops.get(shop)
    if connection is None:
        raise Problem(404, "There is no shop of this name")
    body = await bounded(request.stream())
    told = await in_thread(received, service.engine, connection, request.headers, body)
    if told.answer is Answer.REFUSED:
        raise Problem(told.status, told.reason)
    return DeliveryReply(answer=told.answer, reason=told.reason)
