"""Webhooks: who is told of what, and the deliveries of the scheduler."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from sync_pipelines.sandbox.woocommerce.calls import Answer, Call
from sync_pipelines.sandbox.woocommerce.customers import customer_view
from sync_pipelines.sandbox.woocommerce.errors import ApiError
from sync_pipelines.sandbox.woocommerce.links import links
from sync_pipelines.sandbox.woocommerce.listing import COMMON, asked, listed, ordered
from sync_pipelines.sandbox.woocommerce.model import Webhook
from sync_pipelines.sandbox.woocommerce.order_view import order_view
from sync_pipelines.sandbox.woocommerce.product_view import product_view
from sync_pipelines.sandbox.woocommerce.resources import Resource
from sync_pipelines.sandbox.woocommerce.schema import TEXT, one_of
from sync_pipelines.sandbox.woocommerce.state import ShopState
from sync_pipelines.sandbox.woocommerce.times import both

RESOURCES = ("product", "customer", "order", "coupon")
EVENTS = ("created", "updated", "deleted", "restored")
_MOST_FAILURES = 5
_TIMEOUT_SECONDS = 10.0
_USER_AGENT = "WooCommerce/11.0.1 Hookshot (WordPress/7.0.4)"
_HOOKS = {
    "product.updated": [
        "woocommerce_process_product_meta",
        "woocommerce_update_product",
        "woocommerce_update_product_variation",
    ]
}
_WEBHOOK = {
    "name": TEXT,
    "topic": TEXT,
    "delivery_url": TEXT,
    "secret": TEXT,
    "status": one_of("active", "paused", "disabled"),
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was sent to a webhook.

    Attributes:
        status: of the receiver's answer, 0 when there was none.
    """

    webhook_id: int
    topic: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    status: int


def create(world: ShopState, values: Mapping[str, Any]) -> Webhook:
    """Make a webhook, which is pinged at the next run of the scheduler.

    Raises:
        ApiError: 400 for a topic or an address that cannot be.
    """
    _check(values)
    hook = Webhook(
        id=world.next_number("webhook"),
        name=values.get("name") or "Webhook created by the API",
        topic=values.get("topic", ""),
        delivery_url=values["delivery_url"],
        secret=values.get("secret", ""),
        status=values.get("status", "active"),
        created=world.now(),
    )
    world.webhooks[hook.id] = hook
    world.revision += 1
    return hook


def update(world: ShopState, hook: Webhook, values: Mapping[str, Any]) -> Webhook:
    """Change a webhook; switching it on forgets its failures.

    Raises:
        ApiError: as :func:`create`.
    """
    _check({"topic": hook.topic, "delivery_url": hook.delivery_url, **values})
    if values.get("status") == "active" and hook.status != "active":
        hook.failures, hook.awaits_ping = 0, True
    for name in ("name", "topic", "delivery_url", "secret", "status"):
        setattr(hook, name, values.get(name, getattr(hook, name)))
    world.touch(hook)
    return hook


def remove(world: ShopState, hook: Webhook) -> None:
    """Delete a webhook with what it has not delivered."""
    del world.webhooks[hook.id]
    world.forget_texts(hook)
    for waiting in [waiting for waiting in world.pending_deliveries if waiting[0] == hook.id]:
        del world.pending_deliveries[waiting]


def _check(values: Mapping[str, Any]) -> None:
    resource, _, event = values.get("topic", "").partition(".")
    if resource not in RESOURCES or event not in EVENTS:
        message = "Webhook topic is required and must be valid."
        raise ApiError(400, "woocommerce_rest_shop_webhook_invalid_topic", message)
    if urlsplit(values["delivery_url"]).scheme not in ("http", "https"):
        message = "Webhook delivery URL must be a valid URL starting with http:// or https://."
        raise ApiError(400, "woocommerce_rest_shop_webhook_invalid_delivery_url", message)


def webhook_view(world: ShopState, hook: Webhook, context: str) -> dict[str, Any]:
    """Return a webhook; its secret is never told."""
    resource, _, event = hook.topic.partition(".")
    return {
        "id": hook.id,
        "name": hook.name,
        "status": hook.status,
        "topic": hook.topic,
        "resource": resource,
        "event": event,
        "hooks": _HOOKS.get(hook.topic, [f"woocommerce_{event}_{resource}"]),
        "delivery_url": hook.delivery_url,
        **both("date_created", hook.created, world.zone),
        **both("date_modified", hook.modified, world.zone),
        "_links": links(world, f"webhooks/{hook.id}", "webhooks"),
    }


