import asyncio
import base64
import hashlib
import hmac
import logging
from urllib.parse import quote

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.woocommerce import WooCommerceClient
from sync_pipelines.systems.woocommerce.auth import OneLeggedOAuth, signature
from sync_pipelines_tests.systems.scripted_peer import answer, scripted_peer
from sync_pipelines_tests.systems.woocommerce.shop import (
    KEYS,
    failure,
    path_of,
    query_of,
    refused,
    rows,
    talk,
    transport_to,
)

PRODUCT = {"id": 7, "name": "Mug"}


def is_signed(request: bytes) -> bool:
    """Checked the way the shop does it, from the request as it came."""
    head = request.split(b"\r\n\r\n", 1)[0].decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    host = next(line.split(": ", 1)[1] for line in head if line.lower().startswith("host: "))
    query = query_of(request)
    given = query.pop("oauth_signature")
    normalized = "&".join(sorted(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query.items()))
    address = f"http://{host}{target.partition('?')[0]}"
    base = f"{method}&{quote(address, safe='')}&{quote(normalized, safe='~')}"
    made = hmac.new(f"{KEYS.secret}&".encode(), base.encode(), hashlib.sha256).digest()
    return base64.b64encode(made).decode() == given


def test_a_signature_is_the_one_that_the_rules_of_oauth_give() -> None:
    params = [
        ("oauth_consumer_key", "ck_1"),
        ("modified_after", "2026-11-22T03:07:04"),
        ("_fields", "id,name"),
        ("oauth_nonce", "n"),
        ("search", "a b+c~d*e"),
        ("oauth_signature_method", "HMAC-SHA256"),
        ("oauth_timestamp", "1795316825"),
    ]
    # From openssl, over the base string as written down by hand.
    url = httpx.URL("http://shop.test:80/wp-json/wc/v3/products?ignored=1")
    assert signature("get", url, params, "cs_1") == "cEZ4QreRBj5ja7VL7Y5kzEO14BuSHu0iRdQc3ShcsbY="


def test_over_http_a_request_is_signed_and_carries_no_secret() -> None:
    _, peer = talk([rows()], lambda shop: shop.products.by_sku(["A+B &C"]))
    [request] = peer.requests
    assert is_signed(request)
    assert query_of(request)["sku"] == "A+B &C"
    assert KEYS.secret.encode() not in request
    assert b"authorization" not in request.lower()


def test_a_write_with_a_body_is_signed_by_its_address() -> None:
    _, peer = talk([answer(201, PRODUCT)], lambda shop: shop.products.create({"name": "Mug"}))
    assert is_signed(peer.requests[0])


def test_a_retry_is_signed_again_because_the_shop_remembers_every_nonce() -> None:
    replies = [answer(503, "<h1>Maintenance</h1>"), answer(502, "<h1>Bad gateway</h1>"), rows()]
    _, peer = talk(replies, lambda shop: shop.products.by_sku(["A"]))
    assert len(peer.requests) == 3
    assert all(map(is_signed, peer.requests))
    assert len({query_of(request)["oauth_nonce"] for request in peer.requests}) == 3


def test_a_redirect_within_the_shop_is_signed_again_without_the_old_signature() -> None:
    moved = {"Location": "/wp-json/wc/v3/products/7?lang=en&oauth_nonce=old&oauth_signature=old"}
    _, peer = talk([answer(301, b"", moved), answer(200, PRODUCT)], lambda shop: shop.products.get(7))
    assert is_signed(peer.requests[1])
    assert query_of(peer.requests[1])["lang"] == "en"


def test_a_redirect_to_another_origin_gets_no_signature() -> None:
    error = failure([answer(301, b"", {"Location": "http://elsewhere.test/"})], lambda shop: shop.products.get(7))
    assert error.kind is FailureKind.PERMANENT
    assert "another origin" in error.message


def test_basic_goes_into_the_header_and_leaves_the_query_alone() -> None:
    _, peer = talk([rows()], lambda shop: shop.products.by_sku(["A"]), auth="basic")
    expected = base64.b64encode(f"{KEYS.key}:{KEYS.secret}".encode())
    assert b"Basic " + expected in peer.requests[0]
    assert b"oauth" not in peer.requests[0]


@pytest.mark.parametrize("base", ["", "/", "/wp-json/wc/v3", "/wp-json/wc/v3/"])
def test_the_address_of_the_shop_may_hold_the_path_of_the_api(base: str) -> None:
    async def run() -> str:
        async with scripted_peer([rows()]) as peer, transport_to(peer.url + base) as transport:
            await WooCommerceClient(transport).products.by_sku(["A"])
            return path_of(peer.requests[0])

    assert asyncio.run(run()) == "/wp-json/wc/v3/products"


def test_time_and_nonce_are_those_of_the_moment_of_sending() -> None:
    moments = iter([1000.9, 2000.0])
    nonces = iter(["a", "b"])
    auth = OneLeggedOAuth(KEYS, clock=lambda: next(moments), nonce=lambda: next(nonces))
    request = httpx.Request("GET", "http://shop.test/wp-json/wc/v3/orders?page=2")
    first, second = (next(auth.auth_flow(request)).url.params for _ in range(2))
    assert (first["oauth_timestamp"], first["oauth_nonce"], first["page"]) == ("1000", "a", "2")
    assert (second["oauth_timestamp"], second["oauth_nonce"]) == ("2000", "b")
    assert str(request.url) == "http://shop.test/wp-json/wc/v3/orders?page=2"


def test_no_key_is_seen_in_errors_logs_or_representations(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    echo = f"cannot serve /products?oauth_consumer_key={KEYS.key}&secret={KEYS.secret}"
    basic = base64.b64encode(f"{KEYS.key}:{KEYS.secret}".encode()).decode()
    for reply in (
        refused(400, "rest_invalid_param", echo, params={"x": echo}),
        answer(200, f"<p>Basic {basic}</p>"),
        answer(500, f"<p>{echo}</p>"),
        answer(429, f"<p>{echo}</p>", {"Retry-After": "900"}),
    ):
        error = failure([reply], lambda shop: shop.products.get(7))
        told = f"{error} {error!r} {error.__dict__} {KEYS!r} {caplog.text}"
        assert KEYS.key not in told
        assert KEYS.secret not in told
        assert basic not in told
