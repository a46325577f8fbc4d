"""The job with which people settle a conflict in Dagster's UI, as the command line and the API do."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from dagster import (
    Config,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    ResourceParam,
    in_process_executor,
    job,
    op,
)
from pydantic import Field
from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Resolution
from sync_pipelines.core.plan import markdown_cell
from sync_pipelines.pipelines.commerce.conflict_rows import value_text
from sync_pipelines.pipelines.commerce.connection import NAME, ShopConnection
from sync_pipelines.pipelines.commerce.settling import settle
from sync_pipelines.store.conflicts import Conflict

JOB = f"{NAME}_settle"
STEP = f"{NAME}__settle"


class Decision(StrEnum):
    """How a conflict is settled. Run config is written with the members' names, hence their lower case."""

    accept = "accept"
    reject = "reject"
    custom = "custom"


class Settlement(Config):
    """A decision about one conflict; shown in the Launchpad."""

    conflict: str = Field(
        description="Id of the conflict, as the asset `commerce/conflicts` and `sync-pipelines commerce conflicts` "
        "list it; as much of it as no other one begins with, at least 12 characters."
    )
    resolution: Decision = Field(
        description="accept: what WooCommerce shows stands. reject: what Odoo shows stands. custom: `values` stand. "
        "Of a record that is deleted in one system and changed in the other, accept takes WooCommerce's word and "
        "reject Odoo's. Of one that was given up, accept and reject both try again."
    )
    values: dict[str, str] = Field(
        default_factory=dict,
        description="For custom: each contested field and its value, in quotes, as `price: '12.50'`; numbers, yes and "
        "no, and structures as JSON are checked against what the systems show.",
    )


def settle_job(configured: Sequence[ShopConnection]) -> JobDefinition:
    """Return the job that writes down how somebody settles a conflict of these shops."""

    @op(name=STEP, description="Check the decision and write it down.")
    def write_down(context: OpExecutionContext, store: ResourceParam[Engine], config: Settlement) -> None:
        by = context.run.tags.get("user", "the Launchpad")
        resolution = Resolution(config.resolution)
        shop, settled = settle(store, configured, config.conflict, resolution, by, config.values or None)
        context.add_output_metadata(_metadata(shop, settled))

    @job(
        name=JOB,
        executor_def=in_process_executor,
        description="Settle a conflict. The next sync of its entity carries it out in both systems; an edit made "
        "meanwhile voids it. A decision that does not fit fails the run, and changes nothing.\n\n"
        "```yaml\nops:\n"
        f"  {STEP}:\n    config:\n      conflict: conflict-...\n      resolution: custom\n"
        "      values:\n        price: '12.50'\n```",
    )
    def settle_conflict() -> None:
        write_down()

    return settle_conflict


def _metadata(shop: ShopConnection, settled: Conflict) -> dict[str, Any]:
    values = settled.resolved_data or {}
    rows = [f"| {markdown_cell(name)} | {markdown_cell(value_text(value))} |" for name, value in values.items()]
    table = "\n".join(["| field | value that stands |", "|---|---|", *rows]) if rows else "no field is contested"
    return {
        "settled": MetadataValue.md(table),
        "conflict": settled.id,
        "shop": shop.name,
        "entity": settled.entity,
        "item": settled.item,
        "resolution": str(settled.resolution),
        "by": settled.resolved_by or "",
    }
