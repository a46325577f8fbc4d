"""``sync-pipelines marketplaces`` at a shop: pull, look, list what is wrong, and what the doctor says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sync_pipelines.cli import main
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines.sandbox.woocommerce.access import DEMO_KEY

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shop(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WooCommerceStandIn]:
    """A shop with two orders and a product without a sku, connected as ``acme-shop``."""
    standin = WooCommerceStandIn.bulk(products=2, customers=2, orders=2)
    standin.world.add_product(name="Bare", regular_price="4.00")
    with standin.running() as url:
        for name in [name for name in os.environ if name.startswith("SYNC_")]:
            monkeypatch.delenv(name)
        access = {"url": url, "consumer_key": "env:SHOP_KEY", "consumer_secret": "env:SHOP_SECRET"}
        row = {"name": "acme-shop", "organization": "acme", "marketplace": "woocommerce", "woocommerce": access}
        file = tmp_path / "connections.yaml"
        file.write_text(yaml.safe_dump({"marketplaces": [row]}), encoding="utf-8")
        monkeypatch.setenv("SHOP_KEY", DEMO_KEY.consumer_key)
        monkeypatch.setenv("SHOP_SECRET", DEMO_KEY.consumer_secret)
        monkeypatch.setenv("SYNC_CONNECTIONS_FILE", str(file))
        monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
        monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
        yield standin


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def answer(*arguments: str) -> Any:
    return json.loads(invoke(*arguments, "--json").stdout)


@pytest.mark.long
def test_a_sync_is_told_of_by_status_and_errors(shop: WooCommerceStandIn) -> None:
    before = answer("marketplaces", "status")
    command = [sys.executable, "-m", "sync_pipelines.cli", "marketplaces", "sync", "--json"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["successfulConnections"] == 1
    assert before["connections"][0]["status"] == "pending"
    [state] = answer("marketplaces", "status", "--connection", "acme-shop")["connections"]
    assert (state["status"], state["sync_status"], state["last_error"]) == ("connected", "success", None)
    assert state["streams"]["orders"]["records"] == 2
    assert [(one["kind"], one["stream"]) for one in answer("marketplaces", "errors")] == [("no_sku", "products")]
    assert "acme-shop" in invoke("marketplaces", "status").stdout
    assert "no_sku" in invoke("marketplaces", "errors").stdout


def test_the_doctor_looks_at_every_account(shop: WooCommerceStandIn) -> None:
    def is_sound() -> bool:
        return {one["check"]: bool(one["ok"]) for one in answer("doctor")["checks"]}["marketplaces/acme-shop"]

    assert is_sound()
    shop.faults.add("status", status=401, body="{}", content_type="application/json")
    assert not is_sound()


def test_a_name_that_is_none_is_refused_with_those_there_are(shop: WooCommerceStandIn) -> None:
    refused = invoke("marketplaces", "status", "--connection", "elsewhere")
    assert refused.exit_code == 1
    assert "no marketplace connection is named 'elsewhere'; there is acme-shop" in refused.stderr
