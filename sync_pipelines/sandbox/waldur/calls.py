"""One authenticated request as the handlers see it, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from sync_pipelines.sandbox.waldur.errors import ApiError, Invalid, detail
from sync_pipelines.sandbox.waldur.fields import Form
from sync_pipelines.sandbox.waldur.model import User
from sync_pipelines.sandbox.waldur.world import WaldurWorld

NO_BODY = object()
"""Body of an answer that has none, not even ``null``, and therefore no Content-Type."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers: a status, a JSON value or :data:`NO_BODY`, and headers."""

    status: int = 200
    body: Any = NO_BODY
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request after authentication.

    Attributes:
        world: the server's state.
        user: the caller, ``None`` when anonymous.
        base: scheme and host that the client used; all links in answers start with it.
        path: decoded path.
        query: decoded pairs in the order sent.
        content_type: media type of the body without parameters, "" when not given.
        raw_body: bytes of the body.
        names: named parts of the path, such as ``uuid``.
    """

    world: WaldurWorld
    user: User | None
    base: str
    path: str
    query: Sequence[tuple[str, str]]
    content_type: str
    raw_body: bytes
    names: dict[str, str]

    @property
    def caller(self) -> User:
        """The caller of an endpoint that anonymous requests do not reach."""
        if self.user is None:
            raise LookupError("anonymous call")
        return self.user

    def values(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return [value for key, value in self.query if key == name]

    def value(self, name: str) -> str:
        """The last value of a query parameter, "" when it was not sent."""
        return next(reversed(self.values(name)), "")

    def data(self) -> Any:
        """The parsed request body; an empty body counts as an empty object.

        Raises:
            ApiError: 415 for an unknown media type, 400 for broken JSON.
        """
        if not self.raw_body:
            return {}
        if self.content_type == "application/json":
            return parse_json(self.raw_body)
        if self.content_type == "application/x-www-form-urlencoded":
            return dict(parse_qsl(self.raw_body.decode("utf-8"), keep_blank_values=True))
        raise detail(415, f'Unsupported media type "{self.content_type}" in request.')

    def form(self, form: Form, *, partial: bool = False) -> dict[str, Any]:
        """The request body cleaned by ``form``; wrong fields are refused with 400."""
        try:
            return form.clean(self.data(), partial=partial)
        except Invalid as problem:
            raise ApiError(400, problem.detail) from None

    def selected(self, body: dict[str, Any]) -> dict[str, Any]:
        """``body`` reduced to the keys asked for by ``field``; unless none of them exists, then the whole."""
        wanted = {name: body[name] for name in self.values("field") if name in body}
        return wanted or body


def parse_json(raw: bytes) -> Any:
    """Parse strictly as Waldur does: NaN and infinities are refused."""
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise detail(400, f"JSON parse error - {error}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"Out of range float values are not JSON compliant: {name!r}")
