"""The ledger canister's methods, as the stand-in serves them, and as it does not."""

from collections.abc import Iterator

import pytest

from sync_pipelines.core.errors import ConfigurationError, FailureKind
from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, LedgerWorld
from sync_pipelines.sandbox.internet_computer.faults import reply_too_large
from sync_pipelines.systems.internet_computer import (
    Chunk,
    Diverged,
    IcAgent,
    LedgerCanister,
    LedgerTip,
    MethodNotOffered,
    PastTheEnd,
    PendingEntry,
    PendingPage,
    UnexpectedReply,
)
from sync_pipelines.systems.internet_computer.ledger_canister import read_chunk, read_tip
from sync_pipelines_tests.systems.internet_computer.network import CANISTER, refused, talk


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[InternetComputerStandIn, str]]:
    standin = InternetComputerStandIn(LedgerWorld.grown(3), chunk=1000)
    standin.world.put("FutureLabel", b"p", b"\x00\x01")
    standin.world.put("FutureLabel", b"q", b"")
    standin.world.put("Other", b"p", b"\x02")
    standin.world.delete("Other", b"gone")
    with standin.running() as url:
        yield standin, url


@pytest.fixture
def standin(served: tuple[InternetComputerStandIn, str]) -> Iterator[InternetComputerStandIn]:
    """The stand-in, in order again afterwards."""
    standin, _ = served
    yield standin
    standin.canister.short_by = 0
    standin.canister.missing.clear()
    standin.replica.rejects.clear()


@pytest.fixture
def url(served: tuple[InternetComputerStandIn, str]) -> str:
    return served[1]


async def tip_of(agent: IcAgent) -> LedgerTip:
    return await LedgerCanister(agent, CANISTER).metadata()


async def chunks_of(agent: IcAgent) -> list[Chunk]:
    ledger = LedgerCanister(agent, CANISTER)
    position = (await ledger.metadata()).data_start
    chunks = [await ledger.fetch(position, None)]
    while chunks[-1].more:
        position += len(chunks[-1].data)
        chunks.append(await ledger.fetch(position, chunks[-1].data[-16:]))
    return chunks


def test_the_metadata_tells_how_far_the_ledger_is(standin: InternetComputerStandIn, url: str) -> None:
    tip, chain = talk(url, tip_of), standin.world.chain.tip()
    assert (tip.data_start, tip.next_block_start) == (standin.world.chain.data_start, chain.end)
    assert (tip.num_blocks, tip.latest_block_hash) == (3, chain.hash)
    assert tip.latest_block_timestamp_ns == chain.timestamp_ns
    assert "authorized_pusher" in tip.extra


def test_chunks_put_together_are_the_ledger(standin: InternetComputerStandIn, url: str) -> None:
    chunks, chain = talk(url, chunks_of), standin.world.chain
    end = chain.tip().end
    data = b"".join(chunk.data for chunk in chunks)
    assert data == chain.read(chain.data_start, end - chain.data_start)
    assert [chunk.more for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert all(len(chunk.data) == 1000 for chunk in chunks[:-1])


def test_at_the_end_there_is_nothing_and_no_more(standin: InternetComputerStandIn, url: str) -> None:
    end = standin.world.chain.tip().end
    assert talk(url, lambda agent: LedgerCanister(agent, CANISTER).fetch(end, bytes(16))) == Chunk(end, b"", False)


def test_other_bytes_before_the_position_are_a_divergence(standin: InternetComputerStandIn, url: str) -> None:
    position = standin.world.chain.data_start + 500
    error = refused(url, lambda agent: LedgerCanister(agent, CANISTER).fetch(position, bytes(16)))
    assert isinstance(error, Diverged)
    assert error.kind is FailureKind.PERMANENT
    assert f"before position {position}" in error.message


def test_past_the_end_may_be_a_node_that_lags(standin: InternetComputerStandIn, url: str) -> None:
    end = standin.world.chain.tip().end
    error = refused(url, lambda agent: LedgerCanister(agent, CANISTER).fetch(end + 1, None))
    assert isinstance(error, PastTheEnd)
    assert error.kind is FailureKind.TRANSIENT


def test_bytes_of_another_place_are_not_taken(standin: InternetComputerStandIn, url: str) -> None:
    error = refused(url, lambda agent: LedgerCanister(agent, CANISTER).fetch(0, None))
    assert isinstance(error, UnexpectedReply)
    assert f"bytes at {standin.world.chain.data_start} came, those at 0 were asked for" in error.message


def test_fewer_bytes_than_told_are_not_taken(standin: InternetComputerStandIn, url: str) -> None:
    standin.canister.short_by = 1
    error = refused(url, chunks_of)
    assert isinstance(error, UnexpectedReply)
    assert "999 bytes came where the cursor tells of 1000" in error.message


def test_bytes_before_a_position_are_sixteen_or_none(url: str) -> None:
    with pytest.raises(ValueError, match="compares 16"):
        talk(url, lambda agent: LedgerCanister(agent, CANISTER).fetch(8388608, b""))


def pending(url: str, label: str | None = None, offset: int = 0, limit: int = 100) -> PendingPage:
    return talk(url, lambda agent: LedgerCanister(agent, CANISTER).next_block_entries(label, offset, limit))


def test_pages_of_the_uncommitted_block(standin: InternetComputerStandIn, url: str) -> None:
    everything = pending(url)
    assert not everything.has_more
    assert everything.total_count == len(everything.entries)
    assert everything.entries[-3:] == (
        PendingEntry("FutureLabel", b"p", b"\x00\x01"),
        PendingEntry("FutureLabel", b"q", b""),
        PendingEntry("Other", b"p", b"\x02"),
    )
    assert pending(url, "FutureLabel", 0, 1) == PendingPage((PendingEntry("FutureLabel", b"p", b"\x00\x01"),), True, 2)
    assert pending(url, "FutureLabel", 1, 1) == PendingPage((PendingEntry("FutureLabel", b"q", b""),), False, 2)
    assert pending(url, "NoSuchLabel") == PendingPage((), False, 0)


def test_a_page_that_is_too_large_is_halved_until_it_fits(standin: InternetComputerStandIn, url: str) -> None:
    reply_too_large(standin.replica, CANISTER, method="next_block_entries", times=6)
    page = pending(url, "FutureLabel", 0, 100)
    assert page == PendingPage((PendingEntry("FutureLabel", b"p", b"\x00\x01"),), True, 2)


def test_an_entry_that_is_too_large_by_itself_is_reported(standin: InternetComputerStandIn, url: str) -> None:
    reply_too_large(standin.replica, CANISTER, method="next_block_entries")
    error = refused(url, lambda agent: LedgerCanister(agent, CANISTER).next_block_entries(limit=2))
    assert "IC0504" in str(error)


def test_newer_canisters_do_not_offer_the_uncommitted_block(standin: InternetComputerStandIn, url: str) -> None:
    standin.canister.missing.add("next_block_entries")
    assert isinstance(
        refused(url, lambda agent: LedgerCanister(agent, CANISTER).next_block_entries()), MethodNotOffered
    )


def test_a_canister_id_with_a_typing_error_is_found_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"canister id: .*is not how a principal is written"):
        talk(url, lambda agent: LedgerCanister(agent, CANISTER.replace("cai", "caj")).metadata())


