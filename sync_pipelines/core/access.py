"""What a caller of the service may do: scopes, and which of them include others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

DEFAULT_ORGANIZATION = "default"
"""Whose a connection is that names no organization."""


class Scope(StrEnum):
    """What a token allows."""

    READ = "read"
    OPERATE = "operate"
    """Start, pause and repeat what the connections file has set up."""
    APPROVE = "approve"
    """Decide what waits for a person: held plans and conflicts."""
    ADMIN = "admin"


INCLUDES: Mapping[Scope, frozenset[Scope]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.OPERATE: frozenset({Scope.OPERATE, Scope.READ}),
    # Not operate, nor is approve in operate: who starts a run need not be who lets through what it holds back.
    Scope.APPROVE: frozenset({Scope.APPROVE, Scope.READ}),
    Scope.ADMIN: frozenset(Scope),
}
"""Scope -> everything that it allows, itself included."""


def allowed_by(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Return all that some scopes allow together."""
    return frozenset(included for scope in scopes for included in INCLUDES[scope])
