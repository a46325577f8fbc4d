"""The checks on a replicated ledger: what they mean, and how they are answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, MetadataValue

from sync_pipelines.core.plan import markdown_cell
from sync_pipelines.pipelines.ledger.asset_keys import entries_key, table_key
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.importing import Ending
from sync_pipelines.pipelines.ledger.runs import Done
from sync_pipelines.pipelines.ledger.source import Tip
from sync_pipelines.pipelines.ledger.verify import Verification

ERROR, WARN = AssetCheckSeverity.ERROR, AssetCheckSeverity.WARN
SHOWN_FINDINGS = 20


def import_checks(connection: LedgerConnection) -> list[AssetCheckSpec]:
    """Return the checks that every import answers."""
    key = entries_key(connection)
    return [
        AssetCheckSpec(
            "chain_continuous",
            asset=key,
            description="Every block that was read continues the chain: header, contents, hash of the parent. The "
            "import stops before the first one that does not.",
        ),
        AssetCheckSpec("lag", asset=key, description="What the canister has committed is stored."),
    ]


def of_import(connection: LedgerConnection, done: Done, failure: str | None = None) -> Iterator[AssetCheckResult]:
    """Answer them.

    Arguments:
        failure: why the chain is not continued, when the import ended with an error of that kind.
    """
    outcome = done.imported
    if outcome is not None:
        at = outcome.position.next_position
        stopped = f"stopped before the block at position {at}: {outcome.reason}"
        told = f"{outcome.position.blocks} blocks, unbroken" if outcome.sound else stopped
        yield _continuous(connection, at, told, passed=outcome.sound)
    elif failure is not None:
        yield _continuous(connection, done.before.next_position if done.before else None, failure, passed=False)
    if done.tip is not None:
        yield _lag(connection, done, done.tip)


def _continuous(connection: LedgerConnection, position: int | None, told: str, *, passed: bool) -> AssetCheckResult:
    return AssetCheckResult(
        asset_key=entries_key(connection),
        check_name="chain_continuous",
        passed=passed,
        severity=ERROR,
        description=told,
        metadata={"position": position or 0},
    )


def _lag(connection: LedgerConnection, done: Done, tip: Tip) -> AssetCheckResult:
    position = done.imported.position if done.imported is not None else done.before
    stored, blocks = (position.next_position, position.blocks) if position is not None else (None, 0)
    behind = max(tip.end - (tip.data_start if stored is None else stored), 0)
    lags = behind > 0 or (done.imported is not None and done.imported.ending is Ending.INCOMPLETE)
    return AssetCheckResult(
        asset_key=entries_key(connection),
        check_name="lag",
        passed=not lags,
        severity=WARN,
        description=f"{behind} {tip.unit} are committed and not stored" if lags else "everything committed is stored",
        metadata={"behind": behind, "blocks_behind": max(tip.blocks - blocks, 0)},
    )


def verification_checks(connection: LedgerConnection) -> list[AssetCheckSpec]:
    """Return the checks that are answered from everything that is stored."""
    key = entries_key(connection)
    return [
        AssetCheckSpec("chain_proven", asset=key, description="The stored entries give the hashes of their blocks."),
        AssetCheckSpec("unknown_labels", asset=key, description="Every label is known; others are kept raw."),
        AssetCheckSpec("signatures", asset=key, description="Every signature is good. The others are flagged."),
        AssetCheckSpec(
            "projection_complete",
            asset=key,
            description="Every day is derived, and every entry of a known label has a row or an error in its place.",
        ),
        AssetCheckSpec(
            "balances",
            asset=table_key(connection, "token_transfers"),
            description="Balances summed up from the transfers are those that the ledger says.",
        ),
    ]


def of_verification(
    connection: LedgerConnection, found: Verification, bad_signatures: Mapping[str, int], stale_days: int
) -> Iterator[AssetCheckResult]:
    """Answer them.

    Arguments:
        bad_signatures: how many entries of each label are flagged.
        stale_days: days with blocks that were not derived yet.
    """
    key = entries_key(connection)
    chain = {kind: number for kind, number in found.counts.items() if kind not in ("balance", "count")}
    yield AssetCheckResult(
        asset_key=key,
        check_name="chain_proven",
        passed=not chain,
        severity=ERROR,
        description=_told(chain, f"{found.blocks} blocks with {found.entries} entries"),
        metadata={"blocks": found.blocks, "entries": found.entries, **_findings(found, set(chain))},
    )
    yield AssetCheckResult(
        asset_key=key,
        check_name="unknown_labels",
        passed=not found.unknown_labels,
        severity=WARN,
        description=_told(found.unknown_labels, "every label is known"),
        metadata={"entries": sum(found.unknown_labels.values())},
    )
    yield AssetCheckResult(
        asset_key=key,
        check_name="signatures",
        passed=not bad_signatures,
        severity=WARN,
        description=_told(bad_signatures, "every signature is good"),
        metadata={"invalid": sum(bad_signatures.values())},
    )
    incomplete = found.counts["count"]
    told = "every entry has its row" if not incomplete else f"{incomplete} projections do not fit their entries"
    yield AssetCheckResult(
        asset_key=key,
        check_name="projection_complete",
        passed=not incomplete and not stale_days,
        severity=ERROR if incomplete and not stale_days else WARN,
        description=f"{stale_days} days wait to be derived" if stale_days else told,
        metadata={"stale_days": stale_days, **_findings(found, {"count"})},
    )
    wrong = found.counts["balance"]
    yield AssetCheckResult(
        asset_key=table_key(connection, "token_transfers"),
        check_name="balances",
        passed=not wrong,
        severity=WARN,
        description=f"{wrong} balances differ" if wrong else f"the balances after {found.transfers} transfers fit",
        metadata={"transfers": found.transfers, "wrong": wrong, **_findings(found, {"balance"})},
    )


def _told(counts: Mapping[str, int], otherwise: str) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items())) or otherwise


def _findings(found: Verification, kinds: set[str]) -> dict[str, MetadataValue]:
    shown = [one for one in found.findings if one.kind in kinds][:SHOWN_FINDINGS]
    if not shown:
        return {}
    rows = [f"| {one.kind} | {markdown_cell(str(one.place))} | {markdown_cell(one.message)} |" for one in shown]
    return {"findings": MetadataValue.md("\n".join(["| what | where | found |", "|---|---|---|", *rows]))}
