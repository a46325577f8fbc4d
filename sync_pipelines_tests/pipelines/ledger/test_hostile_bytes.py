"""Whatever bytes come in, they end in a typed error or in a value, soon and without much memory."""

from __future__ import annotations

import time
import zlib
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_pipelines.pipelines.ledger.blocks import BlockCutter, BlockError
from sync_pipelines.pipelines.ledger.borsh import MOST_ITEMS
from sync_pipelines.pipelines.ledger.offering_csv import CsvNotUtf8, read_offerings
from sync_pipelines.pipelines.ledger.payloads import Label, PayloadError, decode_payload, known_label
from sync_pipelines.pipelines.ledger.profile import decode_profile
from sync_pipelines_tests.pipelines.ledger.sources import START, expected, small_ledger
from sync_pipelines_tests.pipelines.ledger.written import content, entry, framed, sized, u32

LABELS = [label.value for label in Label]
SAMPLES = [
    (each["label"], bytes.fromhex(each["value"])) for block in expected()["blocks"][:20] for each in block["entries"]
]


def hashes(data: bytes, piece: int) -> list[str]:
    """Return the hashes of the blocks that can be cut, whatever stops that."""
    cutter, found = BlockCutter(START, b"", None), []
    with suppress(BlockError):
        for start in range(0, len(data), piece):
            for block in cutter.feed(data[start : start + piece]):
                found.append(block.hash.hex())
    return found


@given(data=st.binary(max_size=400), piece=st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_arbitrary_bytes_are_no_ledger(data: bytes, piece: int) -> None:
    assert hashes(data, piece) == []


@given(data=st.binary(max_size=400))
@example(data=u32(2**32 - 1))
@example(data=u32(2) + b"\0" + u32(2**32 - 1))
@example(data=content([entry("L", b"k", b"v")], 1, b"")[:-4] + u32(2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_arbitrary_content_of_a_block_ends_in_a_block_error(data: bytes) -> None:
    assert hashes(framed(zlib.compress(data)), 1000) == []


@given(at=st.integers(0, len(small_ledger(6)) - 1), bit=st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_a_flipped_bit_never_gives_another_block(at: int, bit: int) -> None:
    data = bytearray(small_ledger(6))
    data[at] ^= 1 << bit

    found = hashes(bytes(data), 1024 * 1024)

    assert found == [block["hash"] for block in expected()["blocks"][: len(found)]]


@given(label=st.sampled_from(LABELS), value=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_are_a_payload_or_a_payload_error(label: str, value: bytes) -> None:
    with suppress(PayloadError):
        assert decode_payload(label, b"\0" + value) is not None


@given(
    sample=st.sampled_from(SAMPLES), at=st.integers(0, 10_000), inserted=st.binary(max_size=8), cut=st.integers(0, 8)
)
@settings(max_examples=200, deadline=None)
def test_a_damaged_payload_is_a_payload_or_a_payload_error(
    sample: tuple[str, bytes], at: int, inserted: bytes, cut: int
) -> None:
    label, value = sample
    at %= len(value) + 1
    with suppress(PayloadError):
        assert (decode_payload(label, value[:at] + inserted + value[at + cut :]) is None) == (
            known_label(label) is None
        )


@given(data=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_are_a_profile_or_a_payload_error(data: bytes) -> None:
    with suppress(PayloadError):
        assert decode_profile(b"\0" + data).content


@given(data=st.binary(max_size=200) | st.text(alphabet='a1,"\r\n\0 é', max_size=400).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_are_offerings_or_not_utf8(data: bytes) -> None:
    with suppress(CsvNotUtf8):
        numbers = [row.record for row in read_offerings(b"header\n" + data).invalid]
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("quotes", b'"' * 2_000_000),
        ("commas", b"," * 2_000_000),
        ("lines", b"\n" * 1_000_000),
        ("rows", b"a\n" * 500_000),
        ("digits", b"," * 5 + b"9" * 100_000 + b"," * 29),
    ],
)
def test_a_large_file_of_offerings_takes_no_more_than_seconds(name: str, data: bytes) -> None:
    began = time.process_time()

    assert read_offerings(b"header\n" + data).rows == {}

    assert time.process_time() - began < 5


def test_a_payload_of_many_tiny_parts_takes_no_more_than_seconds() -> None:
    parts = MOST_ITEMS - 1
    began = time.process_time()

    with pytest.raises(PayloadError, match="need 4 bytes"):
        decode_payload("LinkedIcIds", b"\0" + sized(b"") + u32(parts + 1) + sized(b"") * parts)

    assert time.process_time() - began < 5
