"""The ledger's bytes: cut into blocks in pieces of any size, each checked before it is given out."""

from __future__ import annotations

import json
import random
import tracemalloc
import zlib
from itertools import pairwise
from typing import Any

import pytest

from sync_pipelines.pipelines.ledger.blocks import (
    LONGEST_BLOCK,
    LONGEST_CONTENT,
    MOST_ENTRIES,
    Block,
    BlockCutter,
    BlockError,
    Entry,
    Fault,
    chain_hash,
)
from sync_pipelines_tests.pipelines.ledger.sources import DATA, START, expected, small_ledger
from sync_pipelines_tests.pipelines.ledger.written import block, content, entry, framed, hash_of, u32, u64

MANIFEST: list[dict[str, Any]] = json.loads((DATA / "corrupt" / "manifest.json").read_text(encoding="utf-8"))
PIECES = (37, 1000, 1024 * 1024)
FAULTS = {"stop": Fault.STOP, "stop_or_report": Fault.STOP, "end_of_chain": Fault.END_OF_CHAIN}

PROV1 = bytes.fromhex("b89e3238ea8f1ed833938565db8949abd8c78325d71752810966c61cf2040ee0")
PROV1_SIGNED = bytes.fromhex(
    "013f591ea28674c1b15c0c6406e15adc092ee6fb482f05ffc18b72ae88bbf50b"
    "a8e5b786e86cf04d38f08883e9137da3b36b2e24ae5fc2b883ac1b7b81452d0b"
)
FIRST_NS = 1704063600000000000
FIRST_HASH = bytes.fromhex("7a2bdd15f8b34ab21d04786d28459c901ad4291f4b4b004c9d60b97096d30c6f")
E1 = entry("ProvRegister", PROV1, PROV1_SIGNED)
E2 = entry("RewardDistr", b"LastRewardNs", u64(1704064200000000000))


def cut(data: bytes, piece: int = 1024 * 1024) -> tuple[list[Block], BlockCutter, BlockError | None]:
    """Return the blocks of a ledger that comes in pieces, the cutter, and what stopped it."""
    cutter = BlockCutter(START, b"", None)
    blocks: list[Block] = []
    try:
        for start in range(0, len(data), piece):
            for each in cutter.feed(data[start : start + piece]):
                blocks.append(each)
    except BlockError as error:
        return blocks, cutter, error
    return blocks, cutter, None


def refusal(data: bytes) -> BlockError:
    """Return why the first block is refused."""
    blocks, cutter, error = cut(data)
    assert blocks == []
    assert cutter.position == START
    assert error is not None
    return error


def as_listed(cut_block: Block) -> dict[str, Any]:
    """Return a block in the form of the fixture's decoded truth."""
    return {
        "offset": cut_block.offset,
        "length": cut_block.length,
        "timestamp_ns": cut_block.timestamp_ns,
        "parent_hash": cut_block.parent_hash.hex(),
        "hash": cut_block.hash.hex(),
        "entries": [
            {
                "label": each.label,
                "key": each.key.hex(),
                "value": each.value.hex(),
                "operation": "Delete" if each.deleted else "Upsert",
            }
            for each in cut_block.entries
        ],
    }


@pytest.mark.parametrize("piece", PIECES)
def test_the_small_ledger_gives_its_decoded_truth_whatever_the_pieces(piece: int) -> None:
    blocks, cutter, error = cut(small_ledger(), piece)

    fields = ("offset", "length", "timestamp_ns", "parent_hash", "hash", "entries")
    truth = [{field: each[field] for field in fields} for each in expected()["blocks"]]
    assert error is None
    assert [as_listed(each) for each in blocks] == truth
    assert cutter.position == cutter.fetch_position == expected()["position"]["next_position"]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("damage", MANIFEST, ids=lambda damage: damage["file"].partition("/")[2])
def test_a_damaged_ledger_is_read_up_to_its_last_good_block(damage: dict[str, Any], piece: int) -> None:
    served = (DATA / damage["file"]).read_bytes()[: damage["end_position"] - START]

    blocks, cutter, error = cut(served, piece)

    assert len(blocks) == damage["must_import_blocks"]
    assert sum(len(each.entries) for each in blocks) == damage["entries_imported"]
    assert blocks[-1].hash.hex() == damage["last_good_block_hash"]
    assert cutter.position == damage["must_stay_at_position"]
    assert (error and error.fault) == FAULTS.get(damage["expect"])
    assert error is None or (error.position == cutter.position and str(error.position) in str(error))


