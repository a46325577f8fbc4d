"""What a run of a shop tells: for each entity numbers that plot and tables to read, and the answers of the checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey, AssetMaterialization, MetadataValue
from sqlalchemy import Connection, Engine

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import preview
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine.merge_record import Merges
from sync_pipelines.orchestration import metadata
from sync_pipelines.orchestration.reconcile_run import held
from sync_pipelines.orchestration.reporting import Outcome
from sync_pipelines.orchestration.spec import Metadata
from sync_pipelines.pipelines.commerce.asset_keys import APPLIED, CONFLICTS, PLAN, asset, snapshot_key
from sync_pipelines.pipelines.commerce.conflict_rows import markdown, open_conflicts, rows_of
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.pipelines.commerce.runs import Progress, Request
from sync_pipelines.store import plans, states
from sync_pipelines.store.conflicts import Conflict
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.scopes import ensure_scope

ERROR, WARN = AssetCheckSeverity.ERROR, AssetCheckSeverity.WARN
PREVIEWED_CHANGES = 50
_UNSETTLED = (State.OUT_OF_SYNC, State.FAILED, State.RETRYING)
_PLOTTED = ("create", "update", "adopt", "retire", "destructive", "drifted", "withheld", "invalid", "blocked")
_PEERS = dict(zip(Side, PEERS, strict=True))


def check_specs() -> list[AssetCheckSpec]:
    """Return the checks that every run answers."""
    sealed = [
        AssetCheckSpec(
            "sealed",
            asset=snapshot_key(peer),
            blocking=True,
            description="Every page was read, and the counts agree. Only then absence means that something is gone.",
        )
        for peer in PEERS
    ]
    return [
        *sealed,
        AssetCheckSpec(
            "guard",
            asset=asset(PLAN),
            blocking=True,
            description="No plan takes away more than the shop's limits allow.",
        ),
        AssetCheckSpec("conflicts_open", asset=asset(CONFLICTS), description="Nothing waits for a person."),
        AssetCheckSpec(
            "duplicate_keys", asset=asset(CONFLICTS), description="Every record can be matched without guessing."
        ),
        AssetCheckSpec("converged", asset=asset(APPLIED), description="Both systems agree, or a retry has a time."),
        AssetCheckSpec("dead_letters", asset=asset(APPLIED), description="No record was given up."),
    ]


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
        yield from _sealed(done, applies=request.applies)
        yield from _guard(done, applies=request.applies)
        if any(progress.merges is not None for progress in done):
            yield from _conflict_checks(open_conflicts(transaction, connection))
        if request.applies and any(progress.applied for progress in done):
            yield from _state_checks(transaction, connection)


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
        }
    said |= {f"seconds_at_{peer}": round(seconds, 3) for peer, seconds in progress.peer_seconds.items()}
    return said | {f"requests_to_{peer}": number for peer, number in progress.peer_requests.items()}


def _sealed(done: Sequence[Progress], *, applies: bool) -> Iterator[AssetCheckResult]:
    for side, peer in _PEERS.items():
        read = {one.entity: one.read[side].snapshot for one in done if side in one.read}
        full = {entity: snapshot for entity, snapshot in read.items() if not snapshot.selective}
        if not full:
            continue
        broken = [f"{entity}: {'; '.join(one.unsealed)}" for entity, one in full.items() if not one.sealed]
        incomplete = any(not one.complete for one in full.values())
        yield _result(
            snapshot_key(peer),
            "sealed",
            not broken,
            ". ".join(broken) or f"{sum(one.records for one in full.values())} records, complete",
            {"records": sum(one.records for one in full.values())},
            blocks=incomplete and applies,
        )


def _guard(done: Sequence[Progress], *, applies: bool) -> Iterator[AssetCheckResult]:
    made = [plan for progress in done for plan in progress.plans.values()]
    if made:
        waiting = [f"{plan.pair}/{plan.scope}: {held(plan)}" for plan in made if plan.state == "held"]
        destructive = sum(int(plan.counts["destructive"]) for plan in made)
        told = "; ".join(waiting) or "within the limits"
        yield _result(asset(PLAN), "guard", not waiting, told, {"destructive": destructive}, blocks=applies)


def _conflict_checks(found: Sequence[Conflict]) -> Iterator[AssetCheckResult]:
    waiting = [one for one in found if not one.is_resolved]
    double = [one for one in found if one.kind is Kind.DUPLICATE_KEY]
    kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(one.kind.value for one in waiting).items())
    told = f"{kinds}; see 'sync-pipelines commerce conflicts'" if waiting else "nothing waits for a person"
    yield _result(asset(CONFLICTS), "conflicts_open", not waiting, told, {"open": len(waiting)})
    names = ", ".join(one.item for one in double[:10])
    told = f"{len(double)} keys are claimed by several records: {names}" if double else "every key is clear"
    yield _result(asset(CONFLICTS), "duplicate_keys", not double, told, {"duplicate_keys": len(double)})


def _state_checks(store: Connection, connection: ShopConnection) -> Iterator[AssetCheckResult]:
    total: Counter[State] = Counter()
    for entity in connection.entities:
        for tally in tallies(store, connection, entity).values():
            total.update(tally)
    waiting = {state.value: total[state] for state in _UNSETTLED if total[state]}
    told = ", ".join(f"{number} {state}" for state, number in waiting.items()) or "both systems agree"
    yield _result(asset(APPLIED), "converged", not waiting, told, {"not_agreed": sum(waiting.values())})
    letters = total[State.DEAD_LETTERED]
    told = f"{letters} dead letters; see 'sync-pipelines commerce status'" if letters else "none"
    yield _result(asset(APPLIED), "dead_letters", not letters, told, {"dead_letters": letters})


def tallies(store: Connection, connection: ShopConnection, entity: EntityType) -> dict[str, dict[State, int]]:
    """Return how many records of an entity are in each state, by the system they are written to."""
    return {
        peer: states.tally(store, ensure_scope(store, f"{NAME}_{peer}", connection.scope(entity))) for peer in PEERS
    }


def _result(
    key: AssetKey, name: str, passed: bool, told: str, numbers: dict[str, int], *, blocks: bool = False
) -> AssetCheckResult:
    return AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=passed,
        severity=ERROR if blocks and not passed else WARN,
        description=told,
        metadata=numbers,
    )


def failures(done: Iterable[Progress]) -> list[str]:
    """Return what kept entities from being synchronized."""
    return [f"{progress.entity}: {progress.error}" for progress in done if progress.error is not None]
