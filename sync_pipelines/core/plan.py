"""Plans: the smallest set of changes that makes right agree with left, addressed by its content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from sync_pipelines.core.canonical import canonical_json, fingerprint
from sync_pipelines.core.records import Content
from sync_pipelines.core.trees import same

SHOWN_PARTS = 4
"""Parts of one field (single prices, attributes) that a preview shows."""


class Action(StrEnum):
    """What a change does to the right side."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    """Link only: both sides already agree, nothing is written to the peer."""
    RETIRE = "retire"
    FORGET = "forget"
    """Drop a link whose both ends are gone; nothing is written to the peer."""

    @property
    def writes(self) -> bool:
        """True when the change calls the peer."""
        return self not in (Action.ADOPT, Action.FORGET)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one record.

    Attributes:
        action: what to do.
        key: left key of the record.
        natural_key: what identifies the record on both sides.
        right_key: key on the right, ``None`` for a create.
        before: right content the change was planned against, ``None`` when there was none.
        after: content wanted on the right, ``None`` when the record is retired or forgotten.
        fields: names of the fields that are written, sorted.
        reason: why, for people.
        adopts: the record is linked by this change for the first time.
        destructive: the change retires, archives or deletes; the guard counts these.
        blocked: names of fields that differ too, but that only a person can bring through.
    """

    action: Action
    key: str
    natural_key: str
    right_key: str | None
    before: Content | None
    after: Content | None
    fields: tuple[str, ...]
    reason: str
    adopts: bool = False
    destructive: bool = False
    blocked: tuple[str, ...] = ()

    @property
    def digest(self) -> bytes:
        """Return what identifies the change: everything but the wording of its reason."""
        return fingerprint(
            {
                "action": self.action.value,
                "key": self.key,
                "natural_key": self.natural_key,
                "right_key": self.right_key,
                "before": self.before,
                "after": self.after,
                "fields": list(self.fields),
                "adopts": self.adopts,
                "destructive": self.destructive,
                "blocked": list(self.blocked),
            }
        )


class PlanHash:
    """Incremental content address of a plan: the same changes of the same scope give the same hash.

    Changes must be added in the order of their keys. An empty plan has a hash too.
    """

    def __init__(self, pair: str, scope: str) -> None:
        self._hash = hashlib.blake2b(canonical_json([pair, scope]).encode(), digest_size=16)

    def add(self, change: Change) -> None:
        """Take one more change into the hash."""
        self._hash.update(change.digest)

    @property
    def hex(self) -> str:
        """Return the hash so far, 32 hex digits."""
        return self._hash.hexdigest()


@dataclass(slots=True)
class PlanCounts:
    """How many changes of which kind a plan has, and what it leaves alone."""

    create: int = 0
    update: int = 0
    adopt: int = 0
    retire: int = 0
    forget: int = 0
    state_changes: int = 0
    adopted: int = 0
    destructive: int = 0
    drifted: int = 0
    orphans: int = 0
    conflicts: int = 0
    withheld: int = 0
    invalid: int = 0
    waiting: int = 0
    dead_lettered: int = 0
    blocked: int = 0
    per_field: dict[str, int] = field(default_factory=dict)

    def add(self, change: Change, *, state_field: str | None) -> None:
        """Count one change."""
        counter = change.action.value
        setattr(self, counter, getattr(self, counter) + 1)
        self.adopted += change.adopts
        self.destructive += change.destructive
        self.blocked += bool(change.blocked)
        if change.action is Action.UPDATE:
            self.state_changes += state_field in change.fields
            for name in change.fields:
                self.per_field[name] = self.per_field.get(name, 0) + 1

    @property
    def changes(self) -> int:
        """All changes of the plan."""
        return self.create + self.update + self.adopt + self.retire + self.forget

    @property
    def nothing_to_do(self) -> bool:
        """True when there is no change, now or later: no record is kept out by a failure of its own."""
        return not (self.changes or self.waiting or self.dead_lettered)

    @property
    def writes(self) -> int:
        """Changes that call the peer."""
        return self.create + self.update + self.retire


def preview(hash_: str, changes: Iterable[Change], *, total: int, shown: int = 50) -> str:
    """Return a plan as markdown: a line a change, at most ``shown`` of them, the rest counted.

    Values are shown short; what identifies a record is shown whole.

    Arguments:
        total: number of changes in the plan.
    """
    rows = [
        f"| {change.action} | {markdown_cell(change.key)} | {_differences(change)} | {markdown_cell(change.reason)} |"
        for change in islice(changes, shown)
    ]
    lines = [f"**Plan `{hash_[:12]}`**: {total} changes", ""]
    if rows:
        lines += ["| action | record | change | why |", "|---|---|---|---|", *rows]
    if total > len(rows):
        lines += ["", f"... and {total - len(rows)} more changes"]
    return "\n".join(lines)


def _differences(change: Change) -> str:
    if change.action is Action.CREATE or change.before is None or change.after is None:
        return markdown_cell(", ".join(change.fields))
    parts = [part for name in change.fields for part in _moves(name, change.before.get(name), change.after.get(name))]
    return markdown_cell("; ".join(parts))


def _moves(name: str, before: object, after: object) -> Iterator[str]:
    """Yield how a field moves: ``name: before → after``, and for a mapping the parts that do, the first few of them."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        moved = [part for part in sorted({*before, *after}) if not same(before.get(part), after.get(part))]
        for part in moved[:SHOWN_PARTS]:
            yield from _moves(f"{name}.{part}", before.get(part, "(none)"), after.get(part, "(none)"))
        if len(moved) > SHOWN_PARTS:
            yield f"{name}: {len(moved) - SHOWN_PARTS} more"
        return
    old, new = _short(before), _short(after)
    yield f"{name}: {old} → {new}" if len(old) + len(new) <= 90 else f"{name}: changed"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= 60 else text[:57] + "..."


def markdown_cell(text: str) -> str:
    """Escape what would end the cell, load an image, or become a link or HTML: names come from strangers."""
    return re.sub(r"([\\|`<&\[\]])", r"\\\1", " ".join(text.split()))
