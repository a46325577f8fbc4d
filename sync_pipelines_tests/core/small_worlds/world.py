"""One small world: two sides, the links between them, and everything that people and peers do to them.

A world is made of one integer. The bytes drawn from it say how the world begins, who edits what, and which calls
fail. When they are used up every draw is 0, and 0 always means that nothing happens: trouble ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from hashlib import blake2b
from itertools import product
from typing import Any, NamedTuple

from sync_pipelines.core.guard import GuardLimits, judge
from sync_pipelines.core.lifecycle import State, advance
from sync_pipelines.core.records import Content
from sync_pipelines.core.retry import RetryPolicy, after_failure
from sync_pipelines.core.seal import Previous, judge_sweep
from sync_pipelines.core.trees import PRESENCE, Base, Merge, Verdict, merge

Tell = Callable[[str], None]


class Broken(AssertionError):
    """A promise was broken in this world."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The decisions of ``core`` that a world obeys. A test hands in a wrong one to see that it is found out."""

    presence: Mapping[tuple[bool, bool, bool], Verdict] = field(default_factory=lambda: PRESENCE)
    merge: Callable[[Content, Content, Base | None], Merge] = merge
    judge: Callable[..., Any] = judge
    advance: Callable[..., State] = advance
    after_failure: Callable[..., Any] = after_failure
    judge_sweep: Callable[..., Any] = judge_sweep


RULES = Rules()


class Shape(NamedTuple):
    """Fields of a world's records. ``contents``: all there can be; ``shown``: what the target makes of each."""

    fields: tuple[str, ...]
    contents: tuple[Content, ...]
    shown: tuple[Content, ...]


class Limit(NamedTuple):
    """Limits of a guard, and their share as two integers for a judgement of the world's own."""

    limits: GuardLimits
    above: int
    below: int


def shown(value: Any) -> Any:
    """Return how the target shows a value it was told: text without blanks at its end, whole numbers as ``1.0``."""
    kind = type(value)
    return value.rstrip() if kind is str else float(value) if kind is int else value


_VALUES: dict[str, tuple[Any, ...]] = {
    "name": ("ax", "ax ", "by", "cz"),
    "tier": ("low", "high", "", "top"),
    "price": (1, Decimal("1.00"), Decimal("2.5"), True),
    "size": (None, "s", "m", "l"),
}


def _shape(*fields: str) -> Shape:
    contents = tuple(dict(zip(fields, values, strict=True)) for values in product(*(_VALUES[name] for name in fields)))
    return Shape(
        fields, contents, tuple({name: shown(value) for name, value in content.items()} for content in contents)
    )


_SHAPES = (
    _shape("name"),
    _shape("tier"),
    _shape("name", "tier"),
    _shape("tier", "size"),
    _shape("name", "size"),
    _shape("name", "tier"),
    _shape("name", "tier", "size"),
    _shape("tier", "price"),
)
_LIMITS = (
    Limit(GuardLimits(), 1, 5),
    Limit(GuardLimits(ignore_up_to=1), 1, 5),
    Limit(GuardLimits(ignore_up_to=2), 1, 5),
    Limit(GuardLimits(max_fraction=Decimal("0.5")), 1, 2),
    Limit(GuardLimits(max_fraction=Decimal(1)), 1, 1),
    Limit(GuardLimits(max_fraction=Decimal(1), max_count=1), 1, 1),
    Limit(GuardLimits(max_fraction=Decimal(0), max_count=0), 0, 1),
    Limit(GuardLimits(ignore_up_to=3, max_count=1), 1, 5),
)
_POLICIES = tuple(RetryPolicy(max_retries=retries) for retries in (0, 1, 1, 5))
_KEYS = (*[("a",)] * 5, *[("a", "b")] * 2, ("a", "b", "c"))
_TROUBLES = (1, 1, 1, 1, 1, 1, 2, 3)
_EDITS = (0, 1, 1, 1, 1, 2, 2, 3)


