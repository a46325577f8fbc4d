"""``sync-pipelines commerce``: synchronize shops, see what waits for a person, and settle it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sync_pipelines.cli import commerce_syncs, output
from sync_pipelines.cli.conflict_tables import conflict_tables
from sync_pipelines.cli.session import open_store, operator
from sync_pipelines.cli.shops import ENTITIES, chosen_entities, chosen_shops
from sync_pipelines.core.errors import ConfigurationError

entities_option = click.option(
    "--entity",
    "entities",
    type=click.Choice(ENTITIES),
    multiple=True,
    help="Only this entity; may be given several times. All of the shop by default.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
shop_argument = click.argument("shop", required=False)


@click.group()
def commerce() -> None:
    """Keep shops and their ERP in agreement, both ways, and settle conflicts."""


@commerce.command()
@shop_argument
@entities_option
@click.option("--dry-run", is_flag=True, help="Read, merge and plan, and write to neither system.")
@click.option("--full", is_flag=True, help="Read everything, also where a system can tell what moved.")
@click.option(
    "--approve",
    "approved",
    metavar="HASH",
    multiple=True,
    help="Let the held plan with this hash through, once; may be given for several entities and systems.",
)
@click.option("--verbose", is_flag=True, help="Print the runs' log to stderr.")
@json_option
def sync(
    shop: str | None,
    entities: tuple[str, ...],
    dry_run: bool,
    full: bool,
    approved: tuple[str, ...],
    verbose: bool,
    as_json: bool,
) -> None:
    """Bring WooCommerce and Odoo into agreement.

    SHOP is the name of a connection; all of them by default. Each shop is a run of its job, carried out here and seen
    in the Dagster UI. Ends with 1 when a run failed, or a plan is held. Open conflicts are no failure: they are listed
    by 'sync-pipelines commerce conflicts'.
    """
    from sync_pipelines.cli.commerce_runs import synchronize_shop, tell_runs

    if dry_run and approved:
        raise ConfigurationError("--approve is there to apply: leave --dry-run out")
    chosen = chosen_shops(shop)
    wanted = [(one, chosen_entities(one, entities)) for one in chosen]
    with open_store():
        done = [
            synchronize_shop(one, names, dry_run=dry_run, full=full, approve=approved, verbose=verbose)
            for one, names in wanted
        ]
    tell_runs(done, as_json=as_json, dry_run=dry_run)


@commerce.command()
@shop_argument
@entities_option
@json_option
def conflicts(shop: str | None, entities: tuple[str, ...], as_json: bool) -> None:
    """List what only a person can decide, with the values of both systems.

    A conflict has a row for each field. "agreed before" is the value that both systems had; "owner" decides about the
    field by itself, unless that is both. With --json also the reason, the shop and since when.
    """
    from sync_pipelines.pipelines.commerce.conflict_rows import open_conflicts, rows_of

    with open_store() as engine, engine.begin() as store:
        rows = [
            row
            for one in chosen_shops(shop)
            for row in rows_of(one, open_conflicts(store, one, chosen_entities(one, entities)))
        ]
    if as_json:
        output.print_json(rows)
        return
    if not rows:
        output.note("There are no conflicts.")
        return
    output.show(*conflict_tables(rows))
    if any(not row.settled for row in rows):
        output.note("Settle one: sync-pipelines commerce settle CONFLICT accept|reject|custom")


@commerce.command()
@click.argument("conflict")
@click.argument("resolution", type=click.Choice(["accept", "reject", "custom"]))
@click.option(
    "--value",
    "values",
    metavar="FIELD=VALUE",
    multiple=True,
    help="For custom: the value of a contested field, for each of them. Structures are given as JSON.",
)
@json_option
def settle(conflict: str, resolution: str, values: tuple[str, ...], as_json: bool) -> None:
    """Decide about a conflict; the next sync carries it out in both systems.

    accept: what WooCommerce shows stands. reject: what Odoo shows stands. custom: the given values stand. Of a record
    that is deleted in one system and changed in the other, accept takes WooCommerce's word and reject Odoo's.

    CONFLICT is its id as it is listed. An edit made meanwhile voids the decision, and the conflict stands with the new
    values.
    """
    from sync_pipelines.core.conflicts import Resolution
    from sync_pipelines.pipelines.commerce.settling import settle as write_down

    given = _given(values)
    if resolution == "custom" and not given:
        raise ConfigurationError("custom needs --value FIELD=VALUE for each contested field")
    with open_store() as engine:
        shop, settled = write_down(
            engine, chosen_shops(None), conflict, Resolution(resolution), operator(), given or None
        )
    if as_json:
        output.print_json(
            {
                "id": settled.id,
                "shop": shop.name,
                "entity": settled.entity,
                "item": settled.item,
                "resolution": resolution,
                "values": settled.resolved_data,
            }
        )
        return
    output.show(f"{settled.id}: {settled.item} is settled ({resolution}).")
    output.note(f"The next sync carries it out: sync-pipelines commerce sync {shop.name} --entity {settled.entity}")


@commerce.command()
@shop_argument
@json_option
def status(shop: str | None, as_json: bool) -> None:
    """Tell where each entity of a shop stands."""
    from sync_pipelines.pipelines.commerce.status import statuses

    with open_store() as engine:
        found = [one for connection in chosen_shops(shop) for one in statuses(engine, connection)]
    if as_json:
        output.print_json(found)
        return
    columns = [
        "shop",
        "entity",
        "records",
        "in both",
        "conflicts",
        "retrying",
        "dead letters",
        "held plans",
        "last sync",
    ]
    rows = [
        (
            one.shop,
            one.entity,
            one.records,
            one.linked,
            one.conflicts,
            one.retrying,
            one.dead_letters,
            ", ".join(one.held),
            one.last_sync,
        )
        for one in found
    ]
    output.show(output.table("Shops", columns, rows, numbers=columns[2:7]))


@commerce.command()
@shop_argument
@entities_option
def retry(shop: str | None, entities: tuple[str, ...]) -> None:
    """Give dead-lettered records another chance; the next sync tries them."""
    from sync_pipelines.pipelines.commerce.status import retry_dead_letters

    with open_store() as engine:
        for one in chosen_shops(shop):
            number = retry_dead_letters(engine, one, chosen_entities(one, entities), operator())
            output.show(f"{one.name}: {number} dead letter{'' if number == 1 else 's'} to be tried again")


for _command in commerce_syncs.COMMANDS:
    commerce.add_command(_command)


def _given(values: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"--value {text!r} is not FIELD=VALUE")
        given[name.strip()] = value
    return given
