"""What blocks of ICRC-1 and ICRC-2 token ledgers say: mints, burns, transfers and approvals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sync_pipelines.systems.internet_computer.icrc3 import Icrc3Block
from sync_pipelines.systems.internet_computer.values import Value, as_map, optional, required

Kind = Literal["mint", "burn", "transfer", "approve"]

_KINDS: Mapping[str, Kind] = {
    **{"1mint": "mint", "2mint": "mint"},
    **{"1burn": "burn", "2burn": "burn"},
    **{"1xfer": "transfer", "2xfer": "transfer"},
    "2approve": "approve",
}
_NUMBERS = ("Nat", "Int")


@dataclass(frozen=True, slots=True)
class Account:
    """Who holds tokens. An absent subaccount and one of 32 zero bytes are the same account for an ICRC-1 ledger."""

    owner: bytes
    subaccount: bytes | None


@dataclass(frozen=True, slots=True)
class TokenTransaction:
    """What a block does to balances or allowances.

    Attributes:
        index: of the block.
        block_type: e.g. ``1xfer``; ``2xfer`` is a transfer by a spender.
        timestamp_ns: when the ledger made the block, in nanoseconds since 1970.
        amount: in the smallest unit of the token; of an approval the allowance.
        fee: what the ledger charged; ``None`` where the block tells of no fee: then there was none.
        source: whose tokens; ``None`` for mints.
        target: who gets them; ``None`` for burns and approvals.
        spender: who acts for the source.
        created_at_ns: what the sender said of its time.
        expected_allowance, expires_at_ns: of an approval.
    """

    index: int
    kind: Kind
    block_type: str
    timestamp_ns: int
    amount: int
    fee: int | None
    source: Account | None
    target: Account | None
    spender: Account | None
    memo: bytes | None
    created_at_ns: int | None
    expected_allowance: int | None
    expires_at_ns: int | None


def token_transaction(block: Icrc3Block) -> TokenTransaction | None:
    """Return what a block says; ``None`` for a type of block that says nothing of these.

    Raises:
        ValueError: a block of a known type that lacks what the type has to have.
    """
    fields = as_map(block.value)
    type_ = block_type(fields)
    kind = _KINDS.get(type_)
    if kind is None:
        return None
    transaction = as_map(fields.get("tx"))
    fee = optional(fields, "fee", *_NUMBERS)
    return TokenTransaction(
        index=block.index,
        kind=kind,
        block_type=type_,
        timestamp_ns=required(fields, "ts", *_NUMBERS),
        amount=required(transaction, "amt", *_NUMBERS),
        fee=optional(transaction, "fee", *_NUMBERS) if fee is None else fee,
        source=_account(transaction, "from", is_needed=kind != "mint"),
        target=_account(transaction, "to", is_needed=kind in ("mint", "transfer")),
        spender=_account(transaction, "spender", is_needed=kind == "approve"),
        memo=optional(transaction, "memo", "Blob"),
        created_at_ns=optional(transaction, "ts", *_NUMBERS),
        expected_allowance=optional(transaction, "expected_allowance", *_NUMBERS),
        expires_at_ns=optional(transaction, "expires_at", *_NUMBERS),
    )


def block_type(fields: Mapping[str, Value]) -> str:
    """Return the type of a block, of which these are the fields.

    Blocks of ICRC-1 and ICRC-2 may name none, as the types came later: then it follows from the operation.

    Raises:
        ValueError: it names neither.
    """
    named: str | None = optional(fields, "btype", "Text")
    if named is not None:
        return named
    transaction = as_map(fields.get("tx"))
    operation: str = required(transaction, "op", "Text")
    return f"{2 if 'spender' in transaction else 1}{operation}"


def _account(fields: Mapping[str, Value], name: str, *, is_needed: bool) -> Account | None:
    parts = required(fields, name, "Array") if is_needed else optional(fields, name, "Array")
    match parts:
        case None:
            return None
        case [("Blob", bytes(owner))]:
            return Account(owner, None)
        case [("Blob", bytes(owner)), ("Blob", bytes(subaccount))] if len(subaccount) == 32:
            return Account(owner, subaccount)
        case _:
            raise ValueError(f"{name} is no account")