def test_the_zeros_behind_the_last_block_end_the_chain() -> None:
    blocks, _, error = cut(small_ledger() + bytes(16))

    assert len(blocks) == 40
    assert error is not None
    assert error.fault is Fault.END_OF_CHAIN
    assert "next_block_start_pos" in str(error)


def test_golden_vectors_of_two_blocks() -> None:
    assert len(E1) == 122
    assert E2.hex() == "000b00000052657761726444697374720c0000004c6173745265776172644e730800000000d075835c0da61700"
    first_content = content([E1], FIRST_NS, b"")
    assert len(first_content) == 138
    assert first_content.endswith(E1 + bytes.fromhex("0060acd0d00ca61700000000"))

    first = block([E1], FIRST_NS, jump_previous=-START)
    second = block([E2], 1704064200000000000, FIRST_HASH, jump_previous=-len(first))
    blocks, _, error = cut(first + second)

    assert error is None
    assert [each.hash.hex() for each in blocks] == [
        "7a2bdd15f8b34ab21d04786d28459c901ad4291f4b4b004c9d60b97096d30c6f",
        "1b018886b33ecf0d5074a865da1f84486bc252c76e6273da6f9aef923e9a9e47",
    ]
    assert blocks[0].entries == (Entry("ProvRegister", PROV1, PROV1_SIGNED, deleted=False),)


def test_the_hash_can_be_computed_anew_from_what_was_stored() -> None:
    blocks, _, _ = cut(small_ledger())

    assert [chain_hash(each.parent_hash, each.entries, each.timestamp_ns) for each in blocks] == [
        each.hash for each in blocks
    ]


def test_a_cutter_goes_on_from_any_block_as_if_it_had_read_the_ones_before() -> None:
    data = small_ledger()
    blocks, _, _ = cut(data)

    for before, following in pairwise(blocks):
        at = following.offset - START
        cutter = BlockCutter(following.offset, before.hash, before.length, bytes_before=data[at - 16 : at])
        assert next(cutter.feed(data[at : at + following.length])) == following


@pytest.mark.parametrize("piece", [1, 37, 1000])
def test_the_sixteen_bytes_before_both_positions_are_those_of_the_ledger(piece: int) -> None:
    data = small_ledger(blocks=3)
    cutter = BlockCutter(START, b"", None)

    for start in range(0, len(data), piece):
        list(cutter.feed(data[start : start + piece]))
        at, fetched = cutter.position - START, cutter.fetch_position - START
        assert fetched == min(start + piece, len(data))
        assert cutter.bytes_before == data[max(0, at - 16) : at]
        assert cutter.fetch_bytes_before == data[max(0, fetched - 16) : fetched]


def test_a_block_is_taken_only_when_it_is_asked_for() -> None:
    cutter = BlockCutter(START, b"", None)
    blocks = cutter.feed(small_ledger())

    first = next(blocks)

    assert cutter.position == first.offset + first.length
    assert next(cutter.feed(b"")).offset == expected()["blocks"][1]["offset"]


def test_an_incomplete_block_says_how_long_it_claims_to_be() -> None:
    first = block([E1])
    cutter = BlockCutter(START, b"", None)

    assert list(cutter.feed(first[:15])) == []
    before_header = cutter.announced
    assert list(cutter.feed(first[15:-1])) == []
    behind_header = cutter.announced

    assert (before_header, behind_header) == (None, len(first))
    assert cutter.buffered == len(first) - 1
    assert len(list(cutter.feed(first[-1:]))) == 1


