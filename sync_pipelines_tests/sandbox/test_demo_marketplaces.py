"""The demo's marketplaces: they remember what happened, tell of it as of now, and their connections hold no secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.amazon import AmazonStandIn
from sync_pipelines.sandbox.demo_marketplaces import (
    MarketplacePeers,
    marketplace_connections,
    marketplace_peers,
    marketplace_secrets,
)
from sync_pipelines.sandbox.shopify import ShopifyStandIn
from sync_pipelines.sandbox.takealot import TakealotStandIn
from sync_pipelines.sandbox.takealot.seeds import DEMO_KEY, anchor
from sync_pipelines.systems.transport import READ_ATTEMPTS


def asked(url: str) -> Any:
    return httpx.get(url, trust_env=False).raise_for_status().json()


def test_given_a_kill_then_what_happened_at_a_marketplace_is_remembered(tmp_path: Path) -> None:
    ports = {"takealot_port": 0, "shopify_port": 0, "amazon_port": 0}
    with marketplace_peers(tmp_path, **ports) as peers:
        before = asked(f"{peers.shopify}/_sandbox/shopify")
        assert before["to_happen"] == 5
        for _ in range(3):
            httpx.post(f"{peers.shopify}/_sandbox/shopify/next", trust_env=False).raise_for_status()
        (tmp_path / "killed").mkdir()
        for name in ("takealot.pickle", "shopify.pickle", "amazon.pickle"):
            (tmp_path / "killed" / name).write_bytes((tmp_path / name).read_bytes())

    with marketplace_peers(tmp_path / "killed", **ports) as again:
        after = asked(f"{again.shopify}/_sandbox/shopify")
        assert (after["orders"], after["to_happen"]) == (before["orders"], 2)  # one was placed, one deleted
        headers = {"X-API-Key": DEMO_KEY}
        url = f"{again.takealot}/v1/offers?limit=1"
        assert httpx.get(url, headers=headers, trust_env=False).status_code == 200
        # As often as a run asks.
        statuses = []
        for _ in range(READ_ATTEMPTS):
            try:
                statuses.append(httpx.get(f"{again.amazon}/eu/listings/", trust_env=False).status_code)
            except httpx.RemoteProtocolError:
                statuses.append(0)
        assert statuses == [503, 0, 500]
        assert httpx.get(f"{again.amazon}/eu/listings/", trust_env=False).status_code == 404


def test_what_happens_ahead_of_its_time_is_of_now_until_nothing_is_left_to_happen() -> None:
    shopify, amazon = ShopifyStandIn.demo().world, AmazonStandIn.demo().world
    order, other = shopify.bring_forward(), amazon.bring_forward()
    assert order is not None
    assert other is not None
    now = datetime.now(UTC)
    for text in (shopify.orders[order]["updatedAt"], amazon.orders[other]["lastUpdatedTime"]):
        assert abs((datetime.fromisoformat(text) - now).total_seconds()) < 60
    takealot = TakealotStandIn.demo().world
    takealot.bring_forward()
    sold = takealot.bring_forward()
    assert sold is not None
    assert datetime.fromisoformat(takealot.sales[sold]["order_date"]) <= anchor()
    for world, left in ((shopify, 4), (amazon, 3), (takealot, 3)):
        assert [world.bring_forward() is not None for _ in range(left + 1)] == [True] * left + [False]


@pytest.mark.parametrize("name", list(marketplace_secrets()))
def test_the_connections_refer_to_secrets_and_do_not_hold_them(name: str) -> None:
    document = str(marketplace_connections(MarketplacePeers(*[f"http://127.0.0.1:{port}" for port in (1, 2, 3)])))
    assert f"env:{name}" in document
    assert marketplace_secrets()[name] not in document
