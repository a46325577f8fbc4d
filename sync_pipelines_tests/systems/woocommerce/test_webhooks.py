import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from sync_pipelines.systems.woocommerce import Delivery, DeliveryRefused, Ping, read_delivery

SECRET = "example-webhook-secret"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed(body: bytes, secret: str = SECRET, **changes: str) -> dict[str, str]:
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "X-WC-Webhook-Topic": "order.updated",
        "X-WC-Webhook-ID": "10",
        "X-WC-Webhook-Delivery-ID": "eee1",
        "X-WC-Webhook-Source": "http://shop.test/",
        "X-WC-Webhook-Signature": signature,
        **changes,
    }


def test_a_delivery_tells_what_happened_to_what() -> None:
    body = json.dumps({"id": 12, "status": "processing"}).encode()
    assert read_delivery(signed(body), body, [SECRET]) == Delivery(
        topic="order.updated",
        resource="order",
        event="updated",
        resource_id=12,
        webhook_id=10,
        delivery_id="eee1",
        source="http://shop.test/",
        payload={"id": 12, "status": "processing"},
    )


def test_names_of_headers_are_read_in_any_letter_case_and_old_secrets_are_good_while_they_are_changed() -> None:
    body = b'{"id":11}'
    headers = {name.lower(): value for name, value in signed(body).items()}
    headers["x-wc-webhook-topic"] = "product.deleted"
    read = read_delivery(headers, body, ["new secret", SECRET])
    assert isinstance(read, Delivery)
    assert (read.resource, read.deleted) == ("product", True)


def test_the_first_contact_is_a_ping_without_a_signature() -> None:
    assert read_delivery(FORM, b"webhook_id=7", [SECRET]) == Ping(7)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b'{"id":12}'),
        ({"Content-Type": "application/json"}, b"webhook_id=7"),
        (FORM, b"webhook_id=x"),
        (FORM, b"webhook_id=1&webhook_id=2"),
        (FORM, b'{"id":12}'),
        (signed(b'{"id":12}', "another secret"), b'{"id":12}'),
        (signed(b'{"id":12}', ""), b'{"id":12}'),
        (signed(b'{"id":12}'), b'{"id": 12}'),
        (signed(b'{"id":12}', **{"X-WC-Webhook-Signature": ""}), b'{"id":12}'),
        (signed(b'{"id":12}', **{"X-WC-Webhook-Signature": "\u00fc"}), b'{"id":12}'),
        (signed(b'{"id":12}', **{"X-WC-Webhook-Topic": "order"}), b'{"id":12}'),
        (signed(b'{"id":"12"}'), b'{"id":"12"}'),
        (signed(b"[]"), b"[]"),
        (signed(b"{"), b"{"),
        (signed(b"{}"), b"{}"),
    ],
)
def test_what_the_shop_did_not_send_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(DeliveryRefused):
        read_delivery(headers, body, [SECRET, ""])


def test_without_secrets_nothing_is_believed() -> None:
    body: Any = b'{"id":12}'
    with pytest.raises(DeliveryRefused):
        read_delivery(signed(body), body, [])
