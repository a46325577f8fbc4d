"""Rows of transfers, rewards and approvals."""

from __future__ import annotations

from sync_pipelines.pipelines.ledger.payloads import Account, Approval, Reward, Transfer, TransferKind
from sync_pipelines.pipelines.ledger.payloads.tokens import MINTING_OWNER
from sync_pipelines.pipelines.ledger.principals import principal_text
from sync_pipelines.pipelines.ledger.rows.collector import BlockRows, StoredEntry
from sync_pipelines.pipelines.ledger.transfer_ids import transfer_id


def transfer(here: BlockRows, entry: StoredEntry, payload: Transfer | None) -> None:
    """Add a transfer, and what it does to the two accounts."""
    if payload is None:
        return
    sender, receiver = principal_text(payload.sender.owner), principal_text(payload.receiver.owner)
    here.event(
        "ledger_transfers",
        entry,
        here.transfers,
        entry.key,
        transfer_id(payload) == entry.key,
        payload.kind.value,
        sender,
        payload.sender.subaccount,
        receiver,
        payload.receiver.subaccount,
        payload.amount,
        payload.fee,
        payload.memo,
        payload.memo_text,
        payload.created_at_ns,
        payload.from_balance_after,
        payload.to_balance_after,
        None,
        None,
    )
    here.transfers += 1
    if payload.kind is TransferKind.MINT:
        here.mints += 1
        here.minted_e9s += payload.amount
    _change(here, payload.sender, sender, -payload.amount - (payload.fee or 0))
    _change(here, payload.receiver, receiver, payload.amount)


def reward(here: BlockRows, entry: StoredEntry, payload: Reward | None) -> None:
    """Add a reward: the mints of its block, all of which were added before."""
    if payload is not None:
        here.event("reward_distributions", entry, payload.distributed_ns, here.mints, here.minted_e9s)


def approval(here: BlockRows, entry: StoredEntry, payload: Approval | None) -> None:
    """Add an approval."""
    if payload is None:
        return
    here.event(
        "token_approvals",
        entry,
        entry.key,
        principal_text(payload.approver.owner),
        payload.approver.subaccount,
        principal_text(payload.spender.owner),
        payload.spender.subaccount,
        payload.allowance,
        payload.expires_at_ns,
        payload.fee,
        payload.memo,
        payload.created_at_ns,
        None,
        None,
    )


def _change(here: BlockRows, account: Account, owner: str, change: int) -> None:
    if account.owner != MINTING_OWNER:
        here.rows.changes[here.block.day, owner, account.subaccount] += change