GOOD = "position=8&response_bytes=2&direction=forward&more=true"


def test_a_cursor_is_read() -> None:
    assert read_chunk(GOOD, b"ab") == Chunk(8, b"ab", True)


@pytest.mark.parametrize(
    ("cursor", "data", "reason"),
    [
        ("", b"", "other fields"),
        (f"{GOOD}&x=1", b"ab", "other fields"),
        (GOOD.replace("&more=true", ""), b"ab", "other fields"),
        (GOOD.replace("8", "-8"), b"ab", "not a number"),
        (GOOD.replace("8", "٨"), b"ab", "not a number"),
        (GOOD.replace("8", "9" * 21), b"ab", "not a number"),
        (GOOD.replace("forward", "backward"), b"ab", "other values"),
        (GOOD.replace("true", "1"), b"ab", "other values"),
        (GOOD, b"abc", "3 bytes came"),
        (GOOD.replace("=2", "=0"), b"", "although there are more"),
    ],
)
def test_a_cursor_that_does_not_fit_is_refused(cursor: str, data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_chunk(cursor, data)


def test_a_ledger_without_blocks_has_a_tip_too() -> None:
    names = ("data_start_lba", "next_block_start_pos", "num_blocks")
    tip = read_tip([(f"ledger:{name}", ("Nat", 0)) for name in names])
    assert (tip.next_block_start, tip.latest_block_hash, tip.latest_block_timestamp_ns) == (0, b"", 0)


@pytest.mark.parametrize("name", ["data_start_lba", "next_block_start_pos", "num_blocks", "latest_block_timestamp_ns"])
def test_numbers_that_no_ledger_reaches_are_refused(name: str) -> None:
    names = ("data_start_lba", "next_block_start_pos", "num_blocks", "latest_block_timestamp_ns")
    found = {one: 2**63 - 1 if one == "next_block_start_pos" else 0 for one in names}
    assert read_tip([(f"ledger:{one}", ("Nat", number)) for one, number in found.items()]).num_blocks == 0
    found |= {name: 2**63} | ({"next_block_start_pos": 2**63} if name == "data_start_lba" else {})
    with pytest.raises(ValueError, match=f"{name} is {2**63}, which no ledger reaches"):
        read_tip([(f"ledger:{one}", ("Nat", number)) for one, number in found.items()])


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [(("Nat", 5), ("Nat", 4), "ends at 4 before it begins"), (("Text", "5"), ("Nat", 6), "is Text and not Nat")],
)
def test_metadata_of_no_ledger_is_refused(start: tuple[str, int], end: tuple[str, int], reason: str) -> None:
    pairs = [("ledger:data_start_lba", start), ("ledger:next_block_start_pos", end), ("ledger:num_blocks", ("Nat", 0))]
    with pytest.raises(ValueError, match=reason):
        read_tip(pairs)
    with pytest.raises(ValueError, match="is missing"):
        read_tip([])
