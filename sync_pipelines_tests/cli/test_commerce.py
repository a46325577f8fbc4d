"""The commands on shops: a sync, what waits for a person, how it is settled, and what the doctor says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sync_pipelines.cli import main
from sync_pipelines.pipelines.commerce.connection import NAME
from sync_pipelines.pipelines.commerce.one_way import PAIRS
from sync_pipelines.pipelines.commerce.opening import PEERS
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import WooCommerceStandIn
from sync_pipelines_tests.pipelines.commerce.shop_runs import SECRETS, row_of

PROJECT = Path(__file__).resolve().parents[2]
ADDRESS = "customer0@example.test"


@dataclass
class Shops:
    """Both systems of a shop, and a connections file that names it as ``nordwind``."""

    shop: WooCommerceStandIn
    odoo: OdooStandIn
    file: Path
    document: dict[str, Any]

    def configure(self, **changes: Any) -> None:
        """Change the connection and write the file."""
        self.document["commerce"][0] |= changes
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

    def name_in_odoo(self) -> str:
        """Return what Odoo calls the first customer."""
        [partner] = self.odoo.world.find("res.partner", ["email_normalized", "=", ADDRESS])
        return str(self.odoo.world.read("res.partner", partner, "name")["name"])


@pytest.fixture
def shops(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shops]:
    """A shop with three customers; its Odoo knows one of them under another name."""
    shop, odoo = WooCommerceStandIn.bulk(products=0, customers=3), OdooStandIn.many(0, 0)
    with shop.running() as shop_url, odoo.running() as odoo_url:
        for name in [name for name in os.environ if name.startswith("SYNC_")]:
            monkeypatch.delenv(name)
        for name, value in SECRETS.items():
            monkeypatch.setenv(name, value)
        file = tmp_path / "connections.yaml"
        monkeypatch.setenv("SYNC_CONNECTIONS_FILE", str(file))
        monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
        monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
        odoo.world.create("res.partner", name="Somebody Else", email=ADDRESS)
        served = Shops(shop, odoo, file, {"commerce": [row_of(shop_url, odoo_url, entities=["customers"])]})
        served.configure()
        yield served


@pytest.mark.long
def test_a_sync_leaves_a_conflict_that_is_listed_settled_and_carried_out(shops: Shops) -> None:
    planned = shops.run("commerce", "preview", "nordwind", "--json")
    assert planned.returncode == 0, planned.stderr
    [customers] = json.loads(planned.stdout)
    # The administrator of the shop and the company of Odoo are kept apart there: they are no conflicts.
    assert customers["conflicts"] == 1
    told = {one["system"]: one for one in customers["systems"]}
    assert {name: (one["new"], one["updated"], one["deleted"], one["left_alone"]) for name, one in told.items()} == {
        "WooCommerce": (0, 0, 0, 0),
        "Odoo": (2, 1, 0, 0),
    }
    examples = {(one["record"], one["what"]): one["fields"] for one in told["Odoo"]["examples"]}
    assert "city: nothing → Berlin" in examples[ADDRESS, "updated"]
    assert shops.name_in_odoo() == "Somebody Else"
    plans = shops.answer("plan", "list", "--connection", "nordwind")
    assert {(one["pipeline"], one["counts"]["conflicts"]) for one in plans} == {(name, 0) for name in PAIRS}
    assert shops.answer("plan", "list", "--pipeline", "commerce_odoo") == [
        one for one in plans if one["pipeline"] == "commerce_odoo"
    ]
    assert shops.answer("dead-letter", "list", "--connection", "nordwind.customers") == []

    done = shops.run("commerce", "sync", "--entity", "customers")
    assert done.returncode == 0, done.stderr
    assert "2 created" in done.stdout

    [row] = shops.answer("commerce", "conflicts")
    assert (row["field"], row["woocommerce"], row["odoo"], row["owner"]) == (
        "name",
        "First0 Last0",
        "Somebody Else",
        "both",
    )
    shown = shops.invoke("commerce", "conflicts", "nordwind")
    listed = next(line for line in shown.stdout.splitlines() if line.strip().startswith("conflict-"))
    assert "Somebody Else" in listed
    [status] = shops.answer("commerce", "status")
    assert (status["records"], status["linked"], status["conflicts"], status["dead_letters"]) == (3, 3, 1, 0)

    to_shop, to_odoo = shops.answer("why", ADDRESS)
    assert (to_shop["pipeline"], to_odoo["pipeline"]) == tuple(PAIRS)
    assert to_shop["natural_key"] == to_odoo["natural_key"] == ADDRESS
    assert to_shop["right_key"] != to_odoo["right_key"]
    about = shops.invoke("why", ADDRESS, "--connection", "nordwind").stdout
    assert f"{ADDRESS} as Odoo is to have it" in about
    assert "nobody" in shops.invoke("why", "nobody").stderr

    settled = shops.invoke("commerce", "settle", listed.split()[0], "custom", "--value", "name=Ada Bloom")
    assert settled.exit_code == 0, settled.stderr
    assert "sync-pipelines commerce sync nordwind --entity customers" in settled.stderr
    assert shops.answer("commerce", "conflicts")[0]["settled"].startswith("custom by ")
    assert shops.run("commerce", "sync").returncode == 0
    assert shops.answer("commerce", "conflicts") == []
    assert shops.name_in_odoo() == "Ada Bloom"
    first = min(number for number, one in shops.shop.world.customers.items() if one.email == ADDRESS)
    assert (shops.shop.world.customers[first].first_name, shops.shop.world.customers[first].last_name) == (
        "Ada",
        "Bloom",
    )


@pytest.mark.long
def test_given_two_entities_that_moved_on_both_sides_then_the_preview_counts_each_and_writes_nothing(
    shops: Shops,
) -> None:
    shops.configure(entities=["customers", "products"])
    world, odoo = shops.shop.world, shops.odoo.world
    for sku in ("KEPT", "PRICED"):
        world.add_product(sku=sku, name=sku, regular_price="5.00")
    odoo.create("product.product", name="LOST", default_code="LOST", list_price=5.0)
    assert shops.run("commerce", "sync").returncode == 0
    product = {str(one.values["sku"]): one.id for one in world.products.values()}
    variant = {sku: odoo.find("product.product", ["default_code", "=", sku])[0] for sku in product}
    customer = {one.email: one.id for one in world.customers.values()}
    [third] = odoo.find("res.partner", ["email_normalized", "=", "customer2@example.test"])
    del world.customers[customer["customer1@example.test"]]
    odoo.write("res.partner", third, city="Hamburg")
    odoo.create("res.partner", name="Olaf Odoo", email="olaf@example.test", customer_rank=1)
    odoo.unlink("product.product", variant["LOST"])
    world.edit_product(product["KEPT"], name="Kept and renamed")
    world.add_product(sku="NEW", name="New", regular_price="1.00")
    world.edit_product(product["PRICED"], regular_price="6.00")
    odoo.write("product.product", variant["PRICED"], list_price=7.0)
    before = world.revision, list(odoo.writes)

    planned = shops.run("commerce", "preview", "nordwind", "--full", "--json")

    assert planned.returncode == 0, planned.stderr
    told = json.loads(planned.stdout)
    # The first customer's name is contested since the first sync.
    assert {one["entity"]: one["conflicts"] for one in told} == {"customers": 1, "products": 1}
    systems = {(one["entity"], one["system"]): one for entity in told for one in entity["systems"]}
    assert {name: (one["new"], one["updated"], one["deleted"]) for name, one in systems.items()} == {
        ("customers", "WooCommerce"): (1, 1, 0),
        ("customers", "Odoo"): (0, 0, 1),
        ("products", "WooCommerce"): (0, 0, 1),
        ("products", "Odoo"): (1, 1, 0),
    }
    named = {name: {one["what"]: one["record"] for one in found["examples"]} for name, found in systems.items()}
    assert named == {
        ("customers", "WooCommerce"): {"new": "olaf@example.test", "updated": "customer2@example.test"},
        ("customers", "Odoo"): {"deleted": "customer1@example.test"},
        ("products", "WooCommerce"): {"deleted": "LOST"},
        ("products", "Odoo"): {"new": "NEW", "updated": "KEPT"},
    }
    assert (world.revision, list(odoo.writes)) == before


def test_the_store_keeps_a_shop_under_these_names() -> None:
    assert tuple(PAIRS) == tuple(f"{NAME}_{peer}" for peer in PEERS)


def test_the_doctor_tries_both_systems_and_says_what_does_not_fit(shops: Shops) -> None:
    sound = {one["check"]: one for one in shops.answer("doctor")["checks"]}
    assert sound["commerce/nordwind: woocommerce"]["ok"], sound
    assert sound["commerce/nordwind: odoo"]["ok"], sound

    shops.configure(currency="USD", entities=["customers", "products", "orders"])
    told = [(one["check"], one["detail"]) for one in shops.answer("doctor")["checks"] if not one["ok"]]
    assert [check for check, _ in told] == ["commerce/nordwind: woocommerce", "commerce/nordwind: odoo"]
    assert "currency is USD, but the shop has EUR" in told[0][1]
    assert "no product of the code 'SHIP'" in told[1][1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["commerce", "sync", "elsewhere"], "no shop is named 'elsewhere'; there is nordwind"),
        (["commerce", "sync", "--entity", "orders"], "nordwind does not synchronize orders; it does customers"),
        (["commerce", "sync", "--dry-run", "--approve", "abc123"], "leave --dry-run out"),
        (["commerce", "settle", "conflict-1", "accept"], "there is no open conflict conflict-1"),
        (["commerce", "settle", "conflict-1", "custom"], "custom needs --value"),
        (["commerce", "settle", "conflict-1", "custom", "--value", "name"], "is not FIELD=VALUE"),
        (["plan", "list", "--connection", "nordwind.orders"], "a shop is synchronized both ways"),
        (["reconcile", "--connection", "nordwind"], "a shop is synchronized both ways"),
    ],
)
def test_given_a_mistake_then_it_is_said_what_is_wrong(shops: Shops, arguments: list[str], said: str) -> None:
    result = shops.invoke(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr
