"""What a run of a shop tells: for each entity numbers that plot and tables to read, and the answers of the checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from dagster import AssetMaterialization, MetadataValue
from sqlalchemy import Connection, Engine

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.plan import preview
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine.merge_record import Merges
from sync_pipelines.orchestration import metadata
from sync_pipelines.orchestration.reporting import Outcome
from sync_pipelines.orchestration.spec import Metadata
from sync_pipelines.pipelines.commerce import checks
from sync_pipelines.pipelines.commerce.asset_keys import APPLIED, CONFLICTS, PLAN, asset, snapshot_key
from sync_pipelines.pipelines.commerce.conflict_rows import markdown, open_conflicts, rows_of
from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.pipelines.commerce.runs import Progress, Request
from sync_pipelines.store import plans
from sync_pipelines.store.conflicts import Conflict
from sync_pipelines.store.plans import StoredPlan

PREVIEWED_CHANGES = 50
_PLOTTED = ("create", "update", "adopt", "retire", "destructive", "drifted", "withheld", "invalid", "blocked")
_PEERS = dict(zip(Side, PEERS, strict=True))


def outcome_of(
    store: Engine, connection: ShopConnection, request: Request, done: Sequence[Progress], told: str | None = None
) -> Iterator[Outcome]:
    """Yield what a run came to, in the order of the lineage.

    Arguments:
        told: the run's story; it goes with what was applied last instead of being an event of its own.
    """
    with store.begin() as transaction:
        for progress in done:
            last = progress is done[-1]
            yield from _made(transaction, connection, progress, told if last else None)
        yield from checks.sealed(done, applies=request.applies)
        yield from checks.guard(done, applies=request.applies)
        if any(progress.merges is not None for progress in done):
            yield from checks.of_conflicts(connection, open_conflicts(transaction, connection))
        if request.applies and any(progress.applied for progress in done):
            yield from checks.of_states(transaction, connection)
        yield from checks.of_agreement(transaction, connection, done)


def _made(
    store: Connection, connection: ShopConnection, progress: Progress, told: str | None
) -> Iterator[AssetMaterialization]:
    partition = connection.scope(progress.entity)
    for side, read in progress.read.items():
        yield AssetMaterialization(snapshot_key(_PEERS[side]), None, metadata.of_snapshot(read), partition)
    if progress.merges is None:
        return
    if progress.plans:
        yield AssetMaterialization(asset(PLAN), None, _plan_metadata(store, progress.merges, progress.plans), partition)
    found = open_conflicts(store, connection, [progress.entity])
    yield AssetMaterialization(asset(CONFLICTS), None, _conflict_metadata(connection, found), partition)
    if progress.applied:
        yield AssetMaterialization(asset(APPLIED), told or None, _applied_metadata(progress), partition)


def _plan_metadata(store: Connection, merges: Merges, made: dict[Side, StoredPlan]) -> Metadata:
    said: Metadata = {}
    for side, plan in made.items():
        shown = list(plans.changes(store, plan.id, limit=PREVIEWED_CHANGES))
        text = preview(plan.hash, shown, total=plan.changes, shown=PREVIEWED_CHANGES)
        if plan.state == "held":
            text += f"\n\n**Held:** {'; '.join(plan.held_reasons)}"
        said[f"{_PEERS[side]}_preview"] = MetadataValue.md(text)
        said[f"{_PEERS[side]}_plan"] = plan.hash
        said |= {f"{_PEERS[side]}_{name}": int(plan.counts[name]) for name in _PLOTTED}
    return said | {
        "looked_at": merges.looked_at,
        "new": merges.new,
        "merged": merges.changed,
        **{f"taken_from_{peer}": merges.taken[side] for side, peer in _PEERS.items()},
        "overruled": merges.overruled,
        "gone": merges.gone,
    }


def _conflict_metadata(connection: ShopConnection, found: Sequence[Conflict]) -> Metadata:
    kinds = Counter(one.kind for one in found)
    return {
        "open": len(found),
        "waiting_for_a_person": sum(not one.is_resolved for one in found),
        **{kind.value: kinds[kind] for kind in Kind},
        "table": MetadataValue.md(markdown(rows_of(connection, found))),
    }


def _applied_metadata(progress: Progress) -> Metadata:
    said: Metadata = {"seconds": round(progress.seconds, 3)}
    for side, applied in progress.applied.items():
        peer = _PEERS[side]
        said |= {
            f"{peer}_created": applied.actions["create"],
            f"{peer}_updated": applied.actions["update"],
            f"{peer}_adopted": applied.adopted,
            f"{peer}_retired": applied.actions["retire"],
            f"{peer}_failed": applied.failed,
            f"{peer}_stale": applied.outcomes["stale"],
            f"{peer}_seconds": round(applied.seconds, 3),
        }
    said |= {f"seconds_at_{peer}": round(seconds, 3) for peer, seconds in progress.peer_seconds.items()}
    return said | {f"requests_to_{peer}": number for peer, number in progress.peer_requests.items()}


def failures(done: Iterable[Progress]) -> list[str]:
    """Return what kept entities from being synchronized."""
    return [f"{progress.entity}: {progress.error}" for progress in done if progress.error is not None]
