"""The demo's Director is what its data say, and made-up ones are large without being slow."""

from __future__ import annotations

import json

import httpx

from sync_pipelines.sandbox.bosh import DEMO_PASSWORD, DEMO_USER, DirectorStandIn, demo_world, many
from sync_pipelines.sandbox.bosh.events import PAGE, Wanted
from sync_pipelines.sandbox.bosh.seeds import DEMO_CREATED_AT, DEMO_UPDATED_AT

BUSY = "redis-cache-small-3ceaaf30-8142-48ea-91d9-3080f9b439fc"
HA = "redis-cache-small-ha-6301bbfc-a0c5-454e-8ff9-bb510944fe0c"
LOCKED = "rabbitmq-cluster-3-c1acc990-6424-450a-a36b-f9b3ddcb369d"


def test_given_the_demo_then_it_has_the_documented_deployments() -> None:
    world = demo_world()
    without = {name for name, deployment in world.deployments.items() if deployment.manifest is None}
    assert len(world.deployments) == 14
    assert without == {"blacksmith", "postgresql-standalone-tooling"}
    assert set(world.locks) == {LOCKED}
    assert [version for name, version in world.deployments[LOCKED].releases if name == "rabbitmq"] == [
        "1.35.1",
        "1.36.0",
    ]


def test_given_the_demo_then_its_vms_are_those_that_vault_knows() -> None:
    vms = demo_world().deployments[HA].vms
    assert [(vm.job, vm.index, vm.az) for vm in vms] == [
        ("redis-master", 0, "z1"),
        ("redis-slave", 0, "z1"),
        ("redis-slave", 1, "z2"),
    ]
    assert demo_world().deployments[HA].vms == vms


def test_given_the_demo_then_one_creation_lies_more_than_a_page_of_events_back() -> None:
    world = demo_world()
    newest = world.events.page(Wanted(equal={"deployment": BUSY}))
    assert len(newest) == PAGE
    assert "create" not in {event.action for event in newest}
    assert newest[0].timestamp == DEMO_UPDATED_AT.timestamp()
    assert newest[0].task == "4127"
    created = [event for event in world.events.of(BUSY) if event.action == "create"]
    assert created[0].timestamp == DEMO_CREATED_AT.timestamp()


def test_given_many_deployments_then_their_names_are_unique_and_the_same_each_time() -> None:
    world = many(500, 3)
    assert len(world.deployments) == 500
    assert all(len(deployment.vms) == 3 for deployment in world.deployments.values())
    assert list(many(500, 3).deployments) == list(world.deployments)
    assert list(many(3, 1, seed=1).deployments) != list(world.deployments)[:3]


def test_given_many_deployments_when_served_then_all_are_listed() -> None:
    standin = DirectorStandIn.many(2000, 2)
    with standin.running() as url, httpx.Client(base_url=url, auth=(DEMO_USER, DEMO_PASSWORD)) as client:
        rows = json.loads(client.get("/deployments?exclude_configs=true").content)
        assert len(rows) == 2000
        name = rows[1234]["name"]
        assert len(client.get(f"/deployments/{name}/vms").json()) == 2
        assert len(client.get("/events", params={"deployment": name}).json()) == 6
