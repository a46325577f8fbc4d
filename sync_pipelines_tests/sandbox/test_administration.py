"""The routes that change a stand-in's world from outside answer alike, whatever the world."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from sync_pipelines.sandbox.administration import Administered
from sync_pipelines.sandbox.server import serve


class Refused(Exception):
    """The world says no."""


class RefusedFully(Refused):
    """It says no, and means it."""


def _refuse(arguments: Mapping[str, Any]) -> None:
    raise RefusedFully(f"not {arguments['what']}")


@pytest.fixture
def guard() -> threading.Lock:
    return threading.Lock()


@pytest.fixture
def client(guard: threading.Lock) -> Iterator[httpx.Client]:
    actions = {
        "double": lambda a: 2 * int(a["number"]),
        "refuse": _refuse,
        "look": lambda _: guard.locked(),
    }
    served = Administered(
        PlainTextResponse("the application"),
        "/_sandbox/world",
        actions,
        lambda: {"size": 3},
        guard=guard,
        refusals={Refused: 409},
    )
    with serve(served) as url, httpx.Client(base_url=url, trust_env=False) as asking:
        yield asking


def test_given_a_world_when_looked_at_then_it_tells_what_it_holds_and_what_may_be_done(client: httpx.Client) -> None:
    assert client.get("/_sandbox/world").json() == {"size": 3, "actions": ["double", "look", "refuse"]}


@pytest.mark.parametrize("path", ["/", "/_sandbox/worlds", "/_sandbox", "/api/_sandbox/world"])
def test_given_any_other_path_then_the_application_answers(client: httpx.Client, path: str) -> None:
    assert client.get(path).text == "the application"


@pytest.mark.parametrize(
    ("action", "body", "status", "answer"),
    [
        ("double", '{"number": 4}', 200, {"result": 8}),
        ("look", "", 200, {"result": True}),
        ("refuse", '{"what": "today"}', 409, {"error": "not today"}),
        ("double", "{}", 404, {"error": "missing argument or unknown name: number"}),
        ("halve", "{}", 404, {"error": "POST to one of double, look, refuse"}),
    ],
)
def test_given_an_action_when_posted_to_then_it_is_done_or_the_reason_is_told(
    client: httpx.Client, action: str, body: str, status: int, answer: object
) -> None:
    told = client.post(f"/_sandbox/world/{action}", content=body)
    assert (told.status_code, told.json()) == (status, answer)


@pytest.mark.parametrize("body", ["{", "[]", '{"number": "many"}'])
def test_given_no_object_of_the_arguments_then_the_request_is_bad(client: httpx.Client, body: str) -> None:
    assert client.post("/_sandbox/world/double", content=body).status_code == 400
