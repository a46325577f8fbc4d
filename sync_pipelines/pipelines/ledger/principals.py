"""Who somebody is on the Internet Computer, as text. Pure.

A ledger names the same few principals all the time and a text costs some 15 us, so texts are remembered.
"""

from __future__ import annotations

import base64
import zlib
from functools import lru_cache
from typing import Final

from sync_pipelines.pipelines.ledger.payloads.tokens import Account
from sync_pipelines.systems.internet_computer import principal as principals

_REMEMBERED: Final = 10_000


@lru_cache(maxsize=_REMEMBERED)
def principal_text(principal: bytes) -> str:
    """Return a principal as people write it, e.g. ``zjbo4-sknjf-hfisk-oi4`` for the ASCII word ``MINTING``."""
    return principals.principal_text(principal)


@lru_cache(maxsize=_REMEMBERED)
def principal_text_of_key(pubkey: bytes) -> str:
    """Return the principal that an Ed25519 public key of 32 bytes stands for, as people write it."""
    return principals.principal_text(principals.ed25519_principal(pubkey))


def account_text(account: Account) -> str:
    """Return an account in the form of ICRC-1: the owner, and behind it what names a subaccount that is not zero.

    The canister pads the checksum with ``=``, which the standard does not: compare accounts as bytes. An absent and an
    all-zero subaccount have one text, although the ledger keeps their balances apart.
    """
    owner = principal_text(account.owner)
    subaccount = account.subaccount or b""
    short = subaccount.hex().lstrip("0")
    if not short:
        return owner
    checksum = base64.b32encode(zlib.crc32(account.owner + subaccount).to_bytes(4, "big")).decode()
    return f"{owner}-{checksum.rstrip('=').lower()}.{short}"
