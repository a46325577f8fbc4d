"""What the scan says about one deployment: an instance to keep in agreement, one that waits, or nothing. Pure.

Whatever may be an instance and is listed is *there*: it yields a record, withheld where nothing may be written, so that
its entry in Vault is never taken for an orphan's. The rules, first match first:

==================================================== ======================================================
what is known                                        what becomes of it
==================================================== ======================================================
deleted between the list and its details             withheld; the next run sees that it is gone
manifest not read now, and never before              withheld until it is read
manifest not read now, but before                    fields of the list; Vault keeps the others as they are
a match                                              a record
a match below the threshold                          withheld, for a person
no plan fits, but its name has an instance id        withheld: the catalog may be incomplete
no plan fits, and its manifest cannot be read        withheld: what it claims is not known
anything else                                        no concern of this pipeline
==================================================== ======================================================

A manifest that is there but is no YAML does not hold its instance back when the name tells what it is: the text is kept
as it was deployed, the properties in Vault stay, and the confidence says how much is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipelines.core.records import Content, Record
from sync_pipelines.pipelines.deployments.details import Reading
from sync_pipelines.pipelines.deployments.instance import content_of_deployment
from sync_pipelines.pipelines.deployments.matcher import Matcher
from sync_pipelines.pipelines.deployments.matches import Match, NeedsReview, NoMatch, Outcome
from sync_pipelines.systems.bosh import ListedDeployment

_OF_THE_MANIFEST = ("match_confidence", "match_reason")
"""What depends on the manifest, too: with old facts it may be wrong."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A deployment of the list.

    Attributes:
        outcome: what it is.
        problems: what could not be read of it, or not be understood; free of secrets.
        withheld: why nothing is written for it; ``None`` when it is kept in agreement, or is of no concern.
        is_record: whether it is a record of the scan.
    """

    outcome: Outcome
    is_locked: bool = False
    is_cached: bool = False
    problems: tuple[str, ...] = ()
    withheld: str | None = None
    is_record: bool = True

    @property
    def name(self) -> str:
        """Name of the deployment."""
        return self.outcome.deployment

    @property
    def is_synced(self) -> bool:
        """Whether it is kept in agreement."""
        return self.is_record and self.withheld is None


def seen_of(
    listed: ListedDeployment, reading: Reading, matcher: Matcher, *, director: str
) -> tuple[Seen, Record | None]:
    """Return what is said of a deployment, and its record if it has one.

    Arguments:
        director: what names the Director in Vault.
    """
    facts = reading.details.manifest if reading.details else reading.earlier
    outcome = matcher.match(listed.name, facts, [release.name for release in listed.releases or ()])
    problems = reading.problems
    if facts is not None and facts.unreadable is not None:
        problems = (*problems, str(facts.unreadable))
    withheld = _withheld(outcome, reading)
    content: Content | None = None
    if withheld is None and isinstance(outcome, Match):
        content = _content(outcome, listed, reading, director)
    elif withheld is not None:
        # Enough to be found by; compared with nothing.
        content = {"deployment_name": listed.name, "director": director}
    seen = Seen(
        outcome=outcome,
        is_locked=bool(listed.locked),
        is_cached=reading.is_cached,
        problems=problems,
        withheld=withheld,
        is_record=content is not None,
    )
    if content is None:
        return seen, None
    # Without an id it claims no instance, but what is linked with it already stays as it is.
    return seen, Record(listed.name, outcome.instance_id or "", content, withheld=withheld)


def _withheld(outcome: Outcome, reading: Reading) -> str | None:
    if reading.is_gone:
        return "it was deleted while it was read; the next run sees that it is gone"
    if reading.details is None and reading.earlier is None:
        return f"nothing is written until its details are known: {'; '.join(reading.problems)}"
    match outcome:
        case NeedsReview():
            return f"needs review ({outcome.code}, confidence {outcome.confidence}): {'; '.join(outcome.reasons)}"
        case NoMatch(instance_id=str()):
            return f"{outcome.reason}; complete the catalog, or add a matching rule"
        case NoMatch():
            facts = reading.details.manifest if reading.details else reading.earlier
            unreadable = facts.unreadable if facts else None
            return None if unreadable is None else f"what it is cannot be told: {unreadable}"
    return None


def _content(match: Match, listed: ListedDeployment, reading: Reading, director: str) -> Content:
    details = reading.details
    if details is None:
        content = content_of_deployment(match, listed, director=director)
        return {name: value for name, value in content.items() if name not in _OF_THE_MANIFEST}
    return content_of_deployment(
        match, listed, director=director, manifest=details.manifest, vms=details.vms, life=details.life
    )
