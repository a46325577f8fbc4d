"""Imports of ledgers as Dagster runs, carried out by this process and seen in the UI like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.runs import Ended, run_job
from sync_pipelines.cli.session import dagster_instance
from sync_pipelines.engine.stopping import run_until_stopped
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.derived_tables import ENTRIES, TABLES
from sync_pipelines.pipelines.ledger.importing import Ending
from sync_pipelines.pipelines.ledger.opening import open_ledger
from sync_pipelines.pipelines.ledger.resync import ResyncPlan, plan_resync
from sync_pipelines.pipelines.ledger.rows import projection_of
from sync_pipelines.pipelines.ledger.runs import position_of
from sync_pipelines.pipelines.ledger.status import error_reply, labels_named, stats_reply
from sync_pipelines.store.ledger import derivation, errors

if TYPE_CHECKING:
    from dagster import DagsterInstance

_ENDED_WELL = frozenset({Ending.CAUGHT_UP.value, Ending.LAGGING.value, Ending.INCOMPLETE.value})


@dataclass(frozen=True, slots=True)
class Replicated:
    """What came of an import of one ledger.

    Attributes:
        blocks, entries: stored by it.
        total_entries: stored in all.
        position, tip_position: up to where the ledger is stored, and where it ends at the canister.
        created: by how many rows the tables have grown.
        problem: why it did not come to the end; empty when it did.
        reply: the same in the shape of the API.
        seconds: of the runs.
        run_ids: of the import, and of deriving its days.
    """

    name: str
    blocks: int = 0
    entries: int = 0
    total_entries: int = 0
    position: int = 0
    tip_position: int = 0
    created: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""
    reply: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    run_ids: tuple[str, ...] = ()


def replicate(
    engine: Engine,
    chosen: Sequence[LedgerConnection],
    *,
    label: str | None = None,
    batch_size: int | None = None,
    resync: bool = False,
    verbose: bool = False,
) -> list[Replicated]:
    """Import ledgers one after the other, derive their days, and return what came of it.

    Arguments:
        label: the only one to be derived and counted.
        batch_size: entries stored in one transaction, at least; ``None`` as the connection says.
        resync: from the last common block, replacing what follows it.
    """
    console = output.progress_console()
    options: dict[str, Any] = {"mode": "resync"} if resync else {}
    options |= {"batch_size": batch_size} if batch_size else {}
    options |= {"label": label} if label else {}
    done = []
    with dagster_instance() as instance, console.status("starting") as status:
        for one in chosen:
            status.update(f"importing {one.name}")
            imported = _import(instance, one, options, verbose)
            days = None
            if imported.success:
                status.update(f"deriving the days of {one.name}")
                days = _derive(instance, engine, one, label, verbose)
            done.append(_told(engine, one, label, imported, days))
    return done


def what_differs(one: LedgerConnection, engine: Engine) -> ResyncPlan:
    """Say what a resync of a ledger would replace.

    Raises:
        PeerError: the canister cannot be asked.
        RunStopped: Ctrl-C or SIGTERM ended it.
    """

    async def ask() -> ResyncPlan:
        async with open_ledger(one, engine) as opened:
            return await plan_resync(engine, opened.source, one.name)

    return run_until_stopped(ask())


def _import(instance: DagsterInstance, one: LedgerConnection, options: Mapping[str, Any], verbose: bool) -> Ended:
    from sync_pipelines.pipelines.ledger.import_asset import step_name
    from sync_pipelines.pipelines.ledger.sensors import import_tag

    config = {"ops": {step_name(one): {"config": dict(options)}}} if options else {}
    return run_job(instance, f"ledger_{one.slug}_import", import_tag(one), config, verbose=verbose)


def _derive(
    instance: DagsterInstance, engine: Engine, one: LedgerConnection, label: str | None, verbose: bool
) -> Ended | None:
    """Derive the days that wait for it, as one run for each range of them; ``None`` when there are none."""
    from dagster import AssetKey
    from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

    from sync_pipelines.pipelines.ledger.asset_keys import table_key
    from sync_pipelines.pipelines.ledger.day_assets import days_of
    from sync_pipelines.pipelines.ledger.sensors import days_tag, range_of

    position = position_of(engine, one.name)
    if position is None:
        return None
    projections = {table.projection for table in TABLES}
    selected: list[AssetKey] | None = None
    if label is not None:
        projections = {str(projection_of(labels_named(label)[0]))}
        selected = [table_key(one, table.name) for table in TABLES if table.projection in projections]
    ended: Ended | None = None
    before_that: list[date] = []
    while True:
        with engine.connect() as connection:
            stale = derivation.stale_days(connection, position.canister, projections)
        # Days that a run has not brought up to date are left: a ledger that grows all the time would keep us for ever.
        if not stale or stale == before_that:
            return ended
        before_that = stale
        first, last = range_of(stale, days_of(one))
        before = ended
        ended = run_job(
            instance,
            f"ledger_{one.slug}_days",
            days_tag(one),
            {},
            selected=selected,
            tags={ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last},
            verbose=verbose,
        )
        if before is not None:
            ended = _together(before, ended)
        if not ended.success:
            return ended


def _together(first: Ended, then: Ended) -> Ended:
    made = {
        table: {name: _sum(metadata.get(name), value) for name, value in then.made.get(table, {}).items()}
        for table, metadata in first.made.items()
    }
    return Ended(then.run_id, then.success, then.reason, first.seconds + then.seconds, {**then.made, **made})


def _sum(before: object, value: object) -> object:
    return before + value if isinstance(before, int) and isinstance(value, int) else value


def _told(engine: Engine, one: LedgerConnection, label: str | None, imported: Ended, days: Ended | None) -> Replicated:
    seconds = imported.seconds + (days.seconds if days else 0.0)
    runs = tuple(ended.run_id for ended in (imported, days) if ended is not None)
    failed = next((ended for ended in (imported, days) if ended is not None and not ended.success), None)
    if failed is not None:
        reason = failed.reason or "the run failed"
        reply = error_reply("Ledger import failed", reason)
        return Replicated(one.name, problem=reason, reply=reply, seconds=seconds, run_ids=runs)
    made = imported.made[ENTRIES]
    stopped = made["ending"] not in _ENDED_WELL
    message = f"Ledger import stopped: {made['reason']}" if stopped else "Ledger import completed"
    created = {table: int(said.get("rows_created", 0)) for table, said in (days.made if days else {}).items()}
    entries = made["entries_of_label"] if label is not None else made["entries"]
    return Replicated(
        name=one.name,
        blocks=made["blocks"],
        entries=made["entries"],
        total_entries=made["total_entries"],
        position=made["position"],
        tip_position=made["tip_position"],
        created=created,
        problem=f"stopped before the block at position {made['position']}: {made['reason']}" if stopped else "",
        reply=stats_reply(message, entries, created, _errors(engine, one, label), label=label),
        seconds=seconds,
        run_ids=runs,
    )


def _errors(engine: Engine, one: LedgerConnection, label: str | None) -> list[str]:
    position = position_of(engine, one.name)
    if position is None:
        return []
    only = None if label is None else ("import", str(projection_of(labels_named(label)[0])))
    with engine.connect() as connection:
        return [str(error) for error in errors.standing(connection, position.canister, only)]
