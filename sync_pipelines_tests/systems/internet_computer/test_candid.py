import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.internet_computer import Rejected, candid, leb128
from sync_pipelines.systems.internet_computer.candid import (
    BLOB,
    BOOL,
    EMPTY,
    FLOAT32,
    FLOAT64,
    INT,
    INT8,
    INT16,
    INT32,
    INT64,
    NAT,
    NAT8,
    NAT16,
    NAT32,
    NAT64,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    CandidError,
    Func,
    Lazy,
    Opt,
    Type,
    Vec,
    record,
    tuple_of,
    variant,
)
from sync_pipelines.systems.internet_computer.candid.types import Record, Variant
from sync_pipelines.systems.internet_computer.errors import rejection
from sync_pipelines.systems.internet_computer.ledger_canister import read_chunk, read_tip
from sync_pipelines.systems.internet_computer.values import VALUE

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "candid_vectors.json").read_text())

OPT_TEXT, OPT_NAT32, OPT_NAT64, OPT_BLOB, OPT_NAT = Opt(TEXT), Opt(NAT32), Opt(NAT64), Opt(BLOB), Opt(NAT)
ENTRIES = Vec(record({"label": TEXT, "key": BLOB, "value": BLOB}))
OPT_CURSOR = Opt(record({"block_position": NAT64, "entry_index": NAT32}))
ACCOUNT = record({"owner": PRINCIPAL, "subaccount": OPT_BLOB})
SENT: dict[str, Type] = {"memo": OPT_BLOB, "created_at_time": OPT_NAT64, "amount": NAT}
TRANSACTION = record(
    {
        "kind": TEXT,
        "timestamp": NAT64,
        "mint": Opt(record({"to": ACCOUNT, **SENT})),
        "burn": Opt(record({"from": ACCOUNT, "spender": Opt(ACCOUNT), **SENT})),
        "transfer": Opt(record({"from": ACCOUNT, "to": ACCOUNT, "fee": OPT_NAT, "spender": Opt(ACCOUNT), **SENT})),
        "approve": Opt(
            record({"from": ACCOUNT, "spender": ACCOUNT, "fee": OPT_NAT, "expected_allowance": OPT_NAT, **SENT})
        ),
    }
)
RANGE = record({"start": NAT, "length": NAT})
ARCHIVED = Vec(record({"start": NAT, "length": NAT, "callback": Func()}))
METADATA_VALUE = variant({"Nat": NAT, "Int": INT, "Text": TEXT, "Blob": BLOB})

INTERFACE: dict[str, tuple[tuple[Type, ...], Type]] = {
    "data_fetch": ((OPT_TEXT, OPT_BLOB), variant({"Ok": tuple_of(TEXT, BLOB), "Err": TEXT})),
    "metadata": ((), Vec(tuple_of(TEXT, METADATA_VALUE))),
    "next_block_entries": (
        (OPT_TEXT, OPT_NAT32, OPT_NAT32),
        record({"entries": ENTRIES, "has_more": BOOL, "total_count": NAT32}),
    ),
    "ledger_entries, first form": (
        (OPT_TEXT, OPT_NAT32, OPT_NAT32),
        record({"entries": ENTRIES, "has_more": BOOL, "total_count": NAT32}),
    ),
    "ledger_entries, second form": (
        (OPT_TEXT, OPT_CURSOR, OPT_NAT32, Opt(BOOL)),
        record({"entries": ENTRIES, "has_more": BOOL, "next_cursor": OPT_CURSOR}),
    ),
    "get_transactions": (
        (RANGE,),
        record(
            {
                "first_index": NAT,
                "log_length": NAT,
                "transactions": Vec(TRANSACTION),
                "archived_transactions": ARCHIVED,
            }
        ),
    ),
}


def interface(vector: dict[str, Any]) -> tuple[tuple[Type, ...], Type]:
    return next(types for name, types in INTERFACE.items() if name in (vector["method"], vector["name"][: len(name)]))


