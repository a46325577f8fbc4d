"""The Director stand-in answers every recorded request as the real Director 282 did.

Time stands still in the stand-in and is moved until each task is in its recorded state, so that a poll is compared with
what the Director said at that moment. Ids of Directors, deployments, VMs, tasks and events are those of the recording.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from sync_pipelines.sandbox.bosh import DirectorStandIn, DirectorWorld, UaaStandIn, UaaWorld
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.server import serve
from sync_pipelines_tests.contract.bosh_recordings import (
    BEGAN_AT,
    HOST,
    UAA_URL,
    authorization,
    recorded_tasks,
    recorded_world,
    steps,
)
from sync_pipelines_tests.contract.replay import Step, explain

COMPARED_HEADERS = ("Content-Type", "WWW-Authenticate", "Location", "Content-Range")

# What agents measure, when tasks ran, and what was built when: only the kind of value is compared.
VOLATILE = frozenset({"vitals", "processes", "timestamp", "started_at", "time", "commit_hash", "cid"})


def test_given_the_deployment_recordings_when_replayed_then_every_answer_agrees() -> None:
    assert_agrees("deployments", steps("deployments"))


def test_given_the_event_recordings_when_replayed_then_every_answer_agrees() -> None:
    assert_agrees("events", steps("events"))


def test_given_the_task_recordings_when_replayed_then_every_answer_agrees() -> None:
    assert_agrees("tasks", steps("tasks"))


def test_given_the_recordings_with_passwords_when_replayed_then_every_answer_agrees() -> None:
    assert_agrees("auth", tuple(step for step in steps("auth") if "basic" in step.scenario))


def test_given_the_recordings_with_tokens_when_replayed_then_every_answer_agrees() -> None:
    uaa = UaaWorld(Clock(standing_at=BEGAN_AT))
    uaa.url = UAA_URL
    assert_agrees("auth", tuple(step for step in steps("auth") if "uaa" in step.scenario), uaa)


def assert_agrees(name: str, recorded: tuple[Step, ...], uaa: UaaWorld | None = None) -> None:
    """Replay steps in order against one Director and compare all answers."""
    world = recorded_world(name, uaa)
    standin = DirectorStandIn(world)
    failures = []
    with serve(standin.app) as url, httpx.Client(base_url=url, headers={"Host": HOST}) as client:
        for step in recorded:
            wait_for(world, recorded_tasks(step))
            answer = client.send(request(client, step, uaa))
            if found := list(differences(step, answer)):
                failures.append((step, [*found, f"answered {answer.text[:300]}"]))
    assert recorded
    assert not failures, explain(failures)


def wait_for(world: DirectorWorld, states: dict[int, str]) -> None:
    """Let time pass until tasks are in some states, or until they never will be."""
    for _ in range(400):
        world.settle()
        if all(task.state == states[task.id] for task in world.board.tasks.values() if task.id in states):
            return
        world.clock.advance(0.05)


def request(client: httpx.Client, step: Step, uaa: UaaWorld | None) -> httpx.Request:
    """Return a recorded request with credentials in the place of placeholders."""
    asked = step.request
    headers = dict(asked["headers"])
    if "Authorization" in headers:
        headers["Authorization"] = authorization(headers["Authorization"], uaa)
    body = asked["body"]
    content = body if isinstance(body, str) or body is None else json.dumps(body)
    return client.build_request(asked["method"], asked["path"], params=asked["query"], headers=headers, content=content)


def differences(step: Step, answer: httpx.Response) -> Iterator[str]:
    """Yield what is not as recorded."""
    recorded = step.response
    if answer.status_code != recorded["status"]:
        yield f"status {answer.status_code}, recorded {recorded['status']}"
    is_log = step.scenario == "debug_output"
    for name in COMPARED_HEADERS:
        if recorded["headers"].get(name) != answer.headers.get(name) and not (is_log and name == "Content-Range"):
            yield f"{name} {answer.headers.get(name)!r}, recorded {recorded['headers'].get(name)!r}"
    if is_log:
        if not answer.text.startswith("I, ["):
            yield "no log"
    elif "Content-Range" in recorded["headers"] and step.scenario == "result_range":
        # The lines come in the order in which the agents answered.
        if len(answer.text) != len(recorded["body"]):
            yield "another length"
    else:
        yield from compare(shown(recorded["body"]), shown(body(step, answer)), "body")


def body(step: Step, answer: httpx.Response) -> Any:
    """Return a body in the form in which it was recorded."""
    is_text = isinstance(step.response["body"], str)
    return None if not answer.content else answer.text if is_text else answer.json()


def shown(recorded: Any) -> Any:
    """Return lines of JSON as what they say, and lists whose order means nothing, in a fixed order."""
    if isinstance(recorded, str) and recorded.startswith('{"') and recorded.endswith("}\n"):
        return sorted((json.loads(line) for line in recorded.splitlines()), key=lambda line: str(line.get("id", "")))
    if isinstance(recorded, list) and recorded and "operating_system" in recorded[0]:
        users = [sorted(user["name"] for user in row["deployments"]) for row in recorded]
        # Ids tell only which stemcell was uploaded first.
        return [{**row, "deployments": names, "id": 0} for row, names in zip(recorded, users, strict=True)]
    return recorded


def compare(recorded: Any, seen: Any, place: str) -> Iterator[str]:
    """Yield differences of two JSON values; key order counts too."""
    if place.rpartition(".")[2] in VOLATILE:
        if kind(recorded) != kind(seen):
            yield f"{place}: {seen!r}, recorded {recorded!r}"
    elif isinstance(recorded, dict) and isinstance(seen, dict):
        if list(recorded) != list(seen):
            yield f"{place}: keys {list(seen)}, recorded {list(recorded)}"
        for name in recorded.keys() & seen.keys():
            yield from compare(recorded[name], seen[name], f"{place}.{name}")
    elif isinstance(recorded, list) and isinstance(seen, list):
        if len(recorded) != len(seen):
            yield f"{place}: {len(seen)} items, recorded {len(recorded)}"
        for index, (left, right) in enumerate(zip(recorded, seen, strict=False)):
            yield from compare(left, right, f"{place}[{index}]")
    elif type(recorded) is not type(seen) or recorded != seen:
        yield f"{place}: {seen!r}, recorded {recorded!r}"


def kind(value: Any) -> Any:
    """Return the structure of a value without its values."""
    if isinstance(value, dict):
        return {name: kind(item) for name, item in value.items()}
    if isinstance(value, list):
        return [kind(item) for item in value]
    return type(value).__name__


@pytest.mark.parametrize("step", steps("uaa_token_documented"), ids=lambda step: f"step {step.number}")
def test_given_a_documented_token_request_when_sent_then_the_answer_has_its_form(step: Step) -> None:
    uaa = UaaWorld()
    uaa.add_client("director-reader", "secret", "bosh.read", lifetime=600)
    uaa.add_user("reader", "password", "bosh.read")
    standin = UaaStandIn(uaa)
    refresh = uaa.sign("bosh_cli", ("bosh.read",), user="reader", seconds=60, is_refresh=True)
    form = dict(parse_qsl(step.request["body"]))
    client = "director-reader:secret" if form["grant_type"] == "client_credentials" else "bosh_cli:"
    if step.response["status"] == 401:
        client = client.replace("secret", "wrong")
        uaa.clock.advance(61)
    form |= {"username": "reader", "password": "password"} if form["grant_type"] == "password" else {}
    form |= {"refresh_token": refresh} if "refresh_token" in form else {}
    headers = dict(step.request["headers"], Authorization=f"Basic {base64.b64encode(client.encode()).decode()}")
    with standin.running() as url:
        answer = httpx.request("POST", f"{url}/oauth/token", headers=headers, content=urlencode(form))
    assert answer.status_code == step.response["status"]
    assert answer.headers["Content-Type"] == step.response["headers"]["Content-Type"]
    assert kind(answer.json()) == kind(step.response["body"])
    for name in answer.json().keys() & {"error", "error_description", "scope", "expires_in", "token_type"}:
        assert answer.json()[name] == step.response["body"][name]
