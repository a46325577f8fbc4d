"""The WooCommerce stand-in answers recorded requests as the real 11.0.1 did.

``LEFT_OUT`` names the answers that are not compared, and why; their requests are sent all the same, because later steps
build on what they do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.sandbox.woocommerce.faults import too_many_requests
from sync_pipelines_tests.contract.woocommerce_recordings import (
    FILES,
    HOST,
    Replayer,
    Step,
    compared,
    differences,
    moments,
    read_steps,
    recorded_world,
)

LEFT_OUT = {
    ("orders", "status", 11): "numbers of notes count those the shop writes by itself",
    ("orders", "status", 12): "so does the list: the shop notes every mail it sends",
    ("paging", "order", 8): "orderby=include without include is in no order at all",
    ("paging", "paging orders and customers", 12): "the batch took several seconds, at the stand-in it takes none",
}
STARTING_PRODUCTS = {"auth": ("Auth probe A", "Auth probe B"), "rate_limit": ("Limited",)}


class Stage:
    """Lets one server play all files, each against a fresh stand-in."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Stage, httpx.Client]]:
    stage = Stage()
    with serve(stage) as url, httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        yield stage, client


def _standin(name: str) -> WooCommerceStandIn:
    standin = WooCommerceStandIn(recorded_world())
    for product in STARTING_PRODUCTS.get(name, ()):
        standin.world.add_product(name=product)
    return standin


@pytest.mark.parametrize("name", FILES)
def test_given_a_recorded_file_when_replayed_then_every_answer_agrees(
    name: str, stage: tuple[Stage, httpx.Client]
) -> None:
    standin, (server, client) = _standin(name), stage
    server.app = standin.app
    replayer, failures = Replayer(client), []
    steps = read_steps(name)
    times = moments(steps) if name not in ("environment", "auth", "sku_search") else [0.0] * len(steps)
    for step, now in zip(steps, times, strict=True):
        standin.world.clock.advance(now - standin.world.clock.now())
        found = differences(step.response, replayer.send(step))
        if found and (name, *step.key) not in LEFT_OUT:
            failures.append(f"{step.title}\n    " + "\n    ".join(found[:12]))
    assert not failures, "\n" + "\n".join(failures)


def test_given_a_burst_when_a_proxy_refuses_then_the_page_and_the_pause_are_those_recorded(
    stage: tuple[Stage, httpx.Client],
) -> None:
    standin, (server, client) = _standin("rate_limit"), stage
    server.app = standin.app
    replayer = Replayer(client)
    for step in read_steps("rate_limit"):
        fault = too_many_requests(standin.faults, times=1) if step.response["status"] == 429 else None
        answer = replayer.send(step)
        if fault is not None:
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
            assert answer.text.split() == step.response["body"].split()
            standin.faults.remove(fault)
        elif step.is_write or step.scenario.startswith("reads"):
            assert answer.status_code == step.response["status"]
    # What was refused was not done; the other products are there once each.
    names = {product.values["name"] for product in standin.world.products.values()}
    assert names == {"Limited", *(f"Limited write {index}" for index in (0, 1, 2, 4, 5))}


def test_given_the_recorded_webhooks_when_replayed_then_the_same_deliveries_arrive_signed(
    stage: tuple[Stage, httpx.Client],
) -> None:
    standin, (server, client) = _standin("webhooks"), stage
    server.app = standin.app
    replayer, failures = Replayer(client), []
    steps = read_steps("webhooks")
    times = moments(steps)
    received: list[tuple[dict[str, str], bytes]] = []

    async def receive(request: Request) -> Response:
        received.append((dict(request.headers), await request.body()))
        return Response()

    with serve(Starlette(routes=[Route("/ok", receive, methods=["POST"])])) as receiver:
        for index, (step, now) in enumerate(zip(steps, times, strict=True)):
            standin.world.clock.advance(now - standin.world.clock.now())
            if step.direction == "inbound":
                continue
            if step.scenario == "products" and step.number == 1:
                _subscribe_to_all(standin, f"{receiver}/ok")
                received.clear()
            found = differences(step.response, replayer.send(_to(step, f"{receiver}/ok")))
            failures += [f"{step.title}: {line}" for line in found if f"{receiver}/ok" not in line]
            expected = _inbound_after(steps[index + 1 :])
            if expected or (index + 1 < len(steps) and steps[index + 1].scenario != step.scenario):
                standin.world.run_cron()
                failures += _compared_deliveries(expected, received)
                received.clear()
    assert not failures, "\n" + "\n".join(failures)


def _to(step: Step, address: str) -> Step:
    """The step with the receiver's real address."""
    text = json.dumps(step.request).replace("http://receiver.test/ok", address)
    return Step(step.scenario, step.number, step.note, step.direction, json.loads(text), step.response)


def _inbound_after(steps: list[Step]) -> list[Step]:
    found: list[Step] = []
    for step in steps:
        if step.direction != "inbound":
            break
        found.append(step)
    return found


def _subscribe_to_all(standin: WooCommerceStandIn, address: str) -> None:
    topics = [f"product.{event}" for event in ("created", "updated", "deleted", "restored")]
    topics += [f"customer.{event}" for event in ("created", "updated", "deleted")]
    topics += [f"order.{event}" for event in ("created", "updated", "deleted", "restored")]
    for topic in topics:
        standin.world.add_webhook(topic, address, "example-webhook-secret")
    standin.world.run_cron()


def _compared_deliveries(expected: list[Step], received: list[tuple[dict[str, str], bytes]]) -> list[str]:
    """Deliveries agree when the same topics arrive with the same bodies; one may come twice."""
    wanted = {step.request["headers"].get("X-WC-Webhook-Topic", "ping"): step for step in expected}
    seen = {headers.get("x-wc-webhook-topic", "ping"): (headers, body) for headers, body in received}
    if wanted.keys() != seen.keys():
        return [f"delivered {sorted(seen)}, recorded {sorted(wanted)}: {expected[0].title if expected else ''}"]
    failures: list[str] = []
    for topic, step in wanted.items():
        headers, body = seen[topic]
        for name, value in step.request["headers"].items():
            if (
                name not in ("X-WC-Webhook-Signature", "X-WC-Webhook-Delivery-ID")
                and headers.get(name.lower()) != value
            ):
                failures.append(f"{topic} {name}: {headers.get(name.lower())!r}, recorded {value!r}")
        if topic == "ping":
            assert body.decode() == step.request["body"]
            continue
        failures += [f"{topic} {line}" for line in compared(_parsed(step.request["body"]), _parsed(body), "body")]
        assert json.dumps(json.loads(body), separators=(",", ":")).replace("/", "\\/").encode() == body
    return failures


def _parsed(body: str | bytes) -> Any:
    found = json.loads(body)
    for meta in found.get("meta_data", ()):
        if meta["key"] == "_wp_trash_meta_time":
            meta["value"] = "a moment"
    return found


def test_given_an_answer_that_is_left_out_then_it_was_recorded() -> None:
    assert all((scenario, number) in {step.key for step in read_steps(name)} for name, scenario, number in LEFT_OUT)


def test_given_the_recordings_then_the_host_is_the_stand_ins_own() -> None:
    assert WooCommerceStandIn().world.site_url == f"http://{HOST}"
