"""The guard: holds plans that would take away too much, until a person approves that one plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from sync_pipelines.core.canonical import decimal_text

NAMED_KEYS = 5
"""Records that a reason names; the others are counted."""


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How much a plan may take away unasked.

    Attributes:
        enabled: ``False`` switches the limits off for the connection. A plan that takes something away because a
            snapshot that is not sealed does not show its source is held all the same.
        max_fraction: largest share of the scope's linked records, 0 to 1.
        max_count: largest number of records.
        ignore_up_to: plans that take away at most this many records are never held for their share; useful for
            scopes of a handful of records, where one of them is already more than a fifth.
    """

    enabled: bool = True
    max_fraction: Decimal = Decimal("0.2")
    max_count: int = 500
    ignore_up_to: int = 0


@dataclass(frozen=True, slots=True)
class GuardFacts:
    """What the guard looks at.

    Attributes:
        linked: records of the scope that are linked, those included that the plan links.
        destructive: changes that retire, delete or archive.
        changes: all changes, links that are only made or forgotten included.
        unsealed: why the snapshots behind the plan cannot be trusted; empty when both are sealed.
    """

    linked: int
    destructive: int
    changes: int
    unsealed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """``held`` with the reasons, each with its numbers."""

    reasons: tuple[str, ...]

    @property
    def held(self) -> bool:
        """True when the plan must wait for an approval."""
        return bool(self.reasons)


@dataclass(slots=True)
class Approvals:
    """Changes that always need a person, collected change by change; only a few of their keys are kept."""

    _counts: dict[str, int] = field(default_factory=dict)
    _named: dict[str, list[str]] = field(default_factory=dict)

    def need(self, reason: str, key: str) -> None:
        """Note one more change: why a person has to look at it, as in ``would be removed for good``, and its key."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        named = self._named.setdefault(reason, [])
        if len(named) < NAMED_KEYS:
            named.append(key)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return one line a reason, with its number: ``3 records would be removed for good: a, b, c``."""
        return tuple(self._line(reason) for reason in sorted(self._counts))

    def _line(self, reason: str) -> str:
        number, named = self._counts[reason], self._named[reason]
        rest = f" and {number - len(named)} more" if number > len(named) else ""
        return f"{number} {'record' if number == 1 else 'records'} {reason}: {', '.join(named)}{rest}"


def judge(limits: GuardLimits, facts: GuardFacts) -> GuardVerdict:
    """Say whether a plan may go on. A plan without changes is never held."""
    resting = facts.changes if limits.enabled else facts.destructive
    reasons = [f"the plan rests on a snapshot that is not sealed: {why}" for why in facts.unsealed if resting]
    if not limits.enabled:
        return GuardVerdict(tuple(reasons))
    if facts.destructive > limits.max_count:
        reasons.append(f"{facts.destructive} records would be retired or archived; the limit is {limits.max_count}")
    share = limits.max_fraction * facts.linked
    if facts.destructive > limits.ignore_up_to and facts.destructive > share:
        percent = f"{100 * facts.destructive / facts.linked:.1f} %" if facts.linked else "all"
        reasons.append(
            f"{facts.destructive} of {facts.linked} linked records ({percent}) would be retired or archived; "
            f"the limit is {decimal_text(limits.max_fraction * 100)} %"
        )
    return GuardVerdict(tuple(reasons))
