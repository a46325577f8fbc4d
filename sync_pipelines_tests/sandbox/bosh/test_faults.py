"""Every fault of the stand-ins strikes the Director too, and it has some of its own."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.bosh import DirectorStandIn
from sync_pipelines.sandbox.bosh.faults import LISTING, deleted_after_listing, empty_error, scopes_lost, short_list
from sync_pipelines.sandbox.bosh.model import Vm
from sync_pipelines.sandbox.faults import FaultKind, Lie, Rewrite
from sync_pipelines_tests.sandbox.bosh.conftest import ADMIN

MEASURES: dict[FaultKind, dict[str, Any]] = {
    FaultKind.LATENCY: {"seconds": 0.01},
    FaultKind.HANG: {"seconds": 0.01},
    FaultKind.HANG_AFTER_COMMIT: {"seconds": 0.01},
    FaultKind.HEADERS: {"headers": {"X-Odd": "1"}},
    FaultKind.REWRITE: {"rewrite": Rewrite(Lie.OMITTED)},
}
UNHARMED = frozenset({FaultKind.LATENCY, FaultKind.SLOW_DRIP, FaultKind.HEADERS})


def outcome(client: httpx.Client, path: str = "/deployments") -> tuple[int, bytes]:
    """Return status and body; 0 when there was no whole answer."""
    try:
        answer = client.get(path)
    except httpx.HTTPError:
        return 0, b""
    return answer.status_code, answer.content


@pytest.mark.parametrize("kind", FaultKind)
def test_given_a_fault_when_listed_then_it_strikes_once_and_the_next_list_is_whole(
    standin: DirectorStandIn, client: httpx.Client, kind: FaultKind
) -> None:
    client.get("/deployments/plain")
    whole = outcome(client)
    path = "" if kind is FaultKind.PREVIOUS else LISTING
    if kind is FaultKind.PREVIOUS:
        client.get("/deployments/plain")
    armed = standin.faults.add(kind, path=path, times=1, **MEASURES.get(kind, {}))
    assert (outcome(client) == whole) is (kind in UNHARMED)
    assert armed.fired == 1
    assert outcome(client) == whole


@pytest.mark.parametrize(
    ("lie", "left"), [(Lie.EMPTY, []), (Lie.SHORT, ["plain"]), (Lie.OMITTED, ["of-dba"]), (Lie.HALF, ["plain"])]
)
def test_given_a_list_that_is_cut_then_it_looks_whole(
    standin: DirectorStandIn, client: httpx.Client, lie: Lie, left: list[str]
) -> None:
    short_list(standin.faults, lie)
    answer = client.get("/deployments?exclude_configs=true")
    assert answer.status_code == 200
    assert [row["name"] for row in answer.json()] == left


def test_given_an_empty_500_for_one_deployment_then_the_others_are_well(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    empty_error(standin.faults, "plain")
    assert outcome(client, "/deployments/plain/vms") == (500, b"")
    assert outcome(client, "/deployments/of-dba/vms") == (200, b"[]")
    assert len(client.get("/deployments").json()) == 2


def test_given_a_deletion_between_list_and_get_then_what_was_listed_is_gone(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    deleted_after_listing(standin.world, "plain")
    assert len(client.get("/deployments").json()) == 2
    gone = client.get("/deployments/plain")
    assert (gone.status_code, gone.json()["code"]) == (404, 70000)


def test_given_scopes_that_get_lost_in_the_middle_then_the_next_list_is_shorter(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    scopes_lost(standin.world, "admin", "bosh.teams.dba.admin", after=r"/vms$", skip=1)
    counts = []
    for _ in range(3):
        counts.append(len(client.get("/deployments").json()))
        client.get("/deployments/of-dba/vms")
    assert counts == [2, 2, 1]


def test_given_a_dead_agent_when_vms_are_asked_for_in_full_then_it_takes_long_and_ends_well(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    world = standin.world
    vms = (Vm("redis", 0, "id-0", "agent-0", "vm-0"), Vm("redis", 1, "id-1", "agent-1", "vm-1"))
    world.update("plain", vms=vms)
    world.set_agents("plain", dead=True, index=1)
    started = client.get("/deployments/plain/vms?format=full")
    path = httpx.URL(started.headers["Location"]).path
    world.clock.advance(world.dead_agent_seconds - 1)
    assert client.get(path).json()["state"] == "processing"
    world.clock.advance(2)
    assert client.get(path).json()["state"] == "done"
    lines = client.get(f"{path}/output?type=result").text
    assert lines.count("unresponsive agent") == 1
    assert len(client.get("/deployments/plain/vms").json()) == 2


def test_given_latency_then_every_answer_waits(standin: DirectorStandIn, client: httpx.Client) -> None:
    standin.world.set_latency(0.05)
    assert client.get("/deployments").elapsed.total_seconds() >= 0.05


def test_given_only_reads_then_the_log_has_no_write(standin: DirectorStandIn, client: httpx.Client) -> None:
    client.get("/deployments")
    assert standin.world.writes == []
    client.request("DELETE", "/deployments/plain")
    assert [(request.method, request.status) for request in standin.world.writes] == [("DELETE", 303)]
    assert standin.world.requests[0].path == "/deployments"
    assert ADMIN[1].encode() not in standin.world.requests[0].body
