"""The two-way merge: what two sides that both may be edited make of one record, field by field.

Between the sides stands the *merged* record. A side speaks about a field when it shows another value than it showed
when it last agreed with the merged record. What it says is taken when nobody else says anything else; otherwise the
owner of the field decides, or a person does. Nothing is decided by times: an echo of our own write shows the merged
value, and says nothing new.

An agreement keeps two values apart, the merged one and the shown one, because a peer may show something else than it
was told (cleaned HTML, a rounded price). A field that no agreement names was never agreed on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from sync_pipelines.core.cleaning import may_be_cleaned
from sync_pipelines.core.records import Content
from sync_pipelines.core.trees import same, same_field


class Side(StrEnum):
    """One of the two systems."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> Side:
        """The system across."""
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


@dataclass(frozen=True, slots=True)
class Rule:
    """Who decides about a field.

    Attributes:
        owner: whose value stands when both sides changed it differently; ``None`` leaves that to a person.
        one_way: the owner's value always stands: what the other side says is drift.
    """

    owner: Side | None = None
    one_way: bool = False

    def __post_init__(self) -> None:
        if self.one_way and self.owner is None:
            raise ValueError("a field that goes one way needs an owner")


class Agreement(NamedTuple):
    """What a field was when a side last agreed about it: the merged value, and how the side showed it."""

    merged: Any
    shown: Any


Agreements = Mapping[str, Agreement]


@dataclass(frozen=True, slots=True)
class View:
    """What a side says: its fields now, and what was agreed on with it before. A field it lacks it is silent about."""

    now: Content
    agreed: Agreements = field(default_factory=dict)

    def speaks(self, name: str) -> bool:
        """Say whether the side shows something new."""
        if name not in self.now:
            return False
        return name not in self.agreed or not same(self.now[name], self.agreed[name].shown)


@dataclass(frozen=True, slots=True)
class Contest:
    """Two values for one field, and nobody who may decide. ``base`` is the merged value so far, if there is one."""

    left: Any
    right: Any
    base: Any = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person decided about a contest. It holds while each side shows what it did then, or the value itself."""

    value: Any
    left: Any
    right: Any

    def holds(self, left: object, right: object) -> bool:
        """Say whether nobody has edited the field since."""
        return any(same(left, known) for known in (self.left, self.value)) and any(
            same(right, known) for known in (self.right, self.value)
        )


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a record.

    Attributes:
        content: merged fields; the contested ones keep the value they had, if any.
        left, right: what is agreed on with either side now.
        contests: fields that a person has to decide about. Nothing is written for them.
        taken: field -> side whose change was taken over.
        overruled: fields for which a side's change gave way to the owner of the field -> that side's value.
    """

    content: Content
    left: Agreements
    right: Agreements
    contests: Mapping[str, Contest]
    taken: Mapping[str, Side]
    overruled: Mapping[str, Any]

    @property
    def settled(self) -> Content:
        """The fields that may be written to either side."""
        return {name: value for name, value in self.content.items() if name not in self.contests}


Alike = Callable[[str, object, object], bool]
_NOTHING_SAID = object()


def merge_two_ways(
    merged: Content | None,
    left: View,
    right: View,
    rules: Mapping[str, Rule],
    *,
    alike: Alike = same_field,
    choices: Mapping[str, Choice] | None = None,
    lenient: Mapping[Side, Collection[str]] | None = None,
) -> Merged:
    """Merge what both sides say with what was agreed.

    Arguments:
        merged: the merged record so far, ``None`` for one that is new.
        left, right: the sides' records. A side that has none yet is a :class:`View` without fields.
        rules: field -> who decides; a field without a rule is left to a person.
        alike: ``(field, wanted, shown) -> bool``: whether a side shows what is wanted.
        choices: field -> what a person decided.
        lenient: fields that a side may show otherwise than it was told.
    """
    before, choices, lenient = merged or {}, choices or {}, lenient or {}
    # First what arrived: a side that shows the merged value, written or typed there, says nothing new.
    left, news = _listen(before, left, alike, lenient.get(Side.LEFT, ()))
    right, more = _listen(before, right, alike, lenient.get(Side.RIGHT, ()))
    open_fields = {name for name in (*before, *left.now, *right.now) if name not in before or name in choices}
    open_fields |= news | more | {name for name, rule in rules.items() if rule.one_way and name in before}
    field_ = _Field(before, left, right, rules, alike, choices)
    content: dict[str, Any] = dict(before)
    contests: dict[str, Contest] = {}
    taken: dict[str, Side] = {}
    overruled: dict[str, Any] = {}
    decreed: set[str] = set()
    for name in sorted(open_fields):
        decided = field_.decide(name)
        if isinstance(decided, Contest):
            contests[name] = decided
            continue
        content[name] = decided.value
        if decided.taken is not None:
            taken[name] = decided.taken
        if decided.overruled is not _NOTHING_SAID:
            overruled[name] = decided.overruled
        if decided.decreed or name in overruled:
            decreed.add(name)
    left, right = (_heard(view, decreed) for view in (left, right))
    agreed = {name: content[name] for name in open_fields if name not in contests}
    return Merged(
        content, _agreements(agreed, left, alike), _agreements(agreed, right, alike), contests, taken, overruled
    )


@dataclass(frozen=True, slots=True)
class _Decided:
    value: Any
    taken: Side | None = None
    overruled: Any = _NOTHING_SAID
    decreed: bool = False


