"""``sync-pipelines commerce preview``: what a sync would do, before it does anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from sqlalchemy import Connection

from sync_pipelines.cli import output
from sync_pipelines.cli.commerce import commerce, entities_option, json_option, shop_argument
from sync_pipelines.cli.differences import difference
from sync_pipelines.cli.session import open_store
from sync_pipelines.cli.shops import chosen_entities, chosen_shops
from sync_pipelines.core.plan import Action
from sync_pipelines.store import plans

if TYPE_CHECKING:
    from sync_pipelines.cli.commerce_runs import EntityRun, ShopRun

_NAMES = {"woocommerce": "WooCommerce", "odoo": "Odoo"}
_KINDS = {Action.CREATE: "new", Action.UPDATE: "updated", Action.RETIRE: "deleted"}


@dataclass(frozen=True, slots=True)
class Example:
    """A record that would be written.

    Attributes:
        what: ``new``, ``updated`` or ``deleted``: retired in the way that the entity's policy says.
        fields: a line for each field, with what is there now and what will be.
    """

    record: str
    what: str
    fields: str


@dataclass(frozen=True, slots=True)
class SystemPreview:
    """What would be done to the records of an entity in one system.

    Attributes:
        left_alone: records that would have to be written and cannot be now, because they wait for a link, a retry or a
            person.
        held: why the plan would be held; empty when it would not.
    """

    shop: str
    entity: str
    system: str
    new: int
    updated: int
    deleted: int
    left_alone: int
    held: str
    plan: str
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a sync of an entity would do; ``conflicts`` are those that a person has to settle."""

    shop: str
    entity: str
    conflicts: int
    systems: Sequence[SystemPreview]


@commerce.command()
@shop_argument
@entities_option
@click.option("--full", is_flag=True, help="Read everything, also where a system can tell what moved.")
@click.option("--examples", "shown", default=2, show_default=True, type=click.IntRange(0), help="Of each kind.")
@json_option
def preview(shop: str | None, entities: tuple[str, ...], full: bool, shown: int, as_json: bool) -> None:
    """Tell what a sync would make new, update and delete in either system, and what waits for a person.

    SHOP is the name of a connection; all of them by default. Both systems are read, and neither is written to. What
    depends on a record that is not there yet, as an order does on its new customer, is left alone: the sync does both.
    """
    from sync_pipelines.cli.commerce_runs import note_problems, synchronize_shop

    chosen = [(one, chosen_entities(one, entities)) for one in chosen_shops(shop)]
    with open_store() as engine:
        done = [synchronize_shop(one, names, dry_run=True, full=full) for one, names in chosen]
        with engine.connect() as connection:
            found = [_preview(connection, run, one, shown) for run in done for one in run.entities]
    if as_json:
        output.print_json(found)
    else:
        _show(found, done)
    note_problems(done)
    if any(run.problem for run in done):
        click.get_current_context().exit(1)


def _preview(connection: Connection, run: ShopRun, one: EntityRun, shown: int) -> Preview:
    systems = [_system(connection, run, one, name, hash_, shown) for name, hash_ in one.plans.items()]
    return Preview(run.shop, one.entity, one.conflicts, systems)


def _system(connection: Connection, run: ShopRun, one: EntityRun, name: str, hash_: str, shown: int) -> SystemPreview:
    plan = plans.find_plan(connection, hash_)
    counts: Mapping[str, int] = plan.counts
    examples = [
        Example(change.natural_key, what, difference(change))
        for action, what in _KINDS.items()
        for change in plans.changes(connection, plan.id, actions=[action], limit=shown)
        if shown
    ]
    return SystemPreview(
        shop=run.shop,
        entity=one.entity,
        system=_NAMES[name],
        new=int(counts["create"]),
        updated=int(counts["update"]),
        deleted=int(counts["retire"]),
        left_alone=sum(int(counts[name]) for name in ("withheld", "waiting", "blocked", "dead_lettered", "invalid")),
        held="; ".join(plan.held_reasons),
        plan=plan.hash,
        examples=examples,
    )


def _show(found: Sequence[Preview], done: Sequence[ShopRun]) -> None:
    several = len(done) > 1
    systems = [one for entity in found for one in entity.systems]
    columns = ["entity", "conflicts"]
    columns += [f"{system}: {what}" if what == "new" else what for system in _NAMES.values() for what in _TOLD]
    rows = [
        (
            f"{one.shop}.{one.entity}" if several else one.entity,
            one.conflicts,
            *(number for system in one.systems for number in _numbers(system)),
        )
        for one in found
    ]
    output.show(output.table("What a sync would do", columns, rows, numbers=columns[1:]))
    examples = [
        (one.system, one.entity, example.record, example.what, _line(example))
        for one in systems
        for example in one.examples
    ]
    if examples:
        columns = ["in", "entity", "record", "what", "fields: now → then"]
        output.show(output.table("For example", columns, examples))
    for one in systems:
        if one.held:
            output.note(
                f"{one.shop}.{one.entity}: the plan for {one.system} would be held: {one.held}; let it through with "
                f"sync-pipelines commerce sync {one.shop} --entity {one.entity} --approve {one.plan[:12]}"
            )
    if any(one.conflicts for one in found):
        output.note("The conflicts with their values: sync-pipelines commerce conflicts")


def _line(example: Example) -> str:
    # A new record has many fields, and what there was is nothing.
    return ", ".join(example.fields.split("\n")) if example.what == _KINDS[Action.CREATE] else example.fields


_TOLD = ("new", "updated", "deleted", "left alone")


def _numbers(one: SystemPreview) -> tuple[int, int, int, int]:
    return one.new, one.updated, one.deleted, one.left_alone


__all__ = ["commerce", "preview"]
