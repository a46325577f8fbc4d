"""Which instance of which plan a deployment is: the strategies, what weakens them, and when a person must look."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from sync_pipelines.pipelines.deployments.catalog import Catalog, parse_catalog
from sync_pipelines.pipelines.deployments.manifest import ManifestFacts, read_manifest
from sync_pipelines.pipelines.deployments.matcher import Matcher
from sync_pipelines.pipelines.deployments.matches import Match, NeedsReview, NoMatch, Outcome, Strategy
from sync_pipelines.pipelines.deployments.rules import MatchingRule

ID = "12345678-1234-1234-1234-123456789abc"
OTHER = "87654321-1234-1234-1234-123456789abc"


def catalog(*services: tuple[str, list[tuple[str, str]]]) -> Catalog:
    """Return a catalog of ``(service, [(plan id, plan name), ...])``."""
    rows = [
        {"id": service, "name": service, "plans": [{"id": plan, "name": name} for plan, name in plans]}
        for service, plans in services
    ]
    return parse_catalog({"services": rows}, "test")


REDIS = catalog(("redis", [("redis-small", "small"), ("redis-small-ha", "small-ha"), ("redis-xsmall", "xsmall")]))
BOTH = catalog(
    ("redis", [("redis-small", "small"), ("redis-large", "large")]),
    ("postgresql", [("postgresql-small", "small"), ("postgresql-cluster", "cluster")]),
)

SHARED_PREFIX = catalog(("redis", [("cache-small", "a")]), ("redis-cache", [("small", "b")]))


def told(result: Outcome) -> tuple[str, Strategy, Decimal, str]:
    """Return what a match is about; fails for anything else."""
    assert isinstance(result, Match), result
    assert result.instance_id == ID
    return result.plan_id, result.strategy, result.confidence, result.code


def reviewed(result: Outcome) -> tuple[str | None, Strategy, Decimal]:
    """Return what a person is to look at; fails for anything else."""
    assert isinstance(result, NeedsReview), result
    return result.plan_id, result.strategy, result.confidence


@pytest.mark.parametrize(
    ("offers", "name", "plan"),
    [
        # The two examples that the reconciler's guide and its tests give, and the form the broker really makes.
        (catalog(("redis-cache", [("small", "small")])), f"redis-cache-small-{ID}", "small"),
        (REDIS, f"redis-small-{ID}", "redis-small"),
        (catalog(("redis", [("redis-cache-small", "cache-small")])), f"redis-cache-small-{ID}", "redis-cache-small"),
        (REDIS, f"redis-small-ha-{ID}", "redis-small-ha"),
        (REDIS, f"redis-xsmall-{ID}", "redis-xsmall"),
        (REDIS, f"redis-small-{ID.upper()}", "redis-small"),
        (catalog(("x-vault", [("x-vault-small", "small")])), f"x-vault-small-{ID}", "x-vault-small"),
        (catalog(("cf", [("cf-bosh-vault", "bosh-vault")])), f"cf-bosh-vault-{ID}", "cf-bosh-vault"),
        (
            catalog(("redis", [("cache-small", "a")]), ("redis-cache", [("small", "b")])),
            f"redis-cache-small-{ID}",
            "cache-small",
        ),
    ],
)
def test_a_name_of_plan_and_instance_matches_for_sure(offers: Catalog, name: str, plan: str) -> None:
    assert told(Matcher(offers).match(name)) == (plan, Strategy.NAME, Decimal(1), "exact_name_match")


@pytest.mark.parametrize(
    ("name", "instance_id"),
    [
        ("blacksmith", None),
        ("unknown-deployment", None),
        (f"prometheus-{ID}", ID),
        (f"redis-{ID}x", None),
        (f"{ID}", ID),
        (f"prometheus-{ID}-{OTHER}", OTHER),
    ],
)
def test_a_name_of_nothing_in_the_catalog_is_no_match_but_its_id_is_remembered(
    name: str, instance_id: str | None
) -> None:
    result = Matcher(REDIS).match(name)
    assert isinstance(result, NoMatch)
    assert result.instance_id == instance_id


METADATA = "properties: {{blacksmith: {{service_id: {}, plan_id: {}, instance_id: {}}}}}"


@pytest.mark.parametrize(
    ("manifest", "confidence", "code"),
    [
        (None, "1", "exact_name_match"),
        (METADATA.format("redis", "redis-small", ID), "1", "perfect_manifest_match"),
        (METADATA.format("redis", "small", ID.upper()), "1", "perfect_manifest_match"),
        ("a: [", "0.5", "partial_manifest_match"),
        ("releases: [{name: redis}, {name: bpm}]", "1", "perfect_manifest_match"),
        ("releases: [{name: redis}]", "0.75", "partial_manifest_match"),
        ("releases: [{name: concourse}]", "0.5", "partial_manifest_match"),
        ("{}", "1", "perfect_manifest_match"),
    ],
)
def test_the_manifest_makes_a_name_more_or_less_sure(manifest: str | None, confidence: str, code: str) -> None:
    result = Matcher(REDIS).match(f"redis-small-{ID}", read_manifest(manifest))
    assert told(result) == ("redis-small", Strategy.NAME, Decimal(confidence), code)


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (METADATA.format("redis", "redis-small-ha", ID), "the manifest's metadata names plan 'redis-small-ha'"),
        (METADATA.format("redis", "s3cr3t", ID), "names a plan that the catalog does not have"),
        (
            METADATA.format("pg", "redis-small", ID),
            "names a service that the catalog does not have",
        ),
        (METADATA.format("redis", "redis-small", OTHER), "the manifest names another instance"),
        (
            METADATA.format("redis", "redis-small", "../db"),
            "has an instance id that is no UUID",
        ),
        (f"meta: {{params: {{instance_id: {OTHER}}}}}", "the manifest names another instance"),
    ],
)
def test_a_manifest_that_disagrees_with_the_name_needs_review(manifest: str, reason: str) -> None:
    result = Matcher(REDIS).match(f"redis-small-{ID}", read_manifest(manifest))
    assert reviewed(result) == ("redis-small", Strategy.NAME, Decimal("0.3"))
    assert isinstance(result, NeedsReview)
    assert reason in "; ".join(result.reasons)
    assert result.instance_id == ID


@pytest.mark.parametrize(
    ("plan", "groups", "confidence"),
    [
        ("cluster", ["postgres", "pgpool"], "1"),
        ("cluster", ["postgres"], "0.85"),
        ("cluster", ["web"], "0.7"),
        ("small", ["web"], "1"),
    ],
)
def test_instance_groups_count_where_the_plan_tells_the_topology(plan: str, groups: list[str], confidence: str) -> None:
    facts = ManifestFacts(sha256="0" * 64, instance_groups=tuple(groups))
    result = Matcher(BOTH).match(f"postgresql-{plan}-{ID}", facts, ["postgres", "bpm"])
    assert isinstance(result, Match)
    assert result.confidence == Decimal(confidence)


def test_three_releases_of_rabbitmq_with_one_missing() -> None:
    offers = catalog(("rabbitmq", [("rabbitmq-one", "one")]))
    result = Matcher(offers).match(f"rabbitmq-one-{ID}", read_manifest("{}"), ["rabbitmq", "bpm"])
    assert told(result)[2] == Decimal("0.8333")


def test_metadata_of_the_manifest_tells_what_the_name_does_not() -> None:
    result = Matcher(REDIS).match("my-cache", read_manifest(METADATA.format("redis", "small", ID)))
    assert told(result) == ("redis-small", Strategy.METADATA, Decimal("0.9"), "manifest_metadata")


def test_parameters_of_the_manifest_tell_the_instance_and_the_name_the_plan() -> None:
    facts = read_manifest(f"meta: {{params: {{instance_id: {ID}}}}}")
    result = Matcher(REDIS).match("redis-small-ha-of-the-shop", facts)
    assert told(result) == ("redis-small-ha", Strategy.PARAMS, Decimal("0.7"), "meta_params_inference")


@pytest.mark.parametrize(
    "manifest", [METADATA.format("redis", "small", OTHER), f"meta: {{params: {{instance_id: {OTHER}}}}}"]
)
def test_a_manifest_of_another_instance_than_the_name_needs_review(manifest: str) -> None:
    result = Matcher(REDIS).match(f"redis-small-mine-{ID}", read_manifest(manifest))
    assert isinstance(result, NeedsReview)
    assert (result.confidence, result.instance_id) == (Decimal("0.3"), ID)


@pytest.mark.parametrize(
    ("offers", "name", "releases", "plan"),
    [
        (BOTH, f"{ID}-large", ["redis", "bpm"], "redis-large"),
        (BOTH, f"small-{ID}", ["postgres", "bpm"], "postgresql-small"),
        (catalog(("redis", [("redis-only", "only")])), f"redis-{ID}", ["redis"], "redis-only"),
    ],
)
def test_releases_tell_the_service(offers: Catalog, name: str, releases: list[str], plan: str) -> None:
    result = Matcher(offers).match(name, None, releases)
    assert told(result) == (plan, Strategy.RELEASES, Decimal("0.6"), "release_matching")


@pytest.mark.parametrize(
    ("name", "releases", "plan"),
    [
        (f"cache-{ID}", ["redis", "bpm"], None),
        (f"redis-small-prod-{ID}", ["redis", "bpm"], "redis-small"),
    ],
)
def test_releases_alone_do_not_tell_the_plan(name: str, releases: list[str], plan: str | None) -> None:
    assert reviewed(Matcher(BOTH).match(name, None, releases)) == (plan, Strategy.RELEASES, Decimal("0.4"))


def test_words_of_the_name_are_the_last_resort() -> None:
    result = Matcher(REDIS).match(f"small-redis-{ID}")
    assert told(result) == ("redis-small", Strategy.PATTERN, Decimal("0.5"), "pattern_matching")


@pytest.mark.parametrize(
    ("offers", "name", "plan"),
    [
        (BOTH, f"small-{ID}", None),
        (REDIS, f"redis-xsmall-old-{ID}", "redis-xsmall"),
        (REDIS, f"redis-small-ha-old-{ID}", "redis-small-ha"),
    ],
)
def test_words_that_fit_several_plans_or_leave_a_rest_need_review(offers: Catalog, name: str, plan: str | None) -> None:
    assert reviewed(Matcher(offers).match(name)) == (plan, Strategy.PATTERN, Decimal("0.4"))


def test_part_of_a_word_is_no_word() -> None:
    assert isinstance(Matcher(catalog(("redis", [("r-small", "small")]))).match(f"xsmall-{ID}"), NoMatch)


def test_releases_of_something_else_speak_against_words_of_the_name() -> None:
    result = Matcher(REDIS).match(f"small-redis-{ID}", None, ["concourse"])
    assert reviewed(result) == ("redis-small", Strategy.PATTERN, Decimal("0.25"))


def test_the_threshold_decides() -> None:
    assert isinstance(Matcher(REDIS, threshold=Decimal("0.6")).match(f"small-redis-{ID}"), NeedsReview)


def rule(**fields: Any) -> MatchingRule:
    """Return a rule for names such as ``svc.small.<id>``."""
    return MatchingRule.model_validate(
        {"name": "dots", "pattern": r"(?P<service>\w+)\.(?P<plan>\w+)\.(?P<instance>[0-9a-fA-F-]{36})", **fields}
    )


def test_a_rule_of_the_connection_goes_first() -> None:
    result = Matcher(BOTH, [rule(confidence="0.8")]).match(f"redis.small.{ID.upper()}")
    assert told(result) == ("redis-small", Strategy.RULE, Decimal("0.8"), "matching_rule")


def test_a_rule_may_name_service_and_plan_itself() -> None:
    fixed = rule(pattern="legacy-(?P<instance>.{36})", service="redis", plan="large")
    assert told(Matcher(BOTH, [fixed]).match(f"legacy-{ID}"))[:2] == ("redis-large", Strategy.RULE)


@pytest.mark.parametrize("name", [f"redis.huge.{ID}", f"redis.small.{'-' * 36}"])
def test_a_rule_that_fits_but_names_nothing_needs_review(name: str) -> None:
    assert reviewed(Matcher(BOTH, [rule()]).match(name))[1:] == (Strategy.RULE, Decimal(0))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": "x-(?P<plan>.+)"}, "must have the named group (?P<instance>...)"),
        ({"pattern": "(?P<instance>.+)"}, "must tell the plan"),
        ({"plan": "small"}, "tells the plan twice"),
        ({"pattern": "(?P<instance>.+)(?P<who>x)", "plan": "small"}, "has the unknown group 'who'"),
        ({"pattern": "(?P<instance>(a+)+)", "plan": "p"}, "repeats a group"),
        ({"pattern": "(?P<instance>(?:a|a)*)", "plan": "p"}, "repeats a group"),
        ({"pattern": "(?P<instance>(?:a?){30})", "plan": "p"}, "repeats a group"),
        ({"pattern": r"(?P<instance>[)(]+)(?:(?:x)(?:y*))+", "plan": "p"}, "repeats a group"),
        ({"pattern": "(?x)(?P<instance>(a+ # )\n )+)", "plan": "p"}, "has a comment or the verbose flag"),
        ({"pattern": "(?P<instance>.*.*.*.*)", "plan": "p"}, "has too many open ends"),
        ({"pattern": "(?P<instance>" + "a?" * 30 + ")", "plan": "p"}, "has too many open ends"),
        ({"pattern": r"(?P<instance>.+)(?P=instance)", "plan": "p"}, "uses a back reference"),
        ({"pattern": "(?P<instance>" + "a" * 500 + ")", "plan": "p"}, "at most 500 characters"),
        ({"confidence": "1.5"}, "less than or equal to 1"),
        ({"colour": "red"}, "Extra inputs are not permitted"),
    ],
)
def test_a_rule_that_cannot_work_or_might_never_end_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        rule(**fields)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?P<instance>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
        "(?:old|new)-(?P<instance>.{36})(?:-v[0-9]+)?",
        r"[(){}*+]*\*\+(?P<instance>.+)",
        "(?i:svc)-(?P<instance>.+)",
    ],
)
def test_usual_expressions_are_accepted(pattern: str) -> None:
    assert rule(pattern=pattern, plan="p").expression.groups == 1


def test_a_rule_as_slow_as_may_be_ends_soon() -> None:
    slow = rule(pattern="(?P<instance>a*a*a*b)", plan="p")
    started = time.process_time()
    assert isinstance(Matcher(REDIS, [slow]).match("a" * 255), NoMatch)
    assert isinstance(Matcher(REDIS, [slow]).match("a" * 100_000), NoMatch)
    assert time.process_time() - started < 5
