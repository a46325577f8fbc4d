"""Syncs that people start between a served shop and a served ERP, and what happens to them in the middle of a batch."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Engine, text
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.core.orchestration import Activity
from sync_pipelines.engine.stopping import Stop
from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.pipelines.commerce.orchestrator import Caller, answer
from sync_pipelines.pipelines.commerce.runs import carry_out_sync
from sync_pipelines.pipelines.commerce.started_syncs import waiting
from sync_pipelines.pipelines.commerce.sync_worker import Temper
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.store import orchestrations, sync_activity
from sync_pipelines.store.orchestrations import Orchestration
from sync_pipelines_tests.kills.child import Work
from sync_pipelines_tests.pipelines.commerce.shop_runs import NAME, ORGANIZATION, ServedShop, served

CUSTOMERS = 10
CREATES = r"/res\.partner/create$"
"""Paths of the requests that make a customer in Odoo."""
WANTED: dict[str, Any] = {
    "systems": ["woocommerce", "odoo"],
    "entityTypes": ["customers"],
    "syncConfig": {"batchSize": 6, "rateLimit": 50, "interBatchDelayMs": 0},
}
log = logging.getLogger("a worker")


@dataclass
class AtCreate:
    """ASGI middleware: when the customer with a number is to be made in Odoo, something happens first, once.

    Attributes:
        number: counted from 1; 0 for none.
    """

    app: ASGIApp
    number: int = 0
    happens: Callable[[], object] = lambda: None
    made: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count creates on their way."""
        if scope["type"] == "http" and scope["path"].endswith("/res.partner/create"):
            self.made += 1
            if self.made == self.number:
                await asyncio.to_thread(self.happens)
        await self.app(scope, receive, send)


@dataclass
class Syncs:
    """A shop with ten customers that Odoo does not know, written one at a time; and somebody who steers its syncs."""

    served: ServedShop
    creates: AtCreate

    @property
    def engine(self) -> Engine:
        """The store's database."""
        return self.served.engine

    def asks(self, action: str, **request: Any) -> dict[str, Any]:
        """Ask something about syncs; that one may not ask often is left out of it."""
        self.sql("DELETE FROM sync.sync_request")
        told = answer(self.engine, Caller(ORGANIZATION, "ada", [NAME]), json.dumps({"action": action, **request}))
        assert told.body["success"], told.body
        return told.body

    def starts(self, **request: Any) -> str:
        """Start a sync of the customers in both systems, and return its id."""
        return str(self.asks("start", **(WANTED | request))["syncId"])

    def at_create(self, number: int, happens: Callable[[], object]) -> None:
        """Let something happen in the middle of a batch."""
        self.creates.number, self.creates.happens = number, happens

    def works(self, sync_id: str) -> Orchestration | None:
        """Let a worker take a sync up."""
        return work_on(self.served.connection, sync_id, self.engine)

    def to_be_killed(self, sync_id: str) -> Work:
        """Return the same as work for a process of its own."""
        return partial(work_on, self.served.connection, sync_id)

    def waiting(self) -> list[str]:
        """Return the syncs that wait for a worker."""
        with self.engine.begin() as store:
            return [one.sync.sync_id for one in waiting(store, [self.served.connection])]

    def status(self, sync_id: str) -> str:
        """Return where a sync stands."""
        with self.engine.begin() as store:
            return orchestrations.read(store, sync_id).status

    def queue(self, sync_id: str, system: str = "odoo") -> dict[str, int]:
        """Return the numbers of a system that are not zero."""
        told = self.asks("status", syncId=sync_id)
        return {name: number for name, number in told["queues"][system].items() if number}

    def log(self, sync_id: str) -> list[Activity]:
        """Return the milestones of a sync."""
        with self.engine.begin() as store:
            return [entry.action for entry in sync_activity.entries(store, ORGANIZATION, sync_id)]

    def let_a_dead_worker_be_noticed(self) -> None:
        """Let the minute pass for which a worker counts as alive without a sign, and its leases with it."""
        self.sql("UPDATE sync.sync_orchestration SET owner_until = clock_timestamp()")
        self.sql("UPDATE sync.lease SET expires_at = expires_at - interval '1 hour'")

    def is_in_odoo_once(self) -> bool:
        """Say whether every customer of the shop is in Odoo, and once, by as many requests."""
        made = Counter(row["email_normalized"] for row in self.served.odoo.world.rows("res.partner"))
        # The first one is the administrator of the shop.
        shown = {one.email for one in self.served.shop.world.customers.values()} - {"admin@example.test"}
        return {made[email] for email in shown} == {1} and self.creates.made == len(shown) == CUSTOMERS

    def sql(self, statement: str) -> None:
        """Execute a statement that returns nothing."""
        with self.engine.begin() as connection:
            connection.execute(text(statement))


def work_on(connection: ShopConnection, sync_id: str, engine: Engine) -> Orchestration | None:
    """Carry a sync out. What waits for a create whose reply was lost does not wait long."""

    async def wait(stop: Stop, seconds: float) -> None:
        with engine.begin() as store:
            store.execute(text("UPDATE sync.effect SET quiet_until = now() WHERE quiet_until IS NOT NULL"))

    return asyncio.run(carry_out_sync(connection, engine, sync_id, log, temper=Temper(wait=wait)))


@contextmanager
def syncs_of(engine: Engine) -> Iterator[Syncs]:
    """Serve both systems for the time of the block."""
    odoo = OdooStandIn()
    creates = AtCreate(odoo.app)
    odoo.app = creates
    shop = WooCommerceStandIn.bulk(products=0, customers=CUSTOMERS)
    with served(engine, shop, odoo, entities=["customers"], in_flight=1) as one:
        yield Syncs(one, creates)
