"""Manifests of foreign hands: read within bounds, never quoted, and reduced to facts."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.pipelines.deployments.manifest import (
    Claims,
    ManifestFacts,
    Versioned,
    bag_digest,
    property_bag,
    read_manifest,
    uuid_of,
)
from sync_pipelines.pipelines.deployments.safe_yaml import Fault, Limits, YamlFault, read_yaml
from sync_pipelines_tests.pipelines.deployments.demo_data import manifest_text

ID = "12345678-1234-1234-1234-123456789abc"
SECRET = "s3cr3t-value"


def bomb(levels: int) -> str:
    """Return a text of aliases that expands tenfold at each level."""
    lines = [f"a0: &a0 [{SECRET}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def chain(links: int) -> str:
    """Return a text whose anchors nest by their aliases only."""
    return "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, links))])


@pytest.mark.parametrize(
    ("text", "fault", "line"),
    [
        (f"a: {SECRET}\nb: [", Fault.MALFORMED, 3),
        (f'password: "{SECRET}\n\tx', Fault.MALFORMED, 2),
        (f"a: *{SECRET}", Fault.UNKNOWN_ALIAS, 1),
        (f"a: &{SECRET} [*{SECRET}]", Fault.SELF_REFERENCE, 1),
        (f"a: {SECRET}\n--- \nb: 1", Fault.SEVERAL_DOCUMENTS, 2),
        (bomb(12), Fault.EXPANSION, 7),
        (chain(200), Fault.TOO_DEEP, 100),
        ("a: " + "[" * 100_000, Fault.TOO_DEEP, 1),
        (f"- {SECRET}", Fault.NOT_A_MAPPING, None),
        ("", Fault.NOT_A_MAPPING, None),
        (SECRET, Fault.NOT_A_MAPPING, None),
        (f"a: {SECRET}\x00", Fault.MALFORMED, None),
        (f"a: {SECRET}\ud800", Fault.MALFORMED, None),
        (f"{SECRET}: " + "x" * 2000, Fault.TOO_LARGE, None),
        (f"{SECRET}: " + "é" * 900, Fault.TOO_LARGE, None),
    ],
)
def test_a_text_that_cannot_be_read_is_a_fact_with_its_place(text: str, fault: Fault, line: int | None) -> None:
    limits = Limits(max_bytes=1500) if fault is Fault.TOO_LARGE else None
    facts = read_manifest(text, limits)
    assert facts.unreadable is not None
    assert (facts.unreadable.fault, facts.unreadable.line) == (fault, line)
    assert facts.sha256 is not None
    assert facts.bag_digest is None
    assert SECRET not in str(facts.unreadable) + repr(facts)
    assert property_bag(text, limits) is None


@pytest.mark.parametrize("text", ["[" + "1," * 1000 + "]", "{" + "[]: ," * 500 + "}", "[" + "{}," * 1000 + "]"])
def test_values_are_counted_without_any_alias(text: str) -> None:
    limits = Limits(max_nodes=1000)
    with pytest.raises(YamlFault) as fault:
        read_yaml(text, limits)
    assert fault.value.fault is Fault.TOO_MANY
    assert read_yaml(text, Limits(max_nodes=1001)) is not None


def test_an_error_carries_no_part_of_the_text_along() -> None:
    with pytest.raises(YamlFault) as fault:
        read_yaml(f"a: !{SECRET} &{SECRET} [\n")
    assert fault.value.__cause__ is None
    assert fault.value.__suppress_context__
    assert SECRET not in str(fault.value)


def test_a_deployment_that_never_succeeded_has_no_facts() -> None:
    assert read_manifest(None) == ManifestFacts()
    assert property_bag(None) is None


def test_names_that_are_no_text_become_text_as_they_are_written() -> None:
    text = "properties:\n  2: a\n  true: b\n  ~: c\n  2026-11-01: d\n  [1, x]: e\n  {k: 1}: f\n  1.50: g"
    assert property_bag(text) == {
        "properties": {
            "2": "a",
            "true": "b",
            "~": "c",
            "2026-11-01": "d",
            '[1,"x"]': "e",
            '{"k":1}': "f",
            "1.50": "g",
        }
    }


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0x1F", 31),
        ("017", 15),
        ("1_000", 1000),
        ("yes", True),
        ("~", None),
        ("", None),
        ("1.50", 1.5),
        ("'1.50'", "1.50"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2026-02-31", "2026-02-31"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("!!int seven", "seven"),
        ("!!python/object/apply:os.system [x]", ["x"]),
        ("!secret hidden", "hidden"),
        ("!!binary aGk=", "aGk="),
        ("9007199254740993", 9007199254740993),
        ("9" * 5000, "9" * 5000),
        ("0x" + "F" * 3500, 16**3500 - 1),
        ("0x" + "F" * 3501, "0x" + "F" * 3501),
        ("!!int '0x" + "F" * 5000 + "'", "0x" + "F" * 5000),
        ("1" + ":59" * 3000, "1" + ":59" * 3000),
        ("1" + ":59" * 3000 + ".5", "1" + ":59" * 3000 + ".5"),
        ("1" + ":59" * 1_000_000, "1" + ":59" * 1_000_000),
        ("<<", "<<"),
    ],
)
def test_values_become_json_types(written: str, read: object) -> None:
    value = read_yaml(f"a: {written}")["a"]
    assert value == read
    assert type(value) is type(read)


def test_merge_keys_and_anchors_are_followed() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, x: 9}\ntwo: {<<: [*b, *m]}\nthree: *b"
    assert read_yaml(text) == {
        "base": {"x": 1, "y": 2},
        "more": {"y": 3, "z": 4},
        "one": {"x": 9, "y": 2},
        "two": {"x": 1, "y": 2, "z": 4},
        "three": {"x": 1, "y": 2},
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_what_yaml_writes_is_read_as_yaml_reads_it(value: Any) -> None:
    text = yaml.safe_dump({"a": value}, allow_unicode=True)
    assert read_yaml(text) == yaml.safe_load(text)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(min_size=1), JSON, max_size=4))
def test_a_bag_has_the_same_digest_when_it_comes_back_from_vault(properties: dict[str, Any]) -> None:
    bag = property_bag(yaml.safe_dump({"properties": properties}))
    assert bag is not None
    assert bag_digest(json.loads(json.dumps(bag))) == bag_digest(bag)


def test_facts_hold_names_versions_and_ids() -> None:
    facts = read_manifest(
        f"""
