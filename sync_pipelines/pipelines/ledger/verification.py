"""Proving a stored ledger, with what else the checks are answered from."""

from __future__ import annotations

from sqlalchemy import Engine

from sync_pipelines.pipelines.ledger.verify import Verification, verify_ledger
from sync_pipelines.store.ledger import derivation, errors, positions

VERIFIED_AT_ONCE = 100_000
"""Ledgers with at most so many entries, about a second's work, are proved whenever something was derived."""


def verified(engine: Engine, name: str) -> tuple[Verification, dict[str, int], int]:
    """Prove a ledger; return that, the entries with bad signatures by label, and the days that are not derived yet.

    Raises:
        ConfigurationError: nothing was ever imported for the connection.
    """
    found = verify_ledger(engine, name)
    with engine.connect() as connection:
        position = positions.find(connection, name)
        assert position is not None, "it was just verified"
        bad = errors.bad_signatures(connection, position.canister)
        stale = derivation.stale_days(connection, position.canister)
    return found, bad, len(stale)
