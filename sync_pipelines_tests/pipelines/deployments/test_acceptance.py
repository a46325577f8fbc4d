"""What the pipeline promises, between a Director over HTTP and a real Vault."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.errors import PeerError, SnapshotUnsealed
from sync_pipelines.engine.reconcile import Reconciled, reconcile
from sync_pipelines.pipelines.deployments import scan
from sync_pipelines.pipelines.deployments.connection import DeploymentsConnection
from sync_pipelines.pipelines.deployments.pair import OpenConnection
from sync_pipelines.pipelines.deployments.probes import PROBES
from sync_pipelines.sandbox.bosh import DEMO_USER, DirectorStandIn
from sync_pipelines.sandbox.bosh.faults import deleted_after_listing, empty_error, scopes_lost, short_list
from sync_pipelines.sandbox.faults import FaultKind, Lie
from sync_pipelines.sandbox.openbao import OpenBaoProxy
from sync_pipelines.store import findings, plans, states
from sync_pipelines_tests.pipelines.deployments.demo_data import DATA
from sync_pipelines_tests.pipelines.deployments.fleet import Fleet, opened_fleet
from sync_pipelines_tests.vaults import Mounted

CONCERNED = ("db", "/metadata", "/manifest")


@pytest.fixture
def fleet(engine: Engine, kv2: Mounted) -> Iterator[Fleet]:
    """A Director with five instances, and Vault in agreement with it."""
    with opened_fleet(engine, DirectorStandIn.many(5), kv2) as fleet:
        fleet.reconcile()
        yield fleet


@pytest.fixture
def demo(engine: Engine, kv2: Mounted) -> Iterator[Fleet]:
    """The demo's Director and Vault with all that is documented to be wrong."""
    for path, document in json.loads((DATA / "vault.json").read_text())["secrets"].items():
        kv2.write(path, document)
    with opened_fleet(engine, DirectorStandIn.demo(), kv2) as fleet:
        yield fleet


def _ids(fleet: Fleet) -> list[str]:
    return [name[-36:] for name in sorted(fleet.world.deployments)]


def _orphans(fleet: Fleet) -> list[str]:
    return sorted(key for key, entry in fleet.index().items() if isinstance(entry, dict) and entry.get("orphaned"))


def test_each_discrepancy_of_the_demo_is_mended_or_told_by_one_run_and_then_nothing_is_written_any_more(
    demo: Fleet,
) -> None:
    before = demo.versions()
    done = demo.reconcile()
    after = demo.versions()
    _assert_mended_or_told(demo, done)

    second = demo.reconcile()
    demo.grow_old()
    third = demo.reconcile()

    assert second.plan.counts["update"] == third.plan.counts["update"] == 0
    assert demo.versions() == after
    assert {path: version for path, version in after.items() if not path.endswith(CONCERNED)}.items() >= {
        path: version for path, version in before.items() if not path.endswith(CONCERNED)
    }.items()
    assert not [path for path in after if path not in before and path.endswith(("credentials", "bindings"))]
    _assert_no_text_is_stored(demo)


def _assert_mended_or_told(demo: Fleet, done: Reconciled) -> None:
    """Look for each documented discrepancy of the demo, by its number."""
    index = demo.index()
    with demo.engine.begin() as connection:
        told = {finding.key: finding.detail for finding in findings.standing(connection, "deployments")}

    assert done.plan.counts["create"] == 1, "1: missing"
    assert index["2eb73728-2fea-475e-b536-5e1458294a90"]["orphaned"] is True, "2: a new orphan"
    assert index["ac3e0b5b-c291-4709-8c1e-26038dabf68e"]["stale"] is True, "3: an old orphan stays"
    assert "orphaned" not in index["c1acc990-6424-450a-a36b-f9b3ddcb369d"], "4: a false orphan"
    assert index["6fced11d-2bd8-41e6-847a-8387cdde8d51"]["plan_id"] == "redis-cache-large", "5: drifted plan"
    assert index["2330fcf1-562a-44b8-8866-8d77e827062c"]["service_id"] == "rabbitmq", "7: a corrupted entry"
    assert "2f314fdb-43c4-4bc7-a4cc-dcf9ea5ee53c" in told, "8: an incomplete entry"
    assert "not-a-uuid" in told, "9: a bad key"
    assert "9ad9b9a2-5e78-454d-b065-a1c284cc4549" in index, "10: a key in upper case"
    assert "9AD9B9A2-5E78-454D-B065-A1C284CC4549" not in index
    assert isinstance(index["9dfb369b-ab13-4fae-a276-55daa05f1119"]["reconciled_at"], str), "11: another writer's shape"
    manifest = demo.vault.read("b120a366-f0bb-49cf-82f2-dc05873f9bd0/manifest")["manifest"]
    assert manifest.startswith("---"), "12: an empty manifest"
    assert demo.vault.read("6301bbfc-a0c5-454e-8ff9-bb510944fe0c/metadata")["bindings_count"] == 1, "13: counters"
    metadata = demo.vault.read("3a124c64-7e02-4f05-b7c1-dce27f7695f5/metadata")
    assert {"name": "postgres", "version": "53.0.2"} in metadata["releases"], "6: metadata drift"
    for instance_id in ("2330fcf1-562a-44b8-8866-8d77e827062c", "c1acc990-6424-450a-a36b-f9b3ddcb369d"):
        assert demo.vault.read(f"{instance_id}/metadata"), "14: no metadata"
        assert demo.vault.read(f"{instance_id}/manifest"), "15: no manifest"
    unread = demo.vault.read("78b7d0ac-8477-4ce0-8e4c-da11b43c589b/metadata")
    assert unread["match_confidence"] == 0.5, "a manifest that is no YAML leaves its mark"
    assert "66080f17-4c96-48e2-9cbd-0ba3a1a6bcde" in index, "what needs review stays as it is"


