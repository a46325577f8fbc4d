"""The fence on the wire: who is asked before a write is sent."""

from __future__ import annotations

import asyncio

import pytest

from sync_pipelines.core.errors import LeaseLost
from sync_pipelines.core.fencing import Guard, check_fence, fenced_by


def _refuse() -> None:
    raise LeaseLost("taken over")


def test_outside_of_every_guard_a_write_may_be_sent() -> None:
    check_fence()
    with fenced_by(lambda: None):
        check_fence()
    check_fence()


def test_a_guard_stops_every_write_of_its_block_and_none_after_it() -> None:
    with fenced_by(_refuse):
        for _ in range(2):
            with pytest.raises(LeaseLost, match="taken over"):
                check_fence()
    check_fence()


def test_a_block_that_ends_with_an_error_takes_its_guard_down() -> None:
    with pytest.raises(LeaseLost), fenced_by(_refuse):
        check_fence()
    check_fence()


@pytest.mark.parametrize(("outer", "inner"), [(_refuse, lambda: None), (lambda: None, _refuse)])
def test_given_two_leases_a_write_is_stopped_by_either(outer: Guard, inner: Guard) -> None:
    with fenced_by(outer), fenced_by(inner), pytest.raises(LeaseLost):
        check_fence()
    check_fence()


def test_a_guard_goes_with_the_tasks_of_its_block_and_with_no_others() -> None:
    async def write() -> str:
        try:
            check_fence()
        except LeaseLost:
            return "refused"
        return "sent"

    async def both() -> list[str]:
        other = asyncio.create_task(write())
        with fenced_by(_refuse):
            own = asyncio.create_task(write())
        return list(await asyncio.gather(own, other))

    assert asyncio.run(both()) == ["refused", "sent"]
