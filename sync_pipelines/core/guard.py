"""The guard: holds plans that would take away too much, until a person approves that one plan."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sync_pipelines.core.canonical import decimal_text


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How much a plan may take away unasked.

    Attributes:
        enabled: ``False`` switches the guard off for the connection.
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


def judge(limits: GuardLimits, facts: GuardFacts) -> GuardVerdict:
    """Say whether a plan may go on. A plan without changes is never held."""
    if not limits.enabled:
        return GuardVerdict(())
    reasons = [f"the plan rests on a snapshot that is not sealed: {why}" for why in facts.unsealed if facts.changes]
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
