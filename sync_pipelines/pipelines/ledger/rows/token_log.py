"""Rows of the blocks of a token's log (ICRC-3)."""

from __future__ import annotations

from sync_pipelines.pipelines.ledger.payloads import Account, LoggedTransaction
from sync_pipelines.pipelines.ledger.payloads.tokens import text_of_memo
from sync_pipelines.pipelines.ledger.principals import principal_text
from sync_pipelines.pipelines.ledger.rows.collector import BlockRows, StoredEntry


def movement(here: BlockRows, entry: StoredEntry, payload: LoggedTransaction | None) -> None:
    """Add a mint, a burn or a transfer, and what it does to the accounts."""
    if payload is None:
        return
    told, source, target = payload.told, payload.source, payload.target
    here.event(
        "ledger_transfers",
        entry,
        here.transfers,
        payload.hash,
        True,
        told.kind,
        *_named(source),
        *_named(target),
        told.amount,
        told.fee,
        told.memo,
        None if told.memo is None else text_of_memo(told.memo),
        told.created_at_ns,
        None,
        None,
        *_named(payload.spender),
    )
    here.transfers += 1
    if source is not None and told.kind != "mint":
        _change(here, source, -told.amount - (told.fee or 0))
    if target is not None and told.kind != "burn":
        _change(here, target, told.amount)


def approval(here: BlockRows, entry: StoredEntry, payload: LoggedTransaction | None) -> None:
    """Add an approval, with the fee that the approver is charged by it."""
    if payload is None:
        return
    told = payload.told
    here.event(
        "token_approvals",
        entry,
        payload.hash,
        *_named(payload.source),
        *_named(payload.spender),
        told.amount,
        told.expires_at_ns,
        told.fee,
        told.memo,
        told.created_at_ns,
        told.expected_allowance,
        told.fee or 0,
    )


def _named(account: Account | None) -> tuple[str | None, bytes | None]:
    return (None, None) if account is None else (principal_text(account.owner), account.subaccount)


def _change(here: BlockRows, account: Account, change: int) -> None:
    here.rows.changes[here.block.day, principal_text(account.owner), account.subaccount] += change
