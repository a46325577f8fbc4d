"""What a scan came to, for people: how many of what, and the deployments that somebody has to look at. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sync_pipelines.pipelines.deployments.deployment_record import Seen
from sync_pipelines.pipelines.deployments.matches import Match, NeedsReview, NoMatch, Strategy

SHOWN = 50
"""Rows of a table, and names of a list."""
BINS = ("0.9 to 1", "0.7 to 0.9", "0.5 to 0.7", "below 0.5")
_FLOORS = (Decimal("0.9"), Decimal("0.7"), Decimal("0.5"), Decimal(0))


@dataclass(frozen=True)
class MatchReport:
    """A scan, counted.

    Attributes:
        by_strategy: instances kept in agreement, by how they were matched.
        by_confidence: matches of any confidence, by :data:`BINS`.
        review: what is below the threshold, least confidence first.
        unmatched: what looks like an instance and fits no plan.
        unknown: what cannot be told now: not read, deleted meanwhile, or not understood.
        others: names of deployments that are none of this pipeline's business.
        doubtful: matches that are written although something speaks against them, or was not understood.
    """

    deployments: int
    matched: int
    locked: int
    cached: int
    by_strategy: dict[str, int]
    by_confidence: dict[str, int]
    review: tuple[Seen, ...]
    unmatched: tuple[Seen, ...]
    unknown: tuple[Seen, ...]
    others: tuple[str, ...]
    doubtful: tuple[Seen, ...]

    @property
    def numbers(self) -> dict[str, int]:
        """Numbers that plot over time."""
        return {
            "deployments": self.deployments,
            "matched": self.matched,
            "needs_review": len(self.review),
            "unmatched": len(self.unmatched),
            "unknown": len(self.unknown),
            "no_instances": len(self.others),
            "locked": self.locked,
            "from_cache": self.cached,
            **{f"matched_by_{name.replace(' ', '_')}": number for name, number in self.by_strategy.items()},
        }


def report_of(seen: Sequence[Seen]) -> MatchReport:
    """Count a scan."""
    synced = [one for one in seen if one.is_synced]
    review = [one for one in seen if isinstance(one.outcome, NeedsReview)]
    no_match = [one for one in seen if isinstance(one.outcome, NoMatch) and one.is_record]
    return MatchReport(
        deployments=len(seen),
        matched=len(synced),
        locked=sum(one.is_locked for one in seen),
        cached=sum(one.is_cached for one in seen),
        by_strategy=_counted((_strategy(one) for one in synced), [strategy.value for strategy in Strategy]),
        by_confidence=_counted((_bin(confidence_of(one)) for one in seen if confidence_of(one) is not None), BINS),
        review=tuple(sorted(review, key=lambda one: (confidence_of(one) or 0, one.name))),
        unmatched=tuple(one for one in no_match if one.outcome.instance_id is not None),
        unknown=tuple(
            one
            for one in seen
            if one.withheld is not None
            and not isinstance(one.outcome, NeedsReview)
            and not (isinstance(one.outcome, NoMatch) and one.outcome.instance_id is not None)
        ),
        others=tuple(one.name for one in seen if not one.is_record),
        doubtful=tuple(one for one in synced if one.problems or (confidence_of(one) or 0) < 1),
    )


def confidence_of(seen: Seen) -> Decimal | None:
    """Return how sure a match is, ``None`` when there is none."""
    return None if isinstance(seen.outcome, NoMatch) else seen.outcome.confidence


def table_of(rows: Sequence[Seen]) -> str:
    """Return deployments as a Markdown table, at most :data:`SHOWN`."""
    if not rows:
        return "none"
    lines = ["| deployment | by | confidence | plan | why |", "|---|---|---|---|---|"]
    for one in rows[:SHOWN]:
        outcome = one.outcome
        plan = "" if isinstance(outcome, NoMatch) else outcome.plan_id or ""
        why = "; ".join(dict.fromkeys((*reasons_of(one), *one.problems)))
        cells = [one.name, _strategy(one), str(confidence_of(one) or ""), plan, why]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    if len(rows) > SHOWN:
        lines.append(f"\n... and {len(rows) - SHOWN} more")
    return "\n".join(lines)


def reasons_of(seen: Seen) -> tuple[str, ...]:
    """Return what speaks for and against a deployment being what it is taken for."""
    outcome = seen.outcome
    return (outcome.reason,) if isinstance(outcome, NoMatch) else outcome.reasons


def row_of(seen: Seen) -> dict[str, object]:
    """Return one deployment in JSON types, for ``--json``."""
    outcome = seen.outcome
    kind = {Match: "match", NeedsReview: "needs review", NoMatch: "no match"}[type(outcome)]
    confidence = confidence_of(seen)
    return {
        "deployment": seen.name,
        "outcome": kind,
        "strategy": _strategy(seen) or None,
        "confidence": None if confidence is None else float(confidence),
        "instance_id": outcome.instance_id,
        "service_id": None if isinstance(outcome, NoMatch) else outcome.service_id,
        "plan_id": None if isinstance(outcome, NoMatch) else outcome.plan_id,
        "reasons": list(reasons_of(seen)),
        "problems": list(seen.problems),
        "withheld": seen.withheld,
        "synced": seen.is_synced,
        "locked": seen.is_locked,
    }


def _strategy(seen: Seen) -> str:
    return "" if isinstance(seen.outcome, NoMatch) else seen.outcome.strategy.value


def _bin(confidence: Decimal | None) -> str:
    return next(name for name, floor in zip(BINS, _FLOORS, strict=True) if (confidence or 0) >= floor)


def _counted(values: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    counted = Counter(values)
    return {name: counted[name] for name in names}
