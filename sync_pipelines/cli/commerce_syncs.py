"""``sync-pipelines commerce start`` and its like: start syncs of shops, steer them, watch them, and carry them out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from sync_pipelines.cli import output
from sync_pipelines.cli.session import open_store, operator
from sync_pipelines.cli.shops import ENTITIES, chosen_entities, chosen_shops
from sync_pipelines.core.errors import ConfigurationError, SyncError

if TYPE_CHECKING:
    from sqlalchemy import Engine
SHOWN_ID = 13
"""Characters of a sync's id: ``sync-`` and as many more as tell syncs apart."""
SYSTEMS = ("woocommerce", "odoo")
_STRATEGIES = ("auto-retry", "manual", "skip")

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_shop = click.argument("shop", required=False)
_sync = click.argument("sync_id", metavar="SYNC")


@click.command()
@_shop
@click.option("--system", "systems", type=click.Choice(SYSTEMS), multiple=True, help="Write to this one only.")
@click.option(
    "--entity",
    "entities",
    type=click.Choice(ENTITIES),
    multiple=True,
    help="Only this entity; may be given several times. All of the shop by default.",
)
@click.option("--batch-size", type=int, metavar="N", help="Changes in a batch: 1 to 200, by default 50.")
@click.option("--max-retries", type=int, metavar="N", help="Retries of a record: 0 to 5, by default 3.")
@click.option(
    "--rate-limit",
    type=int,
    metavar="N",
    help="Changes a minute, over all syncs of the organization: 1 to 50, by default 10.",
)
@click.option("--delay", type=int, metavar="MS", help="Milliseconds between two batches, by default 2000.")
@click.option(
    "--conflicts",
    "strategy",
    type=click.Choice(_STRATEGIES),
    help="auto-retry: look at some of them again, after growing waits. manual: they wait for a person at once. skip: "
    "they do, and nothing that is wrong counts as failed.",
)
@click.option("--key", metavar="TEXT", help="Start nothing if a sync was started with this key before.")
@click.option("--draft", is_flag=True, help="Store it only; 'sync-pipelines commerce resume' starts it.")
@_json
def start(
    shop: str | None,
    systems: tuple[str, ...],
    entities: tuple[str, ...],
    batch_size: int | None,
    max_retries: int | None,
    rate_limit: int | None,
    delay: int | None,
    strategy: str | None,
    key: str | None,
    draft: bool,
    as_json: bool,
) -> None:
    """Start a sync of a shop that can be paused, resumed and cancelled.

    SHOP is the name of a connection; it may be left out where there is one. The sync waits for a worker: a run of the
    Dagster job that a sensor asks for, or 'sync-pipelines commerce work'.

    An organization may have 5 syncs under way, and make 10 requests a minute about them.
    """
    configured = chosen_shops(shop)
    if len(configured) > 1:
        raise ConfigurationError(f"which shop? There are {', '.join(one.name for one in configured)}")
    (one,) = configured
    config = {
        "batchSize": batch_size,
        "maxRetries": max_retries,
        "rateLimit": rate_limit,
        "interBatchDelayMs": delay,
        "conflictStrategy": strategy,
    }
    request: dict[str, Any] = {
        "shop": one.name,
        "systems": list(systems or SYSTEMS),
        "entityTypes": [entity.value for entity in chosen_entities(one, entities)],
        "syncConfig": {name: value for name, value in config.items() if value is not None},
        "draft": draft,
    }
    with open_store() as engine:
        told = _ask(engine, one.organization, "start", request | ({"idempotencyKey": key} if key else {}))
    _show_moved(told, as_json=as_json)
    if not as_json and told["status"] == "queued":
        output.note("Dagster's sensor has it carried out; so does: sync-pipelines commerce work")


@click.command()
@_shop
@_json
def syncs(shop: str | None, as_json: bool) -> None:
    """List the newest syncs that people started, and how far they are.

    Of each system it is told how many of its records are processed, and how many failed, were skipped, or are pending.
    """
    chosen = chosen_shops(shop)
    request = {} if shop is None else {"shop": chosen[0].name}
    found: list[dict[str, Any]] = []
    with open_store() as engine:
        for organization in dict.fromkeys(one.organization for one in chosen):
            found += _ask(engine, organization, "list", request)["syncs"]
    if as_json:
        output.print_json(found)
        return
    columns = ["sync", "shop", "state", "%", *SYSTEMS, "conflicts", "time left", "created"]
    rows = [
        (
            one["syncId"][:SHOWN_ID],
            one["shop"],
            state_of(one),
            one["progress"]["percentComplete"],
            *(_queue(one["queues"].get(system)) for system in SYSTEMS),
            one["conflicts"]["count"],
            time_left(one),
            one["createdAt"][:19].replace("T", " "),
        )
        for one in found
    ]
    output.show(output.table("Syncs", columns, rows, numbers=["%", "conflicts"]))
    for one in found:
        if one["errorMessage"]:
            output.note(f"{one['syncId'][:SHOWN_ID]}: {one['errorMessage']}")


