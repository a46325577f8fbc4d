"""What deployments of the known services are made of: releases, and instance groups by topology."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sync_pipelines.pipelines.deployments.catalog import Offer, Service


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of service that Blacksmith's forges deploy.

    Attributes:
        words: tokens of a service id or name by which it is known.
        mark: the release that no other family has.
        releases: all releases of its deployments.
        groups: word of the plan that tells the topology -> instance groups; ``""`` for a family with only one.
    """

    words: frozenset[str]
    mark: str
    releases: frozenset[str]
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)


FAMILIES: tuple[Family, ...] = (
    Family(
        words=frozenset({"postgresql", "postgres"}),
        mark="postgres",
        releases=frozenset({"postgres", "bpm"}),
        groups={"standalone": frozenset({"postgres"}), "cluster": frozenset({"postgres", "pgpool"})},
    ),
    Family(
        words=frozenset({"redis"}),
        mark="redis",
        releases=frozenset({"redis", "bpm"}),
        groups={"standalone": frozenset({"redis"}), "cluster": frozenset({"redis-master", "redis-slave"})},
    ),
    Family(
        words=frozenset({"rabbitmq"}),
        mark="rabbitmq",
        releases=frozenset({"rabbitmq", "bpm", "routing"}),
        groups={"": frozenset({"rabbitmq"})},
    ),
    Family(
        words=frozenset({"vault"}),
        mark="vault",
        releases=frozenset({"vault", "safe"}),
        groups={"": frozenset({"vault"})},
    ),
)


def tokens(name: str) -> tuple[str, ...]:
    """Return the parts of a name between dashes, dots, underscores and blanks, in lower case."""
    return tuple(part for part in re.split(r"[-_.\s]+", name.lower()) if part)


def family_of(service: Service) -> Family | None:
    """Return the family of a service, by a whole word of its id or name."""
    words = {*tokens(service.id), *tokens(service.name)}
    return next((family for family in FAMILIES if words & family.words), None)


def families_deployed(releases: Iterable[str]) -> tuple[Family, ...]:
    """Return the families whose mark is among the releases."""
    present = set(releases)
    return tuple(family for family in FAMILIES if family.mark in present)


def groups_of(family: Family, offer: Offer) -> frozenset[str] | None:
    """Return the instance groups that a plan should have; ``None`` when its id and name do not tell the topology."""
    words = {*tokens(offer.plan.id), *tokens(offer.plan.name)}
    return next((groups for word, groups in family.groups.items() if not word or word in words), None)
