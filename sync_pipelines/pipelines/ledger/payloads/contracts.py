"""Contracts between a requester and a provider. The key of both entries is the contract's id."""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipelines.pipelines.ledger.borsh import Reader


@dataclass(frozen=True, slots=True)
class PaymentEntry:
    """One line of what is paid for."""

    pricing_model: str
    time_period_unit: str
    quantity: int
    amount_e9s: int


@dataclass(frozen=True, slots=True)
class ContractRequest:
    """Somebody asks a provider for a contract.

    Attributes:
        payload: the bytes that are signed; their SHA-256 is the contract's id.
        signature: made with some key of the requester, not always with ``requester_pubkey``.
        extends_contract_id: the contract it prolongs.
        start_timestamp: seconds since 1970 UTC.
    """

    payload: bytes
    signature: bytes
    requester_pubkey: bytes
    requester_ssh_pubkey: str
    requester_contact: str
    provider_pubkey: bytes
    offering_id: str
    region_name: str | None
    extends_contract_id: str | None
    instance_config: str | None
    payment_amount_e9s: int
    payment_entries: tuple[PaymentEntry, ...]
    start_timestamp: int | None
    request_memo: str


@dataclass(frozen=True, slots=True)
class ContractReply:
    """A provider's answer. ``signature`` over ``payload`` has to be made with the provider key of the request."""

    payload: bytes
    signature: bytes
    requester_pubkey: bytes
    request_memo: str
    contract_id: bytes
    sign_accepted: bool
    response_text: str
    response_details: str


def decode_contract_request(value: bytes) -> ContractRequest:
    """Read a request, its envelope and what is in it."""
    payload, signature = _envelope(value)
    reader = Reader(payload)
    reader.variant()
    request = ContractRequest(
        payload=payload,
        signature=signature,
        requester_pubkey=reader.blob(),
        requester_ssh_pubkey=reader.text(),
        requester_contact=reader.text(),
        provider_pubkey=reader.blob(),
        offering_id=reader.text(),
        region_name=reader.optional(reader.text),
        extends_contract_id=reader.optional(reader.text),
        instance_config=reader.optional(reader.text),
        payment_amount_e9s=reader.u64(),
        payment_entries=reader.several(
            lambda: PaymentEntry(reader.text(), reader.text(), reader.u64(), reader.u64()),
        ),
        start_timestamp=reader.optional(reader.u64),
        request_memo=reader.text(),
    )
    reader.end()
    return request


def decode_contract_reply(value: bytes) -> ContractReply:
    """Read a reply, its envelope and what is in it."""
    payload, signature = _envelope(value)
    reader = Reader(payload)
    reader.variant()
    reply = ContractReply(
        payload=payload,
        signature=signature,
        requester_pubkey=reader.blob(),
        request_memo=reader.text(),
        contract_id=reader.blob(),
        sign_accepted=reader.flag(),
        response_text=reader.text(),
        response_details=reader.text(),
    )
    reader.end()
    return reply


def _envelope(value: bytes) -> tuple[bytes, bytes]:
    reader = Reader(value)
    reader.variant()
    payload, signature = reader.blob(), reader.blob()
    reader.end()
    return payload, signature
