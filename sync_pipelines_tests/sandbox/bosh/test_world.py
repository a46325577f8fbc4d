"""What happens to a Director leaves the events and tasks from which its clients work out the life of a deployment."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from sync_pipelines.sandbox.bosh import Clock, Deployment, DirectorWorld, UaaWorld, demo_world
from sync_pipelines.sandbox.bosh.events import PAGE, Event, Wanted


@pytest.fixture
def world() -> DirectorWorld:
    return DirectorWorld(clock=Clock(standing_at=1000.0))


def events_of(world: DirectorWorld, name: str) -> list[Event]:
    return world.events.page(Wanted(equal={"deployment": name}))


def test_given_nothing_when_deployed_then_lock_creation_and_its_end_are_told(world: DirectorWorld) -> None:
    task = world.deploy("a", "name: a", at=500)
    told = [(event.action, event.object_type, event.timestamp) for event in reversed(events_of(world, "a"))]
    assert told == [
        ("acquire", "lock", 500),
        ("create", "deployment", 500),
        ("create", "deployment", 500),
        ("release", "lock", 500),
    ]
    assert {event.task for event in events_of(world, "a")} == {str(task)}
    assert world.board.tasks[task].state == "done"


def test_given_a_deployment_when_deployed_anew_then_only_what_is_given_changes(world: DirectorWorld) -> None:
    world.deploy("a", "old", teams=("dba",), releases=(("redis", "1"),))
    world.update("a", "new", releases=(("redis", "2"),))
    assert world.deployments["a"] == Deployment("a", "new", releases=(("redis", "2"),), teams=("dba",))
    assert "update" in {event.action for event in events_of(world, "a")}


@pytest.mark.parametrize(("before", "manifest"), [(None, None), ("old", "old")], ids=["new", "there already"])
def test_given_a_deploy_that_fails_then_the_last_good_manifest_stays(
    world: DirectorWorld, before: str | None, manifest: str | None
) -> None:
    if before:
        world.deploy("a", before)
    task = world.deploy("a", "bad", error="'standalone/0' is not running after update")
    assert world.deployments["a"].manifest == manifest
    assert world.board.tasks[task].state == "error"
    assert next(event.error for event in events_of(world, "a") if event.error)


def test_given_a_deployment_when_deleted_and_made_again_then_it_was_created_twice(world: DirectorWorld) -> None:
    world.deploy("a", "name: a")
    world.delete("a")
    world.deploy("a", "name: a")
    actions = [event.action for event in reversed(events_of(world, "a")) if event.object_type == "deployment"]
    assert actions == ["create", "create", "delete", "delete", "create", "create"]


def test_given_an_unknown_deployment_when_updated_or_deleted_then_that_is_an_error(world: DirectorWorld) -> None:
    with pytest.raises(KeyError):
        world.update("a")
    with pytest.raises(KeyError):
        world.delete("a")


def test_given_more_events_than_a_page_when_paged_by_id_then_each_is_seen_once(world: DirectorWorld) -> None:
    world.deploy("a", "name: a")
    world.add_events(2 * PAGE, "a")
    world.add_events(3, "b")
    seen: list[int] = []
    while page := world.events.page(Wanted(before_id=seen[-1] if seen else None, equal={"deployment": "a"})):
        assert len(page) <= PAGE
        seen += [event.id for event in page]
    assert seen == list(range(2 * PAGE + 4, 0, -1))


def test_given_pruned_events_then_only_the_newest_are_left(world: DirectorWorld) -> None:
    world.deploy("a", "name: a")
    world.add_events(5, "a")
    world.events.prune(keep=5)
    assert {event.action for event in events_of(world, "a")} == {"start"}
    assert world.events.find(1) is None
    world.events.prune(keep=0)
    assert events_of(world, "a") == []


def test_given_a_director_that_keeps_no_events_when_deployed_then_there_are_none(world: DirectorWorld) -> None:
    world.events.is_recording = False
    world.deploy("a", "name: a")
    assert len(world.events) == 0


def test_given_a_lock_when_it_is_given_back_then_its_task_is_done(world: DirectorWorld) -> None:
    world.deploy("a", "name: a")
    task = world.lock("a")
    assert world.board.tasks[task].state == "processing"
    world.unlock("a")
    assert world.board.tasks[task].state == "done"
    assert not world.locks


def test_given_a_saved_demo_when_restored_then_it_goes_on_where_it_was() -> None:
    world = demo_world(uaa=UaaWorld())
    kept = {name: value for name, value in vars(world).items() if name not in ("_lock", "requests")}
    restored = DirectorWorld()
    state: dict[str, Any] = pickle.loads(pickle.dumps(kept))
    vars(restored).update(state)
    task = restored.deploy("new", "name: new")
    restored.settle()
    assert task == world.board.next_id
    assert restored.deployments.keys() == world.deployments.keys() | {"new"}