@dataclass(frozen=True, slots=True)
class _Field:
    """Decides about one field of a record at a time."""

    merged: Content
    left: View
    right: View
    rules: Mapping[str, Rule]
    alike: Alike
    choices: Mapping[str, Choice]

    def decide(self, name: str) -> _Decided | Contest:
        rule = self.rules.get(name, Rule())
        if rule.one_way and rule.owner is not None and name in self._view(rule.owner).now:
            return self._owned(name, rule.owner)
        choice = self.choices.get(name)
        if choice is not None and choice.holds(self.left.now.get(name), self.right.now.get(name)):
            return _Decided(choice.value, decreed=True)
        speakers = [side for side in Side if self._view(side).speaks(name)]
        if not speakers:
            return _Decided(self.merged.get(name))
        if len(speakers) == 2:
            return self._both(name, rule)
        return self._one(name, rule, speakers[0])

    def _owned(self, name: str, owner: Side) -> _Decided:
        value = self._view(owner).now[name]
        if self._stands(name, self._view(owner)):
            value = self.merged[name]
        moved = name not in self.merged or not same(self.merged[name], value)
        other = self._view(owner.other)
        strays = other.speaks(name) and not self.alike(name, value, other.now[name])
        return _Decided(value, owner if moved else None, other.now[name] if strays else _NOTHING_SAID)

    def _stands(self, name: str, view: View) -> bool:
        """Say whether a side shows what it showed when it agreed with the present merged value."""
        return (
            name in self.merged
            and name in view.agreed
            and same(view.agreed[name].merged, self.merged[name])
            and not view.speaks(name)
        )

    def _both(self, name: str, rule: Rule) -> _Decided | Contest:
        one, other = self.left.now[name], self.right.now[name]
        if self.alike(name, one, other):
            preferred = rule.owner or Side.LEFT
            return _Decided(self._view(preferred).now[name], preferred)
        for side, value in ((Side.LEFT, one), (Side.RIGHT, other)):
            # Where the sides meet for the first time, nothing is lost by filling in what one of them lacks.
            if name not in self.merged and empty(self._view(side.other).now[name]):
                return _Decided(value, side)
        return self._contest(name, rule)

    def _one(self, name: str, rule: Rule, side: Side) -> _Decided | Contest:
        said = self._view(side).now[name]
        if name not in self.merged:
            return _Decided(said, side)
        merged = self.merged[name]
        agreed = self._view(side).agreed.get(name)
        if agreed is None and empty(said):
            return _Decided(merged)
        if agreed is None and empty(merged):
            return _Decided(said, side)
        if agreed is not None and same(agreed.merged, merged):
            return _Decided(said, side)
        # The merged value came from across and has not arrived here yet: two changes of one field.
        return self._contest(name, rule)

    def _contest(self, name: str, rule: Rule) -> _Decided | Contest:
        one, other = (view.now.get(name, self.merged.get(name)) for view in (self.left, self.right))
        if rule.owner is None:
            return Contest(one, other, self.merged.get(name))
        value, loser = (one, other) if rule.owner is Side.LEFT else (other, one)
        if name in self.merged and not self._view(rule.owner).speaks(name):
            value = self.merged[name]
        moved = name not in self.merged or not same(self.merged[name], value)
        return _Decided(value, rule.owner if moved else None, loser)

    def _view(self, side: Side) -> View:
        return self.left if side is Side.LEFT else self.right


def _listen(merged: Content, view: View, alike: Alike, lenient: Collection[str]) -> tuple[View, set[str]]:
    """Return what is agreed on with a side before anything is decided, and the fields about which it says something.

    A merged value that is on its way to a side may have arrived without our knowing. Where the side cleans what it is
    told, a new value that may be a cleaned form of that one is taken for it.
    """
    agreed, news = dict(view.agreed), set()
    for name, value in view.now.items():
        known = view.agreed.get(name)
        shows_it = known is not None and same(value, known.shown)
        if shows_it and known is not None and name in merged and same(merged[name], known.merged):
            continue
        due = name in lenient and known is not None and name in merged and not same(merged[name], known.merged)
        cleaned = due and not shows_it and may_be_cleaned(merged[name], value)
        if cleaned or (name in merged and alike(name, merged[name], value)):
            agreed[name] = Agreement(merged[name], value)
        elif not shows_it:
            news.add(name)
    return View(view.now, agreed), news


def _heard(view: View, names: Collection[str]) -> View:
    """Note what a side said about fields that were decided over its head.

    What it shows is not news any more. Without this the next merge would take it for a new change, should the decided
    value happen to be the one that was agreed on before.
    """
    heard = {name: Agreement(view.now[name], view.now[name]) for name in names if name in view.now}
    return View(view.now, {**view.agreed, **heard})


def _agreements(content: Content, view: View, alike: Alike) -> Agreements:
    """Return what is agreed on with a side, given what is merged and what it shows."""
    agreed = dict(view.agreed)
    for name, value in content.items():
        if name in view.now and alike(name, value, view.now[name]):
            agreed[name] = Agreement(value, view.now[name])
    return agreed


def empty(value: object) -> bool:
    """Say whether a value holds nothing: absent, an empty text, list or mapping. Zero and false are values."""
    return value is None or value in ("", [], {}, ())
