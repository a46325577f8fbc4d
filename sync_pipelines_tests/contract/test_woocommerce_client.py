"""The WooCommerce client understands every recorded answer of the endpoints it uses.

Left out, because the client does not use them:

- ``/coupons``, ``/products/categories``, ``/products/attributes`` with their terms, ``/taxes``, ``/payment_gateways``,
  ``/data/...`` and the index of the API: nothing of them is synchronized;
- ``/orders/ID/notes`` and ``/customers/ID/downloads``: the same;
- ``/products/abc`` and ``/productz``: paths that the client cannot ask for; what they answer is in ``test_errors.py``;
- ``HEAD /products``, ``PATCH`` and ``POST`` on a record: other spellings of what the client does;
- the ``delete`` part of batches: it deletes for good, so it is not offered; answers of such batches are read anyway.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.woocommerce import (
    Delivery,
    FeeLine,
    OrderLine,
    Ping,
    Reason,
    ShippingLine,
    WooCommerceError,
    read_delivery,
)
from sync_pipelines.systems.woocommerce.errors import read_answer, refusal
from sync_pipelines.systems.woocommerce.parsing import (
    parse_customer,
    parse_order,
    parse_product,
    parse_refund,
    parse_sku_holder,
    parse_variation,
    parse_webhook,
)

RECORDINGS = sorted((Path(__file__).parent / "recordings" / "woocommerce").glob("*.jsonl"))
_ROOT = "/wp-json/wc/v3/"

PARSERS = {
    r"products(/\d+)?(/batch)?": parse_product,
    r"products/\d+/variations(/\d+)?(/batch)?": parse_variation,
    r"variations": parse_variation,
    r"customers(/\d+)?(/batch)?": parse_customer,
    r"orders(/\d+)?(/batch)?": parse_order,
    r"orders/\d+/refunds(/\d+)?": parse_refund,
    r"webhooks(/\d+)?": parse_webhook,
    r"settings/(general|products|tax)": None,
}
"""The endpoints that the client uses, and what it makes of their rows."""

LEFT_OUT = re.compile(
    r"(coupons|products/categories|products/attributes(/\d+/terms)?|taxes|payment_gateways|data/.*|orders/\d+/notes"
    r"|customers/\d+/downloads|products/abc|productz)?"
)

FINE = None
AUTHENTICATION, NO_RIGHT = (FailureKind.AUTH, Reason.AUTHENTICATION), (FailureKind.AUTH, Reason.NO_RIGHT)
DUPLICATE, VALIDATION = (FailureKind.PERMANENT, Reason.DUPLICATE), (FailureKind.PERMANENT, Reason.VALIDATION)
GONE = (FailureKind.GONE, Reason.GONE)

MEANING = {
    "customer_invalid_email": VALIDATION,
    "internal_server_error": (FailureKind.AMBIGUOUS, Reason.UNKNOWN),
    "product_invalid_global_unique_id": DUPLICATE,
    "product_invalid_sku": DUPLICATE,
    "registration-error-email-exists": DUPLICATE,
    "registration-error-invalid-email": VALIDATION,
    "registration-error-username-exists": DUPLICATE,
    "rest_invalid_json": VALIDATION,
    "rest_invalid_param": VALIDATION,
    "rest_missing_callback_param": VALIDATION,
    "wc_user_invalid_id": GONE,
    "woocommerce_rest_already_trashed": GONE,
    "woocommerce_rest_authentication_error": AUTHENTICATION,
    "woocommerce_rest_cannot_batch": NO_RIGHT,
    "woocommerce_rest_cannot_create": {401: AUTHENTICATION, 403: NO_RIGHT},
    "woocommerce_rest_cannot_create_order_refund": VALIDATION,
    "woocommerce_rest_cannot_view": {401: AUTHENTICATION, 403: NO_RIGHT},
    "woocommerce_rest_customer_invalid_argument": VALIDATION,
    "woocommerce_rest_customer_invalid_email": DUPLICATE,
    "woocommerce_rest_invalid_customer_id": VALIDATION,
    "woocommerce_rest_invalid_item_id": VALIDATION,
    "woocommerce_rest_invalid_order_id": GONE,
    "woocommerce_rest_invalid_order_refund": VALIDATION,
    "woocommerce_rest_invalid_product_id": VALIDATION,
    "woocommerce_rest_product_invalid_id": GONE,
    "woocommerce_rest_product_not_created": (FailureKind.AMBIGUOUS, Reason.NOT_CREATED),
    "woocommerce_rest_product_variation_invalid_id": GONE,
    "woocommerce_rest_request_entity_too_large": VALIDATION,
    "woocommerce_rest_required_product_reference": VALIDATION,
    "woocommerce_rest_shop_order_invalid_id": GONE,
    "woocommerce_rest_shop_webhook_invalid_delivery_url": VALIDATION,
    "woocommerce_rest_shop_webhook_invalid_id": GONE,
    "woocommerce_rest_shop_webhook_invalid_topic": VALIDATION,
    "woocommerce_rest_trash_not_supported": VALIDATION,
}
"""What each recorded code means. One that is not here fails the test: it has to be thought about."""


@dataclass(frozen=True)
class Step:
    """One recorded exchange."""

    row: dict[str, Any]

    @property
    def request(self) -> dict[str, Any]:
        return dict(self.row["request"])

    @property
    def response(self) -> dict[str, Any]:
        return dict(self.row["response"])

    @property
    def title(self) -> str:
        return f"{self.row['scenario']} {self.row['step']}: {self.request['method']} {self.request['path']}"

    @property
    def endpoint(self) -> str:
        return str(self.request["path"]).removeprefix(_ROOT.rstrip("/")).strip("/")

    @property
    def is_write(self) -> bool:
        return bool(self.request["method"] != "GET")

    def answer(self) -> httpx.Response:
        body = self.response["body"]
        content = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(self.response["status"], headers=self.response["headers"], content=content.encode())

    def understood(self) -> Any:
        return read_answer(self.title, self.answer(), write=self.is_write, redactor=Redactor())


def steps_of(path: Path) -> Iterator[Step]:
    for line in path.read_text("utf-8").splitlines():
        step = Step(json.loads(line))
        if step.row.get("direction") == "inbound" or step.request["method"] in ("HEAD", "PATCH"):
            continue
        yield step


def used_steps(path: Path) -> Iterator[Step]:
    for step in steps_of(path):
        # 429 never gets to the client: the transport waits, or raises.
        if not LEFT_OUT.fullmatch(step.endpoint) and step.response["status"] != 429:
            yield step


def refused(step: Step) -> WooCommerceError | None:
    try:
        step.understood()
    except WooCommerceError as error:
        return error
    return None


def meaning_of(code: str, status: int) -> Any:
    meaning = MEANING[code]
    return meaning[status] if isinstance(meaning, dict) else meaning


def stem(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", RECORDINGS, ids=stem)
def test_every_recorded_answer_has_its_meaning(path: Path) -> None:
    steps = list(used_steps(path))
    assert steps
    for step in steps:
        error, status, body = refused(step), step.response["status"], step.response["body"]
        if status < 300:
            assert error is FINE, step.title
            continue
        assert error is not None, step.title
        assert (error.kind, error.reason) == meaning_of(body["code"], status), step.title
        assert (error.code, error.status) == (body["code"], status), step.title
        assert 0 < len(error.message) < 700, step.title
        assert "<p>" not in error.message, step.title
        data = body["data"] if isinstance(body["data"], dict) else {}
        assert error.resource_id == data.get("resource_id"), step.title
        assert set(error.params) == set(data.get("params", {})), step.title
        assert (error.field is not None) == (error.reason is Reason.DUPLICATE), step.title


@pytest.mark.parametrize("path", RECORDINGS, ids=stem)
def test_every_recorded_item_of_a_batch_has_its_meaning(path: Path) -> None:
    for step in used_steps(path):
        if not step.endpoint.endswith("/batch") or not isinstance(step.response["body"], dict):
            continue
        for group in ("create", "update", "delete"):
            for item in step.response["body"].get(group, ()):
                if "error" not in item:
                    continue
                body = item["error"]
                error = refusal(
                    body, body["data"]["status"], operation=step.title, write=True, redactor=Redactor(), key="7"
                )
                assert (error.kind, error.reason) == meaning_of(error.code, error.status or 0), step.title
                assert error.key == "7"


@pytest.mark.parametrize("path", RECORDINGS, ids=stem)
def test_every_recorded_row_is_parsed(path: Path) -> None:
    for step in used_steps(path):
        [parse] = [parse for pattern, parse in PARSERS.items() if re.fullmatch(pattern, step.endpoint)]
        if parse is None or step.response["status"] >= 300:
            continue
        answer = step.understood()
        if step.endpoint.endswith("/batch"):
            answer = (
                [] if answer == [] else [item for group in answer.values() for item in group if "error" not in item]
            )
        for row in answer if isinstance(answer, list) else [answer]:
            if "id" not in row:
                # Cut to other fields than the client asks for.
                continue
            record = parse(row)
            assert record.id == row["id"], step.title
            for name in ("sku", "status", "email", "number", "topic", "reason"):
                if name in row and hasattr(record, name):
                    assert getattr(record, name) == (row[name] or ""), step.title
            for name in ("price", "regular_price", "sale_price", "total", "amount", "weight"):
                if row.get(name) and hasattr(record, name):
                    assert getattr(record, name) == Decimal(row[name]), step.title
            if "sku" in row and parse is parse_product:
                assert parse_sku_holder(row).sku == row["sku"]


def test_the_sums_of_recorded_orders_are_the_sums_of_their_lines() -> None:
    [path] = [path for path in RECORDINGS if path.name == "orders.jsonl"]
    compared = 0
    for step in used_steps(path):
        body = step.response["body"]
        if re.fullmatch(r"orders(/\d+)?", step.endpoint) and isinstance(body, dict) and "fee_lines" in body:
            order = parse_order(step.understood())
            parts: list[OrderLine | ShippingLine | FeeLine] = [*order.lines, *order.shipping_lines, *order.fee_lines]
            assert order.total == sum((part.total + part.total_tax for part in parts), Decimal(0)), step.title
            compared += 1
    assert compared == 3


def test_every_recorded_endpoint_is_either_used_or_left_out_on_purpose() -> None:
    for path in RECORDINGS:
        for step in steps_of(path):
            used = any(re.fullmatch(pattern, step.endpoint) for pattern in PARSERS)
            assert used != bool(LEFT_OUT.fullmatch(step.endpoint)), step.title


def test_every_recorded_delivery_is_proven_and_read() -> None:
    [path] = [path for path in RECORDINGS if path.name == "webhooks.jsonl"]
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    deliveries = [row for row in rows if row.get("direction") == "inbound"]
    pings = 0
    for row in deliveries:
        request = row["request"]
        read = read_delivery(request["headers"], request["body"].encode(), [row["secret"]])
        if row["signature_valid"] is None:
            assert isinstance(read, Ping)
            assert request["body"] == f"webhook_id={read.webhook_id}"
            pings += 1
            continue
        assert isinstance(read, Delivery)
        assert read.topic == request["headers"]["X-WC-Webhook-Topic"] == f"{read.resource}.{read.event}"
        assert read.resource_id == json.loads(request["body"])["id"]
        assert read.deleted == (set(read.payload) == {"id"})
    assert (len(deliveries), pings) == (14, 1)