def _listed_in_part(fleet: Fleet) -> DeploymentsConnection:
    short_list(fleet.director.faults, Lie.HALF)
    return fleet.connection(guard={"enabled": False})


def _listed_without_the_last(fleet: Fleet) -> DeploymentsConnection:
    short_list(fleet.director.faults, Lie.SHORT, count=1)
    return fleet.connection(guard={"enabled": False})


def _empty(fleet: Fleet) -> DeploymentsConnection:
    short_list(fleet.director.faults, Lie.EMPTY)
    return fleet.connection(guard={"enabled": False})


def _down(fleet: Fleet) -> DeploymentsConnection:
    fleet.director.faults.add(FaultKind.STATUS, path="/deployments", status=503, body="")
    return fleet.connection()


def _cut(fleet: Fleet) -> DeploymentsConnection:
    fleet.director.faults.add(FaultKind.TRUNCATED_BODY, path="/deployments/?$")
    return fleet.connection()


def _team(fleet: Fleet) -> DeploymentsConnection:
    fleet.world.set_scopes(DEMO_USER, "bosh.teams.dba.admin")
    return fleet.connection(guard={"enabled": False})


def _narrowed(fleet: Fleet) -> DeploymentsConnection:
    fleet.grow_old()
    scopes_lost(fleet.world, DEMO_USER, "bosh.teams.dba.admin")
    return fleet.connection(guard={"enabled": False})


def _broken_details(fleet: Fleet) -> DeploymentsConnection:
    fleet.grow_old()
    for name in fleet.world.deployments:
        empty_error(fleet.director.faults, name)
    return fleet.connection()


def _locked(fleet: Fleet) -> DeploymentsConnection:
    for name in fleet.world.deployments:
        fleet.world.lock(name)
    return fleet.connection()


ACCIDENTS = [
    _listed_in_part,
    _listed_without_the_last,
    _empty,
    _down,
    _cut,
    _team,
    _narrowed,
    _broken_details,
    _locked,
]


@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda accident: accident.__name__.strip("_"))
def test_given_an_accident_at_the_director_then_nobody_is_orphaned_and_good_details_stay(
    fleet: Fleet, accident: Callable[[Fleet], DeploymentsConnection]
) -> None:
    before = {path: fleet.vault.read(path) for path in fleet.versions() if path.endswith(("/metadata", "/manifest"))}
    connection = accident(fleet)
    try:
        fleet.reconcile(connection)
    except (PeerError, SnapshotUnsealed):
        assert fleet.status().counters["runs_failed"] == 1
    assert _orphans(fleet) == []
    assert len(fleet.index()) == 5
    assert {path: fleet.vault.read(path) for path in before} == before


def test_given_a_deployment_that_is_gone_then_it_is_orphaned_once_and_taken_back_when_it_returns(fleet: Fleet) -> None:
    name = sorted(fleet.world.deployments)[0]
    kept = fleet.world.deployments[name]
    fleet.world.delete(name)
    fleet.reconcile()
    orphan = fleet.index()[name[-36:]]
    assert (orphan["orphaned"], orphan["orphaned_reason"]) == (True, "no_bosh_deployment")

    fleet.reconcile()
    assert fleet.index()[name[-36:]] == orphan

    fleet.world.add(kept)
    fleet.reconcile()
    back = fleet.index()[name[-36:]]
    assert "orphaned" not in back
    assert "unorphaned_at" in back


