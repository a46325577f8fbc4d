"""``python -m sync_pipelines.sandbox``: run the demo's peers until the process is told to stop."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from sync_pipelines.sandbox.demo import CHAIN_PORT, WALDUR_PORT, demo_stand_ins
from sync_pipelines.sandbox.demo_commerce import ODOO_PORT, SHOP_PORT, commerce_peers
from sync_pipelines.sandbox.demo_deployments import DIRECTOR_PORT, UAA_PORT, VAULT_PORT, deployment_peers
from sync_pipelines.sandbox.demo_ledger import REPLICA_PORT, ledger_peer
from sync_pipelines.sandbox.demo_marketplaces import (
    AMAZON_PORT,
    SHOPIFY_PORT,
    STEP_SECONDS,
    TAKEALOT_PORT,
    marketplace_peers,
)
from sync_pipelines.sandbox.keeping import StateUnreadable
from sync_pipelines.sandbox.openbao.process import BaoMissing


def main() -> int:
    """Serve, and say where as one line of JSON.

    ``{"offerings": {...}, "ledger": {...}, "commerce": {...}, "marketplaces": {...}, "deployments": {...}, "left_out":
    null}`` with the fields of ``DemoUrls``, ``LedgerPeer``, ``CommercePeers``, ``MarketplacePeers`` and
    ``DeploymentPeers``; ``deployments`` is null when ``left_out`` says why.
    """
    given = _arguments()
    # Blocked before any thread is started, so that every thread leaves them to sigwait.
    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        with ExitStack() as stack:
            ports = {"waldur_port": given.waldur_port, "chain_port": given.chain_port}
            urls = stack.enter_context(demo_stand_ins(given.folder, block_seconds=given.block_seconds, **ports))
            peer = stack.enter_context(ledger_peer(given.folder / "ledger", replica_port=given.replica_port))
            shop = stack.enter_context(
                commerce_peers(given.folder / "commerce", shop_port=given.shop_port, odoo_port=given.odoo_port)
            )
            markets = stack.enter_context(
                marketplace_peers(
                    given.folder / "marketplaces",
                    takealot_port=given.takealot_port,
                    shopify_port=given.shopify_port,
                    amazon_port=given.amazon_port,
                    step_seconds=given.step_seconds,
                )
            )
            told: dict[str, Any] = {
                "offerings": asdict(urls),
                "ledger": asdict(peer),
                "commerce": asdict(shop),
                "marketplaces": asdict(markets),
                "deployments": None,
                "left_out": None,
            }
            try:
                peers = stack.enter_context(
                    deployment_peers(
                        given.folder / "deployments",
                        director_port=given.director_port,
                        uaa_port=given.uaa_port,
                        vault_port=given.vault_port,
                    )
                )
                told["deployments"] = asdict(peers)
            except (BaoMissing, RuntimeError) as reason:
                told["left_out"] = str(reason)
            except httpx.HTTPError as reason:
                told["left_out"] = f"OpenBao refuses the demo's secrets: {reason}"
            print(json.dumps(told), flush=True)
            signal.sigwait(ends)
    except StateUnreadable as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sync_pipelines.sandbox", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the peers keep their state")
    ports = {
        "--waldur-port": WALDUR_PORT,
        "--chain-port": CHAIN_PORT,
        "--director-port": DIRECTOR_PORT,
        "--uaa-port": UAA_PORT,
        "--vault-port": VAULT_PORT,
        "--replica-port": REPLICA_PORT,
        "--shop-port": SHOP_PORT,
        "--odoo-port": ODOO_PORT,
        "--takealot-port": TAKEALOT_PORT,
        "--shopify-port": SHOPIFY_PORT,
        "--amazon-port": AMAZON_PORT,
    }
    for option, port in ports.items():
        parser.add_argument(option, type=int, default=port, help="preferred port (default: %(default)s)")
    parser.add_argument("--block-seconds", type=float, default=2.0, help="seconds per block (default: %(default)s)")
    step = "seconds between two things that happen at a marketplace; 0 for never (default: %(default)s)"
    parser.add_argument("--step-seconds", type=float, default=STEP_SECONDS, help=step)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