def _steering(action: str, told: str) -> click.Command:
    """Return the command that asks for one step of a sync."""

    @click.command(action, help=told)
    @_sync
    @_json
    def steer(sync_id: str, as_json: bool) -> None:
        with open_store() as engine:
            _show_moved(_about(engine, sync_id, action), as_json=as_json)

    return steer


@click.command()
@_sync
@_json
def activity(sync_id: str, as_json: bool) -> None:
    """Tell what happened to a sync, milestone by milestone."""
    with open_store() as engine:
        told = _about(engine, sync_id, "activity")
    if as_json:
        output.print_json(told["activity"])
        return
    rows = [
        (one["createdAt"][:19].replace("T", " "), one["action"], _details(one["details"])) for one in told["activity"]
    ]
    output.show(output.table(told["syncId"], ["time (UTC)", "milestone", "details"], rows))


@click.command()
@_shop
@_json
def work(shop: str | None, as_json: bool) -> None:
    """Take up the syncs that wait for a worker, one after the other, and carry them out here.

    How far they are is told on stderr. Ctrl-C finishes what is in hand, and leaves the sync to the next worker. Ends
    when nothing waits any more: with 1 when a sync failed.
    """
    from sync_pipelines.cli.commerce_work import carry_out_what_waits

    with open_store(pool_size=5) as engine:
        done = carry_out_what_waits(engine, chosen_shops(shop))
    if as_json:
        output.print_json(done)
    elif not done:
        output.note("no sync waits for a worker")
    if any(one["status"] == "failed" for one in done):
        click.get_current_context().exit(1)


def state_of(sync: Mapping[str, Any]) -> str:
    """Return a sync's status as people read it."""
    if sync["requested"]:
        return f"{sync['status']}, to {sync['requested']}"
    left = sync["status"] == "processing" and not sync["isAttended"]
    return "processing, left by its worker" if left else str(sync["status"])


def time_left(sync: Mapping[str, Any]) -> str:
    """Return how long a sync will take, by what it took so far; empty where that cannot be said."""
    remaining = sync["progress"]["estimatedTimeRemainingMs"]
    if remaining is None or sync["status"] not in ("queued", "processing", "paused"):
        return ""
    return str(timedelta(seconds=round(remaining / 1000)))


COMMANDS: Sequence[click.Command] = (
    start,
    syncs,
    _steering("pause", "Let a sync rest. Changes in hand are finished first."),
    _steering(
        "resume",
        "Queue a draft, or again a sync that is paused or ended with something left over; settlements are carried out.",
    ),
    _steering("cancel", "End a sync for good. Changes in hand are finished first; what was done stays."),
    activity,
    work,
)


def _ask(engine: Engine, organization: str, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask as the API does, and return what is answered; the same limits hold.

    Raises:
        SyncError: it is refused.
    """
    from sync_pipelines.cli.shops import shops
    from sync_pipelines.pipelines.commerce.orchestrator import Caller, answer

    own = [one.name for one in shops() if one.organization == organization]
    told = answer(engine, Caller(organization, operator(), own), json.dumps({"action": action, **request}))
    if told.body["success"]:
        return told.body
    again = f"; ask again in {told.headers['Retry-After']} s" if "Retry-After" in told.headers else ""
    raise SyncError(f"{told.body['error']}{again}")


def _about(engine: Engine, sync_id: str, action: str) -> dict[str, Any]:
    from sync_pipelines.pipelines.commerce.started_syncs import named

    with engine.begin() as store:
        sync = named(store, {one.organization for one in chosen_shops(None)}, sync_id)
    return _ask(engine, sync.org, action, {"syncId": sync.sync_id})


def _show_moved(told: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(told)
    else:
        output.show(f"{told['syncId']}: {told['status']}. {told['message']}.")


def _queue(queue: Mapping[str, int] | None) -> str:
    if queue is None:
        return ""
    rest = [f"{queue[name]} {name}" for name in ("failed", "skipped", "pending") if queue[name]]
    return ", ".join([f"{queue['processed']} of {queue['total']}", *rest])


def _details(details: Mapping[str, Any]) -> str:
    from sync_pipelines.pipelines.commerce.conflict_rows import value_text

    return ", ".join(f"{name} {value_text(value)}" for name, value in details.items())
