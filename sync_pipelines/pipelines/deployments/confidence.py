"""How sure a match is: what the manifest, the releases and the instance groups say for or against it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sync_pipelines.pipelines.deployments.catalog import Catalog, Offer
from sync_pipelines.pipelines.deployments.expectations import family_of, groups_of, tokens
from sync_pipelines.pipelines.deployments.manifest import UUID, Claims, ManifestFacts

EXACT = Decimal(1)
DISAGREES = Decimal("0.3")
_UNREADABLE = Decimal("0.5")
PLACES = Decimal("0.0001")

_TRAILING_UUID = re.compile(rf"(?P<prefix>.+)-(?P<instance>{UUID})")
ANY_UUID = re.compile(rf"(?<![0-9a-zA-Z]){UUID}(?![0-9a-zA-Z])")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a deployment, put together once for all strategies.

    Attributes:
        prefix: its name without the instance id at its end; ``None`` when there is none, as ``named_id`` then.
        named_id: that instance id, lower case.
        releases: names, from list and manifest.
    """

    name: str
    claims: Claims
    facts: ManifestFacts | None
    releases: frozenset[str]
    prefix: str | None
    named_id: str | None

    @property
    def words(self) -> tuple[str, ...]:
        """Words of the name without the ids in it."""
        return tokens(ANY_UUID.sub("-", self.name))


def look_at(name: str, facts: ManifestFacts | None, releases: Iterable[str]) -> Evidence:
    """Put together what is known of a deployment."""
    trailing = _TRAILING_UUID.fullmatch(name)
    manifest_releases = (release.name for release in facts.releases) if facts else ()
    return Evidence(
        name=name,
        claims=facts.claims if facts else Claims(),
        facts=facts,
        releases=frozenset([*releases, *manifest_releases]),
        prefix=trailing["prefix"] if trailing else None,
        named_id=trailing["instance"].lower() if trailing else None,
    )


def adjusted(offer: Offer, evidence: Evidence, catalog: Catalog) -> tuple[Decimal, str, tuple[str, ...]]:
    """Return how sure a match by name is once the manifest was looked at: confidence, code and reasons."""
    facts, claims = evidence.facts, evidence.claims
    if facts is None or facts.sha256 is None:
        return EXACT, "exact_name_match", ()
    if facts.unreadable is not None:
        return _UNREADABLE, _manifest_code(_UNREADABLE), (str(facts.unreadable),)
    if against := _disagreements(offer, evidence, catalog):
        return DISAGREES, _manifest_code(DISAGREES), against
    if claims.has_metadata:
        return EXACT, _manifest_code(EXACT), ("the manifest's metadata agrees",)
    releases, told = release_share(offer, evidence.releases)
    groups, told_too = _group_share(offer, facts.instance_groups)
    confidence = (EXACT * releases * groups).quantize(PLACES)
    return confidence, _manifest_code(confidence), (*told, *told_too)


def _manifest_code(confidence: Decimal) -> str:
    if confidence < _UNREADABLE:
        return "low_confidence_manifest"
    return "perfect_manifest_match" if confidence == EXACT else "partial_manifest_match"


def _disagreements(offer: Offer, evidence: Evidence, catalog: Catalog) -> tuple[str, ...]:
    claims = evidence.claims
    against = []
    if claims.service_id is not None and claims.service_id not in (offer.service.id, offer.service.name):
        known = claims.service_id in {service.id for service in catalog.services}
        against.append(f"the manifest's metadata names {_quoted('service', claims.service_id, known)}")
    if claims.plan_id is not None and not is_plan(offer, claims.plan_id):
        known = claims.plan_id in catalog.by_plan_id
        against.append(f"the manifest's metadata names {_quoted('plan', claims.plan_id, known)}")
    if {claims.instance_id, claims.params_instance_id} - {None, evidence.named_id}:
        against.append("the manifest names another instance")
    if claims.odd_instance_id:
        against.append("the manifest's metadata has an instance id that is no UUID")
    return tuple(against)


def _quoted(kind: str, name: str, known: bool) -> str:
    """Name what the catalog has. Anything else of a manifest may be a secret in the wrong place."""
    return f"{kind} {name!r}" if known else f"a {kind} that the catalog does not have"


def is_plan(offer: Offer, told: str) -> bool:
    """Say whether a text, an id or a name, means this plan."""
    return told in (offer.plan.id, offer.plan.name, offer.long_id) or f"{offer.service.id}-{told}" == offer.plan.id


def release_share(offer: Offer, releases: frozenset[str]) -> tuple[Decimal, tuple[str, ...]]:
    """Return ``0.5 + 0.5 * present / expected``; 1 for a service whose releases are not known."""
    family = family_of(offer.service)
    if family is None or not releases:
        return EXACT, ()
    missing = family.releases - releases
    share = Decimal(len(family.releases) - len(missing)) / len(family.releases)
    reason = f"its releases lack {', '.join(sorted(missing))}" if missing else "its releases fit"
    return Decimal("0.5") + Decimal("0.5") * share, (reason,)


def _group_share(offer: Offer, groups: Sequence[str]) -> tuple[Decimal, tuple[str, ...]]:
    """Return ``0.7 + 0.3 * present / expected``; 1 for a plan whose topology is not known."""
    family = family_of(offer.service)
    expected = groups_of(family, offer) if family else None
    if not expected or not groups:
        return EXACT, ()
    missing = expected - set(groups)
    share = Decimal(len(expected) - len(missing)) / len(expected)
    reason = f"its instance groups lack {', '.join(sorted(missing))}" if missing else "its instance groups fit"
    return Decimal("0.7") + Decimal("0.3") * share, (reason,)
