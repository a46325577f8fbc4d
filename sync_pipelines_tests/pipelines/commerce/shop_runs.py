"""Runs the pipeline's job in this process against both stand-ins, and reads what it said."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dagster import DagsterInstance, Definitions, ExecuteInProcessResult, in_process_executor
from sqlalchemy import Engine

from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.pipelines.commerce.asset_keys import JOB
from sync_pipelines.pipelines.commerce.assets import STEP
from sync_pipelines.pipelines.commerce.automation import range_tags
from sync_pipelines.pipelines.commerce.connection import EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.definitions import definitions_of
from sync_pipelines.pipelines.commerce.runs import Progress, Request, carry_out
from sync_pipelines.sandbox.odoo import SYNC_KEY, OdooStandIn
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, WooCommerceStandIn
from sync_pipelines.store import conflicts
from sync_pipelines.store.conflicts import Conflict

NAME = "nordwind"
ORGANIZATION = "org-1"
HOOK_SECRET = "example-secret-of-a-webhook"
SECRETS = {
    "SHOP_KEY": DEMO_KEY.consumer_key,
    "SHOP_SECRET": DEMO_KEY.consumer_secret,
    "ODOO_KEY": SYNC_KEY,
    "HOOK_SECRET": HOOK_SECRET,
    "OTHER_HOOK_SECRET": "example-secret-of-another-shop",
}
"""The keys of the stand-ins and of their webhooks as environment variables."""


def row_of(shop_url: str, odoo_url: str, **changes: Any) -> dict[str, Any]:
    """Return a connection as it stands in the file."""
    return {
        "name": NAME,
        "organization": ORGANIZATION,
        "woocommerce": {
            "url": shop_url,
            "consumer_key": "env:SHOP_KEY",
            "consumer_secret": "env:SHOP_SECRET",
            "weight_unit": "lbs",
            "webhook_secrets": ["env:HOOK_SECRET"],
        },
        "odoo": {"url": odoo_url, "key": "env:ODOO_KEY", "weight_unit": "lbs"},
        "max_retries": 0,
        **changes,
    }


def connection_of(shop_url: str, odoo_url: str, **changes: Any) -> ShopConnection:
    """Return a connection as the file would give it."""
    return ShopConnection.model_validate(row_of(shop_url, odoo_url, **changes), context={"environment": SECRETS})


@dataclass
class ServedShop:
    """Both stand-ins, the database in between, and Dagster.

    Attributes:
        changes: fields of the connection that are not the usual ones.
    """

    shop: WooCommerceStandIn
    odoo: OdooStandIn
    shop_url: str
    odoo_url: str
    engine: Engine
    instance: DagsterInstance
    changes: dict[str, Any] = field(default_factory=dict)
    _runs: Iterator[int] = field(default_factory=itertools.count)

    @property
    def connection(self) -> ShopConnection:
        """The connection."""
        return connection_of(self.shop_url, self.odoo_url, **self.changes)

    @property
    def definitions(self) -> Definitions:
        """What Dagster loads."""
        return Definitions.merge(
            definitions_of((self.connection,)),
            Definitions(resources={"store": self.engine, "options": RunOptions()}, executor=in_process_executor),
        )

    def synchronized(self, *, partition: str | None = None, **options: Any) -> ExecuteInProcessResult:
        """Synchronize all entities in one run, or one of them."""
        return self.definitions.resolve_job_def(JOB).execute_in_process(
            instance=self.instance,
            partition_key=None if partition is None else f"{NAME}.{partition}",
            tags=range_tags(self.connection) if partition is None else {"user": "ada"},
            run_config={"ops": {STEP: {"config": options}}} if options else {},
            raise_on_error=False,
        )

    def carried_out(self, *entities: EntityType, full: bool = False, applies: bool = True) -> list[Progress]:
        """Do one run without Dagster, of some entities or of all, and return how far each of them came."""
        connection, done = self.connection, list[Progress]()
        request = Request(f"run-{next(self._runs)}", "ada", entities or connection.entities, applies=applies, full=full)
        asyncio.run(carry_out(connection, self.engine, request, logging.getLogger("shop runs"), done))
        return done

    def conflicts(self, organization: str = ORGANIZATION) -> list[Conflict]:
        """Return the open conflicts of an organization."""
        with self.engine.begin() as store:
            return conflicts.standing(store, organization)

    @property
    def writes(self) -> int:
        """Requests that may have changed something, to both systems."""
        shop = [one for one in self.shop.world.requests if one.method != "GET"]
        odoo = [one for one in self.odoo.world.requests if one.path.rpartition("/")[2] not in _READS]
        return len(shop) + len(odoo)


_READS = frozenset({"search_read", "search_count", "search", "read", "fields_get", "context_get", "version"})


@contextmanager
def served(engine: Engine, shop: WooCommerceStandIn, odoo: OdooStandIn, **changes: Any) -> Iterator[ServedShop]:
    """Serve both systems for the time of the block."""
    with shop.running() as shop_url, odoo.running() as odoo_url, DagsterInstance.ephemeral() as instance:
        yield ServedShop(shop, odoo, shop_url, odoo_url, engine, instance, changes)


def materialized(result: ExecuteInProcessResult) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return the metadata of what a run materialized: entity -> asset -> metadata."""
    made: dict[str, dict[str, Mapping[str, Any]]] = {}
    for event in result.get_asset_materialization_events():
        entity = str(event.partition).rpartition(".")[2]
        assert event.asset_key is not None
        made.setdefault(entity, {})[event.asset_key.path[-1]] = {
            name: value.value for name, value in event.materialization.metadata.items()
        }
    return made


def checks(result: ExecuteInProcessResult) -> dict[str, bool]:
    """Return which checks of a run passed, ``asset.check``."""
    return {f"{one.asset_key.path[-1]}.{one.check_name}": one.passed for one in result.get_asset_check_evaluations()}


def told(result: ExecuteInProcessResult, check: str) -> str:
    """Return what a check of a run said, with its table: ``asset.check``."""
    (one,) = [
        one for one in result.get_asset_check_evaluations() if f"{one.asset_key.path[-1]}.{one.check_name}" == check
    ]
    table = one.metadata.get("table")
    return f"{one.description}\n{table.value if table else ''}"


def reason(result: ExecuteInProcessResult) -> str:
    """Return why a run failed, as people wrote it."""
    failure = next(event for event in result.all_events if event.is_step_failure)
    error = failure.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    assert error is not None
    return error.message
