"""The Director's client understands every recorded answer of the endpoints it uses."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.sandbox.server import serve
from sync_pipelines.systems.bosh import BoshClient, BoshSession, ClientLogin, DeploymentGone, Forbidden, TaskGone
from sync_pipelines.systems.bosh.errors import is_dead_login, read_answer, refuse_failure
from sync_pipelines.systems.bosh.parsing import (
    parse_deployments,
    parse_events,
    parse_full_vms,
    parse_info,
    parse_manifest,
    parse_task,
    parse_vms,
)
from sync_pipelines.systems.bosh.scopes import granted_scopes, token_scope
from sync_pipelines.systems.bosh.session import PEER
from sync_pipelines_tests.contract.recorded_director import FOLDER, RecordedDirector, basic, content, exchanges

LOGIN = ClientLogin("admin", "the password")
CREDENTIALS = {"Basic <basic:admin>": basic("admin", "the password")}
UUID = "c0775b35-1d86-4b72-b7e2-7b882e06d7df"
MISSING = "redis-cache-small-00000000-0000-4000-8000-000000000000"
RABBIT = "rabbitmq-cluster-3-c1acc990-6424-450a-a36b-f9b3ddcb369d"
_T = TypeVar("_T")

FINE = None
MEANING = {
    (200, None): FINE,
    (204, None): FINE,
    (206, None): FINE,
    (400, None): FailureKind.PERMANENT,
    (400, 70010): FailureKind.PERMANENT,
    (401, None): FailureKind.AUTH,
    (401, 600000): FailureKind.PERMANENT,
    (404, None): FailureKind.PERMANENT,
    (404, 10000): FailureKind.TRANSIENT,
    (404, 70000): FailureKind.GONE,
    (416, None): FailureKind.PERMANENT,
    (500, None): FailureKind.TRANSIENT,
}
"""What each kind of recorded answer means, by status and code. A kind that is not here has to be thought about."""


def directors_files() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.jsonl") if not path.stem.startswith("uaa"))


def reads(file: str) -> list[dict[str, Any]]:
    return [exchange for exchange in exchanges(file) if exchange["request"]["method"] == "GET"]


def title(exchange: dict[str, Any]) -> str:
    return f"{exchange['scenario']} {exchange['step']} {exchange['request']['path']}"


def answer_of(exchange: dict[str, Any]) -> httpx.Response:
    told = exchange["response"]
    return httpx.Response(told["status"], headers=told["headers"], content=content(exchange))


def code_in(exchange: dict[str, Any]) -> int | None:
    body = exchange["response"]["body"]
    if isinstance(body, str) and body.startswith('{"code"'):
        body = json.loads(body)
    return body.get("code") if isinstance(body, dict) and exchange["response"]["status"] >= 400 else None


def refusal(exchange: dict[str, Any]) -> PeerError | None:
    try:
        refuse_failure(PEER, title(exchange), answer_of(exchange), redactor=Redactor())
    except PeerError as error:
        return error
    return None


@pytest.mark.parametrize("file", directors_files())
def test_every_recorded_answer_to_a_read_has_its_meaning(file: str) -> None:
    for exchange in reads(file):
        status, code = exchange["response"]["status"], code_in(exchange)
        if status == 302:
            continue
        error = refusal(exchange)
        assert (error.kind if error else FINE) is MEANING[status, code], title(exchange)
        assert isinstance(error, Forbidden) == (code == 600000), title(exchange)
        assert isinstance(error, DeploymentGone) == (code == 70000), title(exchange)
        assert isinstance(error, TaskGone) == (code == 10000), title(exchange)
        assert is_dead_login(answer_of(exchange)) == (status == 401 and code is None), title(exchange)
        assert error is None or 0 < len(error.message) < 500, title(exchange)


def deployments(rows: Any) -> Any:
    first = rows[0] if rows else {}
    return parse_deployments(
        rows, releases="releases" in first, stemcells="stemcells" in first, locks="locked" in first
    )


PARSERS: dict[str, Callable[[Any], Any]] = {
    r"/info": parse_info,
    r"/deployments/?": deployments,
    r"/deployments/[^/]+": parse_manifest,
    r"/deployments/[^/]+/vms": parse_vms,
    r"/tasks/\d+": parse_task,
    r"/events": parse_events,
}


@pytest.mark.parametrize("pattern", PARSERS)
def test_every_recorded_object_of_the_endpoints_in_use_is_parsed(pattern: str) -> None:
    parsed = 0
    for exchange in (exchange for file in directors_files() for exchange in reads(file)):
        path, told = exchange["request"]["path"], exchange["response"]
        if re.fullmatch(pattern, path) and told["status"] == 200:
            value = read_answer(PEER, title(exchange), answer_of(exchange), redactor=Redactor())
            found = PARSERS[pattern](value)
            assert not isinstance(value, list) or len(found) == len(value), title(exchange)
            parsed += 1
    assert parsed


def test_every_recorded_result_of_a_task_is_parsed() -> None:
    groups = set()
    for exchange in reads("tasks"):
        request, told = exchange["request"], exchange["response"]
        if request["query"] != {"type": "result"} or told["status"] != 200 or "Range" in request["headers"]:
            continue
        vms = parse_full_vms(content(exchange))
        lines = [json.loads(line) for line in content(exchange).splitlines()]
        assert {vm.cid for vm in vms} == {line["vm_cid"] for line in lines}, title(exchange)
        assert [(vm.job, vm.index) for vm in vms] == sorted((line["job_name"], line["index"]) for line in lines)
        groups |= {(vm.job_state, vm.vitals is None) for vm in vms}
    assert {("running", False), ("starting", True), ("failing", False), ("unresponsive agent", True)} <= groups


def test_the_documented_token_answers_tell_their_scopes() -> None:
    answers = [exchange["response"]["body"] for exchange in exchanges("uaa_token_documented")]
    scopes = [granted_scopes(answer) for answer in answers if "access_token" in answer]
    assert [token_scope(each, UUID).identity for each in scopes] == ["bosh.read"] * 3


def talk(director: RecordedDirector, conversation: Callable[[BoshClient], Awaitable[_T]], **options: Any) -> _T:
    """Hold a conversation without waiting, in which every request is one that was recorded."""

    async def at_once(seconds: float) -> None:
        await asyncio.sleep(0)

    async def run(url: str) -> _T:
        async with BoshSession(url, LOGIN, **{"auth": "basic", "read_delay": 0.0, **options}) as session:
            return await conversation(BoshClient(session, sleep=at_once))

    with serve(director) as url:
        try:
            return asyncio.run(run(url))
        finally:
            assert director.unknown == []


def failure(
    director: RecordedDirector, conversation: Callable[[BoshClient], Awaitable[Any]], **options: Any
) -> PeerError:
    with pytest.raises(PeerError) as caught:
        talk(director, conversation, **options)
    return caught.value


@pytest.mark.parametrize("step", range(1, 10))
def test_each_manifest_is_read(step: int) -> None:
    director = RecordedDirector("deployments", "get_deployment", CREDENTIALS)
    [exchange] = [exchange for exchange in director.recorded() if exchange["step"] == step]
    name = exchange["request"]["path"].rpartition("/")[2]
    manifest = talk(director, lambda client: client.manifest(name))
    assert manifest == exchange["response"]["body"]["manifest"]


def test_a_missing_deployment_is_absent_in_every_way() -> None:
    director = RecordedDirector("deployments", "get_missing", CREDENTIALS)
    assert talk(director, lambda client: client.is_present(MISSING)) is False
    reads: list[Callable[[BoshClient], Awaitable[Any]]] = [
        lambda client: client.manifest(MISSING),
        lambda client: client.vms(MISSING),
        lambda client: client.vms_full(MISSING),
    ]
    for read in reads:
        assert isinstance(failure(director, read), DeploymentGone)


def test_the_locked_deployment_is_listed_as_locked() -> None:
    director = RecordedDirector("deployments", "locked", CREDENTIALS)
    found = talk(director, lambda client: client.deployments(releases=False, stemcells=False))
    assert [entry.name for entry in found.entries if entry.locked] == [RABBIT]
    assert len(found.entries) == 14


@pytest.mark.parametrize(
    ("scenario", "name", "states"),
    [
        ("vms_full", RABBIT, ["running"] * 3),
        (
            "vms_full_vitals_null",
            "postgresql-cluster-medium-b120a366-f0bb-49cf-82f2-dc05873f9bd0",
            ["starting", "running", "running"],
        ),
        (
            "vms_full_unresponsive_agent",
            "redis-cache-small-ha-6301bbfc-a0c5-454e-8ff9-bb510944fe0c",
            ["running", "running", "unresponsive agent"],
        ),
        # Its cancellation was accepted, and it ended well all the same.
        (
            "cancel_processing",
            "postgresql-standalone-medium-66080f17-4c96-48e2-9cbd-0ba3a1a6bcde",
            ["unresponsive agent"],
        ),
    ],
)
def test_a_task_is_followed_to_its_result(scenario: str, name: str, states: list[str]) -> None:
    director = RecordedDirector("tasks", scenario, CREDENTIALS)
    assert [vm.job_state for vm in talk(director, lambda client: client.vms_full(name))] == states


def test_a_cancelled_task_is_told() -> None:
    director = RecordedDirector("tasks", "cancel_queued", CREDENTIALS)
    name = "rabbitmq-single-node-9ad9b9a2-5e78-454d-b065-a1c284cc4549"
    failed = failure(director, lambda client: client.vms_full(name))
    assert (type(failed).__name__, "task cancelled" in failed.message) == ("TaskCancelled", True)


async def all_events(client: BoshClient, name: str) -> list[int]:
    async def events() -> AsyncIterator[int]:
        async for event in client.events(name):
            yield event.id

    return [number async for number in events()]


def test_the_events_of_a_deployment_are_read() -> None:
    director = RecordedDirector("events", "filters", CREDENTIALS)
    name = "redis-cache-small-3ceaaf30-8142-48ea-91d9-3080f9b439fc"
    recorded = next(
        exchange for exchange in director.recorded() if exchange["request"]["query"] == {"deployment": name}
    )
    found = talk(director, lambda client: all_events(client, name))
    assert found == [int(event["id"]) for event in recorded["response"]["body"]]
    assert talk(director, lambda client: all_events(client, "nope")) == []


@pytest.mark.parametrize(
    ("scope", "everything", "listed"),
    [
        ("bosh.admin", True, 14),
        ("bosh.read", True, 14),
        ("bosh.<director uuid>.read", True, 14),
        ("bosh.<other uuid>.read", None, None),
        ("bosh.teams.dba.admin", False, 1),
        ("bosh.teams.nobody.admin", False, 0),
    ],
)
def test_a_filtered_list_is_known_by_its_tokens_scope(scope: str, everything: bool | None, listed: int | None) -> None:
    director = RecordedDirector("auth", "uaa_scopes", {f"bearer <token:{scope}>": "bearer the-token"})
    granted = scope.replace("<director uuid>", UUID).replace("<other uuid>", "11111111-1111-4111-8111-111111111111")
    [info] = [exchange for exchange in exchanges("auth") if exchange["scenario"] == "info_uaa"]

    async def hand_out(request: Any) -> Response:
        if request.url.path == "/info":
            return Response(content(info), media_type="application/json")
        answer = {"access_token": "the-token", "token_type": "bearer", "expires_in": 599, "scope": granted}
        return Response(json.dumps(answer), media_type="application/json;charset=UTF-8")

    uaa = Starlette(routes=[Route("/oauth/token", hand_out, methods=["POST"]), Route("/info", hand_out)])
    uaa.mount("/", director)

    async def listing(url: str) -> Any:
        async with BoshSession(url, LOGIN, uaa_url=url) as session:
            return await BoshClient(session).deployments(releases=False, stemcells=False)

    with serve(uaa) as url:
        if listed is None:
            with pytest.raises(Forbidden):
                asyncio.run(listing(url))
        else:
            found = asyncio.run(listing(url))
            assert (found.scope.identity, found.scope.sees_everything) == (granted, everything)
            assert len(found.entries) == listed
    assert director.unknown == []


def test_a_directors_info_tells_how_to_log_in() -> None:
    told = {
        exchange["scenario"]: parse_info(exchange["response"]["body"])
        for exchange in exchanges("auth")
        if exchange["request"]["path"] == "/info"
    }
    assert (told["info_basic"].uuid, told["info_basic"].auth, told["info_basic"].uaa_url) == (UUID, "basic", None)
    assert (told["info_uaa"].auth, told["info_uaa"].uaa_url) == ("uaa", "http://uaa.test:8443")
