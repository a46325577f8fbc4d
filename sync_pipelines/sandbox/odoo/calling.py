"""What may be called from outside: methods of a model, and methods of records, which take ids first."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])

CLOSED = frozenset(
    [
        "browse",
        "exists",
        "filtered",
        "filtered_domain",
        "flush_model",
        "grouped",
        "mapped",
        "sorted",
        "sudo",
        "with_company",
        "with_context",
        "with_env",
        "with_prefetch",
        "with_user",
        "ensure_one",
        "search_fetch",
        "fetch",
    ]
)
"""Methods without an underscore that are private all the same."""

READS = frozenset(
    [
        "search",
        "search_read",
        "search_count",
        "read",
        "name_search",
        "formatted_read_group",
        "get_metadata",
        "get_external_id",
        "get_field_translations",
    ]
)
"""Methods that change nothing and ask for the right to read."""
OPEN = frozenset(("fields_get", "context_get", "get_param"))
"""Methods that everybody may call."""


def on_model(method: _Method) -> _Method:
    """Let a method be called from outside; it takes no ids."""
    method.called_with_ids = False  # type: ignore[attr-defined] # an attribute of the function marks it
    return method


def on_records(method: _Method) -> _Method:
    """Let a method be called from outside; ``ids`` is its first argument."""
    method.called_with_ids = True  # type: ignore[attr-defined] # an attribute of the function marks it
    return method


def is_private(name: str) -> bool:
    return name.startswith("_") or name in CLOSED


@cache
def takes_ids(method: Callable[..., Any]) -> bool | None:
    """Whether a method takes ids; ``None`` when it cannot be called from outside."""
    return getattr(method, "called_with_ids", None)


@cache
def signature(method: Callable[..., Any]) -> inspect.Signature:
    """Return the arguments of a function without ``self``, ``env`` and ``ids``."""
    skipped = 3 if takes_ids(method) else 2
    whole = inspect.signature(method)
    return whole.replace(parameters=list(whole.parameters.values())[skipped:])
