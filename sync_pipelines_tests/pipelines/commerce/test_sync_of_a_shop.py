"""A sync that people start, carried out between a served shop and a served ERP."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.pipelines.commerce.orchestrator import Caller, answer
from sync_pipelines.pipelines.commerce.runs import carry_out_sync
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines_tests.pipelines.commerce.shop_runs import NAME, ORGANIZATION, ServedShop, served

WANTED = {
    "systems": ["woocommerce", "odoo"],
    "entityTypes": ["customers", "orders"],
    "syncConfig": {"batchSize": 4, "rateLimit": 50, "interBatchDelayMs": 0},
}


def asked(shop: ServedShop, action: str, **request: Any) -> dict[str, Any]:
    """Ask something about syncs, and return what is answered."""
    caller = Caller(ORGANIZATION, "ada", [NAME])
    return answer(shop.engine, caller, json.dumps({"action": action, **request})).body


def carried_out(shop: ServedShop) -> str:
    """Start a sync, carry it out, and return its id."""
    sync_id = str(asked(shop, "start", **WANTED)["syncId"])
    asyncio.run(carry_out_sync(shop.connection, shop.engine, sync_id, logging.getLogger("a shop")))
    return sync_id


def test_a_sync_brings_a_shop_and_its_erp_together_once_and_says_what_it_left_out(engine: Engine) -> None:
    shop = WooCommerceStandIn.bulk(products=0, customers=10)
    with served(engine, shop, OdooStandIn(), entities=["customers"]) as one:
        first = asked(one, "status", syncId=carried_out(one))
        writes = one.writes
        second = asked(one, "status", syncId=carried_out(one))

        assert first["entities"]["customers"]["odoo"]["processed"] == 10
        assert (first["status"], first["errorMessage"]) == (
            "partial",
            f"orders: {NAME} does not synchronize orders",
        )
        assert second["entities"]["customers"]["odoo"]["total"] == 0
        assert one.writes == writes


def test_a_record_that_a_system_refuses_is_one_failed_item_of_that_system(engine: Engine) -> None:
    odoo = OdooStandIn()
    # Odoo takes such an address, WordPress does not.
    odoo.world.create("res.partner", name="Zoë Bloom", email="zoë@mail.example.test")
    shop = WooCommerceStandIn.bulk(products=0, customers=2)
    with served(engine, shop, odoo, entities=["customers"]) as one:
        sync_id = carried_out(one)
        told = asked(one, "status", syncId=sync_id)

    assert told["queues"]["woocommerce"] == {"total": 1, "processed": 0, "failed": 1, "skipped": 0, "pending": 0}
    assert told["queues"]["odoo"] == {"total": 2, "processed": 2, "failed": 0, "skipped": 0, "pending": 0}
    assert [one["type"] for one in told["conflicts"]["manualReview"]] == ["ValidationError"]
