import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.bosh import (
    BoshClient,
    DeploymentGone,
    Event,
    Forbidden,
    InvalidName,
    Life,
    TaskCancelled,
    TaskFailed,
    TaskGone,
    TaskTimedOut,
    VmFull,
)
from sync_pipelines_tests.systems.bosh.director import Director, error, reply

NAME = "redis-small-1"
AT = f"/deployments/{NAME}"
FULL_VM = b'{"id": "i-%d", "job_name": "redis", "index": %d, "vitals": null, "job_state": null}\n'
GONE = error(70000, f"Deployment '{NAME}' doesn't exist", 404)
START = datetime(2026, 10, 1, tzinfo=UTC)


def entry(**changes: Any) -> dict[str, Any]:
    listed = {"name": NAME, "teams": [], "releases": [], "stemcells": [], "locked": False}
    return {**listed, **changes}


def event(number: int, action: str = "update", **changes: Any) -> dict[str, Any]:
    told = {
        "id": str(number),
        "timestamp": int(START.timestamp()) + number,
        "user": "admin",
        "action": action,
        "object_type": "deployment",
        "object_name": NAME,
        "deployment": NAME,
        "task": str(number * 10),
    }
    return {**told, **changes}


def events_of(*events: dict[str, Any]) -> Callable[[Request], Response]:
    """A Director's pages of these events, given oldest first."""

    def page(request: Request) -> Response:
        query = request.query_params
        before = int(query.get("before_id", 10**9))
        kinds = {query["object_type"]} if "object_type" in query else {"deployment", "instance", "lock"}
        found = [item for item in reversed(events) if int(item["id"]) < before and item["object_type"] in kinds]
        return reply(found[:200])

    return page


def moment(number: int) -> datetime:
    return datetime.fromtimestamp(START.timestamp() + number, UTC)


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, "exclude_configs=true"),
        ({"releases": False, "stemcells": False}, "exclude_configs=true&exclude_releases=true&exclude_stemcells=true"),
        ({"locks": False}, "exclude_configs=true&exclude_lock=true"),
    ],
)
def test_only_what_is_wanted_is_asked_for(director: Director, options: dict[str, bool], query: str) -> None:
    director.answers("/deployments", reply([entry()]))
    [found] = director.talk(lambda client: client.deployments(**options)).entries
    assert director.requests[-1].url.query == query
    assert (found.releases is None, found.locked is None) == ("releases" in query, "lock=" in query)


@pytest.mark.parametrize(
    "row",
    [
        None,
        "redis",
        entry(name=None),
        entry(name=""),
        entry(teams="dba"),
        entry(releases=None),
        entry(releases=[{"name": "redis"}]),
        entry(stemcells=[{"name": "jammy", "version": 1}]),
        entry(locked="no"),
        entry(locked=None),
    ],
)
def test_a_list_with_one_unreadable_entry_is_no_list(director: Director, row: Any) -> None:
    director.answers("/deployments", reply([entry(name="another"), row]))
    assert director.refused(lambda client: client.deployments()).kind is FailureKind.TRANSIENT


@pytest.mark.parametrize("body", [{"deployments": []}, None, [entry(), entry()]])
def test_what_is_no_list_or_lists_twice_is_refused(director: Director, body: Any) -> None:
    director.answers("/deployments", reply(body))
    assert director.refused(lambda client: client.deployments()).kind is FailureKind.TRANSIENT


def test_the_manifest_is_handed_out_as_it_is(director: Director) -> None:
    director.answers(AT, reply({"manifest": "--- é\n\t:"}))
    assert director.talk(lambda client: client.manifest(NAME)) == "--- é\n\t:"


@pytest.mark.parametrize("body", [{}, {"manifest": {"password": "hunter2"}}, [], "text"])
def test_an_unreadable_manifest_is_refused_without_repeating_it(director: Director, body: Any) -> None:
    director.answers(AT, reply(body))
    failed = director.refused(lambda client: client.manifest(NAME))
    assert (failed.kind, "hunter2" in str(failed)) == (FailureKind.TRANSIENT, False)


@pytest.mark.parametrize(
    ("answer", "present"), [(reply({"manifest": None}), True), (reply({"manifest": ""}), True), (GONE, False)]
)
def test_a_deployment_is_absent_only_when_the_director_says_so(
    director: Director, answer: Response, present: bool
) -> None:
    director.answers(AT, answer)
    assert director.talk(lambda client: client.is_present(NAME)) is present


