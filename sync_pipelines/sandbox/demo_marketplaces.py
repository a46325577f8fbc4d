"""The marketplaces pipeline's peers with the demo's data: accounts at Takealot, Shopify and Amazon, kept on disk.

They remember their state as the other stand-ins do. Every two minutes the next thing of the demo's timeline happens at
each of them. Amazon is flaky: now and then it has no answer for whoever asks for listings, until it was asked three
times, which is as often as a run asks.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.amazon import (
    CLIENT_ID,
    CLIENT_SECRET,
    REGIONS,
    SELLER_ID,
    AmazonStandIn,
    AmazonUrls,
    AmazonWorld,
    refresh_token,
)
from sync_pipelines.sandbox.amazon import demo_world as amazon_world
from sync_pipelines.sandbox.background import repeated
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.keeping import SavingWrites, restored, save, served
from sync_pipelines.sandbox.shopify import CLIENT_ID as SHOPIFY_ID
from sync_pipelines.sandbox.shopify import CLIENT_SECRET as SHOPIFY_SECRET
from sync_pipelines.sandbox.shopify import ShopifyStandIn, ShopifyWorld
from sync_pipelines.sandbox.takealot import DEMO_KEY, TakealotStandIn, TakealotWorld
from sync_pipelines.sandbox.takealot import demo_world as takealot_world

TAKEALOT_PORT = 8030
SHOPIFY_PORT = 8031
AMAZON_PORT = 8032
STEP_SECONDS = 120.0
"""Time between two things that happen at a marketplace."""
ORGANIZATION = "nordwind"
TAKEALOT, SHOPIFY, AMAZON = f"{ORGANIZATION}-takealot", f"{ORGANIZATION}-shopify", f"{ORGANIZATION}-amazon"
"""Names of the connections."""

_REGION = "eu"
_INTERVAL = 120
_STEPS_BETWEEN_FAILURES = 5
_TRIM_SECONDS = 60.0
_KEPT_LOG = 500
_TAKEALOT_KEY, _SHOPIFY_SECRET = "DEMO_TAKEALOT_KEY", "DEMO_SHOPIFY_SECRET"
_AMAZON_SECRET, _AMAZON_CONSENT = "DEMO_AMAZON_SECRET", "DEMO_AMAZON_REFRESH_TOKEN"

_StandIn = TakealotStandIn | ShopifyStandIn | AmazonStandIn


@dataclass(frozen=True, slots=True)
class MarketplacePeers:
    """Base URLs of the running peers."""

    takealot: str
    shopify: str
    amazon: str


def marketplace_connections(peers: MarketplacePeers) -> dict[str, Any]:
    """Return the section of a connections file for the demo's accounts; secrets are references."""
    amazon = AmazonUrls(peers.amazon)
    sections: dict[str, dict[str, Any]] = {
        # No real account takes so many calls: whoever looks at the demo does not want to wait.
        TAKEALOT: {
            "url": f"{peers.takealot}/v1",
            "api_key": f"env:{_TAKEALOT_KEY}",
            "limits": {"requests_per_second": 20, "burst": 40},
        },
        SHOPIFY: {"url": peers.shopify, "client_id": SHOPIFY_ID, "client_secret": f"env:{_SHOPIFY_SECRET}"},
        AMAZON: {
            "region": _REGION,
            "seller_id": SELLER_ID,
            "marketplaces": list(REGIONS[_REGION]),
            "client_id": CLIENT_ID,
            "client_secret": f"env:{_AMAZON_SECRET}",
            "refresh_token": f"env:{_AMAZON_CONSENT}",
            "url": amazon.region(_REGION),
            "token_url": amazon.token,
        },
    }
    return {"marketplaces": [_connection(name, section) for name, section in sections.items()]}


def _connection(name: str, section: dict[str, Any]) -> dict[str, Any]:
    kind = name.removeprefix(f"{ORGANIZATION}-")
    return {"name": name, "organization": ORGANIZATION, "marketplace": kind, "interval": _INTERVAL, kind: section}


def marketplace_secrets() -> dict[str, str]:
    """Return the variables that :func:`marketplace_connections` refers to; they are invented and open no door."""
    return {
        _TAKEALOT_KEY: DEMO_KEY,
        _SHOPIFY_SECRET: SHOPIFY_SECRET,
        _AMAZON_SECRET: CLIENT_SECRET,
        _AMAZON_CONSENT: refresh_token(_REGION),
    }


@contextlib.contextmanager
def marketplace_peers(
    folder: Path,
    *,
    takealot_port: int = TAKEALOT_PORT,
    shopify_port: int = SHOPIFY_PORT,
    amazon_port: int = AMAZON_PORT,
    step_seconds: float = STEP_SECONDS,
) -> Iterator[MarketplacePeers]:
    """Run the peers on loopback until the block is left.

    Arguments:
        folder: where their state is kept; made when it is missing.
        takealot_port, shopify_port, amazon_port: preferred ports; a taken one is replaced by a free one.
        step_seconds: time between two things that happen; 0: nothing happens by itself.

    Raises:
        StateUnreadable: what is in the folder cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    takealot = restored(folder / "takealot.pickle", lambda: TakealotWorld(DEMO_KEY), _demo_seller)
    shopify = restored(folder / "shopify.pickle", ShopifyWorld, _demo_shop)
    amazon = restored(folder / "amazon.pickle", AmazonWorld, _demo_amazon)
    flaky = AmazonStandIn(amazon)
    stand_ins: dict[str, _StandIn] = {
        "takealot": TakealotStandIn(takealot),
        "shopify": ShopifyStandIn(shopify),
        "amazon": flaky,
    }
    ports = {"takealot": takealot_port, "shopify": shopify_port, "amazon": amazon_port}

    def keep() -> None:
        for name, stand_in in stand_ins.items():
            with stand_in.world.guard:
                save(stand_in.world, folder / f"{name}.pickle")

    def go_on() -> None:
        for stand_in in stand_ins.values():
            stand_in.world.bring_forward()
        keep()

    def trim() -> None:
        for stand_in in stand_ins.values():
            del stand_in.world.requests[:-_KEPT_LOG]

    keep()
    _let_three_requests_fail(flaky.faults)
    with contextlib.ExitStack() as stack:
        stack.callback(keep)
        urls = {
            name: served(stack, SavingWrites(stand_in.app, "/_sandbox/", keep), ports[name])
            for name, stand_in in stand_ins.items()
        }
        # The files of bulk operations are told of by their whole address.
        shopify.url = urls["shopify"]
        if step_seconds:
            flaky_seconds = _STEPS_BETWEEN_FAILURES * step_seconds
            stack.enter_context(repeated(go_on, step_seconds))
            stack.enter_context(repeated(lambda: _let_three_requests_fail(flaky.faults), flaky_seconds))
        stack.enter_context(repeated(trim, _TRIM_SECONDS))
        yield MarketplacePeers(**urls)


def _demo_seller() -> TakealotWorld:
    world = takealot_world(Clock())
    world.timeline = [replace(event, at=math.inf) for event in world.timeline]
    return world


def _demo_amazon() -> AmazonWorld:
    world = amazon_world()
    world.changes = [replace(change, at=math.inf) for change in world.changes]
    return world


def _demo_shop() -> ShopifyWorld:
    world = ShopifyStandIn.demo().world
    # Else the lag of the index, which is longer than the demo's first two pulls are apart, hides what happened.
    world.index_lag = 0.0
    return world


def _let_three_requests_fail(faults: FaultInjector) -> None:
    for kind, status in (("status", 503), ("drop", 0), ("status", 500)):
        faults.add(kind, status=status, path="/listings/", times=1)
