"""What shops, their hosts and proxies do to a client."""

from __future__ import annotations

import time

import httpx
import pytest

from sync_pipelines.sandbox.faults import FaultKind, Lie, Rewrite
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.sandbox.woocommerce.faults import critical_error, lost_reply, php_crash, too_many_requests


def test_given_a_lost_reply_to_an_order_when_it_is_sent_again_then_there_are_two(
    standin: WooCommerceStandIn, client: httpx.Client
) -> None:
    lost_reply(standin.faults)
    order = {"meta_data": [{"key": "_ref", "value": "A-1"}]}
    with pytest.raises(httpx.TransportError):
        client.post("/orders", json=order)
    assert len(standin.world.orders) == 1
    assert client.post("/orders", json=order, headers={"Idempotency-Key": "A-1"}).status_code == 201
    assert len(standin.world.orders) == 2


def test_given_a_crash_after_the_work_then_the_customer_is_there(
    standin: WooCommerceStandIn, client: httpx.Client
) -> None:
    php_crash(standin.faults, method="POST", times=1)
    answer = client.post("/customers", json={"email": "a@example.test"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_server_error")
    assert standin.world.emails.find("a@example.test")


def test_given_a_page_of_html_then_nothing_was_done(standin: WooCommerceStandIn, client: httpx.Client) -> None:
    critical_error(standin.faults, method="POST", times=1)
    answer = client.post("/customers", json={"email": "a@example.test"})
    assert (answer.status_code, answer.text[:15]) == (500, "<!DOCTYPE html>")
    assert not standin.world.emails.find("a@example.test")


@pytest.mark.parametrize("pause", ["7", "Sun, 22 Nov 2026 12:00:09 GMT", ""])
def test_given_too_many_requests_then_the_proxy_answers_with_html(
    standin: WooCommerceStandIn, client: httpx.Client, pause: str
) -> None:
    too_many_requests(standin.faults, retry_after=pause, skip=1, times=1)
    answers = [client.get("/products") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert (answers[1].headers.get("Retry-After", ""), answers[1].headers["Content-Type"]) == (pause, "text/html")


def test_given_a_list_that_lies_then_rows_are_missing_and_the_total_is_not(
    standin: WooCommerceStandIn, client: httpx.Client
) -> None:
    for index in range(4):
        standin.world.add_product(name=f"P{index}")
    standin.faults.add(FaultKind.REWRITE, path="/products$", rewrite=Rewrite(Lie.OMITTED), times=1)
    answer = client.get("/products")
    assert (len(answer.json()), answer.headers["X-WP-Total"]) == (3, "4")
    assert len(client.get("/products").json()) == 4


def test_given_a_slow_shop_then_each_item_of_a_batch_takes_its_time(
    standin: WooCommerceStandIn, client: httpx.Client
) -> None:
    standin.world.set_latency(0.01, per_item=0.02)
    before = time.monotonic()
    client.post("/products/batch", json={"create": [{"name": "A"}, {"name": "B"}]})
    assert time.monotonic() - before >= 0.05
