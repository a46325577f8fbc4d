"""Refusals of a Director, raised anywhere below the dispatcher and turned into answers there."""

from __future__ import annotations

from sync_pipelines.sandbox.bosh.rendering import compact

TEXT = "text/html;charset=utf-8"
"""The media type of nearly everything a Director says, JSON included."""

CHALLENGE = {"WWW-Authenticate": 'Basic realm="BOSH Director"'}
"""Sent with every answer but ``/info``: to those who are logged in and in UAA mode too."""


class Refusal(Exception):
    """An answer that says no.

    Arguments:
        status: HTTP status.
        body: text as sent.
        content_type: media type, "" for none.
        headers: additional headers.
    """

    def __init__(self, status: int, body: str, content_type: str = TEXT, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers or {}


def refused(status: int, code: int, description: str) -> Refusal:
    """Return a refusal in the form of nearly all: an object with a code and a sentence."""
    return Refusal(status, compact({"code": code, "description": description}))


def missing_scope(scopes: tuple[str, ...]) -> Refusal:
    """Return the refusal of a caller who may not do this; failed logins look different."""
    return refused(401, 600000, f"Require one of the scopes: {', '.join(scopes)}")


def no_deployment(name: str) -> Refusal:
    """Return the refusal of a deployment that is not there."""
    return refused(404, 70000, f"Deployment '{name}' doesn't exist")


def no_task(task_id: str) -> Refusal:
    """Return the refusal of a task that is not there, or whose id is no number."""
    return refused(404, 10000, f"Task {task_id} not found")


def no_endpoint(path: str) -> Refusal:
    """Return the refusal of a path below a known one that nobody serves, or not with this method or media type."""
    return Refusal(404, f"Endpoint '{path}' not found.")


def crash() -> Refusal:
    """Return what an exception that nobody caught becomes: 500 without a body."""
    return Refusal(500, "")
