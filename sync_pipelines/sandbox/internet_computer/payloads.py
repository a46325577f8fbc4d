"""What the ledger's entries hold, label by label, as the canister writes it: keys and values in borsh."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sync_pipelines.sandbox.internet_computer.blocks import sized, text, u64

MINTING = b"MINTING"
NO_SUBACCOUNT = bytes(32)
LONGEST_MEMO = 32

_V1 = b"\x00"
_NONE = b"\x00"
_SOME = b"\x01"


@dataclass(frozen=True, slots=True)
class Account:
    """An owner's account. The one without a subaccount and that with 32 zero bytes are two different ones."""

    owner: bytes
    subaccount: bytes | None = None

    def borsh(self) -> bytes:
        """Return the account as it stands in entries."""
        return sized(self.owner) + _option(None if self.subaccount is None else sized(self.subaccount))


MINTER = Account(MINTING)


@dataclass(frozen=True, slots=True)
class PaymentEntry:
    """One line of what a contract costs."""

    pricing_model: str
    time_period_unit: str
    quantity: int
    amount_e9s: int


def _option(value: bytes | None) -> bytes:
    return _NONE if value is None else _SOME + value


def _optional_text(value: str | None) -> bytes:
    return _option(None if value is None else text(value))


def _optional_u64(value: int | None) -> bytes:
    return _option(None if value is None else u64(value))


def signed(payload: bytes, signature: bytes) -> bytes:
    """Return the value of a profile, an offering, a request or a reply: what was signed, and the signature."""
    return _V1 + sized(payload) + sized(signature)


def check_in(memo: str, signature: bytes) -> bytes:
    """Return the value of a check-in; the signature is over the hash of the block before."""
    return _V1 + text(memo) + sized(signature)


def profile(
    name: str,
    *,
    version: str = "0.0.1",
    description: str | None = None,
    url: str | None = None,
    logo_url: str | None = None,
    why_choose_us: str | None = None,
    contacts: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a provider's profile, which the provider signs."""
    pairs = sorted((contacts or {}).items())
    return b"".join(
        [
            _V1 + text("Profile") + text(name) + text(version) + text("v0.1.0"),
            *map(_optional_text, (description, url, logo_url, why_choose_us)),
            len(pairs).to_bytes(4, "little"),
            *(text(key) + text(value) for key, value in pairs),
        ]
    )


def contract_request(
    *,
    requester_key: bytes,
    ssh_key: str,
    contact: str,
    provider_key: bytes,
    offering_id: str,
    region: str | None = None,
    extends: str | None = None,
    instance_config: str | None = None,
    amount_e9s: int,
    payments: Sequence[PaymentEntry] = (),
    start_seconds: int | None = None,
    memo: str = "",
) -> bytes:
    """Return the payload of a request, which the requester signs; its SHA-256 is the contract's id and the key."""
    return b"".join(
        [
            _V1 + sized(requester_key) + text(ssh_key) + text(contact) + sized(provider_key) + text(offering_id),
            *map(_optional_text, (region, extends, instance_config)),
            u64(amount_e9s) + len(payments).to_bytes(4, "little"),
            *(
                text(one.pricing_model) + text(one.time_period_unit) + u64(one.quantity) + u64(one.amount_e9s)
                for one in payments
            ),
            _optional_u64(start_seconds) + text(memo),
        ]
    )


def contract_reply(
    *, requester_key: bytes, memo: str, contract_id: bytes, accepted: bool, answer: str, details: str
) -> bytes:
    """Return the payload of a reply, which the provider signs; the entry's key is the contract's id."""
    return b"".join(
        [
            _V1 + sized(requester_key) + text(memo) + sized(contract_id),
            b"\x01" if accepted else b"\x00",
            text(answer) + text(details),
        ]
    )


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer of tokens, in e9s. ``fee`` absent and ``fee`` 0 are two different things."""

    sender: Account
    receiver: Account
    amount: int
    fee: int | None
    fee_accounts: tuple[Account, ...] | None
    created_ns: int | None
    memo: bytes
    sender_after: int
    receiver_after: int

    @property
    def key(self) -> bytes:
        """The transfer's id. It can repeat in another block, when no time is given."""
        parts = [self.sender.owner, self.sender.subaccount or NO_SUBACCOUNT]
        parts += [self.receiver.owner, self.receiver.subaccount or NO_SUBACCOUNT, self.amount.to_bytes(8, "big")]
        if self.fee is not None:
            parts.append(self.fee.to_bytes(8, "big"))
        parts.append(self.memo)
        if self.created_ns is not None:
            parts.append(self.created_ns.to_bytes(8, "big"))
        return hashlib.sha256(b"".join(parts)).digest()

    def borsh(self) -> bytes:
        """Return the entry's value."""
        accounts = self.fee_accounts
        listed = (
            None if accounts is None else len(accounts).to_bytes(4, "little") + b"".join(a.borsh() for a in accounts)
        )
        return b"".join(
            [
                _V1 + self.sender.borsh() + self.receiver.borsh() + _optional_u64(self.fee) + _option(listed),
                _optional_u64(self.created_ns) + sized(self.memo) + u64(self.amount),
                u64(self.sender_after) + u64(self.receiver_after),
            ]
        )


def approval(
    approver: Account,
    spender: Account,
    allowance: int,
    *,
    expires_ns: int | None = None,
    fee: int = 0,
    memo: bytes = b"",
    created_ns: int = 0,
) -> bytes:
    """Return the value of an approval. Its key is the SHA-256 of the value without the first byte."""
    return b"".join(
        [
            _V1 + approver.borsh() + spender.borsh() + u64(allowance) + _optional_u64(expires_ns),
            u64(fee) + sized(memo) + u64(created_ns),
        ]
    )


def reputation_change(changes: Sequence[tuple[bytes, int]]) -> bytes:
    """Return the value of a change of reputations, by public key. Its key is the SHA-256 of the whole value."""
    items = (sized(key) + delta.to_bytes(8, "little", signed=True) for key, delta in changes)
    return _V1 + len(changes).to_bytes(4, "little") + b"".join(items)


def reputation_aging(parts_per_million: int) -> bytes:
    """Return the value of an aging of all reputations."""
    return _V1 + u64(parts_per_million)


def linked_principals(main: bytes, added: Sequence[bytes], removed: Sequence[bytes]) -> bytes:
    """Return the value of a change of the principals that belong together."""
    lists = (len(some).to_bytes(4, "little") + b"".join(map(sized, some)) for some in (added, removed))
    return _V1 + sized(main) + b"".join(lists)
