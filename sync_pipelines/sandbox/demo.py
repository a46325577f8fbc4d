"""The offerings pipeline's peers with the demo's data, which remember their state from one start to the next.

The worlds live in memory. Every change is written to a file before its request is answered, so that a killed demo
never forgets what the pipeline was told; empty blocks of the chain are saved once a minute and at the end.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.background import repeated
from sync_pipelines.sandbox.cometbft.app import create_app, produce_blocks
from sync_pipelines.sandbox.cometbft.world import ChainWorld
from sync_pipelines.sandbox.keeping import SavingWrites, restored, save, served
from sync_pipelines.sandbox.waldur import DEMO_STAFF_TOKEN, WaldurStandIn, WaldurWorld, demo_owner_token, demo_world

WALDUR_PORT = 8010
CHAIN_PORT = 26657
"""CometBFT's usual RPC port."""
CONNECTION_NAMES = ("nordlys", "okra", "kumo")
STAFF_TOKEN_VARIABLE = "DEMO_STAFF_TOKEN"

_SAVE_SECONDS = 60.0
_KEPT_LOG = 500


@dataclass(frozen=True, slots=True)
class DemoUrls:
    """Base URLs of the running stand-ins."""

    waldur: str
    chain: str


def demo_connections(urls: DemoUrls) -> dict[str, Any]:
    """Return the content of a connections file for the demo's three providers; tokens are references."""
    setup = _setup()
    return {
        "offerings": [
            {
                "name": name,
                "provider": provider,
                "chain": {"rpc_url": urls.chain, "chain_id": "virtengine-demo-1"},
                "waldur": {
                    "url": urls.waldur,
                    "token": f"env:{_token_variable(name)}",
                    "staff_token": f"env:{STAFF_TOKEN_VARIABLE}",
                    "customer_uuid": customer["uuid"],
                },
                "category_map": setup["categories"],
            }
            for name, (provider, customer) in zip(CONNECTION_NAMES, setup["customers"].items(), strict=True)
        ]
    }


def demo_tokens() -> dict[str, str]:
    """Return the variables that :func:`demo_connections` refers to; the tokens are invented and open no door."""
    customers = _setup()["customers"].values()
    owners = {
        _token_variable(name): demo_owner_token(customer["name"])
        for name, customer in zip(CONNECTION_NAMES, customers, strict=True)
    }
    return owners | {STAFF_TOKEN_VARIABLE: DEMO_STAFF_TOKEN}


@contextlib.contextmanager
def demo_stand_ins(
    folder: Path, *, waldur_port: int = WALDUR_PORT, chain_port: int = CHAIN_PORT, block_seconds: float = 2.0
) -> Iterator[DemoUrls]:
    """Serve both stand-ins on loopback until the block is left.

    Arguments:
        folder: where their state is kept; made when it is missing.
        waldur_port, chain_port: preferred ports; a taken one is replaced by a free one.
        block_seconds: time between two blocks of the chain.

    Raises:
        StateUnreadable: what is in the folder cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waldur = WaldurStandIn(restored(folder / "waldur.pickle", WaldurWorld, demo_world))
    chain_is_new = not (folder / "chain.pickle").exists()
    chain = restored(folder / "chain.pickle", ChainWorld, ChainWorld.from_demo)
    if not chain_is_new:
        _catch_up(chain, block_seconds)

    def save_waldur() -> None:
        save(waldur.world, folder / "waldur.pickle")

    def save_chain() -> None:
        # The blocks' thread writes the same dictionaries.
        with chain._lock:
            save(chain, folder / "chain.pickle")

    save_waldur()
    save_chain()
    with contextlib.ExitStack() as stack:
        stack.callback(save_chain)
        stack.enter_context(produce_blocks(chain, block_seconds))
        stack.enter_context(repeated(save_chain, _SAVE_SECONDS))
        waldur_app = SavingWrites(waldur.app, "/api/", save_waldur)
        stack.callback(save_waldur)
        waldur_url = served(stack, waldur_app, waldur_port)
        chain_url = served(stack, SavingWrites(create_app(chain), "/_sandbox/", save_chain), chain_port)
        stack.enter_context(repeated(lambda: _trim(waldur.world), _SAVE_SECONDS))
        yield DemoUrls(waldur_url, chain_url)


def _catch_up(chain: ChainWorld, block_seconds: float) -> None:
    """Make as many blocks as may have been lost by a kill: a chain's height never goes back."""
    for _ in range(int(_SAVE_SECONDS / block_seconds) + 1):
        chain.empty_block()


def _trim(world: WaldurWorld) -> None:
    del world.requests[:-_KEPT_LOG]
    del world.mutations[:-_KEPT_LOG]


def _token_variable(name: str) -> str:
    return f"DEMO_{name.upper()}_TOKEN"


def _setup() -> Any:
    data = resources.files("sync_pipelines.sandbox") / "data" / "offerings"
    return json.loads((data / "waldur_setup.json").read_text("utf-8"))
