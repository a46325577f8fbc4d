"""What the stored blocks of a token's log mean, and which of them are refused."""

from __future__ import annotations

import pytest

from sync_pipelines.pipelines.ledger.payloads import (
    MOVEMENTS,
    Account,
    Label,
    LoggedTransaction,
    PayloadError,
    decode_payload,
)
from sync_pipelines.pipelines.ledger.token_blocks import encoded, hash_of_stored
from sync_pipelines.systems.internet_computer.values import Value, hash_value
from sync_pipelines_tests.pipelines.ledger.written import entry

ALICE: Value = ("Array", [("Blob", b"alice")])
BOB: Value = ("Array", [("Blob", b"bob"), ("Blob", bytes(31) + b"\x01")])
NOBODY: Value = ("Array", [("Blob", b"alice"), ("Blob", bytes(32))])
ALL: dict[str, Value] = {"from": ALICE, "to": BOB, "spender": NOBODY, "amt": ("Nat", 5)}


def block(kind: str, **fields: Value) -> Value:
    """Return a block's value; its transaction has everything unless told otherwise."""
    transaction: Value = ("Map", list((fields or ALL).items()))
    return "Map", [("btype", ("Text", kind)), ("ts", ("Nat", 1)), ("fee", ("Nat", 2)), ("tx", transaction)]


def read(value: Value, label: str = "1xfer") -> LoggedTransaction:
    """Return what a block says."""
    found = decode_payload(label, encoded(value))
    assert isinstance(found, LoggedTransaction)
    return found


@pytest.mark.parametrize("label", [*MOVEMENTS, Label.APPROVE_2])
def test_every_type_of_block_has_a_reader(label: str) -> None:
    value = block(label)

    found = read(value, label)

    assert found.hash == hash_value(value)
    assert (found.told.block_type, found.told.amount, found.told.fee) == (label, 5, 2)
    assert (found.source, found.target) == (Account(b"alice", None), Account(b"bob", bytes(31) + b"\x01"))


def test_a_subaccount_of_zeros_is_none_for_a_token() -> None:
    assert read(block("2xfer"), "2xfer").spender == Account(b"alice", None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (block("1xfer", amt=("Nat", 1), to=BOB), "from is missing"),
        (block("1xfer", **{**ALL, "amt": ("Int", -1)}), "a negative number"),
        (block("1xfer", **{**ALL, "from": ("Array", [("Blob", bytes(30))])}), "principal of 30 bytes"),
        (block("1xfer", **{**ALL, "to": ("Array", [])}), "to is no account"),
        (block("9odd"), "type of block"),
        (("Nat", 1), "a map was expected"),
    ],
)
def test_a_block_that_does_not_say_what_its_type_has_to_is_refused(value: Value, reason: str) -> None:
    with pytest.raises(PayloadError) as refused:
        read(value)
    assert refused.value.reason == reason


def test_bytes_that_are_no_value_are_refused() -> None:
    with pytest.raises(PayloadError, match="no generic value"):
        decode_payload("1mint", b"DIDL")


def test_the_hash_of_a_stored_block_is_that_of_its_value_behind_its_parent() -> None:
    kind, fields = block("1mint")
    value: Value = (kind, [*fields, ("phash", ("Blob", b"p" * 32))])
    stored = entry("1mint", bytes(8), encoded(value))

    assert hash_of_stored(b"p" * 32, stored) == hash_value(value)
    assert hash_of_stored(b"q" * 32, stored) == b""
    assert hash_of_stored(b"p" * 32, stored[:-20]) == b""
    assert hash_of_stored(b"p" * 32, b"") == b""
