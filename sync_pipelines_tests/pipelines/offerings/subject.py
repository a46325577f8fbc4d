"""The offerings pipeline as a subject of the conformance kit: a chain and a Waldur server with one provider."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.engine.ports import Pair
from sync_pipelines.pipelines.connection_fields import Limits
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.pair import NAME, open_connection
from sync_pipelines.sandbox.cometbft import ChainWorld
from sync_pipelines.sandbox.waldur.model import Offering
from sync_pipelines.settings import Secret
from sync_pipelines.systems.transport import READ_DELAY
from sync_pipelines_tests.conformance.mishaps import hinder_served, skewed_served
from sync_pipelines_tests.conformance.subject import (
    EVERYTHING,
    USUAL,
    Capability,
    Mishap,
    Opener,
    Opening,
    Registration,
    ServedPeer,
    Side,
    Skew,
    Step,
)
from sync_pipelines_tests.pipelines.offerings.market import (
    ACTIVE,
    CATEGORIES,
    CUSTOMERS,
    PAUSED,
    PROVIDER,
    Market,
    opened_market,
    price_list,
    small_waldur,
)

OWNER_MARK, STAFF_MARK = "5ec2e7" + "0a" * 17, "5ec2e7" + "05" * 17
"""Tokens of this subject's own, recognizable wherever they turn up."""
NODE_KEY = "5ec2e7-node-key-71c04b"
"""Key in the path of the node's address."""


@asynccontextmanager
async def _open(connection: OfferingsConnection, opening: Opening, engine: Engine) -> AsyncIterator[Pair]:
    pause = READ_DELAY if opening.read_delay_seconds is None else opening.read_delay_seconds
    async with open_connection(connection, engine, read_delay=pause) as opened:
        yield replace(opened.pair, **{"guard": GuardLimits(enabled=False), **opening.policies})


