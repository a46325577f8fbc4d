"""Made-up ledgers are sound by the product's own reading, and suffer what they are told to suffer."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from sync_pipelines.pipelines.ledger.blocks import Block, BlockCutter
from sync_pipelines.pipelines.ledger.payloads import decode_payload
from sync_pipelines.pipelines.ledger.payloads.contracts import ContractRequest
from sync_pipelines.pipelines.ledger.payloads.tokens import Account, Transfer, TransferKind
from sync_pipelines.pipelines.ledger.signatures import signature_valid
from sync_pipelines.pipelines.ledger.transfer_ids import transfer_id
from sync_pipelines.sandbox.internet_computer import FileStorage, LedgerWorld, identity, many
from sync_pipelines.sandbox.internet_computer.blocks import block_bytes, chain_hash, entry_bytes
from sync_pipelines.sandbox.internet_computer.principals import principal_text
from sync_pipelines_tests.ledgers import LEDGER_DATA, damaged_world, small_world

E1_HASH = "7a2bdd15f8b34ab21d04786d28459c901ad4291f4b4b004c9d60b97096d30c6f"
E2_HASH = "1b018886b33ecf0d5074a865da1f84486bc252c76e6273da6f9aef923e9a9e47"


def _blocks(world: LedgerWorld) -> list[Block]:
    chain = world.chain
    cutter = BlockCutter(chain.data_start, b"", None)
    return list(cutter.feed(chain.read(chain.data_start, chain.end - chain.data_start)))


def _assert_sound(blocks: list[Block]) -> None:
    """Transfer ids, balances and signatures are right."""
    balances: dict[Account, int] = defaultdict(int)
    providers: dict[bytes, bytes] = {}
    for block in blocks:
        payloads = [(entry, decode_payload(entry.label, entry.value)) for entry in block.entries if not entry.deleted]
        for entry, payload in payloads:
            if isinstance(payload, ContractRequest):
                providers[entry.key] = payload.provider_pubkey
        for entry, payload in payloads:
            if isinstance(payload, Transfer):
                assert transfer_id(payload) == entry.key
                _assert_balances(balances, payload)
            elif payload is not None:
                assert signature_valid(entry.key, payload, block.parent_hash, providers.get(entry.key)) is not False


def _assert_balances(balances: dict[Account, int], transfer: Transfer) -> None:
    if transfer.kind is not TransferKind.MINT:
        balances[transfer.sender] -= transfer.amount + (transfer.fee or 0)
        assert balances[transfer.sender] == transfer.from_balance_after >= 0
    if transfer.kind is not TransferKind.BURN:
        balances[transfer.receiver] += transfer.amount
        assert balances[transfer.receiver] == transfer.to_balance_after


def test_the_golden_vectors_of_keys_entries_and_hashes_are_met() -> None:
    person = identity("prov1")
    assert person.public_key.hex() == "b89e3238ea8f1ed833938565db8949abd8c78325d71752810966c61cf2040ee0"
    assert principal_text(person.principal) == "oklaa-ptl4i-uqysq-lxgo4-ya4ki-7dt3a-53rry-f7s47-ovxl4-r3rnm-5qe"
    first = entry_bytes("ProvRegister", person.public_key, person.sign_entry(person.public_key))
    assert len(first) == 122
    assert chain_hash(b"", [first], 1_704_063_600_000_000_000).hex() == E1_HASH
    second = entry_bytes("RewardDistr", b"LastRewardNs", (1_704_064_200_000_000_000).to_bytes(8, "little"))
    assert chain_hash(bytes.fromhex(E1_HASH), [second], 1_704_064_200_000_000_000).hex() == E2_HASH
    block = block_bytes([first], 1_704_063_600_000_000_000, b"", 0)
    assert block[:16].hex() == "01000000" + "00000000" + "a0000000" + "00000000"


def test_a_grown_ledger_has_every_label_and_is_sound() -> None:
    blocks = _blocks(LedgerWorld.grown(40))
    labels = Counter(entry.label for block in blocks for entry in block.entries)
    assert set(labels) == {
        *("ProvRegister", "UserRegister", "ProvCheckIn", "ProvProfile", "ProvOffering", "RewardDistr", "FutureLabel"),
        *("ContractSignReq", "ContractSignReply", "DCTokenTransfer", "DCTokenApproval", "RepChange", "RepAge"),
        "LinkedIcIds",
    }
    assert any(entry.deleted for block in blocks for entry in block.entries)
    _assert_sound(blocks)


def test_a_large_ledger_has_exactly_the_entries_asked_for_and_is_sound(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "large.ledger")
    world = many(4321, per_block=1000, storage=storage)
    blocks = _blocks(world)
    assert [len(block.entries) for block in blocks] == [1000, 1000, 1000, 1000, 321]
    _assert_sound(blocks)
    assert world.chain.tip().hash == blocks[-1].hash
    storage.close()


def test_the_same_seed_gives_the_same_ledger_and_another_seed_another() -> None:
    one, same, other = (LedgerWorld.grown(3, seed) for seed in ("a", "a", "b"))
    assert one.chain.tip() == same.chain.tip() != other.chain.tip()
    assert many(100).chain.tip() == many(100).chain.tip()


def test_a_saved_ledger_is_indexed_as_its_truth_says_and_can_grow() -> None:
    world = small_world()
    truth = json.loads((LEDGER_DATA / "small.expected.json").read_text("utf-8"))
    indexed = [(one.offset, one.length, one.hash.hex(), one.timestamp_ns, one.entries) for one in world.chain.blocks]
    fields = ("offset", "length", "hash", "timestamp_ns")
    assert indexed == [(*(one[name] for name in fields), len(one["entries"])) for one in truth["blocks"]]
    world.grow(2)
    assert len(_blocks(world)) == 42


def test_a_damaged_ledger_is_served_as_it_is() -> None:
    manifest = json.loads((LEDGER_DATA / "corrupt" / "manifest.json").read_text("utf-8"))
    for case in manifest:
        world = damaged_world(case["file"], case["end_position"])
        data = (LEDGER_DATA / case["file"]).read_bytes()[: case["end_position"] - world.chain.data_start]
        assert world.chain.tip().end == case["end_position"]
        assert world.chain.read(world.chain.data_start, len(data)) == data


def test_within_a_block_entries_stand_by_label_and_a_later_write_replaces_an_earlier() -> None:
    world = LedgerWorld()
    for label, key, value in (("A", b"1", b"x"), ("B", b"1", b"y"), ("A", b"2", b"z"), ("A", b"1", b"new")):
        world.put(label, key, value)
    world.delete("B", b"1")
    world.commit()
    (block,) = _blocks(world)
    told = [(entry.label, entry.key, entry.value, entry.deleted) for entry in block.entries]
    assert told == [("A", b"1", b"new", False), ("A", b"2", b"z", False), ("B", b"1", b"", True)]


def test_an_empty_block_is_not_committed() -> None:
    world = LedgerWorld()
    assert world.commit() is None
    assert not world.chain.blocks


def test_a_rewritten_tail_keeps_what_was_before_and_stays_sound() -> None:
    world = LedgerWorld.grown(12)
    before = [block.hash for block in world.chain.blocks]
    world.rewrite_tail(4, then=6)
    blocks = _blocks(world)
    assert [block.hash for block in blocks][:8] == before[:8]
    assert len(blocks) == 14
    assert not set(before[8:]) & {block.hash for block in blocks}
    _assert_sound(blocks)


def test_a_last_block_of_the_same_length_differs_in_nothing_but_its_content() -> None:
    world = LedgerWorld.grown(5)
    before = world.chain.tip()
    world.rewrite_last_at_same_length()
    after = world.chain.tip()
    assert (after.blocks, after.end) == (before.blocks, before.end)
    assert after.hash != before.hash
    _assert_sound(_blocks(world))


def test_a_reinstalled_canister_begins_anew_at_the_same_position() -> None:
    world = LedgerWorld.grown(5)
    before = world.chain.tip()
    world.reinstall(2)
    blocks = _blocks(world)
    assert len(blocks) == 2
    assert blocks[0].parent_hash == b""
    assert world.chain.tip().end < before.end


def test_a_lagging_node_answers_so_many_queries_and_is_then_level() -> None:
    world = LedgerWorld.grown(5)
    whole = world.chain.tip()
    world.lag(2, times=1)
    with world.looking() as seen:
        assert seen.behind
        assert seen.tip == world.chain.tip(2) != whole
    with world.looking() as seen:
        assert not seen.behind
        assert seen.tip == whole


def test_a_world_survives_being_saved() -> None:
    world = LedgerWorld.grown(5)
    world.stir()
    again = pickle.loads(pickle.dumps(world))
    for one in (world, again):
        one.commit()
        one.grow()
    assert again.chain.tip() == world.chain.tip()


def test_uncommitted_traffic_is_what_the_next_block_holds() -> None:
    world = LedgerWorld.grown(2)
    world.stir()
    pending = {(entry.label, entry.key) for entry in world.pending}
    world.commit()
    committed = {(entry.label, entry.key) for entry in _blocks(world)[-1].entries}
    # The rewards for the check-ins come with the commit.
    assert pending < committed
    assert {label for label, _ in committed - pending} == {"DCTokenTransfer", "RewardDistr"}


@pytest.mark.parametrize("entries", [0, 49])
def test_a_large_ledger_cannot_be_tiny(entries: int) -> None:
    with pytest.raises(ValueError, match="at least 50"):
        many(entries)


def test_keys_of_reputation_changes_and_approvals_are_the_hashes_that_the_canister_makes() -> None:
    for block in _blocks(LedgerWorld.grown(20)):
        for entry in block.entries:
            if entry.label == "RepChange":
                assert entry.key == hashlib.sha256(entry.value).digest()
            if entry.label == "DCTokenApproval":
                assert entry.key == hashlib.sha256(entry.value[1:]).digest()
