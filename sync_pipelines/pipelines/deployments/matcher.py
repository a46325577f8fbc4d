"""Which instance of which plan a deployment is, how sure that is, and why. Pure.

The first strategy that has an answer decides: matching rules of the connection, the name ``<plan id>-<instance id>``,
the manifest's own metadata, the parameters in it, the releases, and at last words of the name. What is said against an
answer (metadata of another plan, releases that do not fit) lowers its confidence. Below the threshold nothing is
written: a person looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sync_pipelines.pipelines.deployments.catalog import Catalog, Offer
from sync_pipelines.pipelines.deployments.confidence import (
    ANY_UUID,
    DISAGREES,
    PLACES,
    Evidence,
    adjusted,
    is_plan,
    look_at,
    release_share,
)
from sync_pipelines.pipelines.deployments.expectations import families_deployed, family_of, tokens
from sync_pipelines.pipelines.deployments.manifest import ManifestFacts, uuid_of
from sync_pipelines.pipelines.deployments.matches import Match, NeedsReview, NoMatch, Outcome, Strategy
from sync_pipelines.pipelines.deployments.rules import LONGEST_NAME, MatchingRule

THRESHOLD = Decimal("0.5")
"""Least confidence that is written. A clear name with an unreadable manifest has just that, contradicted metadata less;
so has a plan guessed from words of a name that does not say more than these words."""

_METADATA = Decimal("0.9")
_PARAMS = Decimal("0.7")
_RELEASES = Decimal("0.6")
_PATTERN = Decimal("0.5")
_GUESS = Decimal("0.4")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What a strategy found; no offer when only the service is known."""

    strategy: Strategy
    code: str
    confidence: Decimal
    reasons: tuple[str, ...]
    instance_id: str
    offer: Offer | None


class Matcher:
    """Matches deployments against one catalog.

    Arguments:
        rules: tried first, in this order.
        threshold: least confidence of a match.
    """

    def __init__(self, catalog: Catalog, rules: Sequence[MatchingRule] = (), threshold: Decimal = THRESHOLD) -> None:
        self._catalog = catalog
        self._rules = rules
        self._threshold = threshold

    def match(self, name: str, facts: ManifestFacts | None = None, releases: Iterable[str] = ()) -> Outcome:
        """Return what a deployment is.

        Arguments:
            facts: of its manifest; ``None`` when that was not read.
            releases: names of its releases, from the Director's list.
        """
        evidence = look_at(name, facts, releases)
        strategies = (self._by_rule, self._by_name, self._by_metadata, self._by_params, self._by_releases)
        for strategy in (*strategies, self._by_pattern):
            found = strategy(evidence)
            if found is not None:
                return self._judged(name, found)
        instance_id = evidence.named_id or _any_id(evidence)
        if instance_id is None:
            return NoMatch(name, "neither its name nor its manifest has an instance id")
        return NoMatch(name, "no plan of the catalog fits its name, its manifest or its releases", instance_id)

    def _judged(self, name: str, found: _Candidate) -> Outcome:
        offer = found.offer
        confidence = found.confidence.quantize(PLACES).normalize()
        if offer is None or confidence < self._threshold:
            return NeedsReview(
                deployment=name,
                strategy=found.strategy,
                code=found.code,
                confidence=confidence,
                reasons=found.reasons,
                instance_id=found.instance_id or None,
                service_id=offer.service.id if offer else None,
                plan_id=offer.plan.id if offer else None,
            )
        return Match(
            deployment=name,
            strategy=found.strategy,
            code=found.code,
            confidence=confidence,
            reasons=found.reasons,
            service_id=offer.service.id,
            service_name=offer.service.name,
            plan_id=offer.plan.id,
            plan_name=offer.plan.name,
            instance_id=found.instance_id,
        )

    def _by_rule(self, evidence: Evidence) -> _Candidate | None:
        for rule in self._rules if len(evidence.name) <= LONGEST_NAME else ():
            found = rule.expression.fullmatch(evidence.name)
            if found is None:
                continue
            groups = found.groupdict()
            reason = f"the matching rule {rule.name!r} fits its name"
            instance_id = uuid_of(groups["instance"])
            offers = self._offers(groups.get("service") or rule.service, groups.get("plan") or rule.plan)
            if instance_id is None:
                reason += ", but what it takes for the instance id is no UUID"
            elif len(offers) != 1:
                reason += f", but {len(offers) or 'no'} plans of the catalog are what it names"
            sure = instance_id is not None and len(offers) == 1
            return _Candidate(
                Strategy.RULE,
                "matching_rule",
                rule.confidence if sure else Decimal(0),
                (reason,),
                instance_id or evidence.named_id or "",
                offers[0] if len(offers) == 1 else None,
            )
        return None

    def _by_name(self, evidence: Evidence) -> _Candidate | None:
        if evidence.prefix is None or evidence.named_id is None:
            return None
        offer = self._catalog.by_plan_id.get(evidence.prefix)
        if offer is None:
            # Two services may share a prefix (redis + cache-small, redis-cache + small): the longest plan id counts.
            long = [offer for offer in self._catalog.offers if offer.long_id == evidence.prefix]
            offer = max(long, key=lambda offer: len(offer.plan.id), default=None)
        if offer is None:
            return None
        confidence, code, reasons = adjusted(offer, evidence, self._catalog)
        first = f"its name is plan {offer.plan.id!r} and an instance id"
        return _Candidate(Strategy.NAME, code, confidence, (first, *reasons), evidence.named_id, offer)

    def _by_metadata(self, evidence: Evidence) -> _Candidate | None:
        claims = evidence.claims
        instance_id = claims.instance_id or evidence.named_id
        if claims.plan_id is None or instance_id is None:
            return None
        offers = self._offers(claims.service_id, claims.plan_id)
        if len(offers) != 1:
            return None
        reason = "the manifest's metadata names plan and instance"
        return self._claimed(
            evidence, Strategy.METADATA, "manifest_metadata", _METADATA, reason, instance_id, offers[0]
        )

    def _by_params(self, evidence: Evidence) -> _Candidate | None:
        instance_id = evidence.claims.params_instance_id
        if instance_id is None:
            return None
        named = [offer for offer in self._catalog.offers if evidence.name.startswith(f"{offer.plan.id}-")]
        offer = max(named, key=lambda offer: len(offer.plan.id), default=None)
        if offer is None:
            return None
        reason = "the manifest's parameters name the instance, and its name begins with the plan"
        return self._claimed(evidence, Strategy.PARAMS, "meta_params_inference", _PARAMS, reason, instance_id, offer)

    def _claimed(
        self,
        evidence: Evidence,
        strategy: Strategy,
        code: str,
        confidence: Decimal,
        reason: str,
        instance_id: str,
        offer: Offer,
    ) -> _Candidate:
        if evidence.named_id is not None and evidence.named_id != instance_id:
            against = "but its name ends in the id of another instance"
            return _Candidate(strategy, code, DISAGREES, (reason, against), evidence.named_id, offer)
        return _Candidate(strategy, code, confidence, (reason,), instance_id, offer)

    def _by_releases(self, evidence: Evidence) -> _Candidate | None:
        instance_id = _any_id(evidence)
        families = families_deployed(evidence.releases)
        if instance_id is None or len(families) != 1:
            return None
        of_family = [offer for offer in self._catalog.offers if family_of(offer.service) == families[0]]
        if not of_family:
            return None
        reason = f"it has the release {families[0].mark!r}"
        if len(of_family) == 1:
            offers, leftover = of_family, _unexplained(of_family[0], evidence.words)
        else:
            offers, leftover = _named_in(evidence.words, of_family)
        if len(offers) != 1 or leftover:
            against = "but its name does not tell the plan"
            only = offers[0] if len(offers) == 1 else None
            return _Candidate(Strategy.RELEASES, "release_matching", _GUESS, (reason, against), instance_id, only)
        told = f"and only plan {offers[0].plan.id!r} of that service fits its name"
        return _Candidate(Strategy.RELEASES, "release_matching", _RELEASES, (reason, told), instance_id, offers[0])

    def _by_pattern(self, evidence: Evidence) -> _Candidate | None:
        instance_id = _any_id(evidence)
        if instance_id is None:
            return None
        offers, leftover = _named_in(evidence.words, self._catalog.offers)
        if not offers:
            return None
        reason = f"its name has the words of plan {offers[0].plan.id!r}"
        if len(offers) > 1 or leftover:
            against = "but also of others" if len(offers) > 1 else f"but also {', '.join(map(repr, leftover))}"
            only = offers[0] if len(offers) == 1 else None
            return _Candidate(Strategy.PATTERN, "pattern_matching", _GUESS, (reason, against), instance_id, only)
        share, told = release_share(offers[0], evidence.releases)
        return _Candidate(
            Strategy.PATTERN, "pattern_matching", _PATTERN * share, (reason, *told), instance_id, offers[0]
        )

    def _offers(self, service: str | None, plan: str | None) -> list[Offer]:
        """Return the plans that a service and a plan, each by id or name, may mean."""
        if plan is None:
            return []
        return [
            offer
            for offer in self._catalog.offers
            if (service is None or service in (offer.service.id, offer.service.name)) and is_plan(offer, plan)
        ]


