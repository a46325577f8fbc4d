"""The id of a transfer, which is the key of its entry. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

from sync_pipelines.pipelines.ledger.payloads.tokens import Account, Transfer

_NO_SUBACCOUNT: Final = bytes(32)


def transfer_id(transfer: Transfer) -> bytes:
    """Return the 32 bytes that the canister makes of a transfer.

    Numbers go in big-endian, although everything else in the ledger is little-endian. Without ``created_at_ns`` two
    equal transfers have one id, so an id can occur in several blocks.
    """
    digest = hashlib.sha256()
    for account in (transfer.sender, transfer.receiver):
        digest.update(_account(account))
    digest.update(transfer.amount.to_bytes(8, "big"))
    if transfer.fee is not None:
        digest.update(transfer.fee.to_bytes(8, "big"))
    digest.update(transfer.memo)
    if transfer.created_at_ns is not None:
        digest.update(transfer.created_at_ns.to_bytes(8, "big"))
    return digest.digest()


def _account(account: Account) -> bytes:
    return account.owner + (_NO_SUBACCOUNT if account.subaccount is None else account.subaccount)
