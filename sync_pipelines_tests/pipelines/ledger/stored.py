"""What the tables hold, in the form of ``small.expected.json``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.store.ledger.tables import PROJECTIONS

_QUERIES = {
    "ledger_entries": (
        "SELECT e.block_offset, row_number() OVER (PARTITION BY e.entry_index ORDER BY e.block_offset) AS unused, "
        "e.entry_index, e.label, e.key, e.operation, "
        "CASE e.operation WHEN 'DELETE' THEN 'Delete' ELSE 'Upsert' END AS raw_operation, e.icp_timestamp, "
        "b.hash AS block_hash, s.signature_valid, sha256(e.value) AS value_sha256, "
        "(SELECT count(*) FROM sync.ledger_blocks p WHERE p.canister = b.canister "
        "AND p.block_offset < b.block_offset) AS block_index "
        "FROM sync.ledger_entries e JOIN sync.ledger_blocks b USING (canister, block_offset) "
        "LEFT JOIN sync.ledger_signatures s USING (canister, block_offset, entry_index) "
        "ORDER BY e.block_offset, e.entry_index"
    ),
    "dc_users": "SELECT * FROM sync.dc_users ORDER BY block_offset, pubkey",
    "provider_profiles": "SELECT * FROM sync.provider_profiles ORDER BY pubkey",
    "provider_offerings": "SELECT * FROM sync.provider_offerings ORDER BY provider_pubkey, offering_id",
    "contract_signatures": "SELECT * FROM sync.contract_signatures ORDER BY block_offset, contract_id",
    "reputation_changes": (
        "SELECT *, entry_key FROM sync.reputation_changes ORDER BY block_offset, entry_index, change_index"
    ),
    "token_transfers": "SELECT *, memo AS memo_hex FROM sync.token_transfers ORDER BY tx_index",
}


def table(engine: Engine, name: str, columns: list[str]) -> list[dict[str, Any]]:
    """Return a table's rows with these columns; bytes as hex."""
    with engine.connect() as connection:
        rows = connection.execute(text(_QUERIES[name])).mappings()
        return [{column: plain(row[column]) for column in columns} for row in rows]


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return int(value) if type(value).__name__ == "Decimal" else value


def errors(engine: Engine) -> list[tuple[int, str, str, str]]:
    """Return place, label, key and kind of every error."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT block_offset, label, key, kind FROM sync.import_errors"))
        return sorted((row.block_offset, row.label, bytes(row.key).hex(), row.kind) for row in rows)


def sorted_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows in an order of their own, for tables whose order says nothing."""
    key: Callable[[dict[str, Any]], str] = repr
    return sorted(rows, key=key)


def everything(engine: Engine) -> dict[str, list[str]]:
    """Return all rows of all tables without the times of runs, for holding one state against another."""
    events = {table for projection in PROJECTIONS.values() for table in projection.events}
    states = {projection.state[0] for projection in PROJECTIONS.values() if projection.state is not None}
    views = {"reputations", "account_balances", "token_transfers", "ledger_signatures", "ledger_blocks"}
    found = {}
    with engine.connect() as connection:
        for name in events | states | views:
            found[name] = sorted(connection.execute(text(f"SELECT CAST(t AS text) FROM sync.{name} t")).scalars())
        found["ledger_entries"] = sorted(
            connection.execute(
                text("SELECT to_jsonb(t) - 'migrated_at' FROM sync.ledger_entries t").columns()
            ).scalars(),
            key=repr,
        )
        found["import_errors"] = sorted(
            map(
                repr,
                connection.execute(
                    text(
                        "SELECT projection, block_offset, entry_index, label, key, kind, reason FROM sync.import_errors"
                    )
                ),
            )
        )
    return found
