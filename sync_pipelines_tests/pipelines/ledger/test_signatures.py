"""Ed25519ph with a context, and what of each entry is signed with which key."""

from __future__ import annotations

import pytest
from Crypto.Hash import SHA512
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_pipelines.pipelines.ledger.payloads import ContractRequest, PayloadError, Registration, decode_payload
from sync_pipelines.pipelines.ledger.signatures import CONTEXT, signature_valid, verify
from sync_pipelines_tests.pipelines.ledger.sources import expected

PROV1 = bytes.fromhex("b89e3238ea8f1ed833938565db8949abd8c78325d71752810966c61cf2040ee0")
PROV1_SIGNED = bytes.fromhex(
    "013f591ea28674c1b15c0c6406e15adc092ee6fb482f05ffc18b72ae88bbf50b"
    "a8e5b786e86cf04d38f08883e9137da3b36b2e24ae5fc2b883ac1b7b81452d0b"
)
ORDER = 2**252 + 27742317777372353535851937790883648493
NEUTRAL = bytes([1]) + bytes(31)


def test_golden_vector_of_a_registration() -> None:
    assert verify(PROV1, PROV1, PROV1_SIGNED)
    assert not verify(PROV1, PROV1, PROV1_SIGNED, context=b"")
    assert not verify(PROV1, PROV1, PROV1_SIGNED, context=b"decent-clouds")


def test_the_vector_of_rfc_8032_section_7_3_has_an_empty_context() -> None:
    pubkey = bytes.fromhex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf")
    signature = bytes.fromhex(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    )

    assert verify(pubkey, b"abc", signature, context=b"")
    assert not verify(pubkey, b"abc", signature)


@pytest.mark.parametrize("bit", [0, 7, 255, 256, 300, 511])
def test_a_flipped_bit_makes_a_signature_invalid(bit: int) -> None:
    flipped = bytearray(PROV1_SIGNED)
    flipped[bit // 8] ^= 1 << bit % 8

    assert not verify(PROV1, PROV1, bytes(flipped))


@pytest.mark.parametrize(
    ("pubkey", "signature"),
    [
        (b"", PROV1_SIGNED),
        (PROV1[:31], PROV1_SIGNED),
        (PROV1 + b"\0", PROV1_SIGNED),
        (PROV1, b""),
        (PROV1, PROV1_SIGNED[:63]),
        (PROV1, PROV1_SIGNED + b"\0"),
        (b"\xff" * 32, PROV1_SIGNED),
        (bytes(32), PROV1_SIGNED),
        (b"\x02" + bytes(31), PROV1_SIGNED),
        (PROV1, bytes(64)),
        (PROV1, b"\xff" * 64),
        (PROV1, PROV1_SIGNED[:32] + (int.from_bytes(PROV1_SIGNED[32:], "little") + ORDER).to_bytes(32, "little")),
    ],
)
def test_keys_and_signatures_of_no_use_are_invalid_and_no_error(pubkey: bytes, signature: bytes) -> None:
    assert not verify(pubkey, PROV1, signature)


def test_a_key_of_small_order_that_the_canister_takes_is_taken() -> None:
    assert verify(NEUTRAL, b"anything", NEUTRAL + bytes(32))


@given(message=st.binary(max_size=200), pubkey=st.binary(min_size=32, max_size=32), signature=st.binary(max_size=70))
@example(message=b"", pubkey=PROV1, signature=PROV1_SIGNED)
@settings(max_examples=60, deadline=None)
def test_anything_can_be_asked(message: bytes, pubkey: bytes, signature: bytes) -> None:
    assert verify(pubkey, message, signature) in {True, False}


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200), context=st.binary(max_size=255))
@settings(max_examples=30, deadline=None)
def test_what_another_implementation_signs_is_valid(seed: bytes, message: bytes, context: bytes) -> None:
    key = ECC.construct(curve="Ed25519", seed=seed)
    signature = eddsa.new(key, "rfc8032", context=context).sign(SHA512.new(message))
    pubkey = key.public_key().export_key(format="raw")

    assert verify(pubkey, message, signature, context)
    assert not verify(pubkey, message + b"!", signature, context)


def test_every_entry_of_the_small_ledger_is_judged_as_listed() -> None:
    listed = {
        (row["block_offset"], row["label"], row["key"]): row["signature_valid"]
        for row in expected()["tables"]["ledger_entries"]
    }
    providers: dict[str, bytes] = {}
    for block in expected()["blocks"]:
        upserts = [each for each in block["entries"] if each["operation"] == "Upsert"]
        payloads = []
        for each in upserts:
            try:
                payloads.append(decode_payload(each["label"], bytes.fromhex(each["value"])))
            except PayloadError:
                payloads.append(None)
        for each, payload in zip(upserts, payloads, strict=True):
            if isinstance(payload, ContractRequest):
                providers[each["key"]] = payload.provider_pubkey
        for each, payload in zip(upserts, payloads, strict=True):
            key, parent = bytes.fromhex(each["key"]), bytes.fromhex(block["parent_hash"])
            judged = None if payload is None else signature_valid(key, payload, parent, providers.get(each["key"]))
            assert judged == listed[block["offset"], each["label"], each["key"]]


def test_a_registration_without_a_public_key_has_nothing_to_be_checked_with() -> None:
    assert signature_valid(b"legacy-text-uid", Registration(b"not a signature"), b"", None) is None
    assert signature_valid(PROV1, Registration(b"not a signature"), b"", None) is False
    assert len(CONTEXT) == 12