def test_given_a_deployment_deleted_while_it_is_read_then_it_is_orphaned_by_the_next_run(fleet: Fleet) -> None:
    fleet.grow_old()
    deleted_after_listing(fleet.world, sorted(fleet.world.deployments)[0])
    fleet.reconcile()
    assert _orphans(fleet) == []
    fleet.reconcile()
    assert len(_orphans(fleet)) == 1


def test_given_an_old_orphan_then_it_is_stale_and_its_removal_waits_for_an_approval(fleet: Fleet) -> None:
    name = sorted(fleet.world.deployments)[0]
    fleet.world.delete(name)
    fleet.reconcile()
    fleet.ahead = timedelta(days=31)
    fleet.reconcile()
    assert fleet.index()[name[-36:]]["stale"] is True

    fleet.ahead = timedelta(days=91)
    assert fleet.reconcile().plan.counts["retire"] == 0, "it is not switched on"
    removing = fleet.connection(orphans={"remove": True})
    assert fleet.reconcile(removing).applied is not None, "the others go on"
    assert name[-36:] in fleet.index()
    with fleet.engine.begin() as connection:
        (held,) = [one for one in plans.list_plans(connection, pair="deployments") if one.state == "held"]
    assert "would be removed from Vault for good" in held.held_reasons[0]

    fleet.approve(held.hash, removing)
    assert name[-36:] not in fleet.index()
    assert fleet.vault.read(f"{name[-36:]}/backups/index"), "its backups stay"


