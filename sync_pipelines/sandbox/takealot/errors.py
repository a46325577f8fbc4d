"""How requests are refused."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A request is answered with an error.

    Arguments:
        status: HTTP status.
        body: JSON; ``None`` for an empty body.
    """

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def bad_request(title: str) -> Refused:
    """Return the refusal of a parameter."""
    return Refused(400, {"errors": [{"status": 400, "title": title, "type": "bad_request"}]})


def forbidden() -> Refused:
    """Return the refusal of a missing or unknown key: 403, not 401."""
    return Refused(403, {"errors": [{"status": 403, "title": "Forbidden", "type": "forbidden"}]})


def not_found() -> Refused:
    """Return the answer for a record that is not there: nothing at all."""
    return Refused(404, None)
