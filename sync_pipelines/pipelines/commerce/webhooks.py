"""Deliveries of a shop's webhooks: checked, and stored in the inbox for the next run to look at what they name."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.pipelines.commerce.connection import EntityType, ShopConnection
from sync_pipelines.store import webhook_inbox
from sync_pipelines.systems.woocommerce import Delivery, DeliveryRefused, Ping, read_delivery
from sync_pipelines.systems.woocommerce.webhooks import MAX_BODY, DeliveryTooLarge, NotSigned

_RESOURCES: Mapping[str, tuple[EntityType, ...]] = {
    "customer": (EntityType.CUSTOMERS,),
    "product": (EntityType.PRODUCTS, EntityType.INVENTORY),
    "order": (EntityType.ORDERS, EntityType.PAYMENTS),
}
_EVENTS = frozenset({"created", "updated", "deleted", "restored"})
_LARGEST_ID = 2**63 - 1


class Answer(StrEnum):
    """What became of a delivery."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    PING = "ping"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a delivery, and how to answer it.

    Attributes:
        status: of the HTTP answer. Anything but 2xx counts against the webhook, which the shop disables after more
            than five failures in a row.
        reason: why it was refused or ignored.
    """

    answer: Answer
    status: int = 200
    reason: str = ""


def received(engine: Engine, connection: ShopConnection, headers: Mapping[str, str], raw_body: bytes) -> Received:
    """Take what was sent to the address of a shop's webhooks. Never raises because of what was sent.

    Arguments:
        engine: the store's database.
        headers: of the request, with names in any letter case.
        raw_body: exactly as it came; :func:`bounded` reads no more of it than may be.
    """
    secrets = [secret.reveal() for secret in connection.woocommerce.webhook_secrets]
    if not secrets:
        return Received(Answer.REFUSED, 404, f"{connection.name} has no secret of webhooks")
    try:
        delivery = read_delivery(headers, raw_body, secrets)
    except DeliveryTooLarge as error:
        return Received(Answer.REFUSED, 413, str(error))
    except NotSigned as error:
        return Received(Answer.REFUSED, 401, str(error))
    except DeliveryRefused as error:
        return Received(Answer.REFUSED, 400, str(error))
    if isinstance(delivery, Ping):
        return Received(Answer.PING)
    names = named_by(delivery, connection)
    if not names:
        return Received(Answer.IGNORED, reason=f"nothing that {connection.name} synchronizes")
    with engine.begin() as store:
        new = webhook_inbox.put(store, connection.name, _told_apart(delivery, raw_body), delivery.topic, names)
    return Received(Answer.STORED if new else Answer.DUPLICATE)


async def bounded(body: AsyncIterable[bytes]) -> bytes:
    """Return the body of a request; of one that is too large only as much as it takes to be refused for that."""
    read = bytearray()
    async for chunk in body:
        read += chunk[: MAX_BODY + 1 - len(read)]
        if len(read) > MAX_BODY:
            break
    return bytes(read)


def named_by(delivery: Delivery, connection: ShopConnection) -> dict[str, list[str]]:
    """Return which records of which entities a delivery names, by their keys in the shop.

    The signature is over the body alone: its topic may be anybody's word. All that comes of a wrong one is that a run
    looks at a record for nothing.
    """
    entities = _RESOURCES.get(delivery.resource, ())
    if delivery.event not in _EVENTS or delivery.resource_id > _LARGEST_ID:
        return {}
    parent = _id(delivery.payload.get("parent_id")) if delivery.resource == "product" else 0
    key = f"{parent}/{delivery.resource_id}" if parent else str(delivery.resource_id)
    names = {entity.value: [key] for entity in entities if entity in connection.entities}
    if delivery.resource == "order" and (customer := _id(delivery.payload.get("customer_id"))):
        # An order waits for its customer, who may have come with it.
        names[EntityType.CUSTOMERS.value] = [str(customer)]
    return names


def _told_apart(delivery: Delivery, raw_body: bytes) -> str:
    # The id alone would not do: WooCommerce makes it of the webhook and the second.
    told = f"{delivery.webhook_id}\n{delivery.delivery_id}\n{delivery.topic}\n".encode("utf-8", "replace")
    return hashlib.sha256(told + raw_body).hexdigest()


def _id(value: Any) -> int:
    return value if type(value) is int and 0 < value <= _LARGEST_ID else 0
