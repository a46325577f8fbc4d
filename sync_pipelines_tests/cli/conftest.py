"""An installation for the commands to work on: a real database, both stand-ins, and a connections file."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from sync_pipelines.cli import main
from sync_pipelines.cli.session import choose_one, connections
from sync_pipelines.engine.reconcile import reconcile
from sync_pipelines.sandbox.bosh import DEMO_PASSWORD, DEMO_USER, DirectorStandIn, DirectorWorld, UaaWorld
from sync_pipelines.sandbox.cometbft.app import create_app
from sync_pipelines.sandbox.cometbft.world import ChainWorld
from sync_pipelines.sandbox.demo import DemoUrls, demo_connections, demo_tokens
from sync_pipelines.sandbox.openbao import OpenBao, VaultAdministration
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.waldur import WaldurStandIn

PROJECT = Path(__file__).resolve().parents[2]
NORDLYS = "virtengine1rk28937hz050m2lm46skdlvvx39csat7pjvyv3"
KUMO = "virtengine18mvxd7jln0p68qeq3sg90893ya3muuyt9lqzqp"


@dataclass
class Installation:
    """What the commands work on.

    Attributes:
        document: content of the connections file; :meth:`configure` changes it.
    """

    waldur: WaldurStandIn
    chain: ChainWorld
    engine: Engine
    file: Path
    document: dict[str, Any]

    def configure(self, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        """Change the first connection (nordlys) and write the file."""
        change(self.document["offerings"][0])
        self.file.write_text(yaml.safe_dump(self.document), encoding="utf-8")

    def invoke(self, *arguments: str) -> Result:
        """Run a command in this process."""
        return CliRunner().invoke(main, arguments)

    def answer(self, *arguments: str) -> Any:
        """Run a command in this process with ``--json`` and return its answer."""
        return json.loads(self.invoke(*arguments, "--json").stdout)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own, as its user does; needed for what starts Dagster runs."""
        command = [sys.executable, "-m", "sync_pipelines.cli", *arguments]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)

    def agree(self, name: str = "nordlys") -> None:
        """Reconcile a connection without Dagster."""
        one = choose_one(connections(), name)

        async def work() -> None:
            async with one.pipeline.open(one.connection, self.engine) as opened:
                log = logging.getLogger("tests")
                await reconcile(self.engine, opened.pair, run_id=uuid.uuid4().hex, log=log)

        asyncio.run(work())


@dataclass
class Deployed:
    """What the commands work on when there is a connection ``lab`` of the deployments pipeline as well."""

    installation: Installation
    director: DirectorWorld
    vault: VaultAdministration

    def entry(self, instance_id: str) -> Any:
        """Return an instance's entry of the index."""
        return self.vault.read("secret", "db")[instance_id]


@pytest.fixture
def deployed(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """The demo's Director and Vault beside the three connections of the offerings pipeline, nothing reconciled yet."""
    data = resources.files("sync_pipelines.sandbox") / "data" / "deployments"
    director = DirectorStandIn.demo(uaa=UaaWorld())
    with director.running() as director_url, OpenBao.in_memory() as bao:
        bao.admin.load(json.loads((data / "vault.json").read_text("utf-8")))
        monkeypatch.setenv("LAB_SECRET", DEMO_PASSWORD)
        monkeypatch.setenv("LAB_TOKEN", bao.token)
        installation.document["deployments"] = [
            {
                "name": "lab",
                "director": {"url": director_url, "client": DEMO_USER, "client_secret": "env:LAB_SECRET"},
                "vault": {"url": bao.url, "token": "env:LAB_TOKEN"},
                "catalog": str(data / "catalog.json"),
            }
        ]
        installation.configure()
        yield Deployed(installation, director.world, bao.admin)


@pytest.fixture
def installation(
    engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """The demo's three connections, nothing reconciled yet."""
    waldur, chain = WaldurStandIn.demo(), ChainWorld.from_demo()
    with waldur.running() as waldur_url, serve(create_app(chain)) as chain_url:
        document = demo_connections(DemoUrls(waldur_url, chain_url))
        for name in [name for name in os.environ if name.startswith(("VIRTENGINE_", "BLACKSMITH_", "SYNC_"))]:
            monkeypatch.delenv(name)
        for name, value in demo_tokens().items():
            monkeypatch.setenv(name, value)
        file = tmp_path / "connections.yaml"
        monkeypatch.setenv("SYNC_CONNECTIONS_FILE", str(file))
        monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
        monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
        installation = Installation(waldur, chain, engine, file, document)
        installation.configure()
        yield installation
