import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.systems.internet_computer import cbor
from sync_pipelines.systems.internet_computer.envelope import (
    EXPIRY_SECONDS,
    envelope,
    ingress_expiry,
    query_content,
    read_state_content,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5) | st.binary(max_size=5), inner),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_what_a_library_wrote_is_read(value: object) -> None:
    assert cbor.decode(cbor2.dumps(value)) == value
    assert cbor.decode(cbor2.dumps(cbor2.CBORTag(55799, value))) == value
    assert cbor.decode(cbor2.dumps(value, indefinite_containers=True)) == value


def test_containers_inside_the_tag_are_plain_dicts_and_lists() -> None:
    value = cbor.decode(cbor2.dumps(cbor2.CBORTag(55799, {"a": [{}]})))
    assert (type(value), type(value["a"]), type(value["a"][0])) == (dict, list, dict)


def test_strings_in_pieces() -> None:
    assert cbor.decode(bytes.fromhex("5f4201024103ff")) == b"\x01\x02\x03"
    assert cbor.decode(bytes.fromhex("7f61616162ff")) == "ab"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "cut"),
        ("0000", "1 bytes after the end"),
        ("1a0001", "cut"),
        ("5b1000000000000000", "cut"),
        ("7a7fffffff61", "cut"),
        ("9b1000000000000000", "cut"),
        ("bb1000000000000000", "cut"),
        ("9f", "cut"),
        ("ff", "break"),
        ("81ff", "break"),
        ("d9d9f7ff", "no place"),
        ("1f", "no place"),
        ("1c", "reserved length"),
        ("f97e00", "float"),
        ("f7", "simple"),
        ("f8ff", "simple"),
        ("61ff", "UTF-8"),
        ("5f6161ff", "pieces of another type"),
        ("a2616100616100", "twice"),
        ("a1a000", "keys other than"),
        ("bf6161ff", "keys other than"),
        ("c001", "no place"),
        ("d8236161", "no place"),
        ("d81c81d81d00", "no place"),
        ("81" * 500 + "00", "too deeply"),
        ("d9d9f7" * 500 + "00", "too deeply"),
    ],
)
def test_bytes_that_are_not_of_the_kind_used_are_refused(data: str, reason: str) -> None:
    with pytest.raises(cbor.CborError, match=reason):
        cbor.decode(bytes.fromhex(data))


def test_the_number_of_values_is_bounded() -> None:
    assert len(cbor.decode(b"\x99\x03\xe8" + b"\x80" * 1000, max_items=1001)) == 1000
    for too_many in (b"\x9a\x00\x2d\xc6\xc0" + b"\x80" * 3_000_000, b"\x9f" + b"\x80" * 3_000_000 + b"\xff"):
        with pytest.raises(cbor.CborError, match="too many values"):
            cbor.decode(too_many, max_items=1000)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        cbor.decode(data)
    except cbor.CborError:
        return


@settings(max_examples=50, deadline=None)
@given(st.data(), VALUES)
def test_damaged_documents_are_read_or_refused(data: st.DataObject, value: object) -> None:
    raw = bytearray(cbor2.dumps(value))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        cbor.decode(bytes(raw))
    except cbor.CborError:
        return


def test_an_envelope_has_content_only_and_says_that_it_is_cbor() -> None:
    body = envelope(query_content(b"\x01", "metadata", b"DIDL\x00\x00", 7))
    assert body.startswith(bytes.fromhex("d9d9f7"))
    assert cbor.decode(body) == {
        "content": {
            "request_type": "query",
            "sender": b"\x04",
            "canister_id": b"\x01",
            "method_name": "metadata",
            "arg": b"DIDL\x00\x00",
            "ingress_expiry": 7,
        }
    }
    asked = cbor.decode(envelope(read_state_content([[b"time"], [b"subnet", b"\x02"]], 7)))["content"]
    assert asked["paths"] == [[b"time"], [b"subnet", b"\x02"]]


@pytest.mark.parametrize("now", [0.0, 59.9, 60.0, 1_700_000_000.5])
def test_requests_of_one_minute_run_out_together_and_in_time(now: float) -> None:
    expiry = ingress_expiry(now)
    assert expiry % 60_000_000_000 == 0
    assert EXPIRY_SECONDS - 61 < expiry / 1e9 - now <= EXPIRY_SECONDS