@pytest.mark.parametrize("is_kept", [True, False])
def test_given_a_manifest_that_changes_between_scan_and_write_then_only_what_was_compared_is_written(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    if not is_kept:
        # As with more texts than there is room for: it is asked for again, and is not the same any more.
        monkeypatch.setattr(scan, "KEPT_TEXTS", 0)
    name = sorted(fleet.world.deployments)[0]
    manifest = fleet.world.deployments[name].manifest
    fleet.world.update(name, f"{manifest}# one\n", releases=(("redis", "99"),))
    fleet.world.after(f"/deployments/{name}/vms", lambda: fleet.world.set_manifest(name, f"{manifest}# two\n"))
    fleet.reconcile()
    compared = f"{manifest}# one\n"
    assert fleet.vault.read(f"{name[-36:]}/manifest")["manifest"] == (compared if is_kept else manifest)

    if is_kept:
        # The list does not tell of it, so it is seen when the details are read anew.
        fleet.grow_old()
    fleet.let_time_pass()
    fleet.reconcile()
    assert fleet.vault.read(f"{name[-36:]}/manifest")["manifest"] == f"{manifest}# two\n"


def test_given_the_same_instance_twice_then_nothing_is_written_for_it(fleet: Fleet) -> None:
    name = sorted(fleet.world.deployments)[0]
    fleet.world.deploy(f"redis-cache-large-{name[-36:]}", "name: x\n")
    before = fleet.versions()
    fleet.reconcile()
    assert fleet.versions() == before
    with fleet.engine.begin() as connection:
        (found,) = findings.standing(connection, "deployments")
    assert found.kind == "duplicate"


def test_given_a_deployment_under_a_new_name_then_its_instance_is_no_orphan(fleet: Fleet) -> None:
    name = sorted(fleet.world.deployments)[0]
    fleet.world.delete(name)
    fleet.world.deploy(f"redis-cache-large-{name[-36:]}", "name: x\n")
    fleet.reconcile()
    assert _orphans(fleet) == []


def test_a_selective_run_changes_what_was_selected_only(fleet: Fleet) -> None:
    one, other, *_ = sorted(fleet.world.deployments)
    for name in (one, other):
        fleet.world.update(name, releases=(("redis", "99"),))
    keys = fleet.opened(lambda opened: opened.scan.select([one]))
    done = fleet.reconcile(keys=keys)
    assert done.plan.counts["update"] == 1
    assert fleet.vault.read(f"{one[-36:]}/metadata")["releases"] == [{"name": "redis", "version": "99"}]
    assert fleet.vault.read(f"{other[-36:]}/metadata")["releases"] != [{"name": "redis", "version": "99"}]


def test_runs_are_counted_by_how_they_ended(fleet: Fleet) -> None:
    fleet.director.faults.add(FaultKind.STATUS, path="/deployments", status=500, body="")
    with pytest.raises(PeerError):
        fleet.reconcile()
    status = fleet.status()
    assert [status.counters[name] for name in ("runs_total", "runs_successful", "runs_failed")] == [2, 1, 1]
    assert status.counters["deployments_total"] == status.counters["instances_synced_total"] == 5
    assert [run.outcome for run in status.history] == ["failed", "successful"]
    assert status.last is not None
    assert "/deployments" in (status.last.reason or "")
    assert status.average_seconds > 0


def test_given_two_directors_on_one_vault_then_each_keeps_to_its_own(engine: Engine, kv2: Mounted) -> None:
    with (
        opened_fleet(engine, DirectorStandIn.many(2), kv2) as one,
        opened_fleet(engine, DirectorStandIn.demo(), kv2) as two,
    ):
        first = one.connection(others_on_same_vault=["east"])
        second = two.connection(name="east", others_on_same_vault=["lab"])
        one.reconcile(first)
        two.reconcile(second)
        before = one.versions()
        one.reconcile(first)
        two.reconcile(second)
        assert one.versions() == before
        assert _orphans(one) == []

        shared = sorted(one.world.deployments)[0]
        two.world.deploy(shared, "name: x\n")
        two.reconcile(second)
        assert one.index()[shared[-36:]]["director"] == "lab", "the same instance on two directors is a conflict"
        assert one.versions() == before


def test_given_an_instance_that_moves_to_another_director_then_it_is_adopted_there(
    engine: Engine, kv2: Mounted
) -> None:
    with (
        opened_fleet(engine, DirectorStandIn.many(2), kv2) as one,
        opened_fleet(engine, DirectorStandIn.many(0), kv2) as two,
    ):
        first = one.connection(others_on_same_vault=["east"])
        second = two.connection(name="east", others_on_same_vault=["lab"])
        one.reconcile(first)
        name = sorted(one.world.deployments)[0]
        two.world.deploy("redis-cache-small-12345678-1234-1234-1234-123456789abc", "name: x\n")
        two.world.deploy(name, one.world.deployments[name].manifest)
        one.world.delete(name)
        two.reconcile(second)
        assert one.index()[name[-36:]]["director"] == "lab", "it may be on both"

        one.reconcile(first)
        assert _orphans(one) == [name[-36:]]
        two.reconcile(second)
        assert (one.index()[name[-36:]]["director"], _orphans(one)) == ("east", [])

        settled = one.versions()
        for fleet, connection in ((one, first), (two, second)):
            fleet.reconcile(connection)
        assert one.versions() == settled

        two.world.delete(name)
        one.reconcile(first)
        assert _orphans(one) == []
        two.reconcile(second)
        assert _orphans(one) == [name[-36:]]


def test_given_a_vault_that_fails_for_one_instance_then_its_change_is_an_error_of_the_run(
    engine: Engine, kv2: Mounted
) -> None:
    proxy = OpenBaoProxy(kv2.url)
    with proxy.running() as url, opened_fleet(engine, DirectorStandIn.many(2), kv2) as fleet:
        connection = fleet.connection(vault={"url": url})
        broken = proxy.faults.add("status", status=500, method="POST", path=f"{_ids(fleet)[0]}/metadata")
        done = fleet.reconcile(connection)
        assert done.applied is not None
        assert done.applied.failed == 1
        assert _orphans(fleet) == []
        status = fleet.status()
        assert status.last_number("errors") == status.counters["errors_total"] == 1

        proxy.faults.remove(broken)
        fleet.let_time_pass()
        fleet.reconcile(connection)
        assert (fleet.status().last_number("errors"), fleet.status().counters["errors_total"]) == (0, 1)


def test_given_backups_that_cannot_be_removed_then_the_check_of_the_backups_tells(engine: Engine, kv2: Mounted) -> None:
    proxy = OpenBaoProxy(kv2.url)
    with proxy.running() as url, opened_fleet(engine, DirectorStandIn.many(1), kv2) as fleet:
        (name,) = fleet.world.deployments
        proxy.faults.add("status", status=500, method="DELETE", path="backups")
        connection = fleet.connection(vault={"url": url}, reconciler={"backup": {"retention": 1}})

        async def told(opened: OpenConnection) -> str:
            for version in ("97", "98", "99"):
                fleet.world.update(name, releases=(("redis", version),))
                run_id = f"run-{version}"
                await reconcile(engine, opened.pair, run_id=run_id, log=logging.getLogger("test"))
            [probe] = [probe for probe in PROBES if probe.name == "backups_restorable"]
            answer = await probe.judge(opened, engine, opened.scope)
            assert answer is not None
            assert answer.passed
            return str(answer.metadata["remarks"])

        assert f"backups of {name[-36:]} that are too many were not removed" in fleet.opened(told, connection)


def _assert_no_text_is_stored(demo: Fleet) -> None:
    with demo.engine.begin() as connection:
        tables = connection.exec_driver_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'sync'").scalars().all()
        stored = " ".join(
            connection.exec_driver_sql(
                f"SELECT coalesce(string_agg(t::text, ' '), '') FROM sync.{table} t"
            ).scalar_one()
            for table in tables
        )
        assert states.letters(connection, "deployments") == []
    assert "instance_groups:" not in stored
    assert "maxmemory" not in stored
