"""The product's client reads the stand-in, with proofs and without."""

from __future__ import annotations

import asyncio

import pytest

from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, LedgerWorld, TokenLedger
from sync_pipelines.sandbox.internet_computer.threshold_key import can_sign
from sync_pipelines.systems.internet_computer import (
    ChainBroken,
    Diverged,
    IcAgent,
    Icrc3Ledger,
    LedgerCanister,
    MethodNotOffered,
    PastTheEnd,
)
from sync_pipelines.systems.internet_computer.icrc3_tip import Icrc3Tip

needs_py_ecc = pytest.mark.skipif(not can_sign(), reason="certificates need the package py_ecc")


async def _read_all(canister: LedgerCanister) -> bytes:
    tip = await canister.metadata()
    position, data = tip.data_start, b""
    while position < tip.next_block_start:
        chunk = await canister.fetch(position, data[-16:] if len(data) >= 16 else None)
        data += chunk.data
        position += len(chunk.data)
    return data


@pytest.mark.parametrize(
    ("delegated", "verified"),
    [(False, False), pytest.param(False, True, marks=needs_py_ecc), pytest.param(True, True, marks=needs_py_ecc)],
)
def test_the_whole_ledger_is_read_in_chunks(delegated: bool, verified: bool) -> None:
    standin = InternetComputerStandIn(LedgerWorld.grown(4), chunk=1000, delegated=delegated)
    root_key = standin.replica.subnet.root_key if verified else None

    async def read(url: str) -> bytes:
        async with IcAgent(url, root_key=root_key) as agent:
            return await _read_all(LedgerCanister(agent, standin.world.canister_id))

    with standin.running() as url:
        chain = standin.world.chain
        assert asyncio.run(read(url)) == chain.read(chain.data_start, chain.end - chain.data_start)


def test_a_fork_and_a_shrunk_ledger_are_told_apart() -> None:
    standin = InternetComputerStandIn(LedgerWorld.grown(6))
    end = standin.world.chain.end
    before = standin.world.chain.read(end - 16, 16)

    async def fetch(url: str) -> None:
        async with IcAgent(url) as agent:
            await LedgerCanister(agent, standin.world.canister_id).fetch(end, before)

    with standin.running() as url:
        asyncio.run(fetch(url))
        standin.world.rewrite_tail(2, then=5)
        with pytest.raises(Diverged):
            asyncio.run(fetch(url))
        standin.world.reinstall(1)
        with pytest.raises(PastTheEnd):
            asyncio.run(fetch(url))


def test_uncommitted_entries_are_read_until_a_canister_no_longer_offers_them() -> None:
    standin = InternetComputerStandIn(LedgerWorld.grown(2))
    standin.world.stir()
    standin.world.delete("FutureLabel", b"gone")

    async def read(url: str) -> tuple[int, int]:
        async with IcAgent(url) as agent:
            page = await LedgerCanister(agent, standin.world.canister_id).next_block_entries(limit=2)
            return len(page.entries), page.total_count

    with standin.running() as url:
        assert asyncio.run(read(url)) == (2, len(standin.world.pending) - 1)
        standin.canister.missing.add("next_block_entries")
        with pytest.raises(MethodNotOffered):
            asyncio.run(read(url))


async def _read_log(url: str, token: str, root_key: bytes | None) -> tuple[list[bytes], Icrc3Tip | None]:
    async with IcAgent(url, root_key=root_key) as agent:
        log = Icrc3Ledger(agent, token)
        hashes = [block.hash async for page in log.pages() for block in page.blocks]
        return hashes, await log.tip()


def test_a_token_log_is_followed_into_its_archive() -> None:
    ledger = TokenLedger.grown(60)
    standin = InternetComputerStandIn(LedgerWorld.grown(1)).with_token(ledger, archived=25, page=10)
    with standin.running() as url:
        assert standin.token is not None
        hashes, _ = asyncio.run(_read_log(url, standin.token.id, None))
        assert hashes == ledger.hashes
        dict(ledger.blocks[30]["Map"])["tx"]["Map"][0] = ("amt", {"Nat": 1})
        with pytest.raises(ChainBroken):
            asyncio.run(_read_log(url, standin.token.id, None))


@needs_py_ecc
def test_the_tip_of_a_token_log_is_certified() -> None:
    ledger = TokenLedger.grown(5)
    standin = InternetComputerStandIn(LedgerWorld.grown(1)).with_token(ledger)
    with standin.running() as url:
        assert standin.token is not None
        _, tip = asyncio.run(_read_log(url, standin.token.id, standin.replica.subnet.root_key))
    assert tip == Icrc3Tip(4, ledger.hashes[-1], is_proved=True)
