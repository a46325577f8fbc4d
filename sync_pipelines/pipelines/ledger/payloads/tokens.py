"""Tokens that move: transfers, approvals, rewards. Amounts are e9s, times nanoseconds since 1970 UTC."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sync_pipelines.pipelines.ledger.borsh import PayloadError, Reader

MINTING_OWNER = b"MINTING"
"""Owner of the account that tokens come from and go to; the ASCII word stands in the place of a principal."""


class TransferKind(StrEnum):
    """What a transfer does to the supply."""

    MINT = "mint"
    BURN = "burn"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class Account:
    """``subaccount`` as written: the ledger keeps absent and all-zero ones as different balances."""

    owner: bytes
    subaccount: bytes | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Tokens from one account to another.

    Attributes:
        fee: ``None`` means absent, 0 means zero.
        fee_accounts: who gets the fee; ``None`` means nobody is named.
        from_balance_after: as the canister wrote it; wrong for a transfer to oneself.
    """

    sender: Account
    receiver: Account
    fee: int | None
    fee_accounts: tuple[Account, ...] | None
    created_at_ns: int | None
    memo: bytes
    amount: int
    from_balance_after: int
    to_balance_after: int

    @property
    def kind(self) -> TransferKind:
        """What it does to the supply."""
        if self.sender.owner == MINTING_OWNER:
            return TransferKind.MINT
        return TransferKind.BURN if self.receiver.owner == MINTING_OWNER else TransferKind.TRANSFER

    @property
    def value_e9s(self) -> int:
        """The amount, of a burn with its fee: a charge is written as a burn of nothing with the charge as its fee."""
        return self.amount + (self.fee or 0) if self.kind is TransferKind.BURN else self.amount

    @property
    def memo_text(self) -> str | None:
        """The memo as text, ``None`` where it is none."""
        return text_of_memo(self.memo)


@dataclass(frozen=True, slots=True)
class Approval:
    """``spender`` may take up to ``allowance`` from ``approver``."""

    approver: Account
    spender: Account
    allowance: int
    expires_at_ns: int | None
    fee: int
    memo: bytes
    created_at_ns: int


@dataclass(frozen=True, slots=True)
class Reward:
    """Rewards were distributed. The amounts are the mints of the same block."""

    distributed_ns: int


def text_of_memo(memo: bytes) -> str | None:
    """Return a memo as text, ``None`` where it is not UTF-8 or holds NUL, which PostgreSQL keeps in no text."""
    try:
        text = memo.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def decode_transfer(value: bytes) -> Transfer:
    """Read a transfer."""
    reader = Reader(value)
    reader.variant()
    transfer = Transfer(
        sender=_account(reader),
        receiver=_account(reader),
        fee=reader.optional(reader.u64),
        fee_accounts=reader.optional(lambda: reader.several(lambda: _account(reader))),
        created_at_ns=reader.optional(reader.u64),
        memo=reader.blob(),
        amount=reader.u64(),
        from_balance_after=reader.u64(),
        to_balance_after=reader.u64(),
    )
    reader.end()
    return transfer


def decode_approval(value: bytes) -> Approval:
    """Read an approval."""
    reader = Reader(value)
    reader.variant()
    approval = Approval(
        approver=_account(reader),
        spender=_account(reader),
        allowance=reader.u64(),
        expires_at_ns=reader.optional(reader.u64),
        fee=reader.u64(),
        memo=reader.blob(),
        created_at_ns=reader.u64(),
    )
    reader.end()
    return approval


def decode_reward(value: bytes) -> Reward:
    """Read the time of a distribution: eight bytes, without a version."""
    if len(value) != 8:
        raise PayloadError("reward value")
    return Reward(int.from_bytes(value, "little"))


def _account(reader: Reader) -> Account:
    return Account(reader.principal(), reader.optional(reader.blob))
