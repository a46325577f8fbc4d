"""Refusals of the Waldur API, raised anywhere below the dispatcher and turned into answers there."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A refusal with a JSON body.

    Arguments:
        status: HTTP status.
        body: JSON value; validation errors are objects, errors of state are bare lists, the others ``{"detail": ...}``.
        headers: additional response headers.
    """

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


class NothingThere(Exception):
    """404 without any body, as for unknown components."""


class ServerCrash(Exception):
    """500 with Django's HTML page. Whatever the request changed before raising stays changed: raise it first."""


class DatabaseGone(Exception):
    """500 with the bare page of the worker process, which differs from Django's."""


class Invalid(Exception):
    """A value that fails validation. ``detail`` is what the API puts in its 400 body for it."""

    def __init__(self, detail: Any) -> None:
        super().__init__(str(detail))
        self.detail = detail


def detail(status: int, message: str, headers: dict[str, str] | None = None) -> ApiError:
    return ApiError(status, {"detail": message}, headers)


def not_found(kind: str) -> ApiError:
    """404 for an object that does not exist or that the caller may not see."""
    return detail(404, f"No {kind} matches the given query.")


def forbidden() -> ApiError:
    """403 for an object that the caller sees but may not touch."""
    return detail(403, "You do not have permission to perform this action.")


def refused(message: str) -> ApiError:
    """400 with a bare list, the form of every error of state."""
    return ApiError(400, [message])