def shown(kind: Type, value: Any) -> Any:
    """Return a decoded value as the vectors show it."""
    match kind:
        case Opt():
            return None if value is None else shown(kind.inner, value)
        case Vec() if kind.inner is NAT8:
            return {"$blob": value.hex()}
        case Vec():
            return [shown(kind.inner, each) for each in value]
        case Record() if kind.is_tuple:
            return [shown(each.type, part) for each, part in zip(kind.fields, value, strict=True)]
        case Record():
            return {each.name: shown(each.type, value[each.name]) for each in kind.fields}
        case Variant():
            name, content = value
            return {name: shown(next(each.type for each in kind.fields if each.name == name), content)}
        case _:
            return {"$blob": value.hex()} if kind is PRINCIPAL else value


def identifier(vector: dict[str, Any]) -> str:
    return f"{vector['method']}: {vector['name']}"


@pytest.mark.parametrize("vector", VECTORS, ids=identifier)
def test_arguments_of_the_vectors_are_written_and_read(vector: dict[str, Any]) -> None:
    types, _ = interface(vector)
    raw = bytes.fromhex(vector["args_hex"])
    values = candid.decode(raw, types)
    assert [shown(kind, value) for kind, value in zip(types, values, strict=True)] == vector["args"]
    assert candid.decode(candid.encode(types, values), types) == values


@pytest.mark.parametrize("vector", [each for each in VECTORS if "reply_hex" in each], ids=identifier)
def test_replies_of_the_vectors_are_read(vector: dict[str, Any]) -> None:
    _, reply = interface(vector)
    (value,) = candid.decode(bytes.fromhex(vector["reply_hex"]), [reply])
    assert shown(reply, value) == vector["reply"]
    assert candid.decode(candid.encode([reply], [value]), [reply]) == [value]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("ProvOffering", 0, 3), "4449444c026e716e7903000101010c50726f764f66666572696e6701000000000103000000"),
        ((None, 1, 2), "4449444c026e716e79030001010001010000000102000000"),
    ],
)
def test_arguments_are_written_to_known_bytes(values: tuple[Any, ...], expected: str) -> None:
    assert candid.encode((OPT_TEXT, OPT_NAT32, OPT_NAT32), values).hex() == expected


def test_known_bytes_of_another_encoder_are_read() -> None:
    raw = "4449444c036e716e796e7903000102010c50726f764f66666572696e6701000000000103000000"
    assert candid.decode(bytes.fromhex(raw), (OPT_TEXT, OPT_NAT32, OPT_NAT32)) == ["ProvOffering", 0, 3]
    assert candid.decode(bytes.fromhex("4449444c016e79010000"), (OPT_NAT32,)) == [None]
    assert candid.decode(bytes.fromhex("4449444c016e7901000105000000"), (OPT_NAT32,)) == [5]


@pytest.mark.parametrize("vector", [each for each in VECTORS if "reject_code" in each], ids=identifier)
def test_traps_of_the_vectors_are_permanent(vector: dict[str, Any]) -> None:
    error = rejection("query data_fetch", vector, Redactor())
    assert isinstance(error, Rejected)
    assert (error.kind, error.error_code) == (FailureKind.PERMANENT, "IC0503")


def test_a_whole_mebibyte_comes_through() -> None:
    data = hashlib.sha256(b"x").digest() * 32768
    fetched = INTERFACE["data_fetch"][1]
    cursor = f"position=8388608&response_bytes={len(data)}&direction=forward&more=true"
    ((case, (text, blob)),) = candid.decode(candid.encode([fetched], [("Ok", (cursor, data))]), [fetched])
    assert (case, read_chunk(text, blob).data) == ("Ok", data)


def test_the_tip_of_the_vectors() -> None:
    (raw,) = (each["reply_hex"] for each in VECTORS if each["name"] == "metadata")
    (pairs,) = candid.decode(bytes.fromhex(raw), [Vec(tuple_of(TEXT, VALUE))])
    tip = read_tip(pairs)
    assert (tip.data_start, tip.next_block_start, tip.num_blocks) == (8388608, 8462022, 40)
    assert tip.latest_block_hash.hex() == "748ff2ce4870f6ae4c8ee65f0e355a894c4950ffddf22f96b750e0f8fca6b896"
    assert tip.latest_block_timestamp_ns == 1704346220639169776
    assert tip.extra["authorized_pusher"] == ""
    assert tip.extra["current_block_rewards_e9s"] == 12345678900


