"""The tables that are derived from a ledger's entries: what belongs together, and the columns of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_PLACE: Final = ("canister", "block_offset", "entry_index")
_UPSERT: Final = " AND operation <> 'DELETE'"
_EVENT: Final = (*_PLACE, "icp_timestamp")

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "ledger_registrations": (
        *_EVENT,
        *("operation", "label", "pubkey", "principal", "signature", "signature_valid"),
    ),
    "check_ins": (*_EVENT, "pubkey", "memo", "signature", "signature_valid"),
    "provider_profile_history": (
        *_EVENT,
        *("operation", "pubkey", "profile_data", "profile", "signature", "signature_valid"),
    ),
    "provider_offering_files": (
        *_EVENT,
        *("operation", "provider_pubkey", "readable", "offerings", "invalid_rows", "signature", "signature_valid"),
    ),
    "provider_offering_history": (*_PLACE, "provider_pubkey", "offering_digest", "offering_id", "offering"),
    "contract_requests": (
        *_EVENT,
        *("operation", "contract_id", "requester_pubkey", "provider_pubkey", "offering_id", "region_name"),
        *("extends_contract_id", "instance_config", "payment_amount_e9s", "payment_entries", "start_timestamp"),
        *("request_memo", "contract_data", "signature", "signature_valid"),
    ),
    "contract_replies": (
        *_EVENT,
        *("contract_id", "requester_pubkey", "sign_accepted", "response_text", "response_details", "request_memo"),
        *("reply_data", "signature"),
    ),
    "reputation_changes": (*_EVENT, "change_index", "entry_key", "target_pubkey", "change_amount"),
    "reputation_agings": (*_EVENT, "reductions_ppm"),
    "ledger_transfers": (
        *_EVENT,
        *("place", "tx_id", "tx_id_matches", "kind", "from_principal", "from_subaccount", "to_principal"),
        *("to_subaccount", "amount", "fee", "memo", "memo_text", "created_at_time", "balance_from_after"),
        *("balance_to_after", "spender_principal", "spender_subaccount"),
    ),
    "ledger_transfer_blocks": ("canister", "block_offset", "transfers"),
    "reward_distributions": (*_EVENT, "distributed_ns", "transfers", "total_e9s"),
    "token_approvals": (
        *_EVENT,
        *("approval_id", "approver_principal", "approver_subaccount", "spender_principal", "spender_subaccount"),
        *("allowance", "expires_at", "fee", "memo", "created_at_time", "expected_allowance", "charged"),
    ),
    "linked_ids": (*_EVENT, "main_principal", "added", "removed"),
    "account_changes": ("canister", "day", "principal", "subaccount", "change"),
    "import_errors": ("canister", "projection", "block_offset", "entry_index", "label", "key", "kind", "reason"),
}
"""Table -> the columns of the rows that are written, in order."""


@dataclass(frozen=True, slots=True)
class Projection:
    """What is derived together, because its tables depend on each other.

    Attributes:
        events: tables whose rows belong to one entry or block, with its ``block_offset``.
        shown: what ``sync_status`` tells of, each with the table that is counted.
        state: the table made from the events for keys that were touched, if there is one, with its key column.
        touched: ``(table, column)`` from which those keys are.
        per_entry: tables that have exactly one row for every upsert that could be read, with what leaves other rows
            out. Not told of ``reputation``: a list of changes may be empty.
    """

    events: tuple[str, ...]
    shown: Mapping[str, str]
    state: tuple[str, str] | None = None
    touched: tuple[tuple[str, str], ...] = ()
    per_entry: tuple[tuple[str, str], ...] = ()


PROJECTIONS: Final[Mapping[str, Projection]] = {
    "users": Projection(
        ("ledger_registrations",),
        {"dc_users": "dc_users"},
        ("dc_users", "pubkey"),
        (("ledger_registrations", "pubkey"),),
        (("ledger_registrations", _UPSERT),),
    ),
    "check_ins": Projection(("check_ins",), {"check_ins": "check_ins"}, per_entry=(("check_ins", ""),)),
    "profiles": Projection(
        ("provider_profile_history",),
        {"provider_profiles": "provider_profiles"},
        ("provider_profiles", "pubkey"),
        (("provider_profile_history", "pubkey"),),
        (("provider_profile_history", _UPSERT),),
    ),
    "offerings": Projection(
        ("provider_offering_files", "provider_offering_history"),
        {"provider_offerings": "provider_offerings"},
        ("provider_offerings", "provider_pubkey"),
        (("provider_offering_files", "provider_pubkey"),),
        (("provider_offering_files", _UPSERT),),
    ),
    "contracts": Projection(
        ("contract_requests", "contract_replies"),
        {"contract_signatures": "contract_signatures"},
        ("contract_signatures", "contract_id"),
        (("contract_requests", "contract_id"), ("contract_replies", "contract_id")),
        (("contract_requests", _UPSERT), ("contract_replies", "")),
    ),
    "reputation": Projection(("reputation_changes", "reputation_agings"), {"reputation_changes": "reputation_changes"}),
    "transfers": Projection(
        ("ledger_transfers", "ledger_transfer_blocks", "reward_distributions"),
        {"token_transfers": "ledger_transfers", "reward_distributions": "reward_distributions"},
        per_entry=(("ledger_transfers", ""), ("reward_distributions", "")),
    ),
    "approvals": Projection(
        ("token_approvals",), {"token_approvals": "token_approvals"}, per_entry=(("token_approvals", ""),)
    ),
    "linked_ids": Projection(("linked_ids",), {"linked_ids": "linked_ids"}, per_entry=(("linked_ids", ""),)),
}
