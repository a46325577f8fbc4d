"""The scheduler's call pulls a marketplace: a real service, a real Dagster, the real pipeline, and a strict shop."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine, text

from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.sandbox.woocommerce.access import DEMO_KEY
from sync_pipelines_tests.service.running import ADMIN, SCHEDULER, good_call
from sync_pipelines_tests.service.whole import running_whole


@pytest.mark.long
def test_given_a_call_of_the_scheduler_then_the_orders_of_the_shop_are_in_the_database(
    tmp_path: Path, database_url: str, engine: Engine
) -> None:
    standin = WooCommerceStandIn.demo()
    with standin.running() as url:
        access = {"url": url, "consumer_key": "env:SHOP_KEY", "consumer_secret": "env:SHOP_SECRET"}
        shop = {"name": "oslo", "organization": "acme", "marketplace": "woocommerce", "woocommerce": access}
        connections = tmp_path / "connections.yaml"
        connections.write_text(yaml.safe_dump({"marketplaces": [shop]}))
        others = {
            "SYNC_CONNECTIONS_FILE": str(connections),
            "SHOP_KEY": DEMO_KEY.consumer_key,
            "SHOP_SECRET": DEMO_KEY.consumer_secret,
        }
        with running_whole(tmp_path, database_url, "sync_pipelines.definitions", others) as whole:
            cycle = whole.ended(whole.client.post(SCHEDULER, headers=good_call("2026-04-13T12:00:00Z")).json())
            assert (cycle["status"], cycle["reason"]) == ("succeeded", None)
            assert (cycle["result"]["totalConnections"], cycle["result"]["successfulConnections"]) == (1, 1)
            (shown,) = whole.status()["connections"]
            assert (shown["connectionId"], shown["syncStatus"], shown["lastError"]) == ("oslo", "success", None)

            again = whole.client.post("/api/sync/trigger", headers=ADMIN, json={"connectionIds": ["oslo"]})
            assert whole.ended(again.json())["result"]["totalConnections"] == 1
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT count(*) FROM sync.marketplace_order")).scalar_one()
    assert stored > 0