def test_field_identifiers() -> None:
    names = ("entries", "has_more", "total_count", "label", "key", "value", "id", "block", "Ok", "Err")
    known = (2036280656, 4103919066, 3622570708, 1873743348, 5343647, 834174833, 23515, 3036443981, 17724, 3456837)
    assert tuple(map(candid.field_id, names)) == known


TREE: Type = variant({"leaf": NAT, "fork": Vec(Lazy(lambda: TREE))})
RICH = record(
    {
        "null": NULL,
        "bool": BOOL,
        "words": tuple_of(NAT8, NAT16, NAT32, NAT64, INT8, INT16, INT32, INT64),
        "numbers": Vec(tuple_of(NAT, INT)),
        "floats": tuple_of(FLOAT32, FLOAT64),
        "func": Func(),
        "tree": TREE,
        "reserved": RESERVED,
        "who": PRINCIPAL,
    }
)
RICH_VALUE = {
    "null": None,
    "bool": True,
    "words": (255, 65535, 2**32 - 1, 2**64 - 1, -128, -32768, -(2**31), -(2**63)),
    "numbers": [(2**80, -(2**80)), (0, 0), (127, -64)],
    "floats": (0.5, math.pi),
    "func": (b"\x01\x02", "icrc3_get_blocks"),
    "tree": ("fork", [("leaf", 1), ("fork", [])]),
    "reserved": None,
    "who": b"",
}


def test_every_type_comes_through() -> None:
    assert candid.decode(candid.encode([RICH], [RICH_VALUE]), [RICH]) == [RICH_VALUE]


def test_what_was_not_asked_for_is_skipped() -> None:
    sent = record({"before": Vec(RICH), "label": TEXT, "rest": RICH, "vec": Vec(NAT64), "opt": Opt(RICH)})
    value = {"before": [RICH_VALUE, RICH_VALUE], "label": "x", "rest": RICH_VALUE, "vec": [1, 2], "opt": RICH_VALUE}
    raw = candid.encode([sent, RICH, TEXT], [value, RICH_VALUE, "more"])
    assert candid.decode(raw, [record({"label": TEXT, "missing": OPT_TEXT})]) == [{"label": "x", "missing": None}]


def test_a_type_of_the_future_is_skipped() -> None:
    raw = b"DIDL\x02" + b"\x67\x01\xaa" + b"\x6c\x02\x00\x00\x01\x71" + b"\x01\x01" + b"\x02\x00\xff\xff" + b"\x01x"
    assert candid.decode(raw, [record({"1": TEXT})]) == [{"1": "x"}]


@pytest.mark.parametrize(
    ("sent", "value", "expected", "read"),
    [
        (NAT, 5, INT, 5),
        (TEXT, "x", OPT_TEXT, "x"),
        (NULL, None, OPT_TEXT, None),
        (RESERVED, None, OPT_TEXT, None),
        (RICH, RICH_VALUE, RESERVED, None),
        (Vec(NAT8), b"ab", Vec(RESERVED), [None, None]),
    ],
)
def test_a_type_is_read_as_a_wider_one(sent: Type, value: Any, expected: Type, read: Any) -> None:
    assert candid.decode(candid.encode([sent], [value]), [expected]) == [read]


def test_values_that_are_not_there_are_null_where_they_may_be() -> None:
    assert candid.decode(b"DIDL\x00\x00", [OPT_TEXT, NULL]) == [None, None]
    with pytest.raises(CandidError, match="0 values, 1 expected"):
        candid.decode(b"DIDL\x00\x00", [TEXT])


