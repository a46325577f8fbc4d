"""Refusals of the Selling Partner API, in its words."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """The request is answered with an error.

    Arguments:
        status: HTTP status.
        body: the whole answer.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.body = body
        super().__init__(str(body))


def refused(status: int, code: str, message: str, details: str = "") -> Refused:
    """Return a refusal of the API itself."""
    return Refused(status, {"errors": [{"code": code, "message": message, "details": details}]})


def invalid(message: str) -> Refused:
    """Return the refusal of a parameter."""
    return refused(400, "InvalidInput", message)


def unauthorized(details: str) -> Refused:
    """Return the refusal of a token."""
    return refused(403, "Unauthorized", "Access to requested resource is denied.", details)


def no_grant(status: int, error: str, description: str) -> Refused:
    """Return a refusal of the token host."""
    return Refused(status, {"error": error, "error_description": description})
