"""The demo's external systems: started in a process of their own, and what an operator may do with them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from sync_pipelines.cli import output
from sync_pipelines.cli.children import Children
from sync_pipelines.cli.demo_home import DemoHome
from sync_pipelines.cli.demo_service import SECRET, TOKEN
from sync_pipelines.cli.session import connections
from sync_pipelines.orchestration.dagster_ui import DagsterUi
from sync_pipelines.sandbox.demo import CHAIN_PORT, WALDUR_PORT, DemoUrls, demo_connections
from sync_pipelines.sandbox.demo_commerce import ODOO_PORT, SHOP_PORT, CommercePeers, commerce_connections
from sync_pipelines.sandbox.demo_deployments import DIRECTOR_PORT, VAULT_PORT, DeploymentPeers, deployment_connections
from sync_pipelines.sandbox.demo_ledger import REPLICA_PORT, LedgerPeer, ledger_connections
from sync_pipelines.sandbox.demo_marketplaces import (
    AMAZON_PORT,
    SHOPIFY_PORT,
    TAKEALOT_PORT,
    MarketplacePeers,
    marketplace_connections,
)

_SEEN_SOON = {"live": True, "poll_seconds": 5}
"""What is set for the demo's ledger besides: who watches it wants to see the tail grow."""
_PRODUCT = 14
_DEPLOYMENT = "redis-cache-small-3ceaaf30-8142-48ea-91d9-3080f9b439fc"


@dataclass(frozen=True, slots=True)
class Peers:
    """Where the running peers are; without ``deployments`` that pipeline is not shown."""

    offerings: DemoUrls
    deployments: DeploymentPeers | None
    ledger: LedgerPeer
    commerce: CommercePeers
    marketplaces: MarketplacePeers

    @property
    def connections(self) -> dict[str, Any]:
        """Content of the connections file."""
        found = demo_connections(self.offerings)
        if self.deployments is not None:
            found |= deployment_connections(self.deployments)
        found |= commerce_connections(self.commerce)
        found |= marketplace_connections(self.marketplaces)
        ledgers = ledger_connections(self.ledger)
        return found | {name: [row | _SEEN_SOON for row in rows] for name, rows in ledgers.items()}


@contextmanager
def step(console: Console, name: str) -> Iterator[Callable[[str], None]]:
    """Show that something is going on, and afterwards how long it took."""
    started = time.monotonic()
    with console.status(name) as status:
        yield lambda more: status.update(f"{name}: {more}")
    console.print(f"  {name}: {time.monotonic() - started:.1f} s")


def started_peers(home: DemoHome, children: Children, console: Console, *, once: bool) -> Peers:
    """Start the peers and wait until they serve.

    Arguments:
        once: whether nothing is to happen at the marketplaces by itself, for nobody stays to see it.

    Raises:
        ChildDied: they do not come up.
    """
    with step(console, "Stand-ins of the external systems, and OpenBao"):
        command = ["sync_pipelines.sandbox", "--folder", str(home.stand_ins)]
        command += ["--step-seconds", "0"] if once else []
        child = children.start("stand-ins", command, pipe=True)
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            child.wait()
            children.check()
        told = json.loads(line)
        deployments = None if told["deployments"] is None else DeploymentPeers(**told["deployments"])
    peers = Peers(
        DemoUrls(**told["offerings"]),
        deployments,
        LedgerPeer(**told["ledger"]),
        CommercePeers(**told["commerce"]),
        MarketplacePeers(**told["marketplaces"]),
    )
    if deployments is None:
        output.note(f"the deployments pipeline is not shown: {told['left_out']}")
    for what, url, port in _wanted_ports(peers):
        if urlsplit(url).port != port:
            output.note(f"port {port} is taken: {what} is at {url}")
    return peers


def _wanted_ports(peers: Peers) -> Iterator[tuple[str, str, int]]:
    yield "the stand-in of Waldur", peers.offerings.waldur, WALDUR_PORT
    yield "the stand-in of the chain", peers.offerings.chain, CHAIN_PORT
    yield "the stand-in of the replica", peers.ledger.replica, REPLICA_PORT
    yield "the stand-in of WooCommerce", peers.commerce.shop, SHOP_PORT
    yield "the stand-in of Odoo", peers.commerce.odoo, ODOO_PORT
    yield "the stand-in of Takealot", peers.marketplaces.takealot, TAKEALOT_PORT
    yield "the stand-in of Shopify", peers.marketplaces.shopify, SHOPIFY_PORT
    yield "the stand-in of Amazon", peers.marketplaces.amazon, AMAZON_PORT
    if peers.deployments is not None:
        yield "the stand-in of the Director", peers.deployments.director, DIRECTOR_PORT
        yield "the stand-in of the second Director", peers.deployments.annex, DIRECTOR_PORT + 1
        yield "OpenBao", peers.deployments.vault, VAULT_PORT


def print_next_steps(home: DemoHome, peers: Peers, ui: DagsterUi, service: str) -> None:
    """Tell the operator what there is to be tried."""
    (provider, *_) = [one.alias for one in connections() if one.pipeline.name == "offerings"]
    offering = f"{provider}/1"
    update = json.dumps({"id": offering, "changes": {"name": "Renamed on the chain"}})
    output.note(
        f"\nThe Dagster UI: {ui.url}\n\n"
        "Change an offering on the chain, and see it arrive in Waldur within seconds:\n"
        f"  curl -X POST {peers.offerings.chain}/_sandbox/chain/update -d '{update}'\n"
    )
    if peers.deployments is not None:
        gone = json.dumps({"name": _DEPLOYMENT})
        output.note(
            "Delete a deployment at the Director, and see its instance marked in Vault and kept:\n"
            f"  curl -X POST {peers.deployments.director}/_sandbox/director/delete -d '{gone}'\n"
            "  sync-pipelines reconcile deployments/lab\n"
        )
    output.note(
        "The ledger grows by a block every 45 s. Let it grow now, and see the block arrive within seconds:\n"
        f"  curl -X POST {peers.ledger.replica}/_sandbox/ledger/grow\n"
        "  sync-pipelines ledger status\n"
    )
    renamed = json.dumps({"id": _PRODUCT, "name": "Renamed in the shop"})
    output.note(
        "Rename a product in the shop, and see it arrive in Odoo; then settle what only a person can decide:\n"
        f"  curl -X POST {peers.commerce.shop}/_sandbox/shop/edit_product -d '{renamed}'\n"
        "  sync-pipelines commerce preview\n"
        "  sync-pipelines commerce sync\n"
        "  sync-pipelines commerce conflicts\n"
    )
    output.note(
        "The marketplaces are pulled every two minutes, and every two minutes something happens there.\n"
        "Let the next thing happen now, and start a pull by the service, as a scheduler would:\n"
        f"  curl -X POST {peers.marketplaces.takealot}/_sandbox/takealot/next\n"
        f"  curl -X POST {service}/api/sync/scheduler -H 'x-scheduler-secret: {SECRET}'\n"
        f"  curl {service}/api/sync/status -H 'Authorization: Bearer {TOKEN}'\n"
        "  sync-pipelines marketplaces status\n"
    )
    output.note(
        "In another terminal, look at it from there:\n"
        f"  . {home.shell_file}\n"
        f"  sync-pipelines why {offering}\n"
        + (f"  sync-pipelines why {_DEPLOYMENT}\n" if peers.deployments else "")
        + "  sync-pipelines plan list\n"
        "  sync-pipelines audit verify\n\n"
        "Ctrl-C stops everything."
    )
