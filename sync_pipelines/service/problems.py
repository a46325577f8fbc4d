"""How the service says what is wrong: problem details (RFC 9457) that also have what its first clients read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from sync_pipelines.core.errors import SyncError
from sync_pipelines.service.issuer_keys import KeysUnavailable
from sync_pipelines.service.scheduler_gate import NotTheScheduler

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger(__name__)


class Problem(SyncError):
    """An answer that is no success.

    Arguments:
        status: of HTTP.
        message: what is wrong and what to do, for whoever asked.
        headers: more headers of the answer.
    """

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class ProblemReply(BaseModel):
    """What went wrong. ``message`` and ``detail`` are the same text."""

    success: bool = False
    message: str
    type: str = "about:blank"
    title: str
    status: int
    detail: str
    requestId: str | None = None


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of a route's refusals, by status."""
    return {code: {"model": ProblemReply} for code in codes}


def add_handlers(application: FastAPI) -> None:
    """Give every error its answer."""
    handlers = {
        Problem: _problem,
        NotTheScheduler: _forbidden,
        KeysUnavailable: _unavailable,
        HTTPException: _http,
        RequestValidationError: _invalid,
        DBAPIError: _database,
        PoolTimeout: _database,
        Exception: _unexpected,
    }
    for error, handler in handlers.items():
        application.add_exception_handler(error, handler)


def problem_reply(
    status: int, message: str, request_id: str | None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an answer that says what is wrong."""
    body = ProblemReply(
        message=message, title=HTTPStatus(status).phrase, status=status, detail=message, requestId=request_id
    )
    return JSONResponse(body.model_dump(), status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _reply(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return problem_reply(status, message, request.scope.get("request_id"), headers)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return _reply(request, error.status, str(error), error.headers)


async def _forbidden(request: Request, error: Exception) -> JSONResponse:
    return _reply(request, 403, str(error))


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    return _reply(request, 503, str(error))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _reply(request, error.status_code, str(error.detail), error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    told = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return _reply(request, 400, "; ".join(told))


async def _database(request: Request, error: Exception) -> JSONResponse:
    # Its text has the statement and its parameters.
    log.error("the database failed a request: %s", type(error).__name__, exc_info=error)
    return _reply(request, 503, "The database cannot be used now; try again", {"Retry-After": "5"})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    return _reply(request, 500, "The service failed; its log says why, under the id of this request")
