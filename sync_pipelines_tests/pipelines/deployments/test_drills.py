"""Odd deployments, odd keys, refusals of shared writes, and secrets: one run over all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, Definitions, in_process_executor
from sqlalchemy import Engine

from sync_pipelines.core.errors import PeerError
from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.deployments.definitions import definitions_of
from sync_pipelines.sandbox.bosh import DEMO_USER, DirectorStandIn
from sync_pipelines.store import findings
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Mishap, Opening
from sync_pipelines_tests.faults.marks import Marks, leaks_in_database, leaks_in_files, listening
from sync_pipelines_tests.pipelines.deployments.fleet import Fleet, opened_fleet
from sync_pipelines_tests.pipelines.deployments.subject import (
    MANIFEST_MARK,
    PLAN,
    DeploymentsSubject,
    opened_subject,
)
from sync_pipelines_tests.vaults import Mounted

LONG = "x" * 5_000_000
ODD = {
    "malformed": "name: {name}\nsecret: 'open\n\tx",
    "5 MB": f"name: {{name}}\nproperties:\n  a: '{LONG}'\n",
    "too large": f"name: {{name}}\na: '{LONG}{LONG}'\n",
    "anchors": "name: {name}\nbase: &b {{a: 1}}\nproperties: {{<<: *b, c: *b}}\n",
    "names that are no text": "name: {name}\nproperties: {{1: x, true: y, 2.5: z, null: w}}\n",
    "null": None,
    "a path for an id": "name: {name}\nproperties: {{blacksmith: {{instance_id: ../../sys/seal}}}}\n",
}
REPORTED = {"malformed", "too large"}


@pytest.fixture
def fleet(engine: Engine, kv2: Mounted) -> Iterator[Fleet]:
    """A Director with three instances, and Vault in agreement with it."""
    with opened_fleet(engine, DirectorStandIn.many(3), kv2) as fleet:
        fleet.reconcile()
        yield fleet


@pytest.fixture
def subject(engine: Engine) -> Iterator[DeploymentsSubject]:
    """The pipeline with marked secrets, before a Vault whose requests are known."""
    with opened_subject(engine) as subject:
        yield subject


def test_given_odd_manifests_then_each_of_them_is_reported_and_all_others_are_written(fleet: Fleet) -> None:
    names = {}
    for number, (kind, text) in enumerate(ODD.items(), start=1):
        name = names[kind] = f"{PLAN}-{number:08d}-feed-4bad-8ace-0123456789ab"
        fleet.world.deploy(name, None if text is None else text.format(name=name))
    known = sorted(fleet.index())
    fleet.world.update(
        sorted(name for name in fleet.world.deployments if name[-36:] in known)[0], releases=(("a", "1"),)
    )

    done = fleet.reconcile()

    assert done.applied is not None
    assert (done.applied.failed, done.plan.counts["create"], done.plan.counts["update"]) == (0, len(ODD) - 1, 1)
    written = {kind: fleet.vault.read(f"{name[-36:]}/manifest") for kind, name in names.items()}
    assert {kind for kind, manifest in written.items() if manifest is None} == {"null", "too large", "a path for an id"}
    assert written["5 MB"]["manifest"] == (ODD["5 MB"] or "").format(name=names["5 MB"])
    assert names["a path for an id"][-36:] not in fleet.index()
    _, sweep = fleet.scan()
    told = " ".join(sweep.notes)
    assert {kind for kind, name in names.items() if name in told} == REPORTED
    assert LONG[:100] not in told
    versions = fleet.versions()
    fleet.reconcile()
    assert fleet.versions() == versions


def test_given_keys_of_the_index_that_are_paths_then_nothing_is_asked_or_written_below_them(
    subject: DeploymentsSubject,
) -> None:
    subject.add()
    odd = {"../sys/policies": {"service_id": "redis", "plan_id": PLAN}, "a/b": {}, "%2e%2e": "x", "": {}}
    subject.vault.write("db", odd)
    Operator(subject).reconcile()
    index = subject.index()
    assert {key: index[key] for key in odd} == odd
    asked = {request.path for request in subject.proxy.requests}
    assert not [path for path in asked if ".." in path or "%" in path or "//" in path]
    with subject.engine.begin() as connection:
        standing = findings.standing(connection, subject.pair_name)
    assert {finding.natural_key for finding in standing} == odd.keys()


def test_given_a_login_that_may_read_nothing_any_more_then_the_run_fails_and_nothing_is_orphaned(fleet: Fleet) -> None:
    before = fleet.versions()
    fleet.world.set_scopes(DEMO_USER, "uaa.none")
    with pytest.raises(PeerError, match=r"600000|scope"):
        fleet.reconcile()
    assert fleet.versions() == before


def test_given_one_dead_agent_then_its_vms_stay_as_they_were_and_the_others_are_written(fleet: Fleet) -> None:
    stateful = fleet.connection(director={"process_state": True})
    fleet.world.vms_seconds = fleet.world.dead_agent_seconds = 0.0
    fleet.grow_old()
    fleet.reconcile(stateful)
    dead, other, _ = sorted(fleet.world.deployments)
    before = fleet.vault.read(f"{dead[-36:]}/metadata")["vms"]
    assert before[0]["job_state"] == "running"
    for name in (dead, other):
        fleet.world.update(name, releases=(("redis", "99"),))
    fleet.director.faults.add("status", path=f"/deployments/{dead}/vms", status=500, body="")

    fleet.reconcile(stateful)

    shown = {name: fleet.vault.read(f"{name[-36:]}/metadata") for name in (dead, other)}
    assert shown[dead]["vms"] == before
    assert [one["releases"] for one in shown.values()] == [[{"name": "redis", "version": "99"}]] * 2
    assert not any(entry.get("orphaned") for entry in fleet.index().values())


def test_given_details_that_cannot_be_read_then_what_the_list_tells_is_written_and_the_rest_stays(fleet: Fleet) -> None:
    name, *_ = sorted(fleet.world.deployments)
    before = fleet.vault.read(f"{name[-36:]}/metadata")
    fleet.world.update(name, releases=(("redis", "99"),))
    fleet.director.faults.add("status", path=f"/deployments/{name}", status=500, body="")

    done = fleet.reconcile()

    assert done.applied is not None
    assert done.applied.failed == 0
    after = fleet.vault.read(f"{name[-36:]}/metadata")
    assert after["releases"] == [{"name": "redis", "version": "99"}]
    kept = ("vms", "properties", "match_confidence", "match_reason", "latest_task_id")
    assert {field: after[field] for field in kept} == {field: before[field] for field in kept}


@pytest.mark.parametrize("mishap", [Mishap.ROLLED_BACK, Mishap.REPLY_LOST, Mishap.REFUSED])
def test_given_a_shared_write_of_the_index_that_fails_then_each_instance_is_made_once_in_the_end(
    subject: DeploymentsSubject, mishap: Mishap
) -> None:
    operator = Operator(subject)
    keys = subject.add(4)
    subject.hinder("create", mishap)
    together = Opening(policies={"in_flight": 8})

    operator.reconcile(together)
    operator.let_time_pass()
    operator.reconcile(together)

    assert subject.creates() == len(keys)
    assert {len(subject.vault.read(f"{subject.natural_key(key)}/metadata")["history"]) for key in keys} == {1}
    operator.ends_well()


def test_given_nothing_changed_then_a_run_sends_no_write_and_moves_no_version(subject: DeploymentsSubject) -> None:
    operator = Operator(subject)
    subject.add(3)
    operator.reconcile()
    versions = subject.vault.admin.versions(subject.vault.path)
    subject.proxy.requests.clear()

    operator.reconcile()

    assert {request.method for request in subject.proxy.requests} <= {"GET", "LIST", "SCAN"}
    assert subject.vault.admin.versions(subject.vault.path) == versions
    assert {path: version for path, version in versions.items() if path.endswith(("/credentials", "/bindings"))} == {
        f"{subject.natural_key(f'{PLAN}-00000001-feed-4bad-8ace-0123456789ab')}/{name}": 1
        for name in ("bindings", "credentials")
    }


def test_given_a_new_instance_then_each_document_is_written_once_and_one_look_sees_both(
    subject: DeploymentsSubject,
) -> None:
    key = subject.add(2)[1]
    Operator(subject).reconcile()
    below = [request for request in subject.proxy.requests if subject.natural_key(key) in request.path]
    assert sorted((request.method, request.path.rpartition("/")[2]) for request in below) == [
        ("POST", "manifest"),
        ("POST", "metadata"),
        ("SCAN", subject.natural_key(key)),
    ]


@pytest.mark.long
def test_given_marked_secrets_everywhere_then_dagster_and_the_store_keep_none_of_them(
    subject: DeploymentsSubject, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    marks = Marks(subject.secrets)
    edited, spoiled, refused, *_ = subject.add(4)
    connection = subject.connection(guard={"enabled": False})
    resources = {"store": subject.engine, "options": RunOptions()}
    definitions = Definitions.merge(
        definitions_of((connection,)), Definitions(resources=resources, executor=in_process_executor)
    )
    job = definitions.resolve_job_def("deployments_reconcile")
    right = subject.peers["right"]

    with listening(marks) as ear, DagsterInstance.local_temp(str(tmp_path)) as instance:
        for disturb in (
            lambda: None,
            lambda: _disturb(subject, edited, spoiled, refused),
            lambda: subject.proxy.faults.add("echo", path=right.listing, times=1, status=500),
            lambda: subject.director.faults.add("echo", path="^/deployments", times=1, status=500),
        ):
            disturb()
            job.execute_in_process(instance=instance, partition_key="lab", raise_on_error=False)
            Operator(subject).let_time_pass()
        assert instance.get_runs_count() == 4
        stored = leaks_in_files(tmp_path, marks)

    assert ear.heard
    assert ear.leaks == []
    assert stored == []
    assert leaks_in_database(subject.engine, marks) == []
    assert marks.found_in("".join(capfd.readouterr())) == []
    assert len(Operator(subject).letters()) == 1
    assert MANIFEST_MARK in subject.vault.read(f"{subject.natural_key(edited)}/manifest")["manifest"]


def _disturb(subject: DeploymentsSubject, edited: str, key: str, refused: str) -> None:
    """Let a manifest be no YAML just where its secret is, another claim it as plan, and a write be refused."""
    subject.edit(edited)
    subject.edit(refused)
    path = f"{subject.natural_key(refused)}/metadata"
    subject.proxy.faults.add("echo", path=path, method="POST", times=1, status=400)
    subject.world.update(key, f"name: {key}\nproperties: {{password: {MANIFEST_MARK}\n\t- '", releases=(("a", "1"),))
    (other,) = subject.add()
    text = f"name: {other}\nproperties: {{blacksmith: {{plan_id: {MANIFEST_MARK}, service_id: {MANIFEST_MARK}}}}}\n"
    subject.world.update(other, text)
