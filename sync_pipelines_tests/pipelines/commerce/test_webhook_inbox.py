"""A change in the shop reaches Odoo by webhook, inbox, sensor and run; what is no delivery of the shop does not."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from dagster import ExecuteInProcessResult, RunRequest, build_sensor_context
from sqlalchemy import Engine, text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sync_pipelines.pipelines.commerce.asset_keys import JOB
from sync_pipelines.pipelines.commerce.webhooks import Answer, Received, bounded, received
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, WooCommerceStandIn
from sync_pipelines.sandbox.woocommerce.model import Customer
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.pipelines.commerce.shop_runs import (
    HOOK_SECRET,
    SECRETS,
    ServedShop,
    connection_of,
    materialized,
    reason,
    served,
)

TOPICS = ("customer.created", "customer.updated", "product.created", "product.updated", "product.deleted")


@dataclass
class Inbox:
    """A shop whose webhooks deliver to a receiver of ours.

    Attributes:
        is_down: the receiver answers with 503 before it looks at anything.
        answers: what became of what was delivered since somebody looked last.
    """

    shop: ServedShop
    url: str = ""
    is_down: bool = False
    answers: list[Received] = field(default_factory=list)

    async def receive(self, request: Request) -> Response:
        if self.is_down:
            return Response(status_code=503)
        body = await bounded(request.stream())
        self.answers.append(received(self.shop.engine, self.shop.connection, request.headers, body))
        return PlainTextResponse(self.answers[-1].reason, self.answers[-1].status)

    @property
    def customers(self) -> list[Customer]:
        """The customers of the shop, without its staff."""
        return [one for one in self.shop.shop.world.customers.values() if one.email.startswith("customer")]

    def delivered(self) -> list[str]:
        """Let the shop deliver, and return what became of it."""
        self.shop.shop.world.run_cron()
        found, self.answers = [str(one.answer) for one in self.answers], []
        return found

    def tick(self) -> list[RunRequest]:
        """Return the runs that the sensor asks for."""
        repository = self.shop.definitions.get_repository_def()
        context = build_sensor_context(
            instance=self.shop.instance, repository_def=repository, resources={"store": self.shop.engine}
        )
        with context:
            return list(repository.get_sensor_def("commerce_webhooks").evaluate_tick(context).run_requests or ())

    def run(self) -> ExecuteInProcessResult:
        """Carry out the only run that the sensor asks for."""
        [request] = self.tick()
        return self.shop.definitions.resolve_job_def(JOB).execute_in_process(
            instance=self.shop.instance, tags=dict(request.tags), run_config=request.run_config, raise_on_error=False
        )

    def unhandled(self) -> int:
        """Return how many deliveries wait."""
        query = "SELECT count(*) FROM sync.sync_webhook_inbox WHERE handled_at IS NULL"
        with self.shop.engine.connect() as store:
            return int(store.execute(text(query)).scalar_one())

    def partner(self, email: str) -> dict[str, object]:
        """Return the only partner of Odoo with an e-mail address."""
        rows = self.shop.odoo.world.rows("res.partner")
        [found] = [row for row in rows if row["email_normalized"] == email.lower()]
        return dict(found)

    def variants(self, *codes: str) -> dict[str, bool]:
        """Return which of these variants of Odoo are active."""
        rows = self.shop.odoo.world.rows("product.product")
        return {row["default_code"]: row["active"] for row in rows if row["default_code"] in codes}


@pytest.fixture(scope="module")
def inbox(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[Inbox]:
    """Four customers and four products, in agreement, and webhooks for both. Every test leaves the inbox empty."""
    shop = WooCommerceStandIn.bulk(products=4, customers=4)
    with (
        fresh_engine(postgres_server, migrated_template) as engine,
        served(engine, shop, OdooStandIn(), entities=["customers", "products"]) as one,
    ):
        result = one.synchronized()
        assert result.success, reason(result)
        inbox = Inbox(one)
        with serve(Starlette(routes=[Route("/hooks", inbox.receive, methods=["POST"])])) as url:
            inbox.url = f"{url}/hooks"
            for topic in TOPICS:
                shop.world.add_webhook(topic, inbox.url, HOOK_SECRET)
            assert set(inbox.delivered()) == {"ping"}
            yield inbox


def signed(body: bytes, secret: str = HOOK_SECRET, **headers: str) -> dict[str, str]:
    """Return the headers of a delivery."""
    digest = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
    return {"x-wc-webhook-topic": "customer.updated", "x-wc-webhook-signature": digest, **headers}


def test_given_a_change_then_it_reaches_odoo_by_a_run_that_looks_at_nothing_else(inbox: Inbox) -> None:
    world = inbox.shop.shop.world
    first = inbox.customers[0]
    world.edit_customer(first.id, first_name="Mona", last_name="Changed")
    assert inbox.delivered() == ["stored"]
    before = len(world.requests)

    result = inbox.run()

    assert result.success, reason(result)
    assert inbox.partner(first.email)["name"] == "Mona Changed"
    assert {one.path.rpartition("/wc/v3")[2] for one in world.requests[before:]} == {f"/customers/{first.id}"}
    assert list(materialized(result)) == ["customers"]
    assert (inbox.unhandled(), inbox.tick()) == (0, [])
    # What such a run did not look at is not taken for read.
    last = inbox.customers[-1]
    world.edit_customer(last.id, first_name="Unheard", last_name="Of")
    assert inbox.shop.synchronized(partition="customers").success
    assert inbox.partner(last.email)["name"] == "Unheard Of"


def test_given_many_deliveries_of_one_second_some_doubled_then_one_run_takes_them_all(inbox: Inbox) -> None:
    world = inbox.shop.shop.world
    for customer in inbox.customers:
        world.edit_customer(customer.id, last_name="Batch")
    world.add_product(name="New", sku="NEW-1", regular_price="3.00", status="publish")
    sent = world.run_cron()
    assert {str(one.answer) for one in inbox.answers} == {"stored"}
    again = [httpx.post(one.url, content=one.body, headers=dict(one.headers), trust_env=False) for one in sent]
    assert {one.status_code for one in again} == {200}
    assert [one.answer for one in inbox.answers[len(sent) :]] == [Answer.DUPLICATE] * len(sent)
    inbox.answers.clear()

    result = inbox.run()

    assert result.success, reason(result)
    assert {str(inbox.partner(one.email)["name"]).split()[-1] for one in inbox.customers} == {"Batch"}
    assert inbox.variants("NEW-1") == {"NEW-1": True}
    assert inbox.tick() == []


def test_given_a_lost_delivery_then_the_full_run_repairs_it(inbox: Inbox) -> None:
    world = inbox.shop.shop.world
    first = inbox.customers[0]
    inbox.is_down = True
    world.edit_customer(first.id, first_name="Lost", last_name="Word")
    assert inbox.delivered() == []
    inbox.is_down = False
    assert inbox.tick() == []

    assert inbox.shop.synchronized(full=True).success

    assert inbox.partner(first.email)["name"] == "Lost Word"


def test_given_a_deleted_product_and_a_sku_that_moved_then_only_what_is_gone_is_taken_out_of_service(
    inbox: Inbox,
) -> None:
    inbox.shop.changes["guard"] = {"enabled": False}
    world = inbox.shop.shop.world
    one, other, third, *_ = world.products.values()
    skus = [str(product.values["sku"]) for product in (one, other, third)]
    world.edit_product(other.id, sku="MOVED-1")
    # Only the deliveries about the other two arrive.
    inbox.is_down = True
    inbox.delivered()
    inbox.is_down = False
    world.edit_product(one.id, sku=skus[1])
    world.trash_product(third.id)
    inbox.delivered()

    result = inbox.run()

    assert result.success, reason(result)
    assert inbox.variants(*skus, "MOVED-1") == {skus[1]: True, "MOVED-1": True, skus[2]: False}


def test_given_a_run_that_dies_then_its_deliveries_wait_for_another_one_after_a_pause(inbox: Inbox) -> None:
    world = inbox.shop.shop.world
    first = inbox.customers[0]
    world.edit_customer(first.id, first_name="Second", last_name="Try")
    inbox.delivered()
    world.access.revoke(DEMO_KEY.consumer_key)
    assert not inbox.run().success
    world.access.add(DEMO_KEY)

    assert (inbox.unhandled(), inbox.tick()) == (1, [])

    with inbox.shop.engine.begin() as store:
        store.execute(text("UPDATE sync.sync_webhook_inbox SET taken_at = taken_at - interval '1 minute'"))
    assert inbox.run().success
    assert (inbox.partner(first.email)["name"], inbox.unhandled()) == ("Second Try", 0)


def test_given_a_body_of_ten_megabytes_then_it_is_refused_and_nothing_is_stored(inbox: Inbox) -> None:
    body = b'{"id":1,"x":"' + b"a" * 10_000_000 + b'"}'
    # The receiver may close while the rest is still on its way.
    with contextlib.suppress(httpx.WriteError, httpx.ReadError):
        assert httpx.post(inbox.url, content=body, headers=signed(body), trust_env=False).status_code == 413
    assert [one.status for one in inbox.answers] == [413]
    inbox.answers.clear()
    assert inbox.unhandled() == 0


GOOD = json.dumps({"id": 7}).encode()


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (GOOD, signed(GOOD, "a wrong secret, but a long one"), 401, "the signature is wrong"),
        (GOOD, signed(GOOD, SECRETS["OTHER_HOOK_SECRET"]), 401, "the signature is wrong"),
        (GOOD, {"x-wc-webhook-topic": "customer.updated"}, 401, "without a signature"),
        (b"{", signed(b"{"), 400, "no JSON"),
        (b"[1]", signed(b"[1]"), 400, "no object"),
        (b'{"id":-1}', signed(b'{"id":-1}'), 400, "without an id"),
        (GOOD, signed(GOOD, **{"x-wc-webhook-topic": "\x00"}), 400, "is no topic"),
    ],
)
def test_given_what_is_no_delivery_of_the_shop_then_it_is_refused_with_the_reason(
    engine: Engine, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    told = received(engine, connection_of("http://shop.test", "http://odoo.test"), headers, body)
    assert (told.answer, told.status) == (Answer.REFUSED, status)
    assert said in told.reason


@pytest.mark.parametrize(
    ("body", "topic", "answer"),
    [
        (b'{"id":7}', "coupon.updated", Answer.IGNORED),
        (b'{"id":7}', "customer.\x00", Answer.IGNORED),
        (b'{"id":%d}' % 10**30, "customer.updated", Answer.IGNORED),
        (b'{"id":7,"parent_id":"x"}', "product.updated", Answer.STORED),
        (b'{"id":7,"customer_id":[1]}', "order.created", Answer.STORED),
    ],
)
def test_given_strange_but_signed_deliveries_then_nothing_breaks(
    engine: Engine, body: bytes, topic: str, answer: Answer
) -> None:
    headers = signed(body, **{"x-wc-webhook-topic": topic, "x-wc-webhook-delivery-id": "\x00\udcff" * 300})
    told = received(engine, connection_of("http://shop.test", "http://odoo.test"), headers, body)
    assert (told.answer, told.status) == (answer, 200)


def test_given_a_shop_without_a_secret_then_nothing_is_believed_and_there_is_no_sensor(engine: Engine) -> None:
    shop = connection_of("http://shop.test", "http://odoo.test")
    silent = shop.model_copy(update={"woocommerce": shop.woocommerce.model_copy(update={"webhook_secrets": ()})})
    told = received(engine, silent, signed(GOOD, ""), GOOD)
    assert (told.answer, told.status) == (Answer.REFUSED, 404)
