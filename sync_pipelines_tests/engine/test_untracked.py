"""Records at the target whose source is not there: taken out of service step by step, where the pair wants that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError, SnapshotUnsealed
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.records import Content, Record
from sync_pipelines.engine.context import working_on
from sync_pipelines.engine.extract import extract
from sync_pipelines_tests.engine.worlds import MemoryTarget, World, is_archived, lost_reply, refused

NEXT = {"active": "archived", "archived": "stale", "stale": None}
"""State of a record -> the state after it is retired; a stale one is removed."""


class Shelf(MemoryTarget):
    """A target where a retirement takes a record one step further."""

    async def retire(self, current: Record) -> None:
        """Archive a record, then mark it as stale, then remove it."""

        def write() -> None:
            state = NEXT[self.rows[current.key].content["state"]]
            if state is None:
                self.remove(current.key)
            else:
                self.replace(current.key, content={**self.rows[current.key].content, "state": state})

        with self._request("retire", current.natural_key):
            await asyncio.sleep(0)
            self._meet("retire", current.natural_key, write)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class Policy:
    """What is due, which the test moves on as time would."""

    def __init__(self, **due: str) -> None:
        self.due = due

    def __call__(self, content: Content) -> str | None:
        return self.due.get(content["state"])


ORPHANED = "nobody has it any more"


@pytest.fixture
def policy(world: World) -> Policy:
    """A world of ten linked records and a stranger, in which only what is in service is taken out of it."""
    policy = Policy(active=ORPHANED)
    world.right = Shelf("the target")
    world.policies |= {
        "untracked": policy,
        "retired": lambda content: is_archived(content) or content["state"] == "stale",
        "quiet_seconds": 0.0,
        "guard": GuardLimits(ignore_up_to=2),
    }
    world.fill(10)
    world.reconcile()
    world.right.put("stranger", "nk-stranger", name="left behind", state="active")
    return policy


def _of(world: World, key: str) -> str | None:
    row = world.right.rows.get(key)
    return None if row is None else str(row.content["state"])


def _audited(world: World, key: str) -> list[tuple[str, bool, str | None]]:
    mine = [entry for entry in world.audit() if entry.get("key") == key]
    return [(entry["action"], entry["success"], entry.get("interrupted_run")) for entry in mine]


@pytest.mark.usefixtures("policy")
def test_given_a_stranger_it_is_retired_once_without_a_link_and_explained_by_its_natural_key(world: World) -> None:
    plan = world.reconcile(plan_only=True).plan
    assert (plan.counts["retire"], plan.counts["destructive"]) == (1, 1)
    assert (world.state("nk-stranger").state, world.state("nk-stranger").reason) == (State.PENDING, ORPHANED)

    assert world.writes_of(world.reconcile) == {"retire": 1}

    assert _of(world, "stranger") == "archived"
    assert "nk-stranger" not in world.links()
    assert (world.state("nk-stranger").state, world.state("nk-stranger").reason) == (
        State.SYNCED,
        f"retired: {ORPHANED}",
    )
    assert _audited(world, "nk-stranger") == [("retire", True, None)]
    assert world.writes_of(world.reconcile) == {}
    assert world.findings() == {("orphan", "stranger")}


def test_given_time_passing_both_a_stranger_and_a_linked_record_go_on_step_by_step_until_they_are_removed(
    world: World, policy: Policy
) -> None:
    linked = world.links()["k04"]
    world.left.remove("k04")
    assert world.writes_of(world.reconcile) == {"retire": 2}
    assert world.writes_of(world.reconcile) == {}

    policy.due["archived"] = "30 days have passed"
    assert world.writes_of(world.reconcile) == {"retire": 2}
    assert (_of(world, linked), _of(world, "stranger")) == ("stale", "stale")
    assert world.writes_of(world.reconcile) == {}
    assert world.state("k04").reason == "retired: 30 days have passed"

    policy.due["stale"] = "its removal is due"
    assert world.writes_of(world.reconcile) == {"retire": 2}
    world.reconcile()
    assert (_of(world, linked), _of(world, "stranger")) == (None, None)
    assert "k04" not in world.links()
    assert world.tally() == {State.SYNCED: 11}
    assert world.findings() == set()
    assert world.reconcile().plan.changes == 0


def test_given_a_source_that_shows_up_the_record_is_adopted_and_what_differs_is_written(
    world: World, policy: Policy
) -> None:
    policy.due["archived"] = "30 days have passed"
    world.right.script("retire", "nk-stranger", refused(FailureKind.PERMANENT, 403))
    world.reconcile()
    assert world.state("nk-stranger").state is State.DEAD_LETTERED
    world.left.put("k99", "nk-stranger", name="found", price="2", state="active")

    assert world.writes_of(world.reconcile) == {"write": 1}

    assert world.links()["k99"] == "stranger"
    assert world.agrees()
    assert world.letters() == []
    assert world.state("nk-stranger").reason == "at the source as k99"
    assert world.writes_of(world.reconcile) == {}


@pytest.mark.usefixtures("policy")
def test_given_a_source_that_shows_up_after_a_plan_was_held_its_approval_leaves_the_record_alone(
    world: World,
) -> None:
    world.policies["guard"] = GuardLimits(max_count=0)
    held = world.reconcile().plan
    assert held.state == "held"
    world.left.put("k99", "nk-stranger", name="left behind", state="active")
    asyncio.run(_read_the_source(world))

    result = world.approve(held.hash)

    assert result.applied is not None
    assert result.applied.outcomes == {"stale": 1}
    assert _of(world, "stranger") == "active"


async def _read_the_source(world: World) -> None:
    async with working_on(world.engine, world.pair, "a look", world.log) as run:
        await extract(run, "left")


def test_given_several_strangers_the_guard_counts_them_and_holds(world: World, policy: Policy) -> None:
    for name in ("second", "third"):
        world.right.put(name, f"nk-{name}", name=name, state="active")

    plan = world.reconcile().plan

    assert plan.held_reasons == ("3 of 10 linked records (30.0 %) would be retired or archived; the limit is 20 %",)
    result = world.approve(plan.hash)
    assert result.applied is not None
    assert result.applied.actions == {"retire": 3}


@pytest.mark.usefixtures("policy")
def test_given_selective_keys_a_stranger_is_left_alone(world: World) -> None:
    assert world.writes_of(lambda: world.reconcile(keys=["nk-stranger"])) == {}
    assert _of(world, "stranger") == "active"


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("guard", [GuardLimits(ignore_up_to=100), GuardLimits(enabled=False)])
def test_given_a_source_that_is_suddenly_empty_nothing_is_retired_unasked_however_often_it_is_looked_at(
    world: World, guard: GuardLimits
) -> None:
    world.policies["guard"] = guard
    world.left.rows.clear()

    for _ in range(3):
        plan = world.reconcile().plan
        assert plan.state == "held"
        assert "the listing is empty" in plan.held_reasons[0]
    assert world.right.sent["retire"] == 0


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("side", ["left", "right"])
def test_given_a_side_that_was_read_incompletely_a_stranger_is_left_alone(world: World, side: str) -> None:
    getattr(world, side).gaps = ["a page vanished"]

    assert world.reconcile(plan_only=True).plan.counts["retire"] == 0
    with pytest.raises(SnapshotUnsealed):
        world.reconcile()
    assert _of(world, "stranger") == "active"


def test_given_a_retirement_that_fails_it_is_retried_dead_lettered_and_reprocessed_by_its_natural_key(
    world: World, policy: Policy
) -> None:
    world.right.script("retire", "nk-stranger", refused(FailureKind.TRANSIENT, 503))
    world.reconcile()
    assert world.state("nk-stranger").state is State.RETRYING
    assert world.writes_of(world.reconcile) == {}
    assert world.writes_of(lambda: world.reconcile(keys=["nk-k01"])) == {}
    assert (world.state("nk-stranger").state, world.state("nk-stranger").failures) == (State.RETRYING, 1)

    world.let_time_pass()
    world.right.script("retire", "nk-stranger", refused(FailureKind.PERMANENT, 403))
    world.reconcile()
    assert [letter.key for letter in world.letters()] == ["nk-stranger"]
    world.let_time_pass()
    assert world.reconcile().plan.counts["dead_lettered"] == 1

    assert world.reprocess("nk-stranger") == ["nk-stranger"]
    assert world.writes_of(world.reconcile) == {"retire": 1}
    assert world.state("nk-stranger").state is State.SYNCED
    assert [entry[:2] for entry in _audited(world, "nk-stranger")] == [
        ("retire", False),
        ("retire", False),
        ("dead_lettered", False),
        ("retire", True),
    ]


@pytest.mark.parametrize("failure", [refused(FailureKind.TRANSIENT, 503), refused(FailureKind.PERMANENT, 403)])
@pytest.mark.parametrize("key", ["k04", "stranger"])
def test_given_a_retirement_that_is_not_wanted_any_more_no_retry_and_no_dead_letter_stays(
    world: World, policy: Policy, key: str, failure: Any
) -> None:
    if key == "k04":
        world.left.remove("k04")
        world.reconcile()
        policy.due["archived"] = "30 days have passed"
    world.right.script("retire", f"nk-{key}", failure)
    world.reconcile()
    known_as = "k04" if key == "k04" else "nk-stranger"
    assert world.state(known_as).state in (State.RETRYING, State.DEAD_LETTERED)

    policy.due.clear()
    world.reconcile()

    assert world.state(known_as).state is State.SYNCED
    assert world.letters() == []


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("step", ["archived", "stale", "removed"])
@pytest.mark.parametrize("done", [False, True])
def test_given_a_run_killed_at_a_retirement_the_next_one_ends_as_if_nothing_had_happened(
    world: World, policy: Policy, linked: bool, step: str, done: bool
) -> None:
    if linked:
        right_key, key, natural_key = world.links()["k04"], "k04", "nk-k04"
        world.right.remove("stranger")
        world.left.remove("k04")
    else:
        right_key, key, natural_key = "stranger", "nk-stranger", "nk-stranger"
    for state in ("active", "archived")[: ("archived", "stale", "removed").index(step)]:
        world.reconcile()
        policy.due[NEXT[state] or ""] = f"{state} for 30 days"
    before = len(_audited(world, key))

    def fault(_target: object, write: Any) -> None:
        if done:
            write()
        raise Killed

    world.right.script("retire", natural_key, fault)
    with pytest.raises(Killed):
        world.reconcile()
    world.reconcile()
    world.reconcile()

    assert _of(world, right_key) == (None if step == "removed" else step)
    retired = [entry for entry in _audited(world, key)[before:] if entry[0] == "retire"]
    assert [success for _, success, _ in retired] == [True]
    assert world.sql("SELECT count(*) FROM sync.effect WHERE state IN ('intended', 'in_doubt')") == [(0,)]
    assert world.tally() == {State.SYNCED: 10 + (not linked)}


@pytest.mark.usefixtures("policy")
def test_given_a_reply_that_is_lost_the_step_is_seen_to_be_taken_and_is_not_taken_twice(world: World) -> None:
    world.right.script("retire", "nk-stranger", lost_reply)

    assert world.writes_of(world.reconcile) == {"retire": 1}

    assert _of(world, "stranger") == "archived"
    assert _audited(world, "nk-stranger") == [("retire", True, None)]
    assert world.writes_of(world.reconcile) == {}


@pytest.mark.usefixtures("policy")
def test_given_a_natural_key_that_is_another_record_s_key_at_the_source_the_stranger_is_only_reported(
    world: World,
) -> None:
    world.right.replace("stranger", natural_key="k01")

    assert world.writes_of(world.reconcile) == {}
    assert world.findings() == {("orphan", "stranger")}
    assert world.state("k01").state is State.SYNCED


@pytest.mark.usefixtures("policy")
def test_given_a_pair_that_retires_nothing_a_stranger_is_only_reported(world: World) -> None:
    world.policies["retires"] = False

    assert world.writes_of(world.reconcile) == {}
    assert world.findings() == {("orphan", "stranger")}


@pytest.mark.usefixtures("policy")
def test_given_a_target_that_refuses_because_the_source_is_there_nothing_is_settled(world: World) -> None:
    def still_there(_target: object, _write: Any) -> None:
        raise PeerError("target", FailureKind.TRANSIENT, "its deployment is there")

    world.right.script("retire", "nk-stranger", still_there)
    world.reconcile()

    assert _of(world, "stranger") == "active"
    assert "its deployment is there" in world.state("nk-stranger").reason
