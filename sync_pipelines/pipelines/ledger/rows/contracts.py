"""Rows of contract requests and replies. A reply is checked once its request is known, which may be another day's."""

from __future__ import annotations

from sync_pipelines.pipelines.ledger.payloads import ContractReply, ContractRequest
from sync_pipelines.pipelines.ledger.rows.collector import BlockRows, StoredEntry
from sync_pipelines.pipelines.ledger.signatures import signature_valid


def request(here: BlockRows, entry: StoredEntry, payload: ContractRequest | None) -> None:
    """Add a request, or that it was deleted."""
    if payload is None:
        here.event("contract_requests", entry, entry.operation, entry.key, *(None,) * 13)
        return
    valid = signature_valid(entry.key, payload, here.block.parent_hash, None)
    here.event(
        "contract_requests",
        entry,
        entry.operation,
        entry.key,
        payload.requester_pubkey,
        payload.provider_pubkey,
        payload.offering_id,
        payload.region_name,
        payload.extends_contract_id,
        payload.instance_config,
        payload.payment_amount_e9s,
        [
            {
                "pricing_model": item.pricing_model,
                "time_period_unit": item.time_period_unit,
                "quantity": item.quantity,
                "amount_e9s": item.amount_e9s,
            }
            for item in payload.payment_entries
        ],
        payload.start_timestamp,
        payload.request_memo,
        payload.payload,
        payload.signature,
        valid,
    )
    if not valid:
        here.error("contracts", entry, "signature_invalid")


def reply(here: BlockRows, entry: StoredEntry, payload: ContractReply | None) -> None:
    """Add a reply. One that was signed for another contract than it stands under answers neither."""
    if payload is None:
        return
    if payload.contract_id != entry.key:
        here.error("contracts", entry, "reply_other_contract", f"it names {payload.contract_id.hex()}")
        return
    here.event(
        "contract_replies",
        entry,
        entry.key,
        payload.requester_pubkey,
        payload.sign_accepted,
        payload.response_text,
        payload.response_details,
        payload.request_memo,
        payload.payload,
        payload.signature,
    )
