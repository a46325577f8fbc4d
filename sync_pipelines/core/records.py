"""Records: what one side says about one thing, reduced to the fields that are kept in agreement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.core.canonical import fingerprint

Content = Mapping[str, Any]
"""Mapped fields of a record in canonical form: JSON types, with ``Decimal`` for exact numbers."""


@dataclass(frozen=True, slots=True)
class Record:
    """One thing as one side sees it.

    Attributes:
        key: identifier on its own side (an offering id on the chain, a uuid in Waldur).
        natural_key: what identifies the same thing on both sides; used to adopt unlinked records.
        content: mapped fields only; volatile fields (counters, timestamps) are left out by the mapping.
        meta: facts needed to write (plan uuid, version) that take no part in the comparison.
        withheld: why the record is deliberately not synced (nothing is created, changed or retired for it).
        invalid: why the record cannot be mapped; it is dead-lettered until the source is mended.
    """

    key: str
    natural_key: str
    content: Content
    meta: Content = field(default_factory=dict)
    withheld: str | None = None
    invalid: str | None = None

    @property
    def fingerprint(self) -> bytes:
        """Digest of the content; equal fingerprints mean equal content."""
        return fingerprint(self.content)
