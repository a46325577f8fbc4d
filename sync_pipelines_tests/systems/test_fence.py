"""A run whose lease may be somebody else's sends no write; what only reads goes on."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from sync_pipelines.core.errors import LeaseLost
from sync_pipelines.core.fencing import check_fence, fenced_by
from sync_pipelines.engine.hold import Hold
from sync_pipelines.store.leases import Lease
from sync_pipelines.systems.throttle import NoThrottle
from sync_pipelines.systems.transport import Transport
from sync_pipelines_tests.systems.scripted_peer import answer, scripted_peer

SHORT = 0.1


class Slow(NoThrottle):
    """A rate limit whose turn comes after the lease is over."""

    async def admit(self, peer: str) -> None:
        await asyncio.sleep(2 * SHORT)


def _hold(seconds: float) -> Hold:
    return Hold(Lease("offerings/nordlys", "run-1", 7, datetime.now(UTC)), time.monotonic(), seconds)


@pytest.mark.parametrize(
    ("method", "write", "seconds", "sent"),
    [
        ("POST", None, SHORT, False),
        ("PATCH", None, SHORT, False),
        ("DELETE", None, SHORT, False),
        ("GET", True, SHORT, False),
        ("GET", None, SHORT, True),
        ("POST", False, SHORT, True),
        ("POST", None, 60.0, True),
    ],
)
def test_given_a_lease_that_ends_while_a_request_waits_for_its_turn_then_no_write_leaves(
    method: str, write: bool | None, seconds: float, sent: bool
) -> None:
    async def work() -> int:
        hold = _hold(seconds)
        async with scripted_peer([answer(200, {})]) as peer, Transport("peer", peer.url, throttle=Slow()) as transport:
            with fenced_by(hold.check):
                task = asyncio.create_task(transport.request(method, "things/1", write=write))
            if sent:
                await task
            else:
                with pytest.raises(LeaseLost, match="run-1 lost its lease on offerings/nordlys"):
                    await task
            return len(peer.requests)

    assert asyncio.run(work()) == int(sent)


def test_given_a_renewed_lease_then_it_is_held_from_the_moment_the_renewal_was_asked_for() -> None:
    hold = _hold(0.0)
    with pytest.raises(LeaseLost):
        hold.check()
    hold.renewed(time.monotonic() - 10, 11)
    hold.check()
    hold.renewed(time.monotonic() - 10, 9)
    with pytest.raises(LeaseLost):
        hold.check()


def test_given_no_guard_then_everything_may_be_sent() -> None:
    with fenced_by(_hold(0.0).check), pytest.raises(LeaseLost):
        check_fence()
    check_fence()