@pytest.mark.parametrize(
    "answer",
    [
        error(10000, "Task 1 not found", 404),
        error(600000, "Require one of the scopes", 401),
        Response("<html>404</html>", 404),
        Response("Endpoint '/deployments/x' not found.", 404),
        Response("", 404),
        Response("", 500),
        reply({}),
    ],
)
def test_no_other_answer_makes_a_deployment_absent(director: Director, answer: Response) -> None:
    director.answers(AT, answer)
    assert director.refused(lambda client: client.is_present(NAME)).kind is not FailureKind.GONE


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../info", "a\\b", "a\nb", "a\x7f", "\ud800"])
def test_a_name_that_would_address_something_else_is_refused_unsent(director: Director, name: str) -> None:
    async def collected(client: BoshClient) -> list[Event]:
        return [event async for event in client.events(name)]

    reads: list[Callable[[BoshClient], Awaitable[Any]]] = [
        lambda client: client.manifest(name),
        lambda client: client.is_present(name),
        lambda client: client.vms(name),
        lambda client: client.vms_full(name),
        lambda client: client.life_of(name),
        collected,
    ]
    for read in reads:
        failed = director.refused(read)
        assert (type(failed), failed.kind) == (InvalidName, FailureKind.PERMANENT)
    assert director.paths == []


def test_a_name_is_sent_percent_encoded(director: Director) -> None:
    director.answers("/deployments/a b%ü?/vms", reply([]))
    assert director.talk(lambda client: client.vms("a b%ü?")) == ()
    assert director.requests[-1].scope["raw_path"] == b"/deployments/a%20b%25%C3%BC%3F/vms"


def test_vms_are_read_without_a_task(director: Director) -> None:
    rows = [{"id": "i", "job": "redis", "index": 0, "cid": "vm", "ips": ["10.0.0.1"], "new_key": {}}]
    director.answers(f"{AT}/vms", reply([{**rows[0], "vm_created_at": "2026-10-12T19:02:18Z"}]))
    [vm] = director.talk(lambda client: client.vms(NAME))
    assert (vm.job, vm.index, vm.ips, vm.active) == ("redis", 0, ("10.0.0.1",), None)
    assert vm.created_at == datetime(2026, 10, 12, 19, 2, 18, tzinfo=UTC)


class TaskDirector:
    """A Director that answers ``format=full`` with a task."""

    def __init__(self, director: Director, *states: str, result: str | None = "", location: str = "") -> None:
        self.director = director
        director.answers(f"{AT}/vms", Response("", 302, {"Location": location or "/tasks/7"}))
        tasks = [reply({"id": 7, "state": state, "description": "vms", "result": result}) for state in states]
        director.answers("/tasks/7", *tasks)
        director.answers("/tasks/7/output", Response(FULL_VM % (2, 1) + FULL_VM % (1, 0)))

    def vms(self, **options: Any) -> tuple[VmFull, ...]:
        return self.director.talk(lambda client: client.vms_full(NAME, **options))

    def failure(self, **options: Any) -> PeerError:
        return self.director.refused(lambda client: client.vms_full(NAME, **options))


def test_full_vms_are_read_when_the_task_is_done(director: Director) -> None:
    found = TaskDirector(director, "queued", "processing", "cancelling", "done").vms()
    assert [(vm.id, vm.index, vm.vitals, vm.job_state) for vm in found] == [
        ("i-1", 0, None, None),
        ("i-2", 1, None, None),
    ]
    assert director.slept == [0.5] * 3
    assert [request.url.query for request in director.requests if request.url.path.startswith(AT)] == ["format=full"]


@pytest.mark.parametrize(
    "location",
    ["http://elsewhere.test:25555/tasks/7", "https://[::1]/prefix/tasks/7", "//elsewhere.test/tasks/7/"],
)
def test_the_task_is_asked_for_at_the_director_wherever_the_redirect_points(director: Director, location: str) -> None:
    assert len(TaskDirector(director, "done", location=location).vms()) == 2
    assert director.paths[-2:] == ["/tasks/7", "/tasks/7/output"]


@pytest.mark.parametrize("location", ["", "http://sso.test/login", "http://[", "/tasks/abc", "/tasks/7/../../x", "/x"])
def test_a_redirect_to_no_task_is_refused(director: Director, location: str) -> None:
    director.answers(f"{AT}/vms", Response("", 302, {"Location": location}))
    assert director.refused(lambda client: client.vms_full(NAME)).kind is FailureKind.PERMANENT
    assert director.paths == ["/info", f"{AT}/vms"]


@pytest.mark.parametrize(
    ("state", "error_type"),
    [("error", TaskFailed), ("cancelled", TaskCancelled), ("timeout", TaskTimedOut), ("paused", PeerError)],
)
def test_a_task_that_ends_otherwise_is_told_with_its_reason(
    director: Director, state: str, error_type: type[PeerError]
) -> None:
    failed = TaskDirector(director, "processing", state, result="agent is dead").failure()
    assert (type(failed), failed.kind) == (error_type, FailureKind.TRANSIENT)
    assert state == "paused" or "agent is dead" in failed.message


def test_a_task_is_not_waited_for_longer_than_its_deadline(director: Director) -> None:
    failed = TaskDirector(director, "queued").failure(deadline=3.0)
    assert (type(failed), sum(director.slept)) == (TaskTimedOut, 3.0)


