"""One request as the handlers see it, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.sandbox.woocommerce.errors import ApiError
from sync_pipelines.sandbox.woocommerce.schema import BOOLEAN, Schema, checked, one_of
from sync_pipelines.sandbox.woocommerce.state import ShopState

CONTEXT = one_of("view", "edit")
_INVALID_JSON = {"status": 400, "json_error_code": 4, "json_error_message": "Syntax error"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers: JSON text, and headers in addition to the usual ones.

    Attributes:
        shows_methods: whether ``Allow`` is sent.
    """

    text: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    shows_methods: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in.

    Attributes:
        path: path below the base of the API, such as ``products/11``.
        query: parameters, arrays as lists.
        body: bytes of the body.
        names: numbers in the path by name.
    """

    world: ShopState
    method: str
    path: str
    query: Mapping[str, Any]
    body: bytes
    names: Mapping[str, int]

    def values(self, schema: Schema, required: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the checked parameters of a write, those of the address included.

        Raises:
            ApiError: 400 when the body is no JSON or a parameter is wrong.
        """
        return checked(schema, {**self.query, **self.json()}, required)

    def json(self) -> dict[str, Any]:
        """Return the members of the body; a list has none.

        Raises:
            ApiError: 400 when the body is no JSON.
        """
        try:
            found = json.loads(self.body) if self.body.strip() else {}
        except ValueError:
            raise ApiError(400, "rest_invalid_json", "Invalid JSON body passed.", _INVALID_JSON) from None
        return found if isinstance(found, dict) else {}

    @property
    def context(self) -> str:
        """``view`` or ``edit``.

        Raises:
            ApiError: 400 for another one.
        """
        found: str = checked({"context": CONTEXT}, {"context": self.query.get("context", "view")})["context"]
        return found

    @property
    def forces(self) -> bool:
        """Whether a deletion is for good."""
        return bool(checked({"force": BOOLEAN}, {"force": self.query.get("force", False)})["force"])

    @property
    def fields(self) -> tuple[str, ...]:
        """The members asked for by ``_fields``, none for all."""
        told = self.query.get("_fields", "")
        parts = told if isinstance(told, list) else str(told).split(",")
        return tuple(part.strip() for part in parts if part.strip())


def encoded(value: Any) -> str:
    """Return JSON as short as PHP writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def trimmed(view: Mapping[str, Any], fields: tuple[str, ...], *, in_list: bool) -> dict[str, Any]:
    """Return the members asked for; links stay on a single record, and are cut from the rows of a list (recorded).

    A dotted name reaches into an object, not into a list.
    """
    if not fields:
        return dict(view)
    found: dict[str, Any] = {}
    for name in (*fields, *(() if in_list else ("_links",))):
        top, _, inner = name.partition(".")
        if top not in view:
            continue
        value = view[top]
        if not inner:
            found[top] = value
        elif isinstance(value, dict):
            found.setdefault(top, {})
            if inner in value:
                found[top][inner] = value[inner]
        elif isinstance(value, list):
            found.setdefault(top, [])
    return {name: found[name] for name in view if name in found}


def joined(texts: Iterable[str]) -> str:
    """Return a JSON array of elements that are JSON already."""
    return f"[{','.join(texts)}]"
