"""What happens between two blocks when nobody says what is to happen: always the same for a seed and a block."""

from __future__ import annotations

import random
from typing import Protocol

from sync_pipelines.sandbox.internet_computer.economy import Economy, Ledger
from sync_pipelines.sandbox.internet_computer.offering_files import offering, offering_file
from sync_pipelines.sandbox.internet_computer.payloads import profile

_COIN = 10**9
_CITIES = (("NO", "Oslo"), ("DE", "Nürnberg"), ("JP", "札幌"), ("BR", "São Paulo"), ("CH", "Zürich"))
_MOST_PROVIDERS = 12
_MOST_USERS = 40


class Lived(Ledger, Protocol):
    """A ledger with its economy."""

    seed: str

    @property
    def economy(self) -> Economy: ...


def live_through(world: Lived) -> None:
    """Let some traffic happen in the block in the making."""
    block = len(world.chain.blocks)
    chance = random.Random(f"{world.seed}/{block}")
    economy = world.economy
    if not economy.holdings.providers:
        checked_in = _begin(economy, is_first=not block)
    else:
        providers = economy.holdings.providers
        checked_in = chance.sample(providers, k=max(1, len(providers) * 2 // 3))
    for name in checked_in:
        if not block or economy.can_pay(name, economy.reward // 100):
            economy.check_in(name, f"round {block}")
    if block:
        _join(economy, chance)
        _publish(economy, chance, block)
        _trade(economy, chance, block)
        _judge(world, chance, block)


def _begin(economy: Economy, *, is_first: bool) -> list[str]:
    """Let the first providers and users register; in the first block of a chain that is free."""
    providers = [f"{economy.holdings.prefix}prov{number}" for number in (1, 2)]
    user = f"{economy.holdings.prefix}user1"
    if not is_first:
        for name in (*providers, user):
            economy.endow(name, 20 * _COIN)
    for name in providers:
        economy.register(name, provider=True)
    economy.register(user, provider=False)
    return providers


def _join(economy: Economy, chance: random.Random) -> None:
    """Let somebody new register, with money from a provider."""
    providers, users = economy.holdings.providers, economy.holdings.users
    patron = max(providers, key=economy.balance)
    if not economy.can_pay(patron, 8 * _COIN) or chance.random() < 0.5:
        return
    newcomer_provides = len(providers) < _MOST_PROVIDERS and chance.random() < 0.3
    if not newcomer_provides and len(users) >= _MOST_USERS:
        return
    name = f"prov{len(providers) + 1}" if newcomer_provides else f"user{len(users) + 1}"
    name = f"{economy.holdings.prefix}{name}"
    economy.transfer(patron, name, 5 * _COIN, b"seed money")
    economy.register(name, provider=newcomer_provides)


def _publish(economy: Economy, chance: random.Random, block: int) -> None:
    """Let a provider tell of itself and of what it rents out."""
    name = chance.choice(economy.holdings.providers)
    if not economy.can_pay(name, economy.reward // 500):
        return
    country, city = chance.choice(_CITIES)
    if chance.random() < 0.3:
        told = profile(
            f"{name} Hosting",
            description=f"Servers in {city} – since block {block}",
            url=f"https://{name}.example.com",
            contacts={"email": f"support@{name}.example.com", "Twitter": f"x.com/{name}"},
        )
        economy.update_profile(name, told)
    if chance.random() < 0.4:
        count = chance.randint(1, 4)
        rows = [
            offering(
                f"{name}-{number + 1}",
                monthly_price=f"{chance.randint(500, 40_000) / 100:.2f}",
                currency=chance.choice(("EUR", "USD", "BTC")),
                stock=chance.choice(("In stock", "Limited", "Out of stock")),
                datacenter_country=country,
                datacenter_city=city,
            )
            for number in range(count)
        ]
        economy.update_offerings(name, offering_file(rows), count)
    elif name in economy.holdings.offerings and chance.random() < 0.1:
        economy.withdraw_offerings(name)


def _trade(economy: Economy, chance: random.Random, block: int) -> None:
    """Let users ask for contracts, providers reply, and everybody pay somebody."""
    everybody = economy.holdings.providers + economy.holdings.users
    for contract in economy.holdings.open_contracts[:2]:
        affordable = economy.can_pay(contract.requester, contract.amount_e9s)
        economy.reply(contract, accepted=affordable and chance.random() < 0.7)
    rented_out = sorted(economy.holdings.offerings)
    for who in chance.sample(economy.holdings.users, k=min(2, len(economy.holdings.users))):
        if rented_out and economy.can_pay(who, _COIN):
            amount = chance.randint(_COIN // 10, _COIN // 2)
            provider = chance.choice(rented_out)
            economy.request_contract(who, provider, f"{provider}-1", amount, f"contract {block} of {who}")
    for number in range(chance.randint(1, 5)):
        sender, receiver = chance.choice(everybody), chance.choice(everybody)
        amount = chance.randint(1, _COIN // 4)
        if sender != receiver and economy.can_pay(sender, amount):
            subaccount = bytes(31) + b"\x01" if chance.random() < 0.1 else None
            economy.transfer(sender, receiver, amount, f"payment {block}.{number}".encode(), subaccount)


def _judge(world: Lived, chance: random.Random, block: int) -> None:
    """Let reputations change, and things happen that are rare."""
    economy = world.economy
    known = economy.holdings.providers + economy.holdings.users
    if chance.random() < 0.6:
        several = chance.sample(known, k=min(len(known), chance.randint(1, 3)))
        economy.change_reputation([(who, chance.randint(-(10**7), 10**9)) for who in several])
    if block % 10 == 5:
        economy.age_reputations()
    if block % 6 == 3:
        economy.approve(chance.choice(known), chance.choice(known), chance.randint(1, 50 * _COIN))
    if block % 12 == 4:
        economy.link(chance.choice(known), f"phone-{block}")
    if block % 9 == 7:
        world.put("FutureLabel", block.to_bytes(2, "big"), f"from block {block}".encode())
    if block % 18 == 16:
        world.delete("FutureLabel", (block - 9).to_bytes(2, "big"))
