"""Ledgers in PostgreSQL: what was read of a canister, how far, and what was derived from it."""
