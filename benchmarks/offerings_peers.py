"""A chain and a Waldur server that agree on many offerings, each in a process of its own.

``python -m benchmarks.offerings_peers chain 10000`` (or ``waldur``) prints its URL and serves until its standard input
ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.mapping import PLAN_NAME, record_of_chain
from sync_pipelines.sandbox.cometbft import ChainWorld, create_app
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.waldur import DEMO_STAFF_TOKEN, WaldurStandIn
from sync_pipelines.sandbox.waldur.model import Component, Offering, Plan, PlanComponent, new_uuid
from sync_pipelines.settings import Secret

PROVIDER = "virtengine1rk28937hz050m2lm46skdlvvx39csat7pjvyv3"
CUSTOMER = "a" * 32
CATEGORIES = {"compute": "ca" + "1" * 30, "storage": "ca" + "2" * 30, "gpu": "ca" + "3" * 30}
NAME = "bench"


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the two peers are."""

    chain: str
    waldur: str


def connection(urls: Urls, **changes: Any) -> OfferingsConnection:
    """Return the connection between the two."""
    return OfferingsConnection.model_validate(
        {
            "name": NAME,
            "provider": PROVIDER,
            "chain": {"rpc_url": urls.chain, "chain_id": "virtengine-demo-1"},
            "waldur": {
                "url": urls.waldur,
                "token": Secret(DEMO_STAFF_TOKEN),
                "staff_token": Secret(DEMO_STAFF_TOKEN),
                "customer_uuid": CUSTOMER,
            },
            "category_map": CATEGORIES,
            **changes,
        }
    )


def offering(number: int) -> dict[str, Any]:
    """Return an offering as the chain's demo has them: some 25 values in fields, lists and maps."""
    unit = "uvirt"
    return {
        "id": {"provider_address": PROVIDER, "sequence": number},
        "state": 2 if number % 11 == 0 else 1,
        "category": ("compute", "storage", "gpu")[number % 3],
        "name": f"Virtual machine {number} ({number % 64 + 1} cores)",
        "description": f"A virtual machine with {number % 64 + 1} cores, <b>local</b> disks & a public address.",
        "version": f"1.{number % 20}.0",
        "prices": [
            {"resource_type": kind, "unit": "hour", "price": {"denom": unit, "amount": str(1000 * part + number)}}
            for part, kind in enumerate(("cpu", "ram", "disk"), start=1)
        ],
        "identity_requirement": {"min_score": number % 5 * 10},
        "require_mfa_for_orders": number % 2 == 0,
        "public_metadata": {"datacenter": f"dc-{number % 9}", "support": "24x7"},
        "specifications": {"cores": str(number % 64 + 1), "memory_gb": str(number % 256 + 1), "disk": "nvme"},
        "tags": ["linux", "virtual", f"tier-{number % 4}"],
        "regions": ["eu-north-1", "eu-west-3"],
        "max_concurrent_orders": number % 100,
    }


@contextmanager
def peers(number: int) -> Iterator[Urls]:
    """Run both for the time of the block, with this many offerings that agree."""
    with _process("chain", number) as chain, _process("waldur", number) as waldur:
        yield Urls(chain, waldur)


@contextmanager
def _process(which: str, number: int) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.offerings_peers", which, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the {which} of the benchmark did not start")
        yield url
    finally:
        process.stdin.close()
        process.wait()


def _chain(number: int) -> ChainWorld:
    world = ChainWorld()
    with world.block():
        for one in range(1, number + 1):
            world.create_offering(PROVIDER, offering(one))
    return world


def _waldur(number: int) -> WaldurStandIn:
    stand_in = WaldurStandIn()
    world = stand_in.world
    world.add_user("staff", DEMO_STAFF_TOKEN, is_staff=True)
    customer = world.add_customer(CUSTOMER, "Provider")
    categories = {uuid: world.add_category(uuid, title) for title, uuid in CATEGORIES.items()}
    made = connection(Urls("http://127.0.0.1", "http://127.0.0.1"))
    first = datetime(2026, 1, 1, tzinfo=UTC)
    for one in range(1, number + 1):
        wanted = record_of_chain(offering(one), made).content
        components = [Component(kind, **part) for kind, part in wanted["components"].items()]
        prices = {part.uuid: PlanComponent(Decimal(wanted["prices"][part.type])) for part in components}
        # Not through the world's own method: it looks for a free slug among all others.
        found = Offering(
            uuid=new_uuid(),
            customer=customer,
            category=categories[wanted["category"]],
            name=wanted["name"],
            type="Marketplace.Basic",
            created=first + timedelta(seconds=one),
            number=one,
            slug=f"vm-{one}",
            description=wanted["description"],
            backend_id=wanted["backend_id"],
            state=wanted["state"],
            attributes=dict(wanted["attributes"]),
            components=components,
            plans=[Plan(PLAN_NAME, unit="month", rows=prices)],
        )
        world.offerings[found.uuid] = found
    return stand_in


def main(which: str, number: int) -> None:
    """Serve one of the two until standard input ends."""
    running = serve(create_app(_chain(number))) if which == "chain" else _waldur(number).running()
    with running as url:
        print(url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
