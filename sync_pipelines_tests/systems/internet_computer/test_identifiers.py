import pytest

from sync_pipelines.systems.internet_computer import leb128
from sync_pipelines.systems.internet_computer.principal import (
    ANONYMOUS,
    ed25519_principal,
    principal_bytes,
    principal_text,
)
from sync_pipelines.systems.internet_computer.request_id import Hashable, representation_hash, request_id

CALL: dict[str, Hashable] = {
    "request_type": "call",
    "sender": ANONYMOUS,
    "ingress_expiry": 1685570400000000000,
    "canister_id": bytes.fromhex("00000000000004d2"),
    "method_name": "hello",
    "arg": b"DIDL\x00\xfd*",
}


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("aaaaa-aa", b""),
        ("2vxsx-fae", ANONYMOUS),
        ("zjbo4-sknjf-hfisk-oi4", b"MINTING"),
        ("ggi4a-wyaaa-aaaai-actqq-cai", bytes.fromhex("00000000010014e10101")),
    ],
)
def test_a_principal_is_the_same_as_text_and_as_bytes(text: str, raw: bytes) -> None:
    assert principal_text(raw) == text
    assert principal_bytes(text) == raw


def test_the_principal_of_an_ed25519_key() -> None:
    key = bytes.fromhex("b89e3238ea8f1ed833938565db8949abd8c78325d71752810966c61cf2040ee0")
    expected = "oklaa-ptl4i-uqysq-lxgo4-ya4ki-7dt3a-53rry-f7s47-ovxl4-r3rnm-5qe"
    assert principal_text(ed25519_principal(key)) == expected
    with pytest.raises(ValueError, match="32 bytes"):
        ed25519_principal(key[1:])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "wrong length"),
        ("aaaaa", "wrong length"),
        ("ggi4a-wyaaa-aaaai-actqq-caj", "is not how"),
        ("ggi4b-wyaaa-aaaai-actqq-cai", "checksum"),
        ("GGI4A-WYAAA-AAAAI-ACTQQ-CAI", "is not how"),
        ("ggi4awyaaaaaaaiactqqcai", "is not how"),
        ("ggi4a-wyaaa-aaaai-actqq-cai-", "is not how"),
        ("ggi4a_wyaaa", "base32"),
        ("grüße", "base32"),
        ("a" * 80, "wrong length"),
    ],
)
def test_another_text_is_no_principal(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        principal_bytes(text)


def test_a_principal_has_at_most_29_bytes() -> None:
    with pytest.raises(ValueError, match="at most 29"):
        principal_text(bytes(30))


def test_the_request_id_of_the_specification() -> None:
    assert request_id(CALL).hex() == "1d1091364d6bb8a6c16b203ee75467d59ead468f523eb058880ae8ec80e2b101"
    assert request_id({name: CALL[name] for name in sorted(CALL)}) == request_id(CALL)


def test_arrays_and_maps_are_hashed_by_the_hashes_of_their_parts() -> None:
    assert representation_hash([b"a", [b"b"]]) != representation_hash([b"a", b"b"])
    assert representation_hash({"paths": [[b"time"]]}) == representation_hash({"paths": ((b"time",),)})


@pytest.mark.parametrize("value", [None, 1.5, True])
def test_what_has_no_hash_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no hash"):
        representation_hash(value)  # type: ignore[arg-type] # that is the point


@pytest.mark.parametrize(
    ("number", "unsigned", "signed"),
    [(0, "00", "00"), (63, "3f", "3f"), (64, "40", "c000"), (127, "7f", "ff00"), (624485, "e58e26", "e58e26")],
)
def test_leb128(number: int, unsigned: str, signed: str) -> None:
    assert (leb128.unsigned(number).hex(), leb128.signed(number).hex()) == (unsigned, signed)
    assert leb128.read_unsigned(bytes.fromhex(unsigned)) == number


@pytest.mark.parametrize(("number", "signed"), [(-1, "7f"), (-64, "40"), (-65, "bf7f"), (-123456, "c0bb78")])
def test_negative_leb128(number: int, signed: str) -> None:
    assert leb128.signed(number).hex() == signed
    with pytest.raises(ValueError, match="negative"):
        leb128.unsigned(number)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x01\x01", b"\x80" * 30 + b"\x01"])
def test_what_is_not_one_leb128_number(data: bytes) -> None:
    with pytest.raises(ValueError, match="not one LEB128"):
        leb128.read_unsigned(data)
