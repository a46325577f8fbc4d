"""One call of an Odoo method, whatever protocol carries it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

PEER = "odoo"

READ_METHODS = frozenset(
    {
        "authenticate",
        "context_get",
        "default_get",
        "fields_get",
        "formatted_read_group",
        "get_external_id",
        "get_metadata",
        "name_search",
        "read",
        "search",
        "search_count",
        "search_read",
        "version",
    }
)
"""Methods that change nothing and may be sent again, login and version included. Every other one counts as a write."""

MODEL_METHODS = frozenset(
    {
        "context_get",
        "create",
        "default_get",
        "fields_get",
        "formatted_read_group",
        "load",
        "name_search",
        "search",
        "search_count",
        "search_read",
    }
)
"""Methods of the model, which take no ids. Every other one is for records."""

POSITIONAL: Mapping[str, tuple[str, ...]] = {
    "create": ("vals_list",),
    "fields_get": ("allfields",),
    "load": ("fields", "data"),
    "name_search": ("name",),
    "search": ("domain",),
    "search_count": ("domain",),
    "search_read": ("domain",),
    "write": ("vals",),
}
"""Arguments that JSON-RPC gets by position: their names differ between versions (``args`` became ``domain``)."""

_MODEL = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_METHOD = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Call:
    """A checked call.

    Attributes:
        ids: the records it is for; ``None`` for a method of the model.
        named: arguments by name, the context included.
    """

    model: str
    method: str
    ids: tuple[int, ...] | None = None
    named: Mapping[str, Any] = field(default_factory=dict)

    @property
    def operation(self) -> str:
        """What errors call it, e.g. ``res.partner.write``."""
        return f"{self.model}.{self.method}"

    @property
    def is_write(self) -> bool:
        """Whether it can change something."""
        return self.method not in READ_METHODS


class Calls(Protocol):
    """Whoever can call a method of Odoo: a protocol, or a session over one."""

    async def call(self, model: str, method: str, *, ids: Sequence[int] | None = None, **named: Any) -> Any:
        """Call a method and return its result. One call is one transaction: all of it happens, or nothing.

        Arguments:
            model: e.g. ``res.partner``.
            method: a public method.
            ids: the records, for a method of records; at least one.
            named: arguments by name; ``context`` is one of them. Numbers may be ``Decimal``, moments aware datetimes.

        Returns:
            The JSON answered; numbers with a fraction are ``Decimal``. ``None`` where the method returns nothing.

        Raises:
            PeerError: classified by ``errors.py``.
            ValueError: the call cannot be right; nothing was sent.
        """


def checked(model: str, method: str, ids: Sequence[int] | None, named: Mapping[str, Any]) -> Call:
    """Return a call that Odoo will not misunderstand.

    A method of records without ids answers 200 ``true`` and does nothing, and an id given as text finds nothing.

    Raises:
        ValueError: ids are missing, empty, repeated or no positive integers, or given to a method of the model; or a
            name is none.
    """
    if not _MODEL.fullmatch(model) or not _METHOD.fullmatch(method):
        raise ValueError(f"{model!r}.{method!r} is no public method of a model")
    if method in MODEL_METHODS:
        if ids is not None:
            raise ValueError(f"{model}.{method} takes no ids")
        return Call(model, method, None, named)
    if not ids:
        raise ValueError(f"{model}.{method} without ids would answer success and do nothing")
    if any(type(record) is not int or record <= 0 for record in ids) or len(set(ids)) < len(ids):
        raise ValueError(f"{model}.{method}: ids are distinct positive integers")
    return Call(model, method, tuple(ids), named)
