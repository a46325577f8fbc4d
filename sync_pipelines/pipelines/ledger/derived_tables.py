"""The tables that are derived from a ledger's entries, as people know them."""

from __future__ import annotations

from dataclasses import dataclass

ENTRIES = "ledger_entries"


@dataclass(frozen=True, slots=True)
class DerivedTable:
    """A table that is derived, as an asset.

    Attributes:
        name: of the table.
        projection: what it is derived with.
        events: the table whose rows are counted when some days are derived.
        description: what it holds.
    """

    name: str
    projection: str
    events: str
    description: str


TABLES = (
    DerivedTable(
        "dc_users",
        "users",
        "ledger_registrations",
        "Registered keys with their principal, reputation and balance. A deleted registration keeps its user.",
    ),
    DerivedTable(
        "provider_profiles",
        "profiles",
        "provider_profile_history",
        "Latest profile of each provider; all of them in `sync.provider_profile_history`.",
    ),
    DerivedTable(
        "provider_offerings",
        "offerings",
        "provider_offering_history",
        "Latest row of each provider and internal identifier; those that vanished are not active any more.",
    ),
    DerivedTable(
        "contract_signatures",
        "contracts",
        "contract_requests",
        "Contract requests with what the newest valid reply of the provider made of them.",
    ),
    DerivedTable(
        "reputation_changes", "reputation", "reputation_changes", "Changes of reputation, one row for each of a list."
    ),
    DerivedTable("token_transfers", "transfers", "ledger_transfers", "Transfers, mints and burns, fee-only ones too."),
    DerivedTable(
        "reward_distributions",
        "transfers",
        "reward_distributions",
        "Distributions of rewards with the number and sum of the mints of the same block.",
    ),
    DerivedTable("check_ins", "check_ins", "check_ins", "Check-ins of providers, with their signature verified."),
    DerivedTable("token_approvals", "approvals", "token_approvals", "Approvals of spenders."),
    DerivedTable("linked_ids", "linked_ids", "linked_ids", "Principals that were linked to a main one, or unlinked."),
)
