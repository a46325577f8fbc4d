"""Faults reach a real HTTP client as the failures they stand for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sync_pipelines.sandbox.faults import ADMIN_PATH, FaultInjector, FaultKind
from sync_pipelines.sandbox.request_log import LoggedRequest, RequestLog
from sync_pipelines.sandbox.server import serve


class Shop:
    """A server that commits every order it sees."""

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.log: list[LoggedRequest] = []
        self.faults = FaultInjector(Starlette(routes=[Route("/orders", self._order, methods=["GET", "POST"])]))
        self.app = RequestLog(self.faults, self.log)

    async def _order(self, request: Request) -> JSONResponse:
        if request.method == "POST":
            self.orders.append(await request.json())
        return JSONResponse({"orders": self.orders, "padding": "x" * 200})


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def client(shop: Shop) -> Iterator[httpx.Client]:
    with serve(shop.app) as url, httpx.Client(base_url=url, timeout=5) as client:
        yield client


@pytest.mark.parametrize(
    ("kind", "options", "error", "commits"),
    [
        (FaultKind.DROP, {}, httpx.RemoteProtocolError, 0),
        (FaultKind.DROP_AFTER_COMMIT, {}, httpx.RemoteProtocolError, 1),
        (FaultKind.HANG, {"seconds": 0.1}, httpx.RemoteProtocolError, 0),
        (FaultKind.HANG_AFTER_COMMIT, {"seconds": 0.1}, httpx.RemoteProtocolError, 1),
        (FaultKind.RESET_MID_BODY, {}, httpx.ReadError, 1),
        (FaultKind.WRONG_LENGTH, {}, httpx.RemoteProtocolError, 1),
        (FaultKind.BROKEN_GZIP, {}, httpx.DecodingError, 1),
    ],
)
def test_given_a_broken_connection_when_posting_then_the_client_fails_and_the_commit_is_as_the_fault_says(
    shop: Shop, client: httpx.Client, kind: FaultKind, options: dict[str, Any], error: type[Exception], commits: int
) -> None:
    armed = shop.faults.add(kind, times=1, **options)
    with pytest.raises(error):
        client.post("/orders", json={"id": 1})
    assert (armed.fired, len(shop.orders)) == (1, commits)
    assert client.get("/orders").status_code == 200


@pytest.mark.parametrize(
    ("kind", "options", "status", "content_type", "commits"),
    [
        (FaultKind.STATUS, {"status": 429, "headers": {"Retry-After": "7"}}, 429, "text/html", 0),
        (FaultKind.STATUS, {"status": 502}, 502, "text/html", 0),
        (FaultKind.STATUS, {"body": "{}", "content_type": "application/json"}, 503, "application/json", 0),
        (FaultKind.ERROR_AFTER_COMMIT, {}, 500, "text/html", 1),
        (FaultKind.LOGIN_PAGE, {}, 200, "text/html", 0),
        (FaultKind.REDIRECT, {"location": "http://evil.invalid/"}, 302, "text/html", 0),
        (FaultKind.TRUNCATED_BODY, {}, 200, "application/json", 1),
    ],
)
def test_given_a_replaced_answer_when_posting_then_it_looks_as_asked(
    shop: Shop,
    client: httpx.Client,
    kind: FaultKind,
    options: dict[str, Any],
    status: int,
    content_type: str,
    commits: int,
) -> None:
    shop.faults.add(kind, **options)
    answer = client.post("/orders", json={"id": 1})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(content_type)
    assert len(shop.orders) == commits
    assert answer.headers.get("retry-after") == options.get("headers", {}).get("Retry-After")
    assert answer.headers.get("location") == options.get("location")
    assert [(entry.method, entry.path, entry.status) for entry in shop.log] == [("POST", "/orders", status)]


def test_given_a_truncated_body_then_it_is_complete_http_but_broken_json(shop: Shop, client: httpx.Client) -> None:
    shop.faults.add(FaultKind.TRUNCATED_BODY)
    with pytest.raises(ValueError, match="Unterminated string"):
        client.get("/orders").json()


@pytest.mark.parametrize(("kind", "seconds"), [(FaultKind.LATENCY, 0.2), (FaultKind.SLOW_DRIP, 0.02)])
def test_given_a_slow_server_then_the_answer_is_right_but_late(
    shop: Shop, client: httpx.Client, kind: FaultKind, seconds: float
) -> None:
    shop.faults.add(kind, seconds=seconds)
    started = time.monotonic()
    assert client.post("/orders", json={"id": 1}).json()["orders"] == [{"id": 1}]
    assert time.monotonic() - started >= 0.2


def test_given_a_fault_for_one_method_and_path_then_only_these_requests_meet_it_as_often_as_told(
    shop: Shop, client: httpx.Client
) -> None:
    shop.faults.add(FaultKind.STATUS, method="POST", path="^/orders$", times=2, skip=1)
    statuses = [client.post("/orders", json={}).status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert client.get("/orders").status_code == 200


def test_given_a_latency_and_another_fault_then_both_act(shop: Shop, client: httpx.Client) -> None:
    shop.faults.add(FaultKind.LATENCY, seconds=0.1)
    shop.faults.add(FaultKind.STATUS, status=502)
    started = time.monotonic()
    assert client.get("/orders").status_code == 502
    assert time.monotonic() - started >= 0.1


def test_given_the_admin_route_then_faults_can_be_armed_listed_and_cleared_from_outside(client: httpx.Client) -> None:
    assert client.post(ADMIN_PATH, json={"kind": "status", "status": 502}).status_code == 201
    assert client.get("/orders").status_code == 502
    assert client.get(ADMIN_PATH).json()[0]["fired"] == 1
    assert client.delete(ADMIN_PATH).json() == []
    assert client.get("/orders").status_code == 200
    refused = client.post(ADMIN_PATH, json={"kind": "nonsense"})
    assert refused.status_code == 400
    assert "nonsense" in refused.json()["detail"]


def test_given_a_taken_port_then_serving_fails_at_once(shop: Shop) -> None:
    with serve(shop.app) as url:
        taken = int(url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), serve(shop.app, port=taken):
            pass


def test_given_a_hanging_request_when_the_server_stops_then_it_does_not_wait_for_it(shop: Shop) -> None:
    shop.faults.add(FaultKind.HANG, seconds=60)
    started = time.monotonic()
    with serve(shop.app) as url, pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/orders", timeout=0.1)
    assert time.monotonic() - started < 3
