"""The documents to write: complete, true to what others wrote, and unchanged when nothing is to be changed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.deployments.documents import (
    merged_entry,
    merged_manifest,
    merged_metadata,
    orphaned_entry,
)
from sync_pipelines.pipelines.deployments.instance import ORPHAN_FIELDS, Document, content_of_vault, documents_behind
from sync_pipelines.pipelines.deployments.manifest import property_bag, read_manifest
from sync_pipelines.systems.bosh.models import Life
from sync_pipelines.systems.vault.documents import read_json, same_json, write_json
from sync_pipelines_tests.pipelines.deployments.demo_data import differing, secrets
from sync_pipelines_tests.pipelines.deployments.instances import DIRECTOR, ID, NOW, wanted

TEXT = "properties: {port: 6379, ratio: 1.0, password: s3cr3t}"
LATER = NOW + timedelta(hours=1)
LIFE = Life(NOW - timedelta(days=3), NOW - timedelta(days=1), "4127")
BINDINGS = ["b", "a"]


def full() -> Content:
    """Return everything that can be known."""
    return wanted(manifest=read_manifest(TEXT), vms=[], life=LIFE)


def kept(entry: object, metadata: object, manifest: object) -> Content:
    """Return the content of documents as they are after a trip through Vault."""
    told = [read_json(write_json(document)) for document in (entry, metadata, manifest)]
    return content_of_vault(ID, *told, bindings=BINDINGS, has_credentials=True)


def metadata_after(existing: object, content: Content) -> dict[str, Any]:
    return merged_metadata(existing, content, property_bag(TEXT), NOW, BINDINGS, True)


def test_a_new_entry_has_all_fields() -> None:
    assert merged_entry(None, full(), NOW) == {
        "service_id": "redis",
        "plan_id": "redis-small",
        "deployment_name": f"redis-small-{ID}",
        "plan": {"id": "redis-small", "name": "small"},
        "service_name": "Redis",
        "director": DIRECTOR,
        "created_at": "2026-11-19T10:00:00Z",
        "updated_at": "2026-11-21T10:00:00Z",
        "reconciled": True,
        "reconciled_at": "2026-11-22T10:00:00Z",
        "reconciled_by": "deployment_reconciler",
    }


def test_times_that_nobody_knows_are_not_made_up() -> None:
    assert not {"created_at", "updated_at"} & merged_entry(None, wanted(), NOW).keys()


def test_new_metadata_has_all_keys_and_one_entry_of_history() -> None:
    content = full()
    metadata = metadata_after(None, content)
    history = metadata.pop("history")
    assert metadata == {
        "service_name": "Redis",
        "plan_name": "small",
        "releases": content["releases"],
        "stemcells": content["stemcells"],
        "vms": [],
        "teams": ["a", "b"],
        "variables": [],
        "properties": {"properties": {"port": 6379, "ratio": 1.0, "password": "s3cr3t"}},
        "match_confidence": Decimal("0.9"),
        "match_reason": "manifest_metadata",
        "reconciled_at": "2026-11-22T10:00:00Z",
        "latest_task_id": "4127",
        "has_credentials": True,
        "has_bindings": True,
        "bindings_count": 2,
        "binding_ids": ["a", "b"],
    }
    assert history == [
        {
            "timestamp": 1795341600,
            "iso_timestamp": "2026-11-22T10:00:00Z",
            "action": "reconciliation",
            "description": "Instance reconciled from BOSH deployment",
            "source": "deployment_reconciler",
            "state": "active",
            "deployment": f"redis-small-{ID}",
            "match_confidence": Decimal("0.9"),
            "match_reason": "manifest_metadata",
            "changes": {
                "releases_changed": False,
                "stemcells_changed": False,
                "vms_changed": False,
                "fields_added": sorted(metadata),
                "fields_removed": [],
            },
        }
    ]


def test_a_new_manifest_is_the_text_with_its_stamp() -> None:
    assert merged_manifest(None, TEXT, NOW) == {
        "manifest": TEXT,
        "updated_at": 1795341600,
        "reconciled": True,
        "reconciled_by": "reconciler",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
TIMES = st.sampled_from(["2026-11-19T09:00:00Z", "2026-11-22T09:00:00.5+01:00", "soon", 1788336891, -1, None, True])
ENTRY = JSON | st.fixed_dictionaries(
    {},
    optional={
        "created_at": TIMES,
        "updated_at": TIMES,
        "reconciled_at": TIMES,
        "unorphaned_at": TIMES,
        "created": TIMES,
        "plan": st.sampled_from([{}, {"id": "q"}, {"id": "redis-small", "name": "small", "free": True}, "x", None]),
        "plan_id": JSON,
        "service_name": st.sampled_from(["Redis", "redis", 3, None]),
        "reconciled": st.booleans(),
        "reconciled_by": st.sampled_from(["deployment_reconciler", "reconciler"]),
        "orphaned": st.sampled_from([True, False, "yes", None]),
        "orphaned_at": TIMES,
        "stale": st.booleans(),
        "parameters": JSON,
    },
)
METADATA = JSON | st.fixed_dictionaries(
    {},
    optional={
        "releases": JSON | st.just([{"name": "redis", "version": "17"}, {"name": "bpm", "version": "1"}]),
        "vms": JSON,
        "teams": JSON | st.just(["b", "a"]),
        "properties": JSON | st.just({"properties": {"port": 6379, "ratio": 1, "password": "s3cr3t"}}),
        "match_confidence": JSON | st.sampled_from([0.9, Decimal("0.90")]),
        "history": JSON,
        "service_name": JSON | st.just("Redis"),
        "bindings_count": JSON,
        "binding_ids": JSON | st.just(["b", "a"]),
        "provision_params": JSON,
    },
)


@settings(max_examples=100, deadline=None)
@given(ENTRY, METADATA, JSON | st.just({"manifest": TEXT}))
def test_whatever_was_there_one_write_makes_both_sides_agree_and_a_second_changes_nothing(
    entry: Any, metadata: Any, manifest: Any
) -> None:
    content = full()
    before = kept(entry, metadata, manifest)
    written = (
        merged_entry(entry, content, NOW),
        metadata_after(metadata, content),
        merged_manifest(manifest, TEXT, NOW),
    )

    assert differing(content, kept(*written)) == set()

    stored = read_json(write_json(written))
    assert same_json(merged_entry(stored[0], content, LATER), stored[0])
    assert same_json(merged_metadata(stored[1], content, property_bag(TEXT), LATER, BINDINGS, True), stored[1])
    assert same_json(merged_manifest(stored[2], TEXT, LATER), stored[2])

    untouched = {Document.ENTRY, Document.METADATA, Document.MANIFEST} - documents_behind(differing(content, before))
    originals = {Document.ENTRY: entry, Document.METADATA: metadata, Document.MANIFEST: manifest}
    for document, after in zip(originals, written, strict=True):
        if document in untouched:
            assert same_json(after, originals[document]), "a document that agreed is left as it is"


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text().map("x-{}".format), JSON, max_size=4))
def test_what_is_not_known_here_survives(foreign: dict[str, Any]) -> None:
    content = full()
    for merged in (
        merged_entry(foreign, content, NOW),
        metadata_after(foreign, content),
        merged_manifest(foreign, TEXT, NOW),
    ):
        assert same_json({key: merged[key] for key in foreign}, foreign)


def test_an_entry_of_the_updaters_shape_becomes_one_of_ours_and_keeps_its_fields() -> None:
    existing = secrets()["db"]["9dfb369b-ab13-4fae-a276-55daa05f1119"]
    merged = merged_entry(existing, wanted(), NOW)
    assert merged["created_at"] == "2026-09-02T08:14:51Z"
    assert merged["reconciled_at"] == "2026-11-22T10:00:00Z"
    assert {key: merged[key] for key in ("created", "updated", "last_synced_at")} == {
        "created": 1788336891,
        "updated": 1795212004,
        "last_synced_at": 1795212004,
    }


@pytest.mark.parametrize(
    ("existing", "created"),
    [
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2026-11-20T00:00:00Z", "2026-11-19T10:00:00Z"),
        ("soon", "2026-11-19T10:00:00Z"),
        (1795212004, "2026-11-19T10:00:00Z"),
    ],
)
def test_a_creation_is_set_once_and_moved_by_earlier_proof_only(existing: object, created: str) -> None:
    assert merged_entry({"created_at": existing}, full(), NOW)["created_at"] == created


def test_an_instance_that_is_seen_again_is_no_orphan() -> None:
    marked = dict.fromkeys(ORPHAN_FIELDS, True) | {"orphaned_at": "2026-10-01T09:00:00Z", "parameters": {"a": 1}}
    merged = merged_entry(marked, full(), NOW)
    assert not merged.keys() & set(ORPHAN_FIELDS)
    assert merged["unorphaned_at"] == "2026-11-22T10:00:00Z"
    assert merged["parameters"] == {"a": 1}
    assert merged_entry(merged, full(), LATER) is not merged
    assert merged_entry(merged, full(), LATER) == merged


def test_an_orphan_is_marked_once() -> None:
    entry = {"service_id": "redis", "plan_id": "redis-small", "parameters": {"a": 1}}
    marked = orphaned_entry(entry, NOW)
    assert marked == entry | {
        "orphaned": True,
        "orphaned_at": "2026-11-22T10:00:00Z",
        "orphaned_reason": "no_bosh_deployment",
    }
    assert orphaned_entry(marked, NOW + timedelta(days=30)) == marked


def test_an_orphan_of_more_than_thirty_days_is_stale() -> None:
    marked = orphaned_entry({}, NOW)
    stale = orphaned_entry(marked, NOW + timedelta(days=31))
    assert stale == marked | {
        "stale": True,
        "stale_since": "2026-12-23T10:00:00Z",
        "days_orphaned": 31,
        "preservation_reason": "service_instance_historical_data",
    }
    assert orphaned_entry(stale, NOW + timedelta(days=40)) == stale | {"days_orphaned": 40}


def test_an_orphan_that_came_back_and_went_again_has_a_new_date() -> None:
    again = orphaned_entry({"orphaned": False, "orphaned_at": "2026-01-01T00:00:00Z"}, NOW)
    assert again["orphaned_at"] == "2026-11-22T10:00:00Z"
    assert "stale" not in again


def test_metadata_of_others_is_kept_where_nothing_is_known() -> None:
    path = "3ceaaf30-8142-48ea-91d9-3080f9b439fc/metadata"
    existing = secrets()[path]
    merged = merged_metadata(existing, wanted(), None, NOW, None)
    own = {"releases", "stemcells", "teams", "match_confidence", "match_reason", "service_name", "plan_name"}
    changed = {key for key in merged if not same_json(merged[key], existing.get(key))}
    assert changed == own | {"history", "reconciled_at"}
    assert merged["history"][:-1] == existing["history"]


def test_ids_of_bindings_keep_their_order_and_lies_are_mended() -> None:
    metadata = metadata_after(None, full())
    listed = metadata | {"binding_ids": ["b", "a"]}
    assert metadata_after(listed, full())["binding_ids"] == ["b", "a"]
    lying = metadata | {"has_bindings": False, "bindings_count": 0, "binding_ids": []}
    assert metadata_after(lying, full())["binding_ids"] == ["a", "b"]


def test_the_history_says_what_changed() -> None:
    before = metadata_after(None, full())
    content = {**wanted(listed={"releases": ()}, manifest=read_manifest(TEXT), life=LIFE), "vms": [{"id": "new"}]}
    after = merged_metadata(before, content, property_bag(TEXT), LATER, BINDINGS, True)
    assert len(after["history"]) == 2
    assert after["history"][1]["description"] == (
        "Instance reconciled from BOSH deployment - releases updated - VMs updated"
    )
    assert after["history"][1]["changes"] == {
        "releases_changed": True,
        "stemcells_changed": False,
        "vms_changed": True,
        "fields_added": [],
        "fields_removed": [],
    }


def test_the_history_keeps_thirty_days_and_what_has_no_time() -> None:
    old = {"timestamp": int((NOW - timedelta(days=31)).timestamp())}
    recent = {"timestamp": int((NOW - timedelta(days=29)).timestamp())}
    timeless = {"note": "by hand"}
    merged = metadata_after({"history": [old, timeless, recent, "text"]}, full())
    assert merged["history"][:-1] == [timeless, recent, "text"]


def test_the_history_has_a_thousand_entries_at_most() -> None:
    merged = metadata_after({"history": [{"n": number} for number in range(1500)]}, full())
    assert len(merged["history"]) == 1000
    assert merged["history"][0] == {"n": 501}
    assert merged["history"][-1]["action"] == "reconciliation"


def test_a_history_of_another_shape_is_kept_as_its_first_entry() -> None:
    assert metadata_after({"history": {"a": 1}}, full())["history"][0] == {"a": 1}
