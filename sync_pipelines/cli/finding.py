"""What the doctor found at one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check. ``detail`` says what was found; of a problem also what to do."""

    check: str
    ok: bool
    detail: str
