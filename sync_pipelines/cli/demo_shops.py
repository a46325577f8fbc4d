"""The commerce part of the demo: what became of the shop's entities, and its documented discrepancies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table
from sqlalchemy import Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.demo_shop_discrepancies import MISSING, ShopDiscrepancy, shop_discrepancies
from sync_pipelines.cli.session import operator
from sync_pipelines.cli.shops import shops
from sync_pipelines.orchestration.dagster_ui import DagsterUi
from sync_pipelines.store import plans

if TYPE_CHECKING:
    from sync_pipelines.pipelines.commerce.conflict_rows import ConflictRow
    from sync_pipelines.pipelines.commerce.connection import ShopConnection

_CHANGES = ("create", "update", "retire")


@dataclass(frozen=True, slots=True)
class EntityOutcome:
    """Where an entity of a shop stands after the demo's first sync.

    Attributes:
        records: merged ones.
        in_agreement: those about which both systems say the same.
        repaired: records written in either system since the demo was started.
        conflicts: open ones.
        left_alone: records that wait for others, or for what only a person can do.
    """

    shop: str
    entity: str
    records: int
    in_agreement: int
    repaired: int
    conflicts: int
    left_alone: int


@dataclass(frozen=True, slots=True)
class ShopsOutcome:
    """What became of the demo's shops.

    Attributes:
        problems: why syncs did not come to their end.
    """

    entities: Sequence[EntityOutcome]
    conflicts: Sequence[ConflictRow]
    discrepancies: Sequence[ShopDiscrepancy]
    problems: Sequence[str]

    @property
    def missing(self) -> list[str]:
        """Codes of the documented discrepancies that were not found."""
        return [one.code for one in self.discrepancies if one.found.get(MISSING)]


def synchronized() -> list[str]:
    """Synchronize the shops here, each in one run. Returns what kept them from it."""
    from sync_pipelines.cli.commerce_runs import synchronize_shop

    done = [synchronize_shop(shop, shop.entities) for shop in shops()]
    return [f"{run.shop}: {run.problem}" for run in done if run.problem]


def launched(ui: DagsterUi) -> dict[str, str]:
    """Launch one run for each shop, over all of its entities. Returns the shops by the ids of the runs."""
    from sync_pipelines.pipelines.commerce.asset_keys import JOB
    from sync_pipelines.pipelines.commerce.automation import range_tags

    return {ui.launch(JOB, None, {**range_tags(shop), "user": operator()}): shop.name for shop in shops()}


def shops_outcome(engine: Engine, since: datetime, problems: Sequence[str]) -> ShopsOutcome:
    """Return what the database says about the demo's shops.

    Arguments:
        since: earlier repairs are not counted.
    """
    from sync_pipelines.pipelines.commerce.conflict_rows import open_conflicts, rows_of

    entities, rows, found = [], [], []
    for shop in shops():
        entities += _entities(engine, shop, since)
        with engine.begin() as store:
            rows += rows_of(shop, open_conflicts(store, shop))
            found += shop_discrepancies(store, shop)
    return ShopsOutcome(entities, rows, found, problems)


def _entities(engine: Engine, shop: ShopConnection, since: datetime) -> list[EntityOutcome]:
    from sync_pipelines.pipelines.commerce.status import statuses

    repaired = _repaired(engine, shop, since)
    return [
        EntityOutcome(
            one.shop, one.entity, one.records, one.agreed, repaired[one.entity], one.conflicts, one.left_alone
        )
        for one in statuses(engine, shop)
    ]


def _repaired(engine: Engine, shop: ShopConnection, since: datetime) -> Counter[str]:
    from sync_pipelines.pipelines.commerce.one_way import PAIRS

    repaired = Counter[str]()
    with engine.connect() as store:
        for entity in shop.entities:
            for pair in PAIRS:
                for plan in plans.list_plans(store, pair=pair, scope=shop.scope(entity)):
                    done = (plan.outcome or {}).get("actions", {}) if plan.created_at >= since else {}
                    repaired[entity.value] += sum(int(done.get(action, 0)) for action in _CHANGES)
    return repaired


def entities_table(outcome: ShopsOutcome) -> Table:
    """Return what became of each entity as a table."""
    columns = ["shop", "entity", "records", "in agreement", "repaired", "waiting as conflicts", "left alone"]
    rows = [
        (one.shop, one.entity, one.records, one.in_agreement, one.repaired, one.conflicts, one.left_alone)
        for one in outcome.entities
    ]
    return output.table("Shops", columns, rows, numbers=columns[2:])


def discrepancies_table(outcome: ShopsOutcome) -> Table:
    """Return the documented discrepancies and as what they were found as a table."""
    columns = ["code", "between WooCommerce and Odoo on purpose", "records", "found as"]
    rows = [(one.code, one.kind, sum(one.found.values()), one.told) for one in outcome.discrepancies]
    return output.table("Documented discrepancies of the shop", columns, rows, numbers=["records"])
