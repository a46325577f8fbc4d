"""Every documented discrepancy of the demo's data is found by comparing the two sides."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.deployments.instance import is_orphaned, not_orphanable
from sync_pipelines.pipelines.deployments.manifest import uuid_of
from sync_pipelines.pipelines.deployments.matches import Match, NeedsReview, NoMatch
from sync_pipelines_tests.pipelines.deployments.demo_data import (
    differing,
    found,
    listed,
    manifest_text,
    outcome,
    secrets,
    wanted,
)

PLAIN = "3ceaaf30-8142-48ea-91d9-3080f9b439fc"
OTHER_WRITER = "9dfb369b-ab13-4fae-a276-55daa05f1119"
HA = "6301bbfc-a0c5-454e-8ff9-bb510944fe0c"
LARGE = "6fced11d-2bd8-41e6-847a-8387cdde8d51"
OLD_RELEASE = "3a124c64-7e02-4f05-b7c1-dce27f7695f5"
DISAGREES = "66080f17-4c96-48e2-9cbd-0ba3a1a6bcde"
CLUSTER = "b120a366-f0bb-49cf-82f2-dc05873f9bd0"
MALFORMED = "78b7d0ac-8477-4ce0-8e4c-da11b43c589b"
CORRUPTED = "2330fcf1-562a-44b8-8866-8d77e827062c"
LOCKED = "c1acc990-6424-450a-a36b-f9b3ddcb369d"
UPPER_CASE = "9ad9b9a2-5e78-454d-b065-a1c284cc4549"
MISSING = "99356597-6fba-4662-b6a7-30b7b12e9eed"
NEW_ORPHAN = "2eb73728-2fea-475e-b536-5e1458294a90"
OLD_ORPHAN = "ac3e0b5b-c291-4709-8c1e-26038dabf68e"
INCOMPLETE = "2f314fdb-43c4-4bc7-a4cc-dcf9ea5ee53c"


@pytest.mark.parametrize(
    ("deployment", "plan", "confidence", "code"),
    [
        (f"redis-cache-small-{PLAIN}", "redis-cache-small", "1", "perfect_manifest_match"),
        (f"redis-cache-small-{OTHER_WRITER}", "redis-cache-small", "1", "perfect_manifest_match"),
        (f"redis-cache-small-ha-{HA}", "redis-cache-small-ha", "1", "perfect_manifest_match"),
        (f"redis-cache-large-{LARGE}", "redis-cache-large", "1", "perfect_manifest_match"),
        (f"redis-cache-small-{MISSING}", "redis-cache-small", "1", "perfect_manifest_match"),
        (f"postgresql-standalone-small-{OLD_RELEASE}", "postgresql-standalone-small", "1", "perfect_manifest_match"),
        (f"postgresql-standalone-small-{MALFORMED}", "postgresql-standalone-small", "0.5", "partial_manifest_match"),
        (f"postgresql-cluster-medium-{CLUSTER}", "postgresql-cluster-medium", "1", "perfect_manifest_match"),
        (f"rabbitmq-single-node-{CORRUPTED}", "rabbitmq-single-node", "1", "perfect_manifest_match"),
        (f"rabbitmq-single-node-{UPPER_CASE}", "rabbitmq-single-node", "1", "perfect_manifest_match"),
        (f"rabbitmq-cluster-3-{LOCKED}", "rabbitmq-cluster-3", "1", "perfect_manifest_match"),
    ],
)
def test_eleven_deployments_match(deployment: str, plan: str, confidence: str, code: str) -> None:
    match = outcome(deployment)
    assert isinstance(match, Match)
    assert (match.plan_id, match.confidence, match.code) == (plan, Decimal(confidence), code)
    assert match.instance_id == deployment[-36:]


def test_one_deployment_whose_metadata_names_another_plan_needs_review() -> None:
    review = outcome(f"postgresql-standalone-medium-{DISAGREES}")
    assert isinstance(review, NeedsReview)
    assert review.confidence == Decimal("0.3")
    assert review.code == "low_confidence_manifest"
    assert review.instance_id == DISAGREES
    assert "the manifest's metadata names plan 'postgresql-standalone-small'" in review.reasons


@pytest.mark.parametrize("deployment", ["blacksmith", "postgresql-standalone-tooling"])
def test_two_deployments_are_no_instances(deployment: str) -> None:
    result = outcome(deployment)
    assert isinstance(result, NoMatch)
    assert result.instance_id is None


def test_these_are_all_deployments() -> None:
    assert len(listed()) == 14


def test_discrepancy_1_a_deployed_instance_is_missing_in_the_index() -> None:
    assert set(wanted()) - set(found()) == {MISSING}


def test_discrepancies_2_3_and_8_entries_without_a_deployment() -> None:
    assert set(found()) - set(wanted()) - {DISAGREES} == {NEW_ORPHAN, OLD_ORPHAN, INCOMPLETE}
    assert not is_orphaned(found()[NEW_ORPHAN])
    assert is_orphaned(found()[OLD_ORPHAN])
    index = secrets()["db"]
    assert not_orphanable(NEW_ORPHAN, index[NEW_ORPHAN]) is None
    assert not_orphanable(OLD_ORPHAN, index[OLD_ORPHAN]) is None
    assert "names no service and plan" in (not_orphanable(INCOMPLETE, index[INCOMPLETE]) or "")


def test_discrepancy_9_a_key_that_is_no_instance_id() -> None:
    assert uuid_of("not-a-uuid") is None
    assert "no instance id" in (not_orphanable("not-a-uuid", secrets()["db"]["not-a-uuid"]) or "")


@pytest.mark.parametrize(
    ("number", "instance_id", "fields"),
    [
        (4, LOCKED, {"orphaned"}),
        (5, LARGE, {"plan_id", "plan_name"}),
        (6, OLD_RELEASE, {"releases"}),
        (7, CORRUPTED, {"service_id", "plan_id", "deployment_name", "entry_shape"}),
        (10, UPPER_CASE, {"entry_shape"}),
        (11, OTHER_WRITER, {"entry_shape"}),
        (12, CLUSTER, {"manifest_sha256"}),
        (13, HA, {"metadata_shape"}),
        (14, CORRUPTED, {"metadata_shape", "releases", "match_confidence"}),
        (14, LOCKED, {"metadata_shape", "releases", "match_confidence"}),
        (14, UPPER_CASE, {"metadata_shape", "releases", "match_confidence"}),
        (15, OTHER_WRITER, {"manifest_sha256"}),
        (15, HA, {"manifest_sha256"}),
        (15, LARGE, {"manifest_sha256"}),
        (15, MALFORMED, {"manifest_sha256"}),
        (15, CORRUPTED, {"manifest_sha256"}),
        (15, LOCKED, {"manifest_sha256"}),
        (15, UPPER_CASE, {"manifest_sha256"}),
    ],
)
def test_the_other_discrepancies_are_fields_that_differ(number: int, instance_id: str, fields: set[str]) -> None:
    assert fields <= differing(wanted()[instance_id], found()[instance_id])


@pytest.mark.parametrize(
    ("instance_id", "field", "told"),
    [
        (UPPER_CASE, "entry_shape", "its key is not the instance id in lower case"),
        (OTHER_WRITER, "entry_shape", "reconciled_at is no RFC 3339 time"),
        (OTHER_WRITER, "entry_shape", "created_at is missing"),
        (CORRUPTED, "entry_shape", "it is no object"),
        (LOCKED, "metadata_shape", "it is missing"),
        (HA, "metadata_shape", "its binding counters are wrong"),
    ],
)
def test_what_is_wrong_with_a_document_is_told_in_words(instance_id: str, field: str, told: str) -> None:
    assert told in found()[instance_id][field]


def test_a_plain_instance_differs_only_in_what_other_writers_never_wrote() -> None:
    assert differing(wanted()[PLAIN], found()[PLAIN]) == {
        "director",
        "entry_shape",
        "match_reason",
        "properties_digest",
    }
    assert found()[PLAIN]["entry_shape"] == ["service_name is missing", "plan is missing"]


def test_the_manifest_of_the_plain_instance_agrees() -> None:
    text = manifest_text(f"redis-cache-small-{PLAIN}")
    assert text == secrets()[f"{PLAIN}/manifest"]["manifest"]


def test_no_content_holds_a_secret_of_the_demo() -> None:
    contents: list[Content] = [*wanted().values(), *found().values()]
    assert "invented-" not in repr(contents)
    assert "maxmemory" not in repr(contents)
    assert '"service_id' not in repr(contents)