def test_after_a_fault_nothing_is_read_any_more() -> None:
    cutter = BlockCutter(START, b"", None)
    with pytest.raises(BlockError, match="version 2"):
        list(cutter.feed(framed(b"", version=2)))
    with pytest.raises(BlockError, match="version 2"):
        list(cutter.feed(block([E1])))
    assert cutter.buffered == 0


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (framed(b"x", version=7), "version 7, only 1 is known"),
        (framed(b""), "length of 16 bytes"),
        (framed(b"x", jump_previous=-5), "-5 bytes"),
        (framed(b"no stream"), "no sound zlib stream"),
        (framed(zlib.compress(content([E1], 1, b""))[:-6]), "cut off"),
        (framed(zlib.compress(content([E1], 1, b"")) + b"abc"), "3 bytes follow its zlib stream"),
        (framed(zlib.compress(b"")), "ends within a field"),
        (framed(zlib.compress(u32(1) + E1[:-1])), "ends within a field"),
        (framed(zlib.compress(content([E1], 1, b"")[:-2])), "ends within a field"),
        (framed(zlib.compress(u32(1) + E1 + u64(1) + u32(4) + b"abc")), "ends within the parent hash"),
        (framed(zlib.compress(content([E1], 1, b"") + b"!")), "1 bytes follow its parent hash"),
        (block([E1], parent_hash=bytes(33)), "parent hash has 33 bytes"),
        (block([E1], parent_hash=bytes(32)), f"parent hash is {'00' * 32}, expected from the block before: empty"),
        (block([entry("L", b"k", b"v", version=3)]), "unknown version 3"),
        (block([entry("L", b"k", b"v", operation=9)]), "unknown operation 9"),
        (block([entry(b"\xff", b"k", b"v")]), "not UTF-8"),
        (block([entry("L", b"k", b"v"), entry("M", b"k", b"v"), entry("L", b"k", b"w")]), "same label and key"),
        (framed(zlib.compress(u32(MOST_ENTRIES + 1) + bytes(14 * (MOST_ENTRIES + 1)))), "claims 100001 entries"),
        (framed(zlib.compress(u32(10) + bytes(100))), "claims 10 entries in 104 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_block_is_refused_with_place_cause_and_mend(data: bytes, told: str) -> None:
    error = refusal(data)

    assert told in str(error)
    assert f"position {START}" in str(error)
    assert "sync-pipelines ledger" in str(error)
    assert error.fault is Fault.STOP


def test_a_second_block_must_point_back_at_the_first() -> None:
    first = block([E1], FIRST_NS)

    for jump in (0, -START, 1 - len(first), len(first)):
        blocks, cutter, error = cut(first + block([E2], 1, FIRST_HASH, jump))
        assert len(blocks) == 1
        assert error is not None
        assert error.position == cutter.position == START + len(first)


def test_entries_are_kept_as_they_are_written() -> None:
    odd = [
        entry("", b"", b""),
        entry("Prüf✓", b"\x00", b"", operation=1),
        entry("L", b"k", b"deleted, yet with a value", operation=1),
        entry("L" * 500, b"k" * 500, b"v" * 5000),
    ]

    blocks, _, error = cut(block(odd, 5))

    assert error is None
    assert [each.label for each in blocks[0].entries] == ["", "Prüf✓", "L", "L" * 500]
    assert [each.deleted for each in blocks[0].entries] == [False, True, True, False]
    assert blocks[0].hash == hash_of(odd, 5, b"")


@pytest.mark.parametrize("size", [LONGEST_CONTENT + 1, 3 * LONGEST_CONTENT])
def test_a_zlib_bomb_ends_within_the_memory_of_a_block(size: int) -> None:
    packer = zlib.compressobj()
    bomb = b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(size // (1024 * 1024))) + packer.compress(b"\0")
    data = framed(bomb + packer.flush())

    tracemalloc.start()
    try:
        error = refusal(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert f"more than {LONGEST_CONTENT} bytes" in str(error)
    assert peak < 3 * LONGEST_CONTENT


def test_a_block_that_can_never_be_complete_is_given_up_within_the_memory_of_a_block() -> None:
    cutter = BlockCutter(START, b"", None)
    assert list(cutter.feed(u32(1) + u32(0) + u32(0xFFFFFFF0) + u32(0))) == []
    piece = bytes(1024 * 1024)

    while cutter.buffered + len(piece) <= LONGEST_BLOCK:
        assert list(cutter.feed(piece)) == []
    with pytest.raises(BlockError, match=f"claims {0xFFFFFFF0} bytes; no block is longer than {LONGEST_BLOCK}"):
        list(cutter.feed(piece))

    assert (cutter.position, cutter.buffered) == (START, 0)


def test_a_block_that_does_not_compress_may_be_as_long_as_its_content() -> None:
    noise = random.Random(5).randbytes(LONGEST_CONTENT - 128)

    blocks, _, error = cut(framed(zlib.compress(content([entry("L", b"k", noise)], 1, b""), 0)))

    assert error is None
    assert blocks[0].entries[0].value == noise
    assert blocks[0].length > len(noise)
