"""What providers and users do, in the entries that the canister writes for it: with fees, balances and signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sync_pipelines.sandbox.internet_computer import payloads
from sync_pipelines.sandbox.internet_computer.blocks import u64
from sync_pipelines.sandbox.internet_computer.chain import Chain
from sync_pipelines.sandbox.internet_computer.identities import Identity, identity
from sync_pipelines.sandbox.internet_computer.payloads import MINTER, MINTING, Account, Transfer

TRANSFER_FEE = 1_000_000
FIRST_REWARD = 50_000_000_000
BLOCK_NS = 600 * 10**9
_HALVING = 210_000


@dataclass(slots=True)
class Holdings:
    """What everybody has. Members of the lists and keys of the mappings are the seeds of identities.

    Attributes:
        balances: e9s by account.
        providers, users: who registered.
        offerings: how many rows the file of each provider has.
        open_contracts: requests nobody replied to.
        rewarded_ns: time of the last reward.
        links: how many changes of linked principals there were.
        prefix: stands before the names that :mod:`traffic` gives.
    """

    balances: dict[Account, int] = field(default_factory=dict)
    providers: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    offerings: dict[str, int] = field(default_factory=dict)
    open_contracts: list[Contract] = field(default_factory=list)
    rewarded_ns: int = 0
    links: int = 0
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """A request of a user to a provider."""

    id: bytes
    requester: str
    provider: str
    amount_e9s: int
    memo: str


class Ledger(Protocol):
    """Where the entries go."""

    chain: Chain
    holdings: Holdings

    @property
    def now_ns(self) -> int: ...

    @property
    def pending(self) -> PendingKeys: ...

    def put(self, label: str, key: bytes, value: bytes) -> None: ...

    def delete(self, label: str, key: bytes) -> None: ...


class PendingKeys(Protocol):
    """The block in the making."""

    def keys(self, label: str) -> list[bytes]: ...


class Economy:
    """The actions, on one ledger. Persons are named by the seeds of their identities.

    Each writes the entry and the transfer that pays for it. Nobody is asked whether the balance suffices except by
    :meth:`can_pay`.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def holdings(self) -> Holdings:
        """What everybody has."""
        return self._ledger.holdings

    @property
    def reward(self) -> int:
        """What the check-ins of one block earn together, in e9s."""
        return FIRST_REWARD >> (len(self._ledger.chain.blocks) // _HALVING)

    def balance(self, who: str) -> int:
        """Return the balance of a person's account without subaccount."""
        return self.holdings.balances.get(Account(identity(who).principal), 0)

    def can_pay(self, who: str, amount: int) -> bool:
        """Tell whether a person has so much and a transfer fee."""
        return self.balance(who) >= amount + TRANSFER_FEE

    def endow(self, who: str, amount: int) -> None:
        """Mint tokens for a person."""
        receiver = Account(identity(who).principal)
        after = self._add(receiver, amount)
        self._write(Transfer(MINTER, receiver, amount, None, None, self._ledger.now_ns, b"", 0, after))

    def register(self, who: str, *, provider: bool, signature: bytes | None = None) -> None:
        """Register a provider or user; the first block is free."""
        person = identity(who)
        self._charge(person, self.reward // 100, f"register-{person.principal_group}")
        label = "ProvRegister" if provider else "UserRegister"
        signed = person.sign_entry(person.public_key) if signature is None else signature
        self._ledger.put(label, person.public_key, signed)
        registered = self.holdings.providers if provider else self.holdings.users
        if who not in registered:
            registered.append(who)

    def check_in(self, who: str, memo: str = "") -> None:
        """Check a provider in; the signature is over the hash of the last block."""
        person, chain = identity(who), self._ledger.chain
        note = f"check-in-{person.principal_group}-{len(chain.blocks)}-{memo}"
        self._charge(person, self.reward // 100, note)
        value = payloads.check_in(memo, person.sign_entry(chain.tip().hash))
        self._ledger.put("ProvCheckIn", person.public_key, value)

    def update_profile(self, who: str, profile: bytes) -> None:
        """Publish a profile."""
        person = identity(who)
        self._charge(person, self.reward // 1000, "update-profile")
        self._ledger.put("ProvProfile", person.public_key, payloads.signed(profile, person.sign_entry(profile)))

    def update_offerings(self, who: str, file: bytes, rows: int) -> None:
        """Publish a CSV file of offerings in place of the one before."""
        person = identity(who)
        self._charge(person, self.reward // 10_000, "update-offering")
        self._ledger.put("ProvOffering", person.public_key, payloads.signed(file, person.sign_entry(file)))
        self.holdings.offerings[who] = rows

    def withdraw_offerings(self, who: str) -> None:
        """Delete a provider's offerings."""
        self._ledger.delete("ProvOffering", identity(who).public_key)
        self.holdings.offerings.pop(who, None)

    def request_contract(self, who: str, provider: str, offering_id: str, amount_e9s: int, memo: str = "") -> Contract:
        """Ask a provider for a contract; a hundredth of the payment is charged."""
        person, other = identity(who), identity(provider)
        payload = payloads.contract_request(
            requester_key=person.public_key,
            ssh_key=f"ssh-ed25519 AAAAC3Nz{person.public_key.hex()} {who}",
            contact=f"{who}@example.com",
            provider_key=other.public_key,
            offering_id=offering_id,
            amount_e9s=amount_e9s,
            payments=(payloads.PaymentEntry("on_demand", "month", 1, amount_e9s),),
            start_seconds=self._ledger.now_ns // 10**9,
            memo=memo,
        )
        contract = Contract(hashlib.sha256(payload).digest(), who, provider, amount_e9s, memo)
        self._charge(person, amount_e9s // 100, memo, whole_memo=True)
        self._ledger.put("ContractSignReq", contract.id, payloads.signed(payload, person.sign_entry(payload)))
        self.holdings.open_contracts.append(contract)
        return contract

    def reply(self, contract: Contract, *, accepted: bool, signer: str | None = None) -> None:
        """Reply to a request; an accepted one is paid at once.

        Arguments:
            signer: who signs; the provider unless somebody else pretends to be it.
        """
        provider, person = identity(contract.provider), identity(contract.requester)
        payload = payloads.contract_reply(
            requester_key=person.public_key,
            memo=contract.memo,
            contract_id=contract.id,
            accepted=accepted,
            answer="Welcome" if accepted else "Sold out",
            details=f"https://{contract.provider}.example.com/start" if accepted else "",
        )
        if accepted:
            self._move(person, Account(provider.principal), contract.amount_e9s, memo=b"contract")
        by = identity(signer or contract.provider)
        self._ledger.put("ContractSignReply", contract.id, payloads.signed(payload, by.sign_entry(payload)))
        self.holdings.open_contracts = [one for one in self.holdings.open_contracts if one.id != contract.id]

    def transfer(self, who: str, to: str, amount: int, memo: bytes = b"", subaccount: bytes | None = None) -> None:
        """Send tokens to a person's account."""
        self._move(identity(who), Account(identity(to).principal, subaccount), amount, memo=memo)

    def burn(self, who: str, amount: int) -> None:
        """Destroy tokens."""
        self._move(identity(who), MINTER, amount, memo=b"burn")

    def approve(self, who: str, spender: str, allowance: int) -> None:
        """Let somebody else spend tokens."""
        value = payloads.approval(
            Account(identity(who).principal),
            Account(identity(spender).principal),
            allowance,
            fee=TRANSFER_FEE,
            created_ns=self._ledger.now_ns,
        )
        self._ledger.put("DCTokenApproval", hashlib.sha256(value[1:]).digest(), value)

    def change_reputation(self, changes: Sequence[tuple[str, int]]) -> None:
        """Raise and lower reputations in one entry."""
        value = payloads.reputation_change([(identity(who).public_key, delta) for who, delta in changes])
        self._ledger.put("RepChange", hashlib.sha256(value).digest(), value)

    def age_reputations(self, parts_per_million: int = 1000) -> None:
        """Lower all reputations a little."""
        self._ledger.put("RepAge", b"", payloads.reputation_aging(parts_per_million))

    def link(self, who: str, *others: str) -> None:
        """Say that principals belong together."""
        value = payloads.linked_principals(identity(who).principal, [identity(o).principal for o in others], ())
        self._ledger.put("LinkedIcIds", u64(self.holdings.links), value)
        self.holdings.links += 1

    def distribute(self, at_ns: int) -> None:
        """Mint the reward of the block in the making in equal parts for those who checked in."""
        keys = self._ledger.pending.keys("ProvCheckIn")
        if not keys or self._ledger.pending.keys("RewardDistr"):
            return
        persons = {identity(who).public_key: identity(who) for who in self.holdings.providers}
        part = self.reward // len(keys)
        for key in keys:
            if key in persons:
                receiver = Account(persons[key].principal)
                self._write(Transfer(MINTER, receiver, part, None, None, at_ns, b"", 0, self._add(receiver, part)))
        self._ledger.put("RewardDistr", b"LastRewardNs", u64(at_ns))
        self.holdings.rewarded_ns = at_ns

    def _charge(self, who: Identity, fee: int, memo: str, *, whole_memo: bool = False) -> None:
        """Take a fee: a transfer of nothing to the minter, with the charge as its fee."""
        if not self._ledger.chain.blocks:
            return
        note = memo.encode() if whole_memo else memo.encode()[: payloads.LONGEST_MEMO]
        self._move(who, MINTER, 0, fee=fee, memo=note)

    def _move(self, who: Identity, receiver: Account, amount: int, *, fee: int = TRANSFER_FEE, memo: bytes) -> None:
        sender = Account(who.principal)
        after = self._add(sender, -amount - fee)
        received = 0 if receiver.owner == MINTING else self._add(receiver, amount)
        if receiver == sender:
            after = received
        # Each transfer has a moment of its own: its id is a hash of it.
        moment = self._ledger.now_ns - BLOCK_NS + 1_000_000 * (1 + len(self._ledger.pending.keys("DCTokenTransfer")))
        self._write(Transfer(sender, receiver, amount, fee, (MINTER,), moment, memo, after, received))

    def _add(self, account: Account, amount: int) -> int:
        balance = self.holdings.balances.get(account, 0) + amount
        if balance < 0:
            raise ValueError(f"the account has only {balance - amount} e9s")
        self.holdings.balances[account] = balance
        return balance

    def _write(self, transfer: Transfer) -> None:
        self._ledger.put("DCTokenTransfer", transfer.key, transfer.borsh())
