"""The saved ledgers of the tests, loaded into stand-ins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.internet_computer import LedgerWorld, PendingEntry

LEDGER_DATA = Path(__file__).parent / "pipelines" / "ledger" / "data"


def small_world() -> LedgerWorld:
    """Return the ledger ``small.ledger`` with its metadata and its block in the making."""
    saved = json.loads((LEDGER_DATA / "small.metadata.json").read_text("utf-8"))
    pending = [
        PendingEntry(one["label"], bytes.fromhex(one["key"]), bytes.fromhex(one["value"]), one["operation"] == "Delete")
        for one in saved["pending"]
    ]
    metadata = {name: _value(value) for name, value in saved["metadata"]}
    return LedgerWorld.of_bytes((LEDGER_DATA / "small.ledger").read_bytes(), metadata, pending)


def damaged_world(file: str, end_position: int) -> LedgerWorld:
    """Return one of the ledgers in ``corrupt/``.

    Arguments:
        file: its path below the data, as in ``manifest.json``.
        end_position: where the canister says that it ends.
    """
    told: dict[str, int | str | bytes] = {
        "ledger:num_blocks": 0,
        "ledger:next_block_start_pos": end_position,
        "ledger:latest_block_hash": bytes(32),
        "ledger:latest_block_timestamp_ns": 0,
    }
    return LedgerWorld.of_bytes((LEDGER_DATA / file).read_bytes(), told)


def _value(tagged: dict[str, Any]) -> int | str | bytes:
    ((kind, value),) = tagged.items()
    return bytes.fromhex(value) if kind == "Blob" else value
