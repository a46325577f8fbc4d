"""What the assets of a ledger are called."""

from __future__ import annotations

from dagster import AssetKey

from sync_pipelines.pipelines.ledger.connection import NAME, LedgerConnection
from sync_pipelines.pipelines.ledger.derived_tables import ENTRIES


def source_key(connection: LedgerConnection) -> AssetKey:
    """Key of the canister's ledger itself, outside of Dagster."""
    return AssetKey(["internet_computer", f"{connection.name}_ledger"])


def table_key(connection: LedgerConnection, table: str) -> AssetKey:
    """Key of a table of a connection: several canisters live side by side."""
    return AssetKey([NAME, connection.name, table])


def entries_key(connection: LedgerConnection) -> AssetKey:
    """Key of the raw entries."""
    return table_key(connection, ENTRIES)