WEBHOOK_RESOURCE: Resource[Webhook] = Resource(
    find=lambda call, number: call.world.webhooks.get(number),
    create=lambda call, values: create(call.world, values),
    update=lambda call, hook, values: update(call.world, hook, values),
    remove=remove,
    view=webhook_view,
    new=_WEBHOOK,
    changed=_WEBHOOK,
    required=("topic", "delivery_url"),
    missing=("woocommerce_rest_shop_webhook_invalid_id", "ID is invalid."),
    missing_on_change=(404, "woocommerce_rest_shop_webhook_invalid_id", "ID is invalid."),
    location=lambda call, hook: f"webhooks/{hook.id}",
    plural="Webhooks",
)


def list_webhooks(call: Call) -> Answer:
    """Answer a GET of webhooks, the newest first."""
    told = asked(call, COMMON)
    find = lambda: ordered(call.world.webhooks.values(), lambda hook: hook.id, told, "desc")  # noqa: E731
    return listed(call, told, find, webhook_view)


def run_cron(world: ShopState) -> list[Delivery]:
    """Run the scheduler once: first contacts that are due, then one delivery for each record and webhook.

    A body tells the state at delivery, not at the change. Nothing that failed is sent again; more than five failures in
    a row disable the webhook. Until its first contact succeeds, the ping goes out again before each delivery.

    Returns:
        What was sent, in order.
    """
    with world.guard:
        waiting = list(world.pending_deliveries)
        world.pending_deliveries.clear()
        pinged = [hook for hook in world.webhooks.values() if hook.status == "active" and hook.awaits_ping]
    sent: list[Delivery] = []
    # Receivers are those of tests and demos, whose certificates nobody signed; nothing secret is sent.
    with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=False) as client:
        sent += [_ping(world, client, hook) for hook in pinged]
        for number, record, _ in waiting:
            sent += _deliver(world, client, number, record)
    return sent


def _deliver(world: ShopState, client: httpx.Client, number: int, record: int) -> list[Delivery]:
    with world.guard:
        hook = world.webhooks.get(number)
        if hook is None or hook.status != "active":
            return []
        body = _body(world, hook, record)
        if body is None:
            return []
    digest = hmac.digest(hook.secret.encode(), body, hashlib.sha256)
    resource, _, event = hook.topic.partition(".")
    # Of the webhook and the second, so the deliveries of a batch have one id.
    second = f"{hook.id}{world.now()}".encode()
    headers = {
        "User-Agent": _USER_AGENT,
        "Content-Type": "application/json",
        "X-WC-Webhook-Source": f"{world.site_url}/",
        "X-WC-Webhook-Topic": hook.topic,
        "X-WC-Webhook-Resource": resource,
        "X-WC-Webhook-Event": event,
        "X-WC-Webhook-Signature": base64.b64encode(digest).decode("ascii"),
        "X-WC-Webhook-ID": str(hook.id),
        "X-WC-Webhook-Delivery-ID": hashlib.blake2b(second, digest_size=16).hexdigest(),
    }
    again = [_ping(world, client, hook)] if hook.awaits_ping and hook.failures else []
    delivery = _send(client, hook, headers, body)
    with world.guard:
        hook.failures = 0 if 200 <= delivery.status < 300 else hook.failures + 1
        if hook.failures > _MOST_FAILURES:
            hook.status = "disabled"
            world.forget_texts(hook)
    return [*again, delivery]


def _ping(world: ShopState, client: httpx.Client, hook: Webhook) -> Delivery:
    headers = {"User-Agent": _USER_AGENT, "Content-Type": "application/x-www-form-urlencoded"}
    delivery = _send(client, hook, headers, f"webhook_id={hook.id}".encode())
    with world.guard:
        hook.awaits_ping = not 200 <= delivery.status < 300
        if not hook.awaits_ping:
            world.touch(hook)
    return delivery


def _send(client: httpx.Client, hook: Webhook, headers: Mapping[str, str], body: bytes) -> Delivery:
    try:
        status = client.post(hook.delivery_url, headers=dict(headers), content=body).status_code
    except httpx.HTTPError:
        status = 0
    return Delivery(hook.id, hook.topic, hook.delivery_url, headers, body, status)


def _body(world: ShopState, hook: Webhook, record: int) -> bytes | None:
    """Return what is delivered, ``None`` when the record is gone meanwhile."""
    resource, _, event = hook.topic.partition(".")
    view = {"id": record} if event == "deleted" else _views(world)[resource](record)
    if view is None:
        return None
    # The signature covers these very bytes: PHP escapes slashes and everything beyond ASCII.
    return json.dumps(view, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def _views(world: ShopState) -> Mapping[str, Callable[[int], Mapping[str, Any] | None]]:
    return {
        "product": lambda it: product_view(world, world.products[it], "view") if it in world.products else None,
        "customer": lambda it: customer_view(world, world.customers[it], "view") if it in world.customers else None,
        "order": lambda it: order_view(world, world.orders[it], "view") if it in world.orders else None,
        "coupon": lambda it: {"id": it},
    }
