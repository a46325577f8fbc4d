"""What a shop delivers to a receiver: read, and proven to come from the shop.

Deliveries are hints, never the truth: they come late, merged, twice or not at all. Nothing is sent again after a failed
delivery, and after more than five failures in a row the shop disables the webhook.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from sync_pipelines.core.errors import SyncError

MAX_BODY = 8 * 1024 * 1024
_FORM = "application/x-www-form-urlencoded"


class DeliveryRefused(SyncError):
    """A request to the receiver is no delivery of the shop. Nothing of it may be believed."""


class DeliveryTooLarge(DeliveryRefused):
    """It was not even looked at."""


class NotSigned(DeliveryRefused):
    """Nobody who knows the secret sent it."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The first contact of a webhook: it carries no signature, says nothing, and wants to be answered with 200."""

    webhook_id: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A signed delivery.

    Attributes:
        topic: e.g. ``product.updated``; the topic of a restored product is ``product.updated`` too.
        resource: ``product``, ``customer``, ``order`` or ``coupon``; a variation comes as a product.
        event: ``created``, ``updated``, ``deleted`` or ``restored``.
        resource_id: id of the record.
        webhook_id: subscription, 0 when it is not told.
        delivery_id: of the webhook and the second: WooCommerce hashes no more than those two, so a batch of changes
            comes under one id. Empty when it is not told.
        source: address that the shop has for itself.
        payload: the record as of the delivery, not as of the change; of a deleted one only its id.
    """

    topic: str
    resource: str
    event: str
    resource_id: int
    webhook_id: int = 0
    delivery_id: str = ""
    source: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def deleted(self) -> bool:
        """Whether the record was deleted or put into the trash."""
        return self.event == "deleted"


def read_delivery(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> Ping | Delivery:
    """Return what was delivered.

    Arguments:
        headers: of the request, with names in any letter case.
        body: exactly as it came: the signature is over its bytes.
        secrets: of the webhooks that may deliver here; more than one while they are changed over.

    Raises:
        DeliveryRefused: no good signature, or not of the form that the shop sends.
    """
    named = {name.lower(): value for name, value in headers.items()}
    if len(body) > MAX_BODY:
        raise DeliveryTooLarge(f"a delivery of {len(body)} bytes is too large")
    given = named.get("x-wc-webhook-signature")
    if given is None:
        return _ping(named, body)
    if not signature_is_good(body, given, secrets):
        raise NotSigned("the signature is wrong; was the secret of the webhook changed?")
    topic, record = named.get("x-wc-webhook-topic", ""), _record(body)
    resource, dot, event = topic.partition(".")
    if not (dot and resource and event):
        raise DeliveryRefused(f"{topic!r:.60} is no topic")
    number = record.get("id")
    if type(number) is not int or number <= 0:
        raise DeliveryRefused(f"a delivery about {topic:.60} without an id")
    return Delivery(
        topic=topic,
        resource=resource,
        event=event,
        resource_id=number,
        webhook_id=_number(named.get("x-wc-webhook-id", "")),
        delivery_id=named.get("x-wc-webhook-delivery-id", ""),
        source=named.get("x-wc-webhook-source", ""),
        payload=record,
    )


def signature_is_good(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Whether one of the secrets made the signature, ``base64(HMAC-SHA256(secret, body))``.

    An empty secret is never good: anybody can sign with it.
    """
    given = signature.strip().encode("utf-8", "replace")
    made = [base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)) for secret in secrets if secret]
    return any(hmac.compare_digest(one, given) for one in made)


def _ping(headers: Mapping[str, str], body: bytes) -> Ping:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM or len(body) > 200:
        raise NotSigned("a delivery without a signature")
    found = parse_qs(body.decode("utf-8", "replace")).get("webhook_id", [])
    if len(found) != 1 or not _number(found[0]):
        raise DeliveryRefused("a form that is no ping")
    return Ping(_number(found[0]))


def _record(body: bytes) -> dict[str, Any]:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        raise DeliveryRefused("a signed delivery that is no JSON") from None
    if not isinstance(record, dict):
        raise DeliveryRefused("a signed delivery that is no object")
    return record


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
