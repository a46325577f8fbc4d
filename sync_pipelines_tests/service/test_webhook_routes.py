"""Deliveries of a shop's webhooks at the service: what is signed is stored, whoever sent it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Sequence

import httpx
import pytest
from sqlalchemy import Engine, text

from sync_pipelines.service.webhook_routes import LONGEST, PREFIX
from sync_pipelines_tests.pipelines.commerce.shop_runs import HOOK_SECRET, connection_of
from sync_pipelines_tests.service.running import only_secret, serving

GOOD = b'{"id":7}'
SHOP = connection_of("http://shop.test", "http://odoo.test")


def signed(body: bytes, secret: str = HOOK_SECRET) -> dict[str, str]:
    digest = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
    return {
        "content-type": "application/json",
        "x-wc-webhook-topic": "customer.updated",
        "x-wc-webhook-resource": "customer",
        "x-wc-webhook-event": "updated",
        "x-wc-webhook-id": "1",
        "x-wc-webhook-delivery-id": "d",
        "x-wc-webhook-signature": digest,
    }


def delivered(engine: Engine, *sent: tuple[str, bytes, dict[str, str]]) -> Sequence[httpx.Response]:
    """Return the answers to deliveries: the shop's name, the body and the headers of each."""

    async def run() -> Sequence[httpx.Response]:
        async with serving(only_secret(), engine, shops=[SHOP]) as client:
            return [await client.post(f"{PREFIX}/{shop}", content=body, headers=head) for shop, body, head in sent]

    return asyncio.run(run())


def stored(engine: Engine) -> int:
    with engine.connect() as store:
        return int(store.execute(text("SELECT count(*) FROM sync.sync_webhook_inbox")).scalar_one())


def test_given_a_signed_delivery_then_it_is_stored_once(engine: Engine) -> None:
    answers = delivered(engine, (SHOP.name, GOOD, signed(GOOD)), (SHOP.name, GOOD, signed(GOOD)))
    assert [(one.status_code, one.json()["answer"]) for one in answers] == [(200, "stored"), (200, "duplicate")]
    assert stored(engine) == 1


@pytest.mark.parametrize(
    ("shop", "body", "headers", "status"),
    [
        (SHOP.name, GOOD, signed(GOOD, "a wrong secret, but a long one"), 401),
        (SHOP.name, b"{", signed(b"{"), 400),
        ("another", GOOD, signed(GOOD), 404),
        (SHOP.name, b"x" * (LONGEST + 1), {}, 413),
    ],
)
def test_given_what_is_no_delivery_of_a_shop_then_it_is_refused_and_nothing_is_stored(
    engine: Engine, shop: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    [answer] = delivered(engine, (shop, body, headers))
    assert (answer.status_code, answer.json()["success"]) == (status, False)
    assert stored(engine) == 0


def test_given_a_delivery_longer_than_other_routes_take_then_it_is_read_whole(engine: Engine) -> None:
    body = b'{"id":7,"description":"' + b"a" * 2_000_000 + b'"}'
    [answer] = delivered(engine, (SHOP.name, body, signed(body)))
    assert answer.json()["answer"] == "stored"
