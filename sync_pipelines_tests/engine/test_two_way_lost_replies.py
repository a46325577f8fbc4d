"""What is found of a write whose reply was lost is told from what a person typed, also where the peer cleans it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.two_way import Rule, Side
from sync_pipelines_tests.engine.two_way_worlds import TwoWayWorld
from sync_pipelines_tests.engine.worlds import Fault, MemoryTarget, lost_reply, refused, rolled_back

LEFT, RIGHT = Side.LEFT, Side.RIGHT


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.fixture
def world(engine: Engine) -> TwoWayWorld:
    """Two systems, one of which cuts the blanks around a note."""
    world = TwoWayWorld(engine)
    world.options["policies"] = {side: {"quiet_seconds": 0.0, "lenient_fields": frozenset({"note"})} for side in Side}
    world.erp.cleaned.add("note")
    return world


def die_after(target: MemoryTarget, write: Callable[[], None]) -> None:
    """The write is done, and the run does not live to hear of it."""
    write()
    raise Killed


def lost_with_the_look(target: MemoryTarget, write: Callable[[], None]) -> None:
    """The write is done, its reply is lost, and so is the look at what came of it."""
    target.script("read", "mug", refused(FailureKind.TRANSIENT))
    lost_reply(target, write)


@pytest.mark.parametrize("fault", [lost_reply, lost_with_the_look, die_after])
@pytest.mark.parametrize("owner", [None, LEFT, RIGHT])
def test_given_a_lost_reply_to_a_write_that_is_cleaned_then_it_is_known_as_our_own(
    world: TwoWayWorld, owner: Side | None, fault: Fault
) -> None:
    world.rules = {"note": Rule(owner)}
    world.both("mug", note="a", price="1")
    world.run()
    world.put(LEFT, "w-mug", "mug", note=" b ", price="2")
    world.erp.script("write", "mug", fault)

    with contextlib.suppress(Killed):
        world.run()
    world.sql("UPDATE sync.lease SET expires_at = clock_timestamp()")
    world.sql("UPDATE sync.record_state SET next_retry_at = now() WHERE state = 'retrying'")
    world.settle_down()

    assert world.conflicts() == []
    assert [world.shown(side)["mug"]["note"] for side in Side] == [" b ", "b"]
    assert [world.shown(side)["mug"]["price"] for side in Side] == ["2", "2"]


@pytest.mark.parametrize("fault", [lost_reply, lost_with_the_look, rolled_back, die_after])
def test_given_a_lost_reply_and_an_edit_by_a_person_meanwhile_then_it_is_no_write_of_ours(
    world: TwoWayWorld, fault: Fault
) -> None:
    world.both("mug", note="a")
    world.run()
    world.put(LEFT, "w-mug", "mug", note=" b ")

    def and_edited(target: MemoryTarget, write: Callable[[], None]) -> None:
        def write_and_edit() -> None:
            write()
            target.put("o-mug", note="typed by hand")

        target.put("o-mug", note="typed by hand")
        fault(target, write_and_edit)

    world.erp.script("write", "mug", and_edited)
    with contextlib.suppress(Killed):
        world.run()
    world.sql("UPDATE sync.lease SET expires_at = clock_timestamp()")
    world.sql("UPDATE sync.record_state SET next_retry_at = now() WHERE state = 'retrying'")
    world.settle_down()

    assert [one.data["fields"]["note"]["right"] for one in world.conflicts()] == ["typed by hand"]
    assert world.shown(RIGHT)["mug"]["note"] == "typed by hand"