@dataclass(frozen=True)
class OfferingsSubject:
    """One provider's offerings."""

    market: Market
    engine: Engine
    pair_name: str = NAME
    scope_name: str = "nordlys"
    secrets: tuple[str, ...] = (OWNER_MARK, STAFF_MARK, NODE_KEY)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    removed: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def peers(self) -> Mapping[Side, ServedPeer]:
        market = self.market
        return {
            "left": ServedPeer("chain", market.chain_url, market.chain_faults, market.chain_requests, listing="^/$"),
            "right": ServedPeer(
                "waldur",
                market.waldur_url,
                market.waldur.faults,
                market.waldur.world.requests,
                listing=r"^/api/marketplace-provider-offerings/$",
                listing_query="page_size=300&page=",
                create=r"^/api/marketplace-provider-offerings/$",
                change=r"^/api/(marketplace-provider-offerings|marketplace-plans)/[0-9a-f]{32}/",
            ),
        }

    def opener(self, opening: Opening = USUAL) -> Opener:
        usual = self.market.connection(waldur={"token": Secret(OWNER_MARK), "staff_token": Secret(STAFF_MARK)})
        urls, timeout = opening.urls, opening.timeout_seconds
        chain = {"rpc_url": urls.get("left", usual.chain.rpc_url), "timeout_seconds": timeout}
        waldur = {
            "url": urls.get("right", usual.waldur.url),
            "timeout_seconds": timeout,
            "limits": Limits(requests_per_second=opening.requests_per_second, burst=opening.burst),
        }
        connection = usual.model_copy(
            update={"chain": usual.chain.model_copy(update=chain), "waldur": usual.waldur.model_copy(update=waldur)}
        )
        return partial(_open, connection, opening)

    def add(self, count: int = 1) -> list[str]:
        prices = price_list({"cpu/hour": "50000", "gpu/hour": "1250000"})
        # The chain would give the number of a removed offering to the next one.
        numbers = [next(self.numbers) for _ in range(count)]
        return [self.market.offer(id={"sequence": number}, name=f"VM {number}", prices=prices) for number in numbers]

    def edit(self, key: str) -> None:
        amount = str(1000 * next(self.numbers))
        self.market.chain.update_offering(key, {"prices": price_list({"cpu/hour": amount, "gpu/hour": "1250000"})})

    def rename(self, key: str, text: str) -> None:
        # Half a surrogate pair has no UTF-8; the chain's encoder, that of Go, writes U+FFFD for it.
        whole = "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= one <= "\udfff" else one for one in text)
        self.market.chain.update_offering(key, {"name": whole})

    def change_state(self, key: str) -> None:
        state = self.market.chain.offering(key)["state"]
        self.market.chain.update_offering(key, {"state": PAUSED if state == ACTIVE else ACTIVE})

    def remove(self, key: str) -> None:
        self.removed[key] = self.market.chain.offering(key)
        self.market.chain.delete_offering(key)

    def bring_back(self, key: str) -> None:
        self.market.chain.create_offering(PROVIDER, self.removed.pop(key))

    def spoil(self, key: str) -> None:
        self.market.chain.update_offering(key, {"category": "no such category"})

    def mend(self, key: str) -> None:
        self.market.chain.update_offering(key, {"category": "compute"})

    def natural_key(self, key: str) -> str:
        return key

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        shown: dict[str, list[dict[str, Any]]] = {}
        for offering in self.market.waldur.world.offerings.values():
            shown.setdefault(offering.backend_id, []).append(_content(offering))
        return shown

    def traces(self) -> Any:
        return None

    def in_service(self, natural_key: str) -> int:
        return sum(one["state"] != "Archived" for one in self.shown().get(natural_key, ()))

    def edit_right(self, natural_key: str) -> None:
        self.market.offering(natural_key).description = f"edited {next(self.numbers)}"

    def overwrite_right(self, natural_key: str) -> None:
        (plan,) = self.market.offering(natural_key).plans
        next(iter(plan.rows.values())).price = Decimal(next(self.numbers))

    def delete_right(self, natural_key: str) -> None:
        world = self.market.waldur.world
        del world.offerings[world.by_backend_id(natural_key)[-1].uuid]

    def double_right(self, natural_key: str) -> None:
        first = self.market.offering(natural_key)
        self._put(first.name, natural_key, dict(first.attributes))

    def stray(self) -> str:
        natural_key = f"{PROVIDER}/{9000 + next(self.numbers)}"
        self._put("made by hand", natural_key, {})
        return natural_key

    def hinder(self, step: Step, mishap: Mishap, *, times: int | None = 1, skip: int = 0) -> None:
        hinder_served(self.peers["right"], step, mishap, times=times, skip=skip)

    def relent(self) -> None:
        self.market.waldur.faults.clear()

    def show_pages_of(self, rows: int) -> None:
        self.market.waldur.world.largest_page = rows

    def skewed(self, skew: Skew) -> AbstractContextManager[None]:
        return skewed_served(self.peers["right"], skew)

    def commits(self) -> int:
        return len(self.market.waldur.world.mutations)

    def creates(self) -> int:
        return self.market.writes.count("create")

    def _put(self, name: str, natural_key: str, attributes: dict[str, Any]) -> None:
        self.market.waldur.world.add_offering(
            CUSTOMERS[PROVIDER],
            CATEGORIES["compute"],
            name,
            prices={"cpu_hour": "0.05"},
            state="Active",
            backend_id=natural_key,
            attributes=attributes,
        )


def _content(offering: Offering) -> dict[str, Any]:
    return {
        "name": offering.name,
        "description": offering.description,
        "category": offering.category.uuid,
        "state": offering.state,
        "attributes": offering.attributes,
        "components": sorted(component.type for component in offering.components),
        "prices": offering.prices() if offering.plans else {},
        "plans": len(offering.plans),
    }


@contextmanager
def _opened(engine: Engine) -> Iterator[OfferingsSubject]:
    waldur = small_waldur()
    waldur.world.add_user("nordlys-marked", OWNER_MARK, owns={CUSTOMERS[PROVIDER]})
    waldur.world.add_user("staff-marked", STAFF_MARK, is_staff=True)
    with opened_market(engine, ChainWorld(), waldur, node_key=NODE_KEY) as market:
        yield OfferingsSubject(market, engine)


OFFERINGS = Registration("offerings", _opened, can=EVERYTHING - {Capability.RETIRES_UNTRACKED})
