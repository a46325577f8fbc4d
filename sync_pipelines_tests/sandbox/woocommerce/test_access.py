"""Who is let in, beyond what was recorded."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from urllib.parse import quote

import httpx
import pytest

from sync_pipelines.sandbox.woocommerce import DEMO_KEY, ApiError, ApiKey, ShopWorld
from sync_pipelines.sandbox.woocommerce.access import AccessControl, Shown, signature
from sync_pipelines_tests.sandbox.woocommerce.conftest import BASE, TRUSTED

ADDRESS = "http://shop.test/wp-json/wc/v3/products"
NOW = 1_800_000_000.0


def access() -> AccessControl:
    return AccessControl(now=lambda: NOW)


def signed(nonce: str = "n1", *, at: float = NOW, method: str = "GET", **extra: str) -> dict[str, str]:
    parameters = {
        "per_page": "100",
        "search": "a b+c&d=é~",
        "oauth_consumer_key": DEMO_KEY.consumer_key,
        "oauth_nonce": nonce,
        "oauth_timestamp": str(int(at)),
        "oauth_signature_method": "HMAC-SHA256",
        **extra,
    }
    made = signature(shown({}, method=method), parameters, DEMO_KEY.consumer_secret, "sha256").decode()
    return {**parameters, "oauth_signature": made}


def shown(query: Mapping[str, str], *, header: str = "", method: str = "GET", is_secure: bool = False) -> Shown:
    return Shown(method, is_secure, ADDRESS, header, query)


def test_given_a_signature_with_signs_that_need_escaping_then_it_fits() -> None:
    assert access().holder(shown(signed())) == DEMO_KEY


def test_given_a_signature_in_the_header_then_it_fits_too() -> None:
    parameters = signed()
    query = {name: value for name, value in parameters.items() if not name.startswith("oauth_")}
    pairs = [f'{name}="{quote(value, safe="")}"' for name, value in parameters.items() if name.startswith("oauth_")]
    assert access().holder(shown(query, header=f"OAuth {', '.join(pairs)}")) == DEMO_KEY


def test_given_a_retry_with_the_same_nonce_then_it_is_refused_and_one_signed_anew_is_not() -> None:
    control = access()
    control.holder(shown(signed("first")))
    with pytest.raises(ApiError, match="nonce has already been used"):
        control.holder(shown(signed("first")))
    assert control.holder(shown(signed("second"))) == DEMO_KEY


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (signed(at=NOW - 901), "Invalid timestamp"),
        (signed(at=NOW + 901), "Invalid timestamp"),
        (signed(oauth_signature_method="PLAINTEXT"), "signature method is invalid"),
        ({**signed(), "per_page": "50"}, "does not match"),
        (signed(method="POST"), "does not match"),
        ({name: value for name, value in signed().items() if name != "oauth_nonce"}, "Missing OAuth parameters"),
    ],
)
def test_given_a_signature_that_does_not_hold_then_it_is_refused(query: dict[str, str], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        access().holder(shown(query))


def test_given_basic_without_tls_then_nobody_is_known() -> None:
    assert access().holder(shown({}, header=TRUSTED["Authorization"])) is None
    assert access().holder(shown({}, header=TRUSTED["Authorization"], is_secure=True)) == DEMO_KEY


def test_given_a_revoked_key_then_the_answer_is_that_to_a_visitor(world: ShopWorld, client: httpx.Client) -> None:
    assert client.get("/products").status_code == 200
    world.access.revoke(DEMO_KEY.consumer_key)
    answer = client.get("/products")
    assert (answer.status_code, answer.json()["code"]) == (401, "woocommerce_rest_cannot_view")


def test_given_a_user_without_rights_when_it_changes_something_then_403_and_nothing_changed(
    world: ShopWorld, url: str
) -> None:
    key = world.access.add(ApiKey("ck_weak", "cs_weak", manages_shop=False))
    product = world.add_product(name="Mug")
    pair = base64.b64encode(f"{key.consumer_key}:{key.consumer_secret}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "X-Forwarded-Proto": "https"}
    address = f"{url}{BASE}/products/{product.id}"
    change = httpx.put(address, headers=headers, json={"name": "Cup"}, trust_env=False)
    removal = httpx.delete(address, headers=headers, trust_env=False)
    assert (change.status_code, change.json()["code"]) == (403, "woocommerce_rest_cannot_edit")
    assert (removal.status_code, removal.json()["code"]) == (403, "woocommerce_rest_cannot_delete")
    assert world.products[product.id].values["name"] == "Mug"


def test_given_the_shops_own_clock_then_time_stamps_are_those_of_the_machine(world: ShopWorld) -> None:
    assert abs(world.access.now() - time.time()) < 60
