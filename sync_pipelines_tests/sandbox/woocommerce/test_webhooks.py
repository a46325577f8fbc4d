"""When the shop tells of changes, and when it does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.woocommerce import ShopWorld
from sync_pipelines.sandbox.woocommerce.admin import ADMIN_PATH

SECRET = "example-webhook-secret"


@dataclass
class Receiver:
    """Takes deliveries and answers with ``status``."""

    status: int = 200
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def receive(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.headers.append(dict(request.headers))
        return Response(status_code=self.status)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with serve(Starlette(routes=[Route("/inbox", receiver.receive, methods=["POST"])])) as url:
        receiver.url = f"{url}/inbox"
        yield receiver


def subscribed(world: ShopWorld, receiver: Receiver, *topics: str) -> None:
    for topic in topics:
        world.add_webhook(topic, receiver.url, SECRET)
    world.run_cron()
    receiver.bodies.clear()
    receiver.headers.clear()


def test_given_changes_then_nothing_arrives_before_the_scheduler_runs_and_two_become_one(
    world: ShopWorld, receiver: Receiver
) -> None:
    product = world.add_product(name="Möbel/Holz", regular_price="1.00")
    subscribed(world, receiver, "product.updated")
    world.edit_product(product.id, regular_price="2.00")
    world.edit_product(product.id, regular_price="3.00")
    assert receiver.bodies == []
    world.run_cron()
    world.run_cron()
    (body,) = receiver.bodies
    assert rb'"regular_price":"3.00"' in body
    assert rb"M\u00f6bel\/Holz" in body
    digest = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    assert receiver.headers[0]["x-wc-webhook-signature"] == digest


def test_given_a_batch_of_five_then_five_arrive_and_a_variation_tells_of_itself_alone(
    world: ShopWorld, receiver: Receiver
) -> None:
    subscribed(world, receiver, "product.updated", "product.created")
    parent = world.add_product(name="Shirt", type="variable")
    child = world.add_variation(parent.id, regular_price="1.00")
    numbers = [world.add_product(name=f"P{index}").id for index in range(5)]
    world.run_cron()
    assert len(receiver.bodies) == 7
    receiver.bodies.clear()
    world.edit_product(child.id, regular_price="2.00")
    world.run_cron()
    assert [body.split(b",")[0] for body in receiver.bodies] == [b'{"id":%d' % child.id]
    assert numbers[0] > child.id


def test_given_a_receiver_that_fails_then_six_failures_disable_the_webhook_and_nothing_is_sent_again(
    world: ShopWorld, receiver: Receiver
) -> None:
    product = world.add_product(name="A")
    subscribed(world, receiver, "product.updated")
    receiver.status = 500
    for _ in range(8):
        world.edit_product(product.id)
        world.run_cron()
    assert len(receiver.bodies) == 6
    assert world.webhooks[1].status == "disabled"
    receiver.status = 200
    world.run_cron()
    assert len(receiver.bodies) == 6


def test_given_a_first_contact_that_fails_then_it_is_tried_again_with_each_delivery(
    world: ShopWorld, receiver: Receiver
) -> None:
    receiver.status = 503
    world.add_webhook("customer.created", receiver.url, SECRET)
    world.run_cron()
    world.add_customer(email="a@example.test")
    world.run_cron()
    assert receiver.bodies[:2] == [b"webhook_id=1", b"webhook_id=1"]
    assert "x-wc-webhook-signature" not in receiver.headers[1]


def test_given_a_paused_webhook_then_what_happens_meanwhile_is_never_told(world: ShopWorld, receiver: Receiver) -> None:
    subscribed(world, receiver, "customer.created")
    world.webhooks[1].status = "paused"
    world.add_customer(email="a@example.test")
    world.webhooks[1].status = "active"
    world.run_cron()
    assert receiver.bodies == []


def test_given_an_order_then_trash_is_told_twice_and_deletion_for_good_not_at_all(
    world: ShopWorld, receiver: Receiver
) -> None:
    subscribed(world, receiver, "order.deleted")
    order = world.add_order()
    world.trash_order(order.id)
    world.run_cron()
    assert receiver.bodies == [b'{"id":%d}' % order.id] * 2
    world.delete_order(order.id)
    world.run_cron()
    assert len(receiver.bodies) == 2


def test_given_another_process_when_it_runs_the_scheduler_by_the_admin_route_then_deliveries_go_out(
    world: ShopWorld, receiver: Receiver, url: str
) -> None:
    subscribed(world, receiver, "product.created")
    made = httpx.post(f"{url}{ADMIN_PATH}/add_product", json={"name": "A", "sku": "A-1"}, trust_env=False)
    sent = httpx.post(f"{url}{ADMIN_PATH}/run_cron", trust_env=False)
    assert world.products[made.json()["result"]].values["sku"] == "A-1"
    assert sent.json() == {"result": [{"topic": "product.created", "status": 200}]}
    assert len(receiver.bodies) == 1


@pytest.mark.parametrize(
    ("action", "arguments", "status"),
    [
        ("nonsense", {}, 404),
        ("edit_product", {"id": 999}, 404),
        ("add_product", {"name": 5}, 400),
        ("latency", [], 400),
    ],
)
def test_given_an_admin_action_that_cannot_be_then_it_says_why(
    url: str, action: str, arguments: object, status: int
) -> None:
    answer = httpx.post(f"{url}{ADMIN_PATH}/{action}", json=arguments, trust_env=False)
    assert (answer.status_code, "error" in answer.json()) == (status, True)
