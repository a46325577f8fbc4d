"""Blocks of a token's log (ICRC-3): what they move. Amounts are in the token's smallest unit."""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipelines.pipelines.ledger.borsh import LONGEST_PRINCIPAL, PayloadError
from sync_pipelines.pipelines.ledger.payloads.tokens import Account
from sync_pipelines.pipelines.ledger.token_blocks import decoded
from sync_pipelines.systems import internet_computer as ic
from sync_pipelines.systems.internet_computer.values import hash_value


@dataclass(frozen=True, slots=True)
class LoggedTransaction:
    """What a block of a token's log does.

    Attributes:
        hash: of the block.
        told: what it says.
        source, target, spender: its accounts, absent subaccounts and those of zeros alike: for ICRC-1 they are one.
    """

    hash: bytes
    told: ic.TokenTransaction
    source: Account | None
    target: Account | None
    spender: Account | None


def decode_token_block(value: bytes) -> LoggedTransaction:
    """Read a stored block of a known type."""
    content = decoded(value)
    try:
        digest = hash_value(content)
        told = ic.token_transaction(ic.Icrc3Block(0, content, digest))
    except ValueError as error:
        raise PayloadError(str(error)) from None
    if told is None:
        raise PayloadError("type of block")
    for number in (told.amount, told.fee, told.created_at_ns, told.expected_allowance, told.expires_at_ns):
        if number is not None and number < 0:
            raise PayloadError("a negative number")
    return LoggedTransaction(digest, told, *map(_account, (told.source, told.target, told.spender)))


def _account(account: ic.Account | None) -> Account | None:
    if account is None:
        return None
    if len(account.owner) > LONGEST_PRINCIPAL:
        raise PayloadError(f"principal of {len(account.owner)} bytes")
    subaccount = account.subaccount
    return Account(account.owner, subaccount if subaccount is not None and any(subaccount) else None)
