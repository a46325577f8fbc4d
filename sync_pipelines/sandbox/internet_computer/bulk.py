"""Large ledgers of made-up traffic, made fast and block by block, for measurements.

They are as sound as the others: hashes, transfer ids, balances and signatures are right. Most entries are transfers
between holders of tokens; now and then a block also has everything else, which is signed and so takes longer.
"""

from __future__ import annotations

import hashlib
import random
import struct
from dataclasses import dataclass

from sync_pipelines.sandbox.internet_computer.blocks import entry_bytes, sized, text
from sync_pipelines.sandbox.internet_computer.economy import BLOCK_NS, TRANSFER_FEE
from sync_pipelines.sandbox.internet_computer.identities import identity
from sync_pipelines.sandbox.internet_computer.ledger_world import LedgerWorld
from sync_pipelines.sandbox.internet_computer.payloads import (
    MINTER,
    NO_SUBACCOUNT,
    Account,
    Transfer,
    reputation_change,
)
from sync_pipelines.sandbox.internet_computer.storage import Storage
from sync_pipelines.sandbox.internet_computer.traffic import live_through

PER_BLOCK = 1000
FEWEST = 50

_HOLDERS = 200
_ENDOWMENT = 10**15
_LIVELY_EVERY = 4
_ROOM_FOR_LIFE = 200
_REPUTATIONS = 40
# The canister compresses harder; what is inflated is the same.
_LEVEL = 1

_LABEL = "DCTokenTransfer"
_ID = struct.Struct(">QQ")
_ID_TIME = struct.Struct(">Q")
_END = struct.Struct("<QQQ")
_FEE = struct.pack("<BQBI", 1, TRANSFER_FEE, 1, 1) + MINTER.borsh()
_HEAD = b"\x00" + text(_LABEL) + (32).to_bytes(4, "little")


@dataclass(slots=True)
class _Holder:
    """Somebody with tokens: the account in the form of entries and of transfer ids, and its balance."""

    seed: str
    written: bytes
    hashed: bytes
    balance: int


def many(
    entries: int, *, seed: str = "bulk", per_block: int = PER_BLOCK, storage: Storage | None = None
) -> LedgerWorld:
    """Return a ledger with exactly so many entries.

    Arguments:
        entries: at least 50.
        per_block: entries of each block, at least 50; the last has the rest.
        storage: where the bytes are kept, some 80 for each entry; in memory without it. With a
            :class:`~sync_pipelines.sandbox.internet_computer.storage.FileStorage` memory does not grow.
    """
    if min(entries, per_block) < FEWEST:
        raise ValueError(f"a large ledger has at least {FEWEST} entries, in each block too")
    world = LedgerWorld(seed, storage=storage)
    chance = random.Random(seed)
    first = min(entries, per_block)
    holders = [_holder(f"{seed}/{number}") for number in range(min(_HOLDERS, (first - 20) // 2))]
    left = entries
    while left:
        left -= _append_block(world, holders, chance, min(per_block, left))
    return world


def _append_block(world: LedgerWorld, holders: list[_Holder], chance: random.Random, count: int) -> int:
    number, moment = len(world.chain.blocks), world.now_ns
    if not number or (count >= _ROOM_FOR_LIFE and number % _LIVELY_EVERY == 0):
        live_through(world)
        world.economy.distribute(moment)
    if not number:
        for holder in holders:
            _open_account(world, holder, moment)
    pending = [(e.label, entry_bytes(e.label, e.key, e.value, deleted=e.deleted)) for e in world.pending]
    # The entries of one label stand together.
    others = [written for label, written in pending if label != _LABEL]
    transfers = [written for label, written in pending if label == _LABEL]
    if all(label != "RepChange" for label, _ in pending):
        others += _reputations(holders, chance, min(_REPUTATIONS, (count - len(pending)) // 20))
    transfers += _transfers(holders, chance, moment, count - len(others) - len(transfers))
    world.pending.clear()
    world.chain.commit(others + transfers, moment, level=_LEVEL)
    world.remember()
    return count


def _holder(seed: str) -> _Holder:
    principal = identity(seed).principal
    return _Holder(seed, Account(principal).borsh(), principal + NO_SUBACCOUNT, _ENDOWMENT)


def _open_account(world: LedgerWorld, holder: _Holder, moment: int) -> None:
    person = identity(holder.seed)
    world.put("UserRegister", person.public_key, person.sign_entry(person.public_key))
    minted = Transfer(MINTER, Account(person.principal), _ENDOWMENT, None, None, moment, b"", 0, _ENDOWMENT)
    world.put(_LABEL, minted.key, minted.borsh())


def _transfers(holders: list[_Holder], chance: random.Random, moment: int, count: int) -> list[bytes]:
    """Return transfers in borsh. What :class:`~.payloads.Transfer` does is done here in a tenth of the time."""
    made = []
    first = moment - BLOCK_NS
    for number in range(count):
        drawn = chance.getrandbits(64)
        at = drawn % len(holders)
        sender, receiver = holders[at], holders[at - 1 - (drawn >> 8) % (len(holders) - 1)]
        amount = (drawn >> 24) % 10**9 + 1
        created = first + number * 1000
        memo = b"" if drawn & 0x700000 else b"invoice %d" % (drawn >> 44)
        sender.balance -= amount + TRANSFER_FEE
        receiver.balance += amount
        hashed = sender.hashed + receiver.hashed + _ID.pack(amount, TRANSFER_FEE) + memo + _ID_TIME.pack(created)
        value = b"\x00%b%b%b\x01%b%b%b" % (
            sender.written,
            receiver.written,
            _FEE,
            created.to_bytes(8, "little"),
            sized(memo),
            _END.pack(amount, sender.balance, receiver.balance),
        )
        key = hashlib.sha256(hashed).digest()
        made.append(b"%b%b%b%b\x00" % (_HEAD, key, len(value).to_bytes(4, "little"), value))
    return made


def _reputations(holders: list[_Holder], chance: random.Random, count: int) -> list[bytes]:
    made: dict[bytes, bytes] = {}
    while len(made) < count:
        chosen = [identity(holder.seed).public_key for holder in chance.sample(holders, 2)]
        value = reputation_change([(key, chance.randint(-(10**6), 10**9)) for key in chosen])
        key = hashlib.sha256(value).digest()
        made[key] = entry_bytes("RepChange", key, value)
    return list(made.values())
