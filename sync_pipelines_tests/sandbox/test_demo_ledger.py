"""The peer of the demo's ledger pipeline: it grows by itself and remembers what happened."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

from sync_pipelines.sandbox.demo_ledger import LedgerPeer, ledger_connections, ledger_peer
from sync_pipelines.sandbox.internet_computer import MAINNET_CANISTER


def _told(peer: LedgerPeer) -> dict[str, Any]:
    told: dict[str, Any] = httpx.get(f"{peer.replica}/_sandbox/ledger", trust_env=False).json()
    return told


def test_the_ledger_grows_until_now_and_is_found_again(tmp_path: Path) -> None:
    with ledger_peer(tmp_path, replica_port=0, block_seconds=0.1, blocks=5) as peer:
        first = _told(peer)
        deadline = time.monotonic() + 20
        while (later := _told(peer))["blocks"] < first["blocks"] + 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert abs(later["latest_ns"] - time.time_ns()) < 60 * 10**9
    with ledger_peer(tmp_path, replica_port=0, block_seconds=3600) as again:
        remembered = _told(again)
        assert remembered["blocks"] >= later["blocks"]
        grown = httpx.post(f"{again.replica}/_sandbox/ledger/grow", trust_env=False).json()
        assert grown["blocks"] == remembered["blocks"] + 1


def test_the_connection_names_replica_and_canister_and_the_first_day() -> None:
    (connection,) = ledger_connections(LedgerPeer("http://127.0.0.1:1", MAINNET_CANISTER, "2026-01-31"))["ledger"]
    assert connection == {
        "name": "decent-cloud",
        "url": "http://127.0.0.1:1",
        "canister_id": MAINNET_CANISTER,
        "first_day": "2026-01-31",
    }