@pytest.mark.parametrize(
    ("sent", "value", "expected", "reason"),
    [
        (TEXT, "x", NAT, "nat expected"),
        (INT, 5, NAT, "nat expected"),
        (NAT, 5, NAT64, "nat64 expected"),
        (OPT_TEXT, "x", TEXT, "text expected"),
        (OPT_TEXT, "x", OPT_NAT32, "nat32 expected"),
        (Vec(TEXT), ["x"], BLOB, "nat8 expected"),
        (RICH, RICH_VALUE, Func(), "func expected"),
        (TEXT, "x", RICH, "record expected"),
        (record({"a": TEXT}), {"a": "x"}, record({"b": TEXT}), "without its field 'b'"),
        (variant({"New": TEXT}), ("New", "x"), variant({"Ok": TEXT}), "unknown case"),
    ],
)
def test_another_type_than_expected_is_an_error(sent: Type, value: Any, expected: Type, reason: str) -> None:
    with pytest.raises(CandidError, match=reason):
        candid.decode(candid.encode([sent], [value]), [expected])


leb = leb128.unsigned
OPTS: Type = Opt(Lazy(lambda: OPTS))
VECS: Type = Vec(Lazy(lambda: VECS))
UNENDING: Type = record({"0": Lazy(lambda: UNENDING)})
VEC_NULL = b"DIDL\x01\x6d\x7f\x01\x00"
VEC_RECORD = b"DIDL\x02\x6d\x01\x6c\x00\x01\x00"
IN_ITSELF = b"DIDL\x01\x6c\x01\x00\x00\x01\x00"
DEEP_OPTS = b"DIDL\x01\x6e\x00\x01\x00" + b"\x01" * 5000
DEEP_VECS = b"DIDL\x01\x6d\x00\x01\x00" + b"\x01" * 5000
# Each of 60 types is a pair of the next one: 2^60 opts in a message of 300 bytes.
DOUBLING = b"DIDL" + leb(61) + b"".join(b"\x6c\x02\x00" + leb(n) + b"\x01" + leb(n) for n in range(1, 61)) + b"\x6e\x7f"
LONG_NAT = b"DIDL\x00\x01\x7d" + b"\x80" * 2_000_000 + b"\x01"


@pytest.mark.parametrize(
    ("data", "expected", "reason"),
    [
        pytest.param(b"", NULL, "does not begin", id="empty"),
        pytest.param(b"DIDX\x00\x00", NULL, "does not begin", id="no Candid"),
        pytest.param(b"DIDL\x00\x00\x00", NULL, "after the end", id="more bytes"),
        pytest.param(b"DIDL" + leb(1 << 40), NULL, "a table of", id="types"),
        pytest.param(b"DIDL" + b"\xff" * 20, NULL, "more than 10 bytes", id="long number"),
        pytest.param(b"DIDL\x01\x6c" + leb(1 << 40), NULL, "parts of a type", id="fields"),
        pytest.param(b"DIDL\x01\x6c\x02\x05\x71\x05\x71\x01\x00", NULL, "field 5 after field 5", id="field twice"),
        pytest.param(b"DIDL\x01\x6e\x01\x01\x00", NULL, "a reference to type 1", id="reference"),
        pytest.param(b"DIDL\x00\x01\x6c", NULL, "a reference to type -20", id="inline record"),
        pytest.param(b"DIDL\x01\x71\x01\x00", NULL, "constructed type with code -15", id="primitive in the table"),
        pytest.param(b"DIDL\x00" + leb(30_000_000) + b"\x7f" * 99, NULL, "parts of a type", id="values"),
        pytest.param(VEC_NULL + leb(1 << 62), Vec(NULL), "a vec of", id="vec null"),
        pytest.param(VEC_RECORD + leb(20_000_000), Vec(record({})), "a vec of", id="vec of empty records"),
        pytest.param(b"DIDL\x01\x6d\x7b\x01\x00" + leb(1 << 62), BLOB, "cut", id="vec nat8"),
        pytest.param(DEEP_OPTS, OPTS, "too deeply", id="deep opts"),
        pytest.param(DEEP_VECS, VECS, "too deeply", id="deep vecs"),
        pytest.param(IN_ITSELF, UNENDING, "too deeply", id="a record in itself"),
        pytest.param(LONG_NAT, NAT, "more than 64 bytes", id="long nat"),
        pytest.param(b"DIDL\x00\x01\x71\x05abc", TEXT, "cut", id="cut text"),
        pytest.param(b"DIDL\x00\x01\x71\x01\xff", TEXT, "UTF-8", id="no text"),
        pytest.param(b"DIDL\x00\x01\x7e\x02", BOOL, "0 or 1", id="no bool"),
        pytest.param(b"DIDL\x00\x01\x6f", EMPTY, "type that has none", id="empty type"),
        pytest.param(b"DIDL\x00\x01\x68\x00", PRINCIPAL, "opaque", id="opaque reference"),
        pytest.param(b"DIDL\x00\x01\x68\x01\x1e" + bytes(30), PRINCIPAL, "30 bytes", id="long principal"),
        pytest.param(b"DIDL\x01\x6b\x01\x00\x7f\x01\x00\x01", variant({"0": NULL}), "case 1", id="case"),
    ],
)
def test_hostile_bytes_are_refused_at_once(data: bytes, expected: Type, reason: str) -> None:
    started = time.process_time()
    with pytest.raises(CandidError, match=reason):
        candid.decode(data, [expected])
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(DEEP_OPTS, id="deep opts"),
        pytest.param(DEEP_VECS, id="deep vecs"),
        pytest.param(IN_ITSELF, id="a record in itself"),
        pytest.param(DOUBLING + b"\x01\x00" + bytes(300), id="2^60 values"),
        pytest.param(LONG_NAT, id="long nat"),
    ],
)
@pytest.mark.parametrize("expected", [[], [RESERVED]], ids=["extra", "reserved"])
def test_hostile_bytes_that_nobody_asked_for_are_refused_as_well(data: bytes, expected: list[Type]) -> None:
    with pytest.raises(CandidError, match=r"too deeply|cut|more than"):
        candid.decode(data, expected)


