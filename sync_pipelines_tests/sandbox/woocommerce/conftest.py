"""A served shop, and a client that an administrator of it would use."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, ShopWorld, WooCommerceStandIn

# 2026-11-22 12:00:00 GMT, an hour later in Berlin.
NOON = 1795348800.0
_PAIR = f"{DEMO_KEY.consumer_key}:{DEMO_KEY.consumer_secret}"
TRUSTED = {"Authorization": f"Basic {base64.b64encode(_PAIR.encode()).decode()}", "X-Forwarded-Proto": "https"}
BASE = "/wp-json/wc/v3"


@pytest.fixture
def standin() -> WooCommerceStandIn:
    world = ShopWorld(clock=Clock(standing_at=NOON))
    world.trusts_forwarded_proto = True
    return WooCommerceStandIn(world)


@pytest.fixture
def world(standin: WooCommerceStandIn) -> ShopWorld:
    return standin.world


@pytest.fixture
def url(standin: WooCommerceStandIn) -> Iterator[str]:
    with standin.running() as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{url}{BASE}", headers=TRUSTED, timeout=10, trust_env=False) as client:
        yield client
