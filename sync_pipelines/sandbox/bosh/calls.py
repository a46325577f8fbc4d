"""One authenticated request as the handlers see it, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.sandbox.bosh.access import Caller
from sync_pipelines.sandbox.bosh.errors import TEXT
from sync_pipelines.sandbox.bosh.rendering import compact
from sync_pipelines.sandbox.bosh.world import DirectorWorld

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers: bytes as sent, a media type ("" for none), and additional headers."""

    body: bytes = b""
    content_type: str = TEXT
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request after authentication.

    Attributes:
        base: scheme and host of the links in answers.
        path: decoded path.
        query: decoded parameters; of one that is sent twice the last counts.
        headers: by lower-case name.
        is_http_1_0: whether the request came by that old protocol, as from a default nginx.
        listings: bodies of listings by what they depend on, with the revision of the world they show.
        names: named parts of the path, such as ``name``.
    """

    world: DirectorWorld
    caller: Caller
    method: str
    base: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    is_http_1_0: bool
    listings: dict[Any, tuple[int, bytes]]
    names: Mapping[str, str]

    def says(self, parameter: str) -> bool:
        """Return whether a switch is on; nothing but the very word counts."""
        return self.query.get(parameter) == "true"

    def to_task(self, task_id: int) -> Answer:
        """Return the redirect to a task that was just queued."""
        # The HTTP library below the Director speaks of 303 only to clients of HTTP/1.1.
        status = 302 if self.method == "GET" or self.is_http_1_0 else 303
        return Answer(status=status, headers={"Location": f"{self.base}/tasks/{task_id}"})


def json_answer(value: Any, content_type: str = TEXT) -> Answer:
    """Return JSON under the media type that this endpoint uses for it."""
    return Answer(compact(value).encode(), content_type)