releases: [{{name: redis, version: 1.10}}, {{name: bpm}}, 7, {{version: 1}}]
stemcells: [{{alias: default, os: ubuntu-jammy, version: 1.719}}]
instance_groups: [{{name: master, jobs: [{{properties: {{password: {SECRET}}}}}]}}, null]
properties: {{blacksmith: {{service_id: redis, plan_id: 3, instance_id: {ID.upper()}}}, password: {SECRET}}}
meta: {{params: {{instance_id: {ID}}}}}
"""
    )
    # "1.10" is a version, and not the number 1.1.
    assert facts.releases == (Versioned("redis", "1.10"), Versioned("bpm", ""))
    assert facts.stemcells == (Versioned("ubuntu-jammy", "1.719"),)
    assert facts.instance_groups == ("master",)
    assert facts.claims == Claims("redis", "3", ID, ID)
    assert SECRET not in repr(facts)


@pytest.mark.parametrize("odd", ["../../db", "", "7", f"{ID}/../x", "[1]"])
def test_an_instance_id_that_is_a_path_is_none(odd: str) -> None:
    claims = read_manifest(f"properties: {{blacksmith: {{instance_id: '{odd}'}}}}").claims
    assert claims.instance_id is None
    assert claims.odd_instance_id
    assert uuid_of(f"{ID}\n") is None


@pytest.mark.parametrize("properties", ["[]", "text", "{blacksmith: [1]}", "{blacksmith: {plan_id: [x]}}", "~"])
def test_properties_of_another_shape_claim_nothing(properties: str) -> None:
    facts = read_manifest(f"properties: {properties}\nmeta: {{params: 3}}\nreleases: {{}}\ninstance_groups: x")
    assert facts.claims == Claims()
    assert facts.unreadable is None


def test_the_digest_of_the_bag_follows_the_bag_alone() -> None:
    plain = read_manifest("properties: {a: 1}\nname: x")
    assert read_manifest("name: y\nproperties: {a: 1.0}").bag_digest == plain.bag_digest
    assert read_manifest("name: x\nproperties: {a: 2}").bag_digest != plain.bag_digest


@pytest.mark.parametrize(
    "name",
    [
        "postgresql-cluster-medium-b120a366-f0bb-49cf-82f2-dc05873f9bd0",
        "redis-cache-large-6fced11d-2bd8-41e6-847a-8387cdde8d51",
    ],
)
def test_manifests_of_the_demo_are_read_as_any_yaml_reader_does(name: str) -> None:
    text = manifest_text(name)
    assert text is not None
    assert read_yaml(text) == yaml.safe_load(text)


def test_five_megabytes_are_read_in_seconds() -> None:
    group = (
        "- name: g\n  instances: 2\n  jobs:\n  - name: redis\n    properties: {port: 6379, note: '" + "x" * 300 + "'}\n"
    )
    text = "instance_groups:\n" + group * (5_000_000 // len(group))
    started = time.process_time()
    facts = read_manifest(text)
    assert facts.unreadable is None
    assert len(facts.instance_groups) == text.count("- name: g")
    assert time.process_time() - started < 20
