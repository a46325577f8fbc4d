"""The three trees: what to do about one record, given what left, right and base say.

``base`` is what both sides looked like when they last agreed. It keeps the two contents apart, because a peer may
store something else than it was sent (Waldur cleans HTML): while left still equals base's left and right still equals
base's right, nothing happened, however different the two may look.

The left side owns every field it names. A field that only the right has is none of our business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.records import Content


class Verdict(StrEnum):
    """Outcome of looking at left, right and base together."""

    NOTHING = "nothing"
    CREATE = "create"
    """Left only: create right."""
    RECREATE = "recreate"
    """Right lost a linked record: create it again, and count it as drift."""
    ADOPT = "adopt"
    """Both exist and are not linked yet: link, then write the fields that differ."""
    UPDATE = "update"
    """Linked, and fields differ."""
    RETIRE = "retire"
    """Gone at the source: retire right, by policy."""
    ORPHAN = "orphan"
    """Untracked on the right: reported, and touched only where the pair has a policy for it."""
    FORGET = "forget"
    """Both gone: drop the link."""


PRESENCE: dict[tuple[bool, bool, bool], Verdict] = {
    # (left, right, base)
    (True, False, False): Verdict.CREATE,
    (False, True, False): Verdict.ORPHAN,
    (True, False, True): Verdict.RECREATE,
    (False, True, True): Verdict.RETIRE,
    (True, True, False): Verdict.ADOPT,
    (True, True, True): Verdict.UPDATE,
    (False, False, True): Verdict.FORGET,
    (False, False, False): Verdict.NOTHING,
}
"""Which trees have the record -> what that means. ADOPT and UPDATE still need :func:`merge`."""


@dataclass(frozen=True, slots=True)
class Base:
    """Both contents as they were when the sides last agreed. Empty contents: linked, never agreed."""

    left: Content
    right: Content


class Mover(StrEnum):
    """Who moved a field away from the agreement."""

    SOURCE = "changed at the source"
    TARGET = "changed at the target"
    BOTH = "changed on both sides"
    UNKNOWN = "differs"


@dataclass(frozen=True, slots=True)
class Merge:
    """Fields of left that must be written to right, each with who moved it. Empty: the sides agree."""

    fields: dict[str, Mover]

    @property
    def agreed(self) -> bool:
        """True when nothing has to be written."""
        return not self.fields

    @property
    def reason(self) -> str:
        """Return one readable line, e.g. ``name changed at the target; price changed at the source``."""
        movers: dict[Mover, list[str]] = {}
        for name, mover in self.fields.items():
            movers.setdefault(mover, []).append(name)
        return "; ".join(f"{', '.join(names)} {mover}" for mover, names in movers.items())


_PLAIN = frozenset({str, int, bool, type(None), Decimal})
"""Types of which two values are equal when they have the same canonical form."""


def same(one: object, other: object) -> bool:
    """Compare two field values by canonical form: ``1`` equals ``Decimal("1.0")``, key order does not matter."""
    if type(one) is type(other) and type(one) in _PLAIN:
        return one == other
    # Not "==" for the rest: in Python True equals 1, and a float never equals the decimal it is printed as.
    return canonical_json(one) == canonical_json(other)


def same_field(name: str, wanted: object, found: object) -> bool:
    """Compare the values of a field that the target shows as it was told."""
    return same(wanted, found)


def merge(
    left: Content, right: Content, base: Base | None, alike: Callable[[str, object, object], bool] = same_field
) -> Merge:
    """Return the fields to write so that right agrees with left.

    Arguments:
        left: what the source says; it owns these fields.
        right: what the target says now.
        base: the last agreement, ``None`` when the records were never linked.
        alike: ``(field, wanted, found) -> bool`` for targets that show a value otherwise than they were told.
    """
    fields: dict[str, Mover] = {}
    for name in sorted(left):
        wanted, found = left[name], right.get(name)
        if alike(name, wanted, found):
            continue
        if base is None or name not in base.left:
            fields[name] = Mover.UNKNOWN
            continue
        source_moved, target_moved = not same(wanted, base.left[name]), not same(found, base.right.get(name))
        if source_moved and target_moved:
            fields[name] = Mover.BOTH
        elif source_moved:
            fields[name] = Mover.SOURCE
        elif target_moved:
            fields[name] = Mover.TARGET
    return Merge(fields)