def _any_id(evidence: Evidence) -> str | None:
    """Return the one instance id that name and manifest have; ``None`` for none, and for several."""
    in_name = {found.lower() for found in ANY_UUID.findall(evidence.name)}
    told = {evidence.claims.instance_id, evidence.claims.params_instance_id} - {None}
    ids = in_name | told
    return next(iter(ids)) if len(ids) == 1 else None


def _named_in(words: tuple[str, ...], offers: Sequence[Offer]) -> tuple[list[Offer], tuple[str, ...]]:
    """Return the plans whose words stand in a name, and the words of the name that the first does not explain.

    Whole words only: ``small`` is not in ``xsmall``. A plan whose name is longer goes before a shorter one, and
    of plans of the same name the one whose service is named, too.
    """
    ranked = [(_rank(words, offer), offer) for offer in offers if _stands_in(words, tokens(offer.plan.name))]
    best = max((rank for rank, _ in ranked), default=None)
    named = [offer for rank, offer in ranked if rank == best]
    return named, _unexplained(named[0], words) if named else ()


def _rank(words: tuple[str, ...], offer: Offer) -> tuple[int, int]:
    service = {*tokens(offer.service.id), *tokens(offer.service.name)}
    return len(tokens(offer.plan.name)), len(service & set(words))


def _stands_in(words: tuple[str, ...], part: tuple[str, ...]) -> bool:
    length = len(part)
    return length > 0 and any(words[at : at + length] == part for at in range(len(words) - length + 1))


def _unexplained(offer: Offer, words: tuple[str, ...]) -> tuple[str, ...]:
    known = {*tokens(offer.plan.id), *tokens(offer.plan.name), *tokens(offer.service.id), *tokens(offer.service.name)}
    return tuple(word for word in words if word not in known)
