"""The log of a plain ICRC-1 token ledger: blocks that are generic values, each with the hash of the one before."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sync_pipelines.sandbox.internet_computer import leb128
from sync_pipelines.sandbox.internet_computer.identities import identity
from sync_pipelines.sandbox.internet_computer.payloads import Account

Value = dict[str, Any]
"""A generic value: one of ``Nat``, ``Int``, ``Text``, ``Blob``, ``Array``, ``Map`` with its content."""

FIRST_NS = 1_704_064_200_000_000_000
_STEP_NS = 7 * 10**9
_COIN = 10**8


_WRITTEN: Mapping[str, Callable[[Any], bytes]] = {
    "Nat": leb128.unsigned,
    "Int": leb128.signed,
    "Text": lambda text: str(text).encode(),
    "Blob": bytes,
}


def value_hash(value: Value) -> bytes:
    """Return the representation-independent hash of a generic value, as ICRC-3 defines it."""
    ((kind, content),) = value.items()
    if kind == "Map":
        pairs = sorted(hashlib.sha256(name.encode()).digest() + value_hash(one) for name, one in content)
        return hashlib.sha256(b"".join(pairs)).digest()
    if kind == "Array":
        return hashlib.sha256(b"".join(map(value_hash, content))).digest()
    return hashlib.sha256(_WRITTEN[kind](content)).digest()


def nat(number: int) -> Value:
    """Return a number from 0 on."""
    return {"Nat": number}


def account_value(account: Account) -> Value:
    """Return an account: its owner, and its subaccount where it has one."""
    parts = [account.owner] if account.subaccount is None else [account.owner, account.subaccount]
    return {"Array": [{"Blob": part} for part in parts]}


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a token says of itself."""

    name: str = "Demo Token"
    symbol: str = "DEMO"
    decimals: int = 8
    fee: int = 10


class TokenLedger:
    """A token with its log.

    Arguments:
        seed: another one makes other traffic.

    Attributes:
        blocks: all of them, wherever they are served.
        hashes: the hash of each.
        balances: units by account.
    """

    def __init__(self, seed: str = "token", facts: TokenFacts | None = None) -> None:
        self.seed = seed
        self.facts = facts or TokenFacts()
        self.blocks: list[Value] = []
        self.hashes: list[bytes] = []
        self.balances: dict[Account, int] = {}

    @classmethod
    def grown(cls, blocks: int, seed: str = "token") -> TokenLedger:
        """Return a ledger with so many blocks of made-up traffic."""
        ledger = cls(seed)
        ledger.grow(blocks)
        return ledger

    @property
    def supply(self) -> int:
        """Units there are."""
        return sum(self.balances.values())

    def mint(self, to: Account, amount: int, *, memo: bytes | None = None) -> int:
        """Make units; returns the block's number."""
        self._add(to, amount)
        return self._append("1mint", [("amt", nat(amount)), ("to", account_value(to))], memo)

    def burn(self, sender: Account, amount: int, *, memo: bytes | None = None) -> int:
        """Destroy units; returns the block's number."""
        self._add(sender, -amount)
        return self._append("1burn", [("amt", nat(amount)), ("from", account_value(sender))], memo)

    def transfer(
        self, sender: Account, to: Account, amount: int, *, spender: Account | None = None, memo: bytes | None = None
    ) -> int:
        """Send units; returns the block's number.

        Arguments:
            spender: who sends them, when the sender approved of it.
        """
        self._add(sender, -amount - self.facts.fee)
        self._add(to, amount)
        parts = [("amt", nat(amount)), ("from", account_value(sender)), ("to", account_value(to))]
        if spender is not None:
            parts.append(("spender", account_value(spender)))
        return self._append("1xfer" if spender is None else "2xfer", parts, memo, fee=True)

    def approve(self, sender: Account, spender: Account, amount: int) -> int:
        """Let somebody else send units; returns the block's number."""
        self._add(sender, -self.facts.fee)
        parts = [("amt", nat(amount)), ("from", account_value(sender)), ("spender", account_value(spender))]
        return self._append("2approve", parts, None, fee=True)

    def grow(self, blocks: int = 1) -> None:
        """Append blocks of made-up traffic."""
        for _ in range(blocks):
            self._live(random.Random(f"{self.seed}/{len(self.blocks)}"))

    def _live(self, chance: random.Random) -> None:
        persons = [Account(identity(f"holder{number}").principal) for number in range(5)]
        persons.append(Account(persons[0].owner, bytes(31) + b"\x07"))
        who, other = chance.sample(persons, k=2)
        held = self.balances.get(who, 0)
        amount = chance.randint(1, _COIN)
        if held < 2 * _COIN:
            self.mint(who, 10 * _COIN, memo=b"welcome" if chance.random() < 0.5 else None)
        elif chance.random() < 0.1:
            self.burn(who, amount)
        elif chance.random() < 0.15:
            self.approve(who, other, amount)
        else:
            third = chance.choice(persons) if chance.random() < 0.2 else None
            memo = chance.randbytes(8) if chance.random() < 0.3 else None
            self.transfer(who, other, amount, spender=third, memo=memo)

    def _append(self, kind: str, parts: list[tuple[str, Value]], memo: bytes | None, *, fee: bool = False) -> int:
        number = len(self.blocks)
        moment = FIRST_NS + number * _STEP_NS
        if memo is not None:
            parts.append(("memo", {"Blob": memo}))
        block: list[tuple[str, Value]] = [("ts", nat(moment))]
        if number % 4 == 3:
            # Older blocks tell their kind within the transaction, and the fee where the sender named it.
            parts.append(("op", {"Text": {"1": kind[1:], "2": "approve" if kind == "2approve" else "xfer"}[kind[0]]}))
            if fee:
                parts.append(("fee", nat(self.facts.fee)))
        else:
            block.append(("btype", {"Text": kind}))
            if fee:
                block.append(("fee", nat(self.facts.fee)))
        if self.hashes:
            block.append(("phash", {"Blob": self.hashes[-1]}))
        block.append(("tx", {"Map": parts}))
        self.blocks.append({"Map": block})
        self.hashes.append(value_hash(self.blocks[-1]))
        return number

    def _add(self, account: Account, amount: int) -> None:
        balance = self.balances.get(account, 0) + amount
        if balance < 0:
            raise ValueError("the account has not that much")
        self.balances[account] = balance
