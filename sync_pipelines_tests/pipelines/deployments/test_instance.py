"""The two sides of an instance in one form, and what makes them agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.pipelines.deployments.instance import (
    KEPT_IN,
    Document,
    alike,
    content_of_deployment,
    content_of_vault,
    documents_behind,
    not_orphanable,
)
from sync_pipelines.pipelines.deployments.manifest import read_manifest
from sync_pipelines.pipelines.deployments.safe_yaml import Limits
from sync_pipelines.pipelines.deployments.times import is_rfc_3339, moment_of, stamp
from sync_pipelines.systems.bosh.models import Life, NamedVersion, Vm, VmFull
from sync_pipelines.systems.vault.documents import read_json
from sync_pipelines_tests.pipelines.deployments.instances import ID, LISTED, MATCH, NOW, wanted

PLAIN = Vm(
    id="b",
    job="redis",
    index=1,
    cid="vm-1",
    agent_id="a",
    az="z1",
    ips=("10.0.0.2", "10.0.0.1"),
    created_at=NOW,
    active=True,
)
FULL = VmFull(
    id="a",
    job="redis",
    index=0,
    cid="vm-0",
    agent_id="a",
    az=None,
    ips=(),
    created_at=None,
    active=None,
    job_state="unresponsive agent",
    state="started",
    vm_type="small",
    vitals=None,
    processes=(),
    disk_cids=(),
    stemcell=None,
)


def vault(entry: object = None, metadata: object = None, manifest: object = None, **known: Any) -> Any:
    """Return the content of these documents."""
    known = {"bindings": None, "has_credentials": None, **known}
    return content_of_vault(ID, entry, metadata, manifest, **known)


def test_a_deployment_becomes_the_content_of_an_instance() -> None:
    life = Life(NOW - timedelta(days=3), NOW, "4127")
    manifest = read_manifest("properties: {password: s3cr3t}")

    content = content_of_deployment(MATCH, LISTED, director="d", manifest=manifest, vms=[PLAIN, FULL], life=life)

    assert content == {
        "service_id": "redis",
        "plan_id": "redis-small",
        "service_name": "Redis",
        "plan_name": "small",
        "deployment_name": LISTED.name,
        "director": "d",
        "created_at": "2026-11-19T10:00:00Z",
        "updated_at": "2026-11-22T10:00:00Z",
        "orphaned": False,
        "entry_shape": [],
        "releases": [{"name": "bpm", "version": "1"}, {"name": "redis", "version": "17"}],
        "stemcells": [{"name": "jammy", "version": "1.719"}],
        "vms": [
            {
                "id": "a",
                "job_name": "redis",
                "index": 0,
                "az": None,
                "cid": "vm-0",
                "ips": [],
                "active": None,
                "state": "started",
                "job_state": "unresponsive agent",
            },
            {
                "id": "b",
                "job_name": "redis",
                "index": 1,
                "az": "z1",
                "cid": "vm-1",
                "ips": ["10.0.0.1", "10.0.0.2"],
                "active": True,
            },
        ],
        "teams": ["a", "b"],
        "match_confidence": Decimal("0.9"),
        "match_reason": "manifest_metadata",
        "latest_task_id": "4127",
        "properties_digest": manifest.bag_digest,
        "metadata_shape": [],
        "manifest_sha256": manifest.sha256,
    }
    assert content.keys() == KEPT_IN.keys() == vault().keys()


def test_what_is_not_known_is_left_out() -> None:
    unlisted = wanted(listed={"releases": None, "stemcells": None})
    missing = {"releases", "stemcells", "vms", "created_at", "updated_at", "latest_task_id"}
    assert not unlisted.keys() & (missing | {"properties_digest", "manifest_sha256"})


def test_a_manifest_that_cannot_be_read_is_still_kept_and_one_too_large_is_not() -> None:
    malformed, large = read_manifest("a: ["), read_manifest("x" * 100, Limits(max_bytes=50))
    assert wanted(manifest=malformed)["manifest_sha256"] == malformed.sha256
    assert "properties_digest" not in wanted(manifest=malformed)
    assert "manifest_sha256" not in wanted(manifest=large)


def test_the_order_of_the_director_does_not_matter() -> None:
    releases = LISTED.releases and LISTED.releases[::-1]
    turned = wanted(listed={"releases": releases, "teams": ("a", "b")}, vms=[FULL, PLAIN])
    assert fingerprint(turned) == fingerprint(wanted(vms=[PLAIN, FULL]))


@pytest.mark.parametrize("odd", ["cut {", 7, [], None, True])
def test_documents_of_another_shape_are_told_and_never_quoted(odd: object) -> None:
    content = vault(odd, odd, odd)
    assert content["entry_shape"] == ["it is no object"]
    assert content["metadata_shape"] == ["it is missing" if odd is None else "it is no object"]
    assert content["manifest_sha256"] is None
    assert "cut" not in repr(content)


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("service_id", {"password": "s3cr3t"}, "a value of type dict, not a text"),
        ("deployment_name", 7, "a value of type int, not a text"),
        ("created_at", "yesterday", None),
        ("created_at", 1795212004, "2026-11-20T22:00:04Z"),
        ("created_at", "2026-11-20T23:00:04.123456789+01:00", "2026-11-20T22:00:04Z"),
        ("orphaned", True, True),
        ("orphaned", "yes", True),
        ("orphaned", False, False),
    ],
)
def test_values_of_an_entry(field: str, value: object, found: object) -> None:
    assert vault({field: value})[field] == found


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("releases", "s3cr3t", "it is no list"),
        ("releases", [{"version": "2", "name": "b", "url": "s3cr3t"}, "a"], [{"name": "b", "version": "2"}, {}]),
        ("releases", [{"name": {"a": "s3cr3t"}}], [{"name": "an object"}]),
        ("teams", ["b", "a", {"a": "s3cr3t"}], ["a value of type dict, not a text", "a", "b"]),
        ("vms", [{"index": Decimal("1e5000")}], "it holds a number out of range"),
        ("match_confidence", 0.9, Decimal("0.9")),
        ("match_confidence", 1, Decimal(1)),
        ("match_confidence", "1", "no number from 0 to 1"),
        ("match_confidence", Decimal("1e5000"), "no number from 0 to 1"),
        ("match_confidence", Decimal("1e-5000"), Decimal(0)),
    ],
)
def test_values_of_metadata(field: str, value: object, found: object) -> None:
    content = vault({}, {field: value})
    assert content[field] == found
    assert "s3cr3t" not in repr(content)
    assert fingerprint(content)


def test_foreign_numbers_as_vault_spells_them_do_no_harm() -> None:
    metadata = read_json(b'{"properties": {"a": 1e999999999}, "bindings_count": 1.0, "history": [1e5]}')
    content = vault({}, metadata, bindings=["x"], has_credentials=True)
    assert content["properties_digest"] is None
    assert fingerprint(content)


@pytest.mark.parametrize(
    ("metadata", "bindings", "wrong"),
    [
        ({"has_bindings": True, "bindings_count": 2, "binding_ids": ["b", "a"]}, ["a", "b"], False),
        ({"has_bindings": False, "bindings_count": 0, "binding_ids": []}, [], False),
        ({"has_bindings": False, "bindings_count": 0, "binding_ids": []}, ["a"], True),
        ({"has_bindings": True, "bindings_count": 1, "binding_ids": ["b"]}, ["a"], True),
        ({"has_bindings": True, "bindings_count": 1, "binding_ids": ["a", "a"]}, ["a"], True),
        ({"has_bindings": 1, "bindings_count": 1, "binding_ids": ["a"]}, ["a"], True),
        ({"has_bindings": True, "bindings_count": True, "binding_ids": ["a"]}, ["a"], True),
        ({"has_bindings": True, "bindings_count": 1, "binding_ids": [1]}, ["a"], True),
        ({}, [], True),
        ({}, None, False),
    ],
)
def test_binding_counters_that_lie_are_found(metadata: dict[str, Any], bindings: list[str] | None, wrong: bool) -> None:
    shape = vault({}, metadata, bindings=bindings)["metadata_shape"]
    assert ("its binding counters are wrong" in shape) is wrong


def test_names_that_entry_and_metadata_tell_otherwise_agree_with_nothing() -> None:
    entry = {"service_name": "redis", "plan_id": "p", "plan": {"id": "q", "name": "small"}}
    content = vault(entry, {"service_name": "Redis", "plan_name": "small"})
    assert content["service_name"] == {"db": "redis", "metadata": "Redis"}
    assert content["plan_id"] == {"plan_id": "p", "plan.id": "q"}
    assert content["plan_name"] == "small"


@pytest.mark.parametrize(
    ("field", "asked", "found", "agree"),
    [
        ("created_at", None, "2026-01-01T00:00:00Z", True),
        ("created_at", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", True),
        ("created_at", "2026-01-02T00:00:00Z", "2026-01-02T01:00:00+01:00", True),
        ("created_at", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", False),
        ("created_at", "2026-01-02T00:00:00Z", None, False),
        ("updated_at", "2026-01-02T00:00:00Z", 1767312000, True),
        ("updated_at", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", False),
        ("match_confidence", Decimal("1.0"), 1, True),
        ("orphaned", False, None, False),
        ("vms", None, [], True),
        ("vms", [], None, False),
    ],
)
def test_fields_are_compared_by_what_they_mean(field: str, asked: object, found: object, agree: bool) -> None:
    assert alike(field, asked, found) is agree


def test_fields_know_their_documents() -> None:
    assert documents_behind(["releases", "vms"]) == {Document.METADATA}
    assert documents_behind(["service_name"]) == {Document.ENTRY, Document.METADATA}
    assert documents_behind(["manifest_sha256", "orphaned"]) == {Document.MANIFEST, Document.ENTRY}
    assert documents_behind([]) == frozenset()


@pytest.mark.parametrize(
    ("key", "entry", "told"),
    [
        (ID, {"service_id": "s", "plan_id": "p"}, None),
        ("x", {"service_id": "s", "plan_id": "p"}, "its key is no instance id"),
        (ID, "cut {", "its entry is no object"),
        (ID, {"service_id": "s", "plan_id": None}, "its entry names no service and plan"),
        (ID, {"service_id": "s", "plan_id": ""}, "its entry names no service and plan"),
    ],
)
def test_only_what_is_surely_an_instance_is_marked_as_orphaned(key: str, entry: object, told: str | None) -> None:
    reason = not_orphanable(key, entry)
    assert reason is None if told is None else (reason or "").startswith(told)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1795212004.9, datetime(2026, 11, 20, 22, 0, 4, tzinfo=UTC)),
        ("2026-11-20t22:00:04z", datetime(2026, 11, 20, 22, 0, 4, tzinfo=UTC)),
        ("2026-11-20T22:00:04", None),
        ("2026-13-20T22:00:04Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("2026-11-20", None),
        (-1, None),
        (10**20, None),
        (True, None),
        (float("nan"), None),
        (Decimal("Infinity"), None),
        (Decimal("1e5000"), None),
        ({}, None),
    ],
)
def test_times_in_every_spelling(value: object, moment: datetime | None) -> None:
    assert moment_of(value) == moment
    assert is_rfc_3339(value) is (moment is not None and isinstance(value, str))


def test_a_stamp_is_utc_in_whole_seconds() -> None:
    local = datetime(2026, 11, 20, 23, 0, 4, 999, tzinfo=timezone(timedelta(hours=1)))
    assert stamp(local) == "2026-11-20T22:00:04Z"


def test_two_versions_of_a_release_are_both_kept() -> None:
    versions = (NamedVersion("redis", "18"), NamedVersion("redis", "17"))
    assert [row["version"] for row in wanted(listed={"releases": versions})["releases"]] == ["17", "18"]
