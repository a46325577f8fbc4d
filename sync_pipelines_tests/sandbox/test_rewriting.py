"""Listings that lie, answers that belong to another request, and errors that repeat what was sent."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sync_pipelines.sandbox.cometbft import ChainWorld, create_app
from sync_pipelines.sandbox.cometbft.listing import StorePairs
from sync_pipelines.sandbox.faults import ADMIN_PATH, FaultInjector, Lie, Rewrite
from sync_pipelines.sandbox.hosted import KeyInPath
from sync_pipelines.sandbox.rewriting import REMOVED, JsonArray
from sync_pipelines.sandbox.server import serve

ROWS = [{"id": number, "name": f"row {number}"} for number in range(5)]


async def _rows(request: Request) -> JSONResponse:
    page = int(request.query_params.get("page", 1))
    return JSONResponse(ROWS[2 * page - 2 : 2 * page], headers={"X-Total": str(len(ROWS))})


async def _row(request: Request) -> JSONResponse:
    return JSONResponse(ROWS[request.path_params["id"]])


@pytest.fixture
def faults() -> FaultInjector:
    app = Starlette(routes=[Route("/rows", _rows), Route("/rows/{id:int}", _row)])
    return FaultInjector(app, JsonArray("X-Total"))


@pytest.fixture
def client(faults: FaultInjector) -> Iterator[httpx.Client]:
    with serve(faults) as url, httpx.Client(base_url=url, timeout=5) as client:
        yield client


def listed(client: httpx.Client) -> tuple[list[list[Any]], list[int]]:
    """Return the ids and the total of each of three pages."""
    answers = [client.get("/rows", params={"page": page}) for page in (1, 2, 3)]
    return [[row.get("id") for row in one.json()] for one in answers], [int(one.headers["X-Total"]) for one in answers]


@pytest.mark.parametrize(
    ("rewrite", "pages", "totals"),
    [
        (Rewrite(Lie.EMPTY), [[], [], []], [0, 0, 0]),
        (Rewrite(Lie.SHORT), [[1], [3], []], [4, 4, 4]),
        (Rewrite(Lie.HALF), [[1], [3], []], [2, 2, 2]),
        (Rewrite(Lie.OMITTED), [[0], [2], []], [5, 5, 5]),
        (Rewrite(Lie.TOTAL, 3), [[0, 1], [2, 3], [4]], [8, 8, 8]),
        (Rewrite(Lie.REPEATED), [[0, 1], [1, 2, 3], [3, 4]], [5, 5, 5]),
        (Rewrite(Lie.MOVED), [[0, 1], [1, 3], [3]], [5, 5, 5]),
        (Rewrite(Lie.CIRCLE), [[0, 1], [0, 1], [0, 1]], [4, 6, 8]),
        (Rewrite(Lie.FIELD, 1, "id", REMOVED), [[None, 1], [None, 3], [None]], [5, 5, 5]),
        (Rewrite(Lie.FIELD, 9, "id", "x"), [["x", "x"], ["x", "x"], ["x"]], [5, 5, 5]),
    ],
    ids=lambda value: value.lie.value if isinstance(value, Rewrite) else "",
)
def test_given_a_lie_then_the_pages_are_as_it_says(
    faults: FaultInjector, client: httpx.Client, rewrite: Rewrite, pages: list[list[Any]], totals: list[int]
) -> None:
    faults.add("rewrite", path="^/rows$", rewrite=rewrite)

    assert listed(client) == (pages, totals)


def test_given_the_admin_route_then_a_lie_can_be_told_from_outside(client: httpx.Client) -> None:
    client.post(ADMIN_PATH, json={"kind": "rewrite", "query": "page=2", "rewrite": {"lie": "empty"}})

    assert listed(client)[0] == [[0, 1], [], [4]]


def test_given_mixed_up_answers_then_a_request_gets_what_the_one_before_was_answered(
    faults: FaultInjector, client: httpx.Client
) -> None:
    client.get("/rows/1")
    faults.add("previous", path="^/rows/", times=1)

    assert [client.get("/rows/2").json()["id"], client.get("/rows/3").json()["id"]] == [1, 3]


def test_given_an_echo_then_credentials_come_back_in_many_spellings(
    faults: FaultInjector, client: httpx.Client
) -> None:
    faults.add("echo", status=302)

    answer = client.get("/rows", headers={"Authorization": "Token abc123"})

    told = answer.text + str(answer.headers)
    encoded = base64.b64encode(b"Token abc123").decode()
    assert all(spelling in told for spelling in ("Token abc123", "tOKEN ABC123", "Token%20abc123", encoded))
    assert answer.status_code == 302
    assert "abc123" in answer.headers["Location"]


def test_given_a_date_in_an_answer_then_it_is_the_only_one(faults: FaultInjector, client: httpx.Client) -> None:
    faults.add("status", status=429, headers={"Date": "Thu, 01 Jan 2037 00:00:00 GMT"})

    assert client.get("/rows").headers.get_list("Date") == ["Thu, 01 Jan 2037 00:00:00 GMT"]


def test_given_a_key_in_the_path_then_nothing_is_served_without_it(faults: FaultInjector) -> None:
    with serve(KeyInPath(faults, "secret-key")) as url:
        assert httpx.get(f"{url}/secret-key/rows/1").json()["id"] == 1
        assert [httpx.get(f"{url}{path}").status_code for path in ("/rows/1", "/secret-keyrows/1", "/")] == [403] * 3


def test_given_a_chain_then_its_store_can_be_rewritten_and_other_answers_stay() -> None:
    world = ChainWorld()
    for name in ("a", "b"):
        world.create_offering("virtengine1abc", {"name": name})
    faults = FaultInjector(create_app(world), StorePairs())
    faults.add("rewrite", rewrite=Rewrite(Lie.FIELD, 1, "name", "changed"))
    query = {"path": "/store/mktplace/subspace", "data": b"\x01virtengine1abc/".hex(), "height": "0", "prove": False}

    with serve(faults) as url:
        answer = httpx.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "abci_query", "params": query}).json()
        status = httpx.get(f"{url}/status").json()

    stored = base64.b64decode(answer["result"]["response"]["value"])
    assert b'"name": "changed"' in stored
    assert b'"name":"b"' in stored
    assert status["result"]["sync_info"]["latest_block_height"] == str(world.height)


def test_given_a_rewound_chain_then_it_stands_where_it_stood_until_the_block_is_left() -> None:
    world = ChainWorld()
    kept = world.create_offering("virtengine1abc", {"name": "a"})
    height = world.height
    lost = world.create_offering("virtengine1abc", {"name": "b"})

    with world.rewound(height):
        assert (world.height, world.offering_ids()) == (height, [kept])

    assert world.offering_ids() == [kept, lost]
