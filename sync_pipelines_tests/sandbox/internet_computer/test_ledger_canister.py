"""The canister answers the recorded arguments with the recorded values, and traps where the real one traps."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.sandbox.internet_computer import LedgerCanister, Reject
from sync_pipelines.sandbox.internet_computer.candid_decoding import decode
from sync_pipelines.sandbox.internet_computer.candid_types import Type
from sync_pipelines.sandbox.internet_computer.ledger_types import (
    DATA_FETCH_RESULT,
    METADATA_RESULT,
    NEXT_BLOCK_RESULT,
)
from sync_pipelines_tests import systems
from sync_pipelines_tests.ledgers import LEDGER_DATA, small_world

RESULTS: dict[str, Type] = {
    "data_fetch": DATA_FETCH_RESULT,
    "metadata": METADATA_RESULT,
    "next_block_entries": NEXT_BLOCK_RESULT,
}
CHUNK_OF_VECTORS = 200


def _vectors() -> list[dict[str, Any]]:
    data = Path(systems.__path__[0]) / "internet_computer" / "data" / "candid_vectors.json"
    vectors: list[dict[str, Any]] = json.loads(data.read_text("utf-8"))
    # Two replies show what newer canisters would answer.
    return [one for one in vectors if one["method"] in RESULTS and not one["name"].startswith("reply ")]


@pytest.fixture(scope="module")
def canister() -> LedgerCanister:
    return LedgerCanister(small_world())


@pytest.mark.parametrize("vector", _vectors(), ids=lambda vector: f"{vector['method']}: {vector['name']}")
def test_recorded_arguments_get_the_recorded_answer(canister: LedgerCanister, vector: dict[str, Any]) -> None:
    is_whole = vector["name"].startswith("whole ledger")
    canister.chunk = 1024 * 1024 if is_whole else CHUNK_OF_VECTORS
    arg = bytes.fromhex(vector["args_hex"])
    if "reject_code" in vector:
        with pytest.raises(Reject) as reject:
            canister.query(vector["method"], arg)
        told = (reject.value.code, reject.value.error_code, reject.value.message)
        assert told == (vector["reject_code"], vector["error_code"], vector["reject_message"])
        return
    reply = canister.query(vector["method"], arg).arg
    if is_whole:
        assert hashlib.sha256(reply).hexdigest() == vector["reply_sha256"]
        return
    (found,) = decode(reply, [RESULTS[vector["method"]]])
    assert found == _plain(vector["reply"], RESULTS[vector["method"]])


def test_metadata_is_told_in_the_canisters_order_and_types(canister: LedgerCanister) -> None:
    saved = json.loads((LEDGER_DATA / "small.metadata.json").read_text("utf-8"))
    assert canister.query("metadata", b"DIDL\0\0").arg.hex() == saved["metadata_reply_candid_hex"]


@pytest.mark.parametrize(
    ("method", "arg"),
    [("metadata", b""), ("metadata", b"DIDL"), ("metadata", b"DIDL\0\0\x01"), ("data_fetch", b"DIDX\0\0")],
)
def test_arguments_that_are_no_candid_trap(canister: LedgerCanister, method: str, arg: bytes) -> None:
    with pytest.raises(Reject, match="failed to decode call arguments") as reject:
        canister.query(method, arg)
    assert (reject.value.code, reject.value.error_code) == (5, "IC0503")


def test_what_the_published_interface_lists_but_nobody_compiled_is_not_offered(canister: LedgerCanister) -> None:
    with pytest.raises(Reject, match="has no query method 'icrc3_get_blocks'") as reject:
        canister.query("icrc3_get_blocks", b"DIDL\0\0")
    assert (reject.value.code, reject.value.error_code) == (5, "IC0536")


def _plain(value: Any, kind: Type) -> Any:
    """Return a recorded value in the form of the stand-in's decoder: bytes as bytes, tuples as tuples."""
    if isinstance(value, dict) and set(value) == {"$blob"}:
        return bytes.fromhex(value["$blob"])
    if isinstance(value, dict):
        return {name: _plain(one, kind) for name, one in value.items()}
    if isinstance(value, list) and kind is not NEXT_BLOCK_RESULT:
        plain = [_plain(one, kind) for one in value]
        is_tuple = len(plain) == 2 and isinstance(plain[0], str)
        return tuple(plain) if is_tuple else plain
    return [_plain(one, kind) for one in value] if isinstance(value, list) else value
