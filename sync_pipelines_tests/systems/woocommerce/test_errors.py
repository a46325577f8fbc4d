from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.woocommerce import Reason, WooCommerceError, reason_of
from sync_pipelines.systems.woocommerce.errors import read_answer

HTML = "<html><body><h1>There has been a critical error on this website.</h1></body></html>"
KINDS = FailureKind


def coded(code: str, data: Any = None) -> dict[str, Any]:
    return {"code": code, "message": "No.", "data": data}


def failure(status: int, body: Any, write: bool) -> WooCommerceError:
    if isinstance(body, bytes):
        response = httpx.Response(status, content=body, headers={"Content-Type": "application/json"})
    else:
        response = httpx.Response(status, html=body) if isinstance(body, str) else httpx.Response(status, json=body)
    with pytest.raises(WooCommerceError) as caught:
        read_answer("GET /wp-json/wc/v3/x", response, write=write, redactor=Redactor())
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "of_read", "of_write", "reason"),
    [
        (400, coded("rest_invalid_param"), KINDS.PERMANENT, KINDS.PERMANENT, Reason.VALIDATION),
        (400, coded("a_plugin_says_no"), KINDS.PERMANENT, KINDS.PERMANENT, Reason.VALIDATION),
        (409, coded("anything"), KINDS.PERMANENT, KINDS.PERMANENT, Reason.VALIDATION),
        (413, HTML, KINDS.PERMANENT, KINDS.PERMANENT, Reason.VALIDATION),
        (401, coded("woocommerce_rest_cannot_view"), KINDS.AUTH, KINDS.AUTH, Reason.AUTHENTICATION),
        (401, HTML, KINDS.AUTH, KINDS.AUTH, Reason.AUTHENTICATION),
        (403, coded("woocommerce_rest_cannot_edit"), KINDS.AUTH, KINDS.AUTH, Reason.NO_RIGHT),
        (403, HTML, KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (400, coded("woocommerce_rest_product_invalid_id"), KINDS.GONE, KINDS.GONE, Reason.GONE),
        (410, coded("woocommerce_rest_already_trashed"), KINDS.GONE, KINDS.GONE, Reason.GONE),
        (500, coded("woocommerce_rest_invalid_order_id", 404), KINDS.GONE, KINDS.GONE, Reason.GONE),
        (
            500,
            coded("woocommerce_rest_cannot_create_order_refund", 500),
            KINDS.PERMANENT,
            KINDS.PERMANENT,
            "validation",
        ),
        (501, coded("woocommerce_rest_trash_not_supported"), KINDS.PERMANENT, KINDS.PERMANENT, Reason.VALIDATION),
        (404, coded("rest_no_route"), KINDS.PERMANENT, KINDS.PERMANENT, Reason.NO_ROUTE),
        (404, coded("woocommerce_rest_invalid_product_id"), KINDS.PERMANENT, KINDS.PERMANENT, Reason.VALIDATION),
        (404, HTML, KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (400, coded("existing_user_login"), KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.NOT_CREATED),
        (500, coded("internal_server_error", {"status": 500}), KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (500, HTML, KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (502, b"", KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (503, HTML, KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (408, coded("slow"), KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (200, "<form>Log in</form>", KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (200, b"", KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (201, b'{"id": 7, "na', KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (200, b'{"price": NaN}', KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (200, b"<br />Warning: x in y.php{}", KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
        (200, b"[" * 100_000, KINDS.TRANSIENT, KINDS.AMBIGUOUS, Reason.UNKNOWN),
    ],
)
def test_each_answer_has_one_meaning(
    status: int, body: Any, of_read: FailureKind, of_write: FailureKind, reason: str
) -> None:
    assert failure(status, body, write=False).kind is of_read
    assert failure(status, body, write=True).kind is of_write
    assert failure(status, body, write=True).reason == reason


def test_a_duplicate_names_the_field_and_who_holds_the_value() -> None:
    data = {"status": 400, "resource_id": 12, "unique_sku": "TRAY-01-1"}
    error = failure(400, coded("product_invalid_sku", data), write=True)
    assert (error.reason, error.field, error.resource_id) == (Reason.DUPLICATE, "sku", 12)


@pytest.mark.parametrize("holder", [0, "12", None, True])
def test_a_holder_that_is_no_id_is_left_out(holder: Any) -> None:
    assert failure(400, coded("product_invalid_sku", {"resource_id": holder}), write=True).resource_id is None


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"email": "Invalid email address."}, {"email": "Invalid email address."}),
        (["email"], {"email": "is missing"}),
        (None, {}),
        ("email", {}),
    ],
)
def test_a_validation_tells_what_is_wrong_with_which_field(params: Any, told: dict[str, str]) -> None:
    assert failure(400, coded("rest_invalid_param", {"params": params}), write=True).params == told


def test_a_message_is_one_line_of_plain_text() -> None:
    body = {"code": "internal_server_error", "message": "<p>Broken &amp;\n<a href='x'>lost</a>.</p>", "data": None}
    assert failure(500, body, write=False).message.startswith("Broken & lost . (internal_server_error)")


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (401, "woocommerce_rest_authentication_error", "clock"),
        (401, "woocommerce_rest_cannot_view", "https only"),
        (403, "woocommerce_rest_cannot_view", "shop manager"),
        (404, "rest_no_route", "address"),
        (400, "woocommerce_rest_product_not_created", "trash"),
    ],
)
def test_operators_are_told_what_to_do(status: int, code: str, word: str) -> None:
    assert word in failure(status, coded(code), write=True).message


def test_a_failure_below_the_shop_has_no_reason() -> None:
    assert reason_of(PeerError("woocommerce", KINDS.RATE_LIMITED, "too many requests")) is None
    assert reason_of(failure(503, HTML, write=False)) is Reason.UNKNOWN
