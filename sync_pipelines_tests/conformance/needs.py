"""Says of a check what a subject must have, so that it is collected only where it applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sync_pipelines_tests.conformance.subject import Capability

Check = TypeVar("Check", bound=Callable[..., object])

_NEEDS: dict[tuple[str, str], frozenset[Capability]] = {}


def needs(*capabilities: Capability) -> Callable[[Check], Check]:
    """Let a check run for those subjects only that have all of these."""

    def mark(check: Check) -> Check:
        _NEEDS[check.__module__, check.__qualname__] = frozenset(capabilities)
        return check

    return mark


def needs_of(check: Callable[..., object]) -> frozenset[Capability]:
    """Return what a subject must have for this check."""
    return _NEEDS.get((check.__module__, check.__qualname__), frozenset())
