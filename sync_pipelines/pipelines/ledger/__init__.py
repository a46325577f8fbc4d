"""The ledger of an Internet Computer canister, verified and kept in SQL."""