class World:
    """Everything there is, and what the engine remembers of it.

    Attributes:
        left, right: contents by key; both sides know a record by the same key here.
        base: the links, each with the agreement behind it. Contents are never altered, only replaced.
        life, failures: where each record stands.
        quiet: creates that may still be running at the target.
        late: requests that arrive only later: (key, fields and values, creates).
        previous: sizes of the last sealed listings.
    """

    __slots__ = (
        "base",
        "draw",
        "failures",
        "frozen",
        "keys",
        "late",
        "left",
        "life",
        "limit",
        "policy",
        "previous",
        "quiet",
        "right",
        "rules",
        "shape",
        "tell",
        "thorough",
        "troubles",
        "unsteady",
    )

    def __init__(self, seed: int, rules: Rules, tell: Tell | None) -> None:
        draw: Callable[[], int] = partial(next, iter(blake2b(b"%d" % seed).digest()), 0)
        self.draw, self.rules, self.tell = draw, rules, tell
        traits, size, course = draw(), draw(), draw()
        self.shape = shape = _SHAPES[traits & 7]
        self.frozen = traits & 24 == 24
        """Only a person can change the tier of a record that has one."""
        self.unsteady = traits & 224 == 224 and course & 64 == 64
        """Listings may be short."""
        self.limit = _LIMITS[size & 7]
        self.keys = _KEYS[size >> 3 & 7]
        self.policy = _POLICIES[size >> 6]
        self.troubles = _TROUBLES[course & 7]
        """Passes in the time of trouble."""
        self.thorough = course & 56 == 56
        """Records that equal their base are compared all the same."""
        self.left: dict[str, Content] = {}
        self.right: dict[str, Content] = {}
        self.base: dict[str, Base] = {}
        self.life: dict[str, State] = {}
        self.failures: dict[str, int] = {}
        self.quiet: set[str] = set()
        self.late: list[tuple[str, dict[str, Any], bool]] = []
        for key in self.keys:
            presence, at = draw() or 7, draw() % len(shape.contents)
            if presence & 1:
                self.left[key] = shape.contents[at]
            if presence & 2:
                # A person made it, or it agrees with what the source said at some time.
                self.right[key] = shape.shown[at - (presence >> 3 & 1)]
            if presence & 4:
                agreed = at - (presence >> 4 & 1)
                self.base[key] = Base(shape.contents[agreed], shape.shown[agreed])
                self.life[key] = State.SYNCED
        self.previous: dict[str, Previous] = {}
        if self.unsteady:
            self.previous = {"left": Previous("", len(self.left)), "right": Previous("", len(self.right))}
        if tell:
            self._introduce(tell)

    def _introduce(self, tell: Tell) -> None:
        tell(f"fields {', '.join(self.shape.fields)}; {self.limit.limits}; {self.policy}")
        marks = {"tier is frozen": self.frozen, "listings may be short": self.unsteady}
        tell("; ".join(text for text, holds in marks.items() if holds) or "an ordinary target")
        self.show(tell)

    def show(self, tell: Tell) -> None:
        """Tell where every record stands."""
        for key in self.keys:
            tell(
                f"  {key}: left {self.left.get(key)}, right {self.right.get(key)}, base {self.base.get(key)}, "
                f"{self.life.get(key, 'never seen')}"
            )

    def trouble(self) -> None:
        """Let late requests arrive, and let people edit either side."""
        if self.late:
            self.arrive()
        draw, contents = self.draw, self.shape.contents
        for _ in range(_EDITS[draw() & 7]):
            chance = draw()
            key = self.keys[(chance >> 4) % len(self.keys)]
            kind = chance & 15
            if kind < 6:
                self.left[key] = contents[draw() % len(contents)]
            elif kind < 8:
                self.left.pop(key, None)
            elif kind < 11:
                # Now and then a person at the target makes a record of their own.
                if key in self.right or kind == 8:
                    self.right[key] = self.shape.shown[draw() % len(contents)]
            elif kind < 13:
                self.right.pop(key, None)
            elif kind == 13:
                self.base.pop(key, None)
            if self.tell:
                self.tell(f"edit of {key}, kind {kind}")
        if self.tell:
            self.show(self.tell)

    def arrive(self) -> None:
        """Let the requests that were on their way reach the target."""
        for key, values, creates in self.late:
            # A second create is refused, because the natural key is taken; an update needs something to update.
            if creates is not (key in self.right):
                self.right[key] = {**self.right.get(key, {}), **values}
                if self.tell:
                    self.tell(f"a late request reaches the target: {key} {values}")
        self.late.clear()
        self.quiet.clear()

    def blocked(self, right: Content, fields: Collection[str]) -> tuple[str, ...]:
        """Return which of the fields only a person can change."""
        return ("tier",) if self.frozen and "tier" in fields and right.get("tier") else ()

    def must_be_ours(self, key: str) -> None:
        """Call before any write: a record that exists at the target only is nobody's business."""
        if key not in self.left and key not in self.base:
            raise Broken(f"{key} exists on the right only and was touched")
