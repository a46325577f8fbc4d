"""The checks on a shop: what they mean, and how a run answers them from what it has stored.

Whoever reads a failing one learns which records it is about and what to do. Each answer is one row of Dagster's event
log, whatever the number of entities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey, MetadataValue
from sqlalchemy import Connection

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import markdown_cell
from sync_pipelines.core.two_way import Side
from sync_pipelines.orchestration.reconcile_run import held
from sync_pipelines.pipelines.commerce import agreement
from sync_pipelines.pipelines.commerce.asset_keys import APPLIED, CONFLICTS, PLAN, asset, snapshot_key
from sync_pipelines.pipelines.commerce.conflict_rows import markdown, rows_of
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.pipelines.commerce.runs import Progress
from sync_pipelines.store.conflicts import Conflict

ERROR, WARN = AssetCheckSeverity.ERROR, AssetCheckSeverity.WARN
_UNSETTLED = (State.OUT_OF_SYNC, State.FAILED, State.RETRYING)
_SPECS: Sequence[tuple[AssetKey, str, str]] = (
    *(
        (
            snapshot_key(peer),
            "sealed",
            "Every page was read, and the counts agree. Only then absence means that something is gone.",
        )
        for peer in PEERS
    ),
    (asset(PLAN), "guard", "No plan takes away more than the shop's limits allow."),
    (asset(CONFLICTS), "conflicts_open", "Nothing waits for a person."),
    (asset(CONFLICTS), "duplicate_keys", "Every record can be matched without guessing."),
    (asset(APPLIED), "converged", "Both systems agree, or a retry has a time."),
    (asset(APPLIED), "dead_letters", "No record was given up."),
    (asset(APPLIED), "drift", "No system shows anything else than what both last agreed on."),
    (
        asset(APPLIED),
        "totals_agree",
        "The orders of the shop come to the same sums in Odoo, each of them within a cent a line.",
    ),
    (asset(APPLIED), "stock_agrees", "Both systems tell the same stock of every product."),
)
_BLOCKING = frozenset({"sealed", "guard"})


def check_specs() -> list[AssetCheckSpec]:
    """Return the checks that every run answers."""
    return [AssetCheckSpec(name, asset=key, description=told, blocking=name in _BLOCKING) for key, name, told in _SPECS]


def sealed(done: Sequence[Progress], *, applies: bool) -> Iterator[AssetCheckResult]:
    """Answer whether absence can be believed."""
    for side, peer in zip(Side, PEERS, strict=True):
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


def guard(done: Sequence[Progress], *, applies: bool) -> Iterator[AssetCheckResult]:
    """Answer whether a plan is held."""
    made = [plan for progress in done for plan in progress.plans.values()]
    if made:
        waiting = [f"{plan.pair}/{plan.scope}: {held(plan)}" for plan in made if plan.state == "held"]
        destructive = sum(int(plan.counts["destructive"]) for plan in made)
        told = "; ".join(waiting) or "within the limits"
        yield _result(asset(PLAN), "guard", not waiting, told, {"destructive": destructive}, blocks=applies)


def of_conflicts(connection: ShopConnection, found: Sequence[Conflict]) -> Iterator[AssetCheckResult]:
    """Answer what only a person can decide."""
    waiting = [one for one in found if not one.is_resolved]
    kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(one.kind.value for one in waiting).items())
    told = f"{kinds}; settle them with 'sync-pipelines commerce settle'" if waiting else "nothing waits for a person"
    numbers = {"open": len(waiting)}
    yield _result(asset(CONFLICTS), "conflicts_open", not waiting, told, numbers, table=_conflicts(connection, waiting))
    double = [one for one in found if one.kind is Kind.DUPLICATE_KEY]
    names = ", ".join(one.item for one in double[:10])
    told = (
        f"{len(double)} keys are claimed by several records: {names}; give each its own in the system that has it twice"
        if double
        else "every key is clear"
    )
    numbers = {"duplicate_keys": len(double)}
    yield _result(asset(CONFLICTS), "duplicate_keys", not double, told, numbers, table=_conflicts(connection, double))


def of_states(store: Connection, connection: ShopConnection) -> Iterator[AssetCheckResult]:
    """Answer where the records stand after a run that applied."""
    total: Counter[State] = Counter()
    for entity in connection.entities:
        for counted in agreement.tally(store, connection, entity).values():
            total.update(counted)
    waiting = {state.value: total[state] for state in _UNSETTLED if total[state]}
    told = ", ".join(f"{number} {state}" for state, number in waiting.items())
    yield _result(
        asset(APPLIED),
        "converged",
        not waiting,
        f"{told}; the next runs try them again, mend what the reason names" if waiting else "both systems agree",
        {"not_agreed": sum(waiting.values())},
        table=_states(store, connection, _UNSETTLED) if waiting else "",
    )
    letters = total[State.DEAD_LETTERED]
    told = f"{letters} were given up; mend the cause, then 'sync-pipelines commerce retry {connection.name}'"
    yield _result(
        asset(APPLIED),
        "dead_letters",
        not letters,
        told if letters else "none",
        {"dead_letters": letters},
        table=_states(store, connection, (State.DEAD_LETTERED,)) if letters else "",
    )


def of_agreement(store: Connection, connection: ShopConnection, done: Sequence[Progress]) -> Iterator[AssetCheckResult]:
    """Answer whether what was read last of both systems is the same."""
    merged = {progress.entity for progress in done if progress.merges is not None}
    if merged:
        yield _drift(store, connection)
    if EntityType.ORDERS in merged:
        yield _totals(store, connection)
    if EntityType.INVENTORY in merged:
        yield _stock(store, connection)


def _drift(store: Connection, connection: ShopConnection) -> AssetCheckResult:
    number, found = agreement.drifted(store, connection)
    told = (
        f"{number} records show something else; the next run takes it over or writes it back, or the plan says why not"
    )
    rows = [(one.peer, one.entity, one.natural_key, ", ".join(one.fields)) for one in found]
    return _result(
        asset(APPLIED),
        "drift",
        not number,
        told if number else "both systems show what was agreed on",
        {"drifted": number},
        table=_table(("system", "entity", "record", "fields"), rows, number),
    )


def _totals(store: Connection, connection: ShopConnection) -> AssetCheckResult:
    found = agreement.totals(store, connection)
    off = sum(one.off for one in found)
    sums = ", ".join(f"{one.shop} {one.currency} in the shop and {one.odoo} in Odoo" for one in found) or "no orders"
    rows = [
        (order.reference, one.currency, _amount(order.shop), _amount(order.odoo), order.reason or _why(order))
        for one in found
        for order in one.shown
    ]
    numbers: dict[str, Any] = {"orders": sum(one.orders for one in found), "off": off}
    for one in found:
        numbers |= {f"woocommerce_{one.currency}": float(one.shop), f"odoo_{one.currency}": float(one.odoo)}
    return _result(
        asset(APPLIED),
        "totals_agree",
        not off,
        f"{sums}; {off} orders do not agree: settle their conflicts, or mend them where they are wrong"
        if off
        else sums,
        numbers,
        table=_table(("order", "currency", "WooCommerce", "Odoo", "why"), rows, off),
    )


def _stock(store: Connection, connection: ShopConnection) -> AssetCheckResult:
    found = agreement.stock(store, connection)
    told = (
        f"{found.off} of {found.compared} products have different stock; see their conflicts, or why the plan left them"
    )
    rows = [(one.sku, str(one.shop), str(one.odoo)) for one in found.shown]
    return _result(
        asset(APPLIED),
        "stock_agrees",
        not found.off,
        told if found.off else f"the stock of {found.compared} products agrees",
        {"compared": found.compared, "off": found.off},
        table=_table(("SKU", "WooCommerce", "Odoo"), rows, found.off),
    )


def _why(order: agreement.OrderOff) -> str:
    if order.times > 1:
        return f"{order.times} orders of Odoo have its reference; cancel or rename all but one"
    if order.odoo is None:
        return "not in Odoo"
    return "not in the shop" if order.shop is None else "lines or taxes differ"


def _amount(amount: object) -> str:
    return "-" if amount is None else str(amount)


def _conflicts(connection: ShopConnection, found: Sequence[Conflict]) -> str:
    return markdown(rows_of(connection, found[: agreement.SHOWN])) + _rest(len(found))


def _states(store: Connection, connection: ShopConnection, wanted: Sequence[State]) -> str:
    found = agreement.in_states(store, connection, wanted)
    rows = [
        (
            one.pair.removeprefix(f"{NAME}_"),
            one.scope.rpartition(".")[2],
            one.natural_key,
            one.state.value,
            one.reason,
            f"{one.next_retry_at:%Y-%m-%d %H:%M} UTC" if one.next_retry_at else "-",
        )
        for one in found
    ]
    return _table(("system", "entity", "record", "state", "why", "next try"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], number: int = 0) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join(markdown_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines]) + _rest(number, len(rows))


def _rest(number: int, shown: int = agreement.SHOWN) -> str:
    return f"\n\n... and {number - shown} more" if number > shown else ""


def _result(
    key: AssetKey,
    name: str,
    passed: bool,
    told: str,
    numbers: Mapping[str, Any],
    *,
    blocks: bool = False,
    table: str = "",
) -> AssetCheckResult:
    return AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=passed,
        severity=ERROR if blocks and not passed else WARN,
        description=told,
        metadata={**numbers, **({"table": MetadataValue.md(table)} if table and not passed else {})},
    )
