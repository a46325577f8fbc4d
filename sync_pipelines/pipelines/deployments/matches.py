"""What came of matching a deployment: a match, something for a person to look at, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Strategy(StrEnum):
    """How a match was found."""

    RULE = "rule"
    NAME = "name"
    METADATA = "manifest metadata"
    PARAMS = "meta params"
    RELEASES = "releases"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True)
class Match:
    """A deployment that is an instance of a plan.

    Attributes:
        code: the short reason that is kept with the instance, e.g. ``exact_name_match``.
        confidence: 0 to 1, four places.
        reasons: what speaks for and against it, for people.
        instance_id: lower case.
    """

    deployment: str
    strategy: Strategy
    code: str
    confidence: Decimal
    reasons: tuple[str, ...]
    service_id: str
    service_name: str
    plan_id: str
    plan_name: str
    instance_id: str


@dataclass(frozen=True, slots=True)
class NeedsReview:
    """A deployment that may be an instance; a person decides, with a matching rule or a correction at the Director.

    Attributes:
        instance_id: the id it has in any case: the instance is *there*, whatever it may be; ``service_id`` and
            ``plan_id`` are what is supposed, where anything is.
    """

    deployment: str
    strategy: Strategy
    code: str
    confidence: Decimal
    reasons: tuple[str, ...]
    instance_id: str | None
    service_id: str | None = None
    plan_id: str | None = None


@dataclass(frozen=True, slots=True)
class NoMatch:
    """A deployment that is no instance of the catalog.

    Attributes:
        instance_id: an id that its name ends in all the same; an instance with this id must not be taken for gone.
    """

    deployment: str
    reason: str
    instance_id: str | None = None


Outcome = Match | NeedsReview | NoMatch
