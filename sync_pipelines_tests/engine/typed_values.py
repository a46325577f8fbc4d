"""What people typed into a field of two systems, and which value must be there once both agree.

A value takes the place of what its system showed when it was typed, and of all that was typed there before. Where two
values are left of which neither took the place of the other, the field is contested: its owner decides, or a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sync_pipelines.core.two_way import Rule, Side


@dataclass(frozen=True, slots=True)
class Typed:
    """A value that nobody typed before.

    Attributes:
        over: values it took the place of.
        doubtful: values it took the place of if the engine can tell that they had arrived there.
    """

    side: Side
    value: str
    over: frozenset[str]
    doubtful: frozenset[str] = frozenset()


@dataclass
class TypedValues:
    """What was typed into one field since both systems agreed about it.

    Attributes:
        base: the value they agreed about.
        beaten: values that a person decided against.
    """

    base: str
    typed: list[Typed] = field(default_factory=list)
    beaten: set[str] = field(default_factory=set)

    def say(self, side: Side, value: str, shown: str, *, doubtful: bool) -> None:
        """Note what was typed.

        Arguments:
            shown: what the system showed until then.
            doubtful: whether the engine waits to learn if its last write arrived.
        """
        own = {one.value for one in self.typed if one.side is side}
        arrived = {shown}.union(*(one.over for one in self.typed if one.value == shown)) - own
        over = own | (set() if doubtful else arrived)
        self.typed.append(Typed(side, value, frozenset(over), frozenset(arrived if doubtful else ())))

    def standing(self) -> dict[Side, Typed]:
        """Return what no other value took the place of, by system."""
        gone = self.beaten.union(*(one.over for one in self.typed))
        return {one.side: one for one in self.typed if one.value not in gone}

    def decided(self, value: str) -> None:
        """Note that a person decided for a value."""
        self.beaten |= {one.value for one in self.standing().values()} - {value}

    def may_be_contested(self, rule: Rule) -> bool:
        """Say whether a person may have been asked."""
        return rule.owner is None and len(self.standing()) > 1

    def due(self, rule: Rule) -> set[str]:
        """Return what both systems may show in the end; nothing where a person has to decide."""
        if rule.one_way:
            own = [one.value for one in self.typed if one.side is rule.owner]
            return {own[-1] if own else self.base}
        standing = self.standing()
        if len(standing) < 2:
            return {one.value for one in standing.values()} or {self.base}
        later = {side: one.value for side, one in standing.items() if standing[side.other].value in one.doubtful}
        return {*later.values(), *([] if rule.owner is None else [standing[rule.owner].value])}