def test_values_without_bytes_are_skipped_at_once_however_many() -> None:
    for data in (VEC_NULL, VEC_RECORD):
        assert candid.decode(data + leb(1 << 62), []) == []


def test_the_number_of_values_that_a_reply_can_have_is_bounded() -> None:
    raw = b"DIDL\x02\x6d\x01\x6c\x02\x00\x7e\x01\x7e\x01\x00" + leb(170_000) + bytes(340_000)
    started = time.process_time()
    with pytest.raises(CandidError, match="more values than a reply can have"):
        candid.decode(raw, [Vec(tuple_of(BOOL, BOOL))])
    assert time.process_time() - started < 5
    assert candid.decode(raw, []) == []


ALL_TYPES: list[Type] = [each for _, each in INTERFACE.values()] + [RICH, TREE, VALUE, EMPTY]


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(ALL_TYPES))
def test_any_bytes_are_read_or_refused(data: bytes, expected: Type) -> None:
    for raw in (data, b"DIDL" + data):
        try:
            candid.decode(raw, [expected])
        except CandidError:
            continue


@settings(deadline=None)
@given(st.data())
def test_damaged_messages_are_read_or_refused(data: st.DataObject) -> None:
    vector = data.draw(st.sampled_from([each for each in VECTORS if len(each.get("reply_hex", "")) in range(1, 4000)]))
    raw = bytearray.fromhex(vector["reply_hex"])
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    for sent in (bytes(raw), bytes(raw[:cut])):
        try:
            candid.decode(sent, [interface(vector)[1]])
        except CandidError:
            continue


def contents() -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.tuples(st.just("Nat"), st.integers(0, 2**200)),
        st.tuples(st.just("Int"), st.integers(-(2**200), 2**200)),
        st.tuples(st.just("Text"), st.text(max_size=10)),
        st.tuples(st.just("Blob"), st.binary(max_size=10)),
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.tuples(st.just("Array"), st.lists(inner, max_size=4))
            | st.tuples(st.just("Map"), st.lists(st.tuples(st.text(max_size=4), inner), max_size=4))
        ),
        max_leaves=15,
    )


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(contents())
def test_generic_values_come_through(value: Any) -> None:
    assert candid.decode(candid.encode([VALUE], [value]), [VALUE]) == [value]


@pytest.mark.parametrize(
    ("kind", "value"),
    [(NAT, -1), (NAT8, 256), (INT8, 128), (EMPTY, None), (variant({"Ok": NAT}), ("No", 1)), (record({"a": NAT}), {})],
)
def test_a_value_that_does_not_fit_its_type_is_not_written(kind: Type, value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        candid.encode([kind], [value])