def test_a_task_that_was_thrown_away_says_nothing_about_its_deployment(director: Director) -> None:
    task = TaskDirector(director, "done")
    director.answers("/tasks/7/output", error(10000, "Task 7 not found", 404))
    failed = task.failure()
    assert (type(failed), failed.kind) == (TaskGone, FailureKind.TRANSIENT)


def test_a_result_that_was_cut_is_refused(director: Director) -> None:
    task = TaskDirector(director, "done")
    director.answers("/tasks/7/output", Response((FULL_VM % (1, 0))[:-9]))
    assert task.failure().kind is FailureKind.TRANSIENT


@pytest.mark.parametrize("answer", [Response(b""), Response(b"", 204)])
def test_a_deployment_without_vms_has_an_empty_result(director: Director, answer: Response) -> None:
    task = TaskDirector(director, "done")
    director.answers("/tasks/7/output", answer)
    assert task.vms() == ()


@pytest.mark.parametrize(
    ("answer", "error_type"),
    [(GONE, DeploymentGone), (error(600000, "scopes", 401), Forbidden), (reply([]), PeerError)],
)
def test_no_task_is_looked_for_when_none_was_started(
    director: Director, answer: Response, error_type: type[PeerError]
) -> None:
    director.answers(f"{AT}/vms", answer)
    assert type(director.refused(lambda client: client.vms_full(NAME))) is error_type


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (199, 1), (200, 2), (201, 2), (450, 3)])
def test_events_are_read_to_the_first_one(director: Director, count: int, requests: int) -> None:
    director.answers("/events", events_of(*(event(number) for number in range(1, count + 1))))

    async def collected(client: BoshClient) -> list[int]:
        return [item.id async for item in client.events(NAME)]

    assert director.talk(collected) == list(range(count, 0, -1))
    assert director.paths.count("/events") == requests


@pytest.mark.parametrize(
    "rows",
    [
        [event(number) for number in range(200, 0, -1)],
        [event(1), event(2)],
        [event(2), event(1, deployment="another")],
        [event(1, deployment=None)],
        [event(1, object_type="lock")],
    ],
    ids=["the same page for ever", "wrong order", "another deployment", "no deployment", "another kind"],
)
def test_a_server_that_ignores_the_filters_is_refused(director: Director, rows: list[dict[str, Any]]) -> None:
    director.answers("/events", reply(rows))
    assert director.refused(lambda client: client.life_of(NAME)).kind is FailureKind.PERMANENT


@pytest.mark.parametrize(
    "row", [event(1, id=1), event(1, id="x"), event(1, timestamp=None), event(1, timestamp=10**18)]
)
def test_an_unreadable_event_is_refused(director: Director, row: dict[str, Any]) -> None:
    director.answers("/events", reply([row]))
    assert director.refused(lambda client: client.life_of(NAME)).kind is FailureKind.TRANSIENT


@pytest.mark.parametrize(
    ("events", "life"),
    [
        ([], Life()),
        ([event(1, "delete")], Life()),
        ([event(1, "create"), event(2, "create")], Life(moment(1), moment(2), "20")),
        ([event(1, "deploy"), event(2, "delete")], Life(moment(1), moment(1), "10")),
        ([event(1, "create_deployment"), event(2), event(3, "update_deployment")], Life(moment(1), moment(3), "30")),
        ([event(5), event(6, task=None)], Life(None, moment(6), "50")),
        ([event(1, "create"), event(2, "create", object_type="instance")], Life(moment(1), moment(1), "10")),
        ([event(1, "create"), *(event(number) for number in range(2, 602))], Life(moment(1), moment(601), "6010")),
    ],
    ids=["none", "deletion", "creation", "deploy", "updates", "creation pruned", "instances", "600 updates"],
)
def test_a_life_is_told_by_the_events_that_are_left(
    director: Director, events: list[dict[str, Any]], life: Life
) -> None:
    director.answers("/events", events_of(*events))
    assert director.talk(lambda client: client.life_of(NAME)) == life


@pytest.mark.parametrize(
    ("older", "requests", "is_told"), [(0, 1, True), (190, 1, True), (198, 1, False), (198, 2, True), (500, 2, False)]
)
def test_the_lives_of_all_are_told_when_few_enough_requests_do(
    director: Director, older: int, requests: int, is_told: bool
) -> None:
    recent = [event(601, "create"), event(602, deployment="another", object_name="another")]
    director.answers("/events", events_of(*(event(number) for number in range(1, older + 1)), *recent))

    lives = director.talk(lambda client: client.lives(requests))

    told = {NAME: Life(moment(601), moment(601), "6010"), "another": Life(None, moment(602), "6020")}
    assert lives == (told if is_told else None)
    assert director.paths.count("/events") <= requests


def test_reads_of_many_deployments_may_run_together(director: Director) -> None:
    for number in range(20):
        director.answers(f"/deployments/{number}", reply({"manifest": str(number)}))

    async def together(client: BoshClient) -> list[str | None]:
        return await asyncio.gather(*(client.manifest(str(number)) for number in range(20)))

    assert director.talk(together, max_in_flight=5) == [str(number) for number in range(20)]
