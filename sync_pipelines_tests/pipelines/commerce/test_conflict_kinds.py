"""Every kind of conflict: it arises in a run, is listed with its values, is settled as it can be, and stays settled.

These are the tests of acceptance check c. One shop goes through all of it, because a run costs more than what it
finds: its records agree, are contested, are settled or mended, and are then left alone for two more runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from sync_pipelines.core.conflicts import Kind, Resolution
from sync_pipelines.core.errors import PeerError
from sync_pipelines.pipelines.commerce.conflict_rows import ConflictRow, rows_of
from sync_pipelines.pipelines.commerce.settling import settle
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import DEMO_KEY, ShopWorld, WooCommerceStandIn
from sync_pipelines.store import conflicts
from sync_pipelines.store.conflicts import Conflict, ConflictUnsettled
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_database
from sync_pipelines_tests.pipelines.commerce.shop_runs import ServedShop, connection_of, served

CODES = (
    "MISMATCH-A",
    "MISMATCH-R",
    "MISMATCH-C",
    "TAKEN-A",
    "TAKEN-R",
    "FAILING-A",
    "FAILING-R",
    "GONE-A",
    "GONE-R",
)
GTINS = {"TAKEN-A": "4006381333931", "TAKEN-R": "4012345678901"}
ADDRESS = "ada@x.example.test"
KINDS = {
    "MISMATCH-A": Kind.DATA_MISMATCH,
    "MISMATCH-R": Kind.DATA_MISMATCH,
    "MISMATCH-C": Kind.DATA_MISMATCH,
    "TAKEN-A": Kind.DUPLICATE_KEY,
    "TAKEN-R": Kind.DUPLICATE_KEY,
    "FAILING-A": Kind.RETRY_EXHAUSTED,
    "FAILING-R": Kind.RETRY_EXHAUSTED,
    "GONE-A": Kind.MANUAL_REVIEW,
    "GONE-R": Kind.MANUAL_REVIEW,
    "DOUBLE": Kind.DUPLICATE_KEY,
    ADDRESS: Kind.VALIDATION_ERROR,
}
"""What is contested in the end, by natural key. What ends in A is settled by accepting, in R by rejecting."""


@dataclass
class Story:
    """The shop, and what was seen on the way.

    Attributes:
        listed: the conflicts before anybody settled one.
        rows: the same as people read them.
        strangers: what another organization saw and could settle of them.
        refusals: what was said to who would settle those that only a mend can end.
        after: conflicts after the settlements were carried out, after one more run, and after two.
        writes: requests that may have changed something, in those last two runs.
    """

    shop: ServedShop
    listed: dict[str, Conflict] = field(default_factory=dict)
    rows: list[ConflictRow] = field(default_factory=list)
    strangers: list[Any] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    after: list[list[Conflict]] = field(default_factory=list)
    writes: int = 0

    def product(self, code: str) -> int:
        """The only product of the shop with a code."""
        [found] = [one.id for one in self.shop.shop.world.products.values() if one.values.get("sku") == code]
        return found

    def variant(self, code: str) -> int:
        """The only variant of Odoo with a code."""
        [found] = self.shop.odoo.world.find("product.product", ["default_code", "=", code])
        return found

    def prices(self, code: str) -> tuple[str, float]:
        """The price of a product in both systems."""
        shown = self.shop.odoo.world.read("product.product", self.variant(code), "list_price")
        return str(self.shop.shop.world.products[self.product(code)].values["regular_price"]), shown["list_price"]

    def reprice(self, code: str, amount: float) -> None:
        """Change the price in Odoo."""
        self.shop.odoo.world.write("product.product", self.variant(code), list_price=amount)

    def run(self) -> None:
        """Read everything and carry out what is due, which all retries are."""
        with self.shop.engine.begin() as store:
            store.execute(text("UPDATE sync.record_state SET next_retry_at = now() WHERE state = 'retrying'"))
        self.shop.carried_out(full=True)

    def settle(self, item: str, resolution: Resolution, values: dict[str, str] | None = None) -> None:
        """Settle a conflict as a person does."""
        settle(self.shop.engine, [self.shop.connection], self.listed[item].id, resolution, "ada", values)


@pytest.fixture(scope="module")
def story(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[Story]:
    """All of it, told once."""
    changes: dict[str, Any] = {"entities": ["customers", "products"], "max_retries": 1, "guard": {"enabled": False}}
    with fresh_database(postgres_server, migrated_template) as name:
        engine = connect_engine(postgres_server.url(name))
        stand_ins = WooCommerceStandIn(ShopWorld()), OdooStandIn()
        with served(engine, *stand_ins, batch=1, **changes) as shop:
            told = Story(shop)
            _agree(told)
            _contest(told)
            told.listed = {one.item: one for one in shop.conflicts()}
            with engine.begin():
                told.rows = rows_of(shop.connection, told.listed.values())
            told.strangers = list(_strangers(told))
            for item in ("DOUBLE", ADDRESS):
                with pytest.raises(ConflictUnsettled) as refused:
                    told.settle(item, Resolution.ACCEPT)
                told.refusals[item] = str(refused.value)
            _mend_and_settle(told)
            told.run()
            told.after.append(shop.conflicts())
            before = shop.writes
            for _ in range(2):
                told.run()
                told.after.append(shop.conflicts())
            told.writes = shop.writes - before
            yield told
        engine.dispose()


def _agree(story: Story) -> None:
    world = story.shop.shop.world
    for code in (*CODES, "DOUBLE"):
        world.add_product(name=code, sku=code, regular_price="1.00")
    world.add_customer(email=ADDRESS, first_name="Ada")
    for _ in range(2):
        story.shop.odoo.world.create("product.product", name="DOUBLE", default_code="DOUBLE")
    story.run()


def _contest(story: Story) -> None:
    world, odoo = story.shop.shop.world, story.shop.odoo.world
    for code in CODES[:3]:
        world.edit_product(story.product(code), regular_price="2.00")
        story.reprice(code, 3.0)
    for code, gtin in GTINS.items():
        world.add_product(name=f"Holder of {gtin}", global_unique_id=gtin)
        odoo.write("product.product", story.variant(code), barcode=gtin)
    for code in ("FAILING-A", "FAILING-R"):
        story.reprice(code, 4.0)
        story.shop.shop.faults.add(
            FaultKind.STATUS, method="PUT", path=f"/products/{story.product(code)}$", status=503, body="busy"
        )
    for code in ("GONE-A", "GONE-R"):
        story.reprice(code, 5.0)
        world.delete_product(story.product(code))
    for double in odoo.find("product.product", ["default_code", "=", "DOUBLE"]):
        odoo.write("product.product", double, list_price=6.0)
    [partner] = odoo.find("res.partner", ["email", "=", ADDRESS])
    odoo.write("res.partner", partner, email="ada at x")
    story.run()
    story.run()


def _strangers(story: Story) -> Iterator[Any]:
    yield story.shop.conflicts("org-2")
    shop = connection_of(story.shop.shop_url, story.shop.odoo_url, organization="org-2")
    for conflict in story.listed.values():
        try:
            yield settle(story.shop.engine, [shop], conflict.id, Resolution.ACCEPT, "eve")
        except ConflictUnsettled as refused:
            yield str(refused).startswith("there is no open conflict")
        try:
            with story.shop.engine.begin() as store:
                yield conflicts.settle(store, "org-2", conflict.id, Resolution.ACCEPT, "eve")
        except ConflictUnsettled as refused:
            yield str(refused).startswith("there is no conflict")


def _mend_and_settle(story: Story) -> None:
    world, odoo = story.shop.shop.world, story.shop.odoo.world
    story.shop.shop.faults.clear()
    for product in [one.id for one in world.products.values() if str(one.values.get("name")).startswith("Holder of")]:
        world.delete_product(product)
    one, other = odoo.find("product.product", ["default_code", "=", "DOUBLE"])
    odoo.write("product.product", one, list_price=1.0)
    odoo.write("product.product", other, default_code=False)
    [partner] = odoo.find("res.partner", ["email", "=", "ada at x"])
    odoo.write("res.partner", partner, email=ADDRESS)
    for item in story.listed:
        if item.endswith("-A"):
            story.settle(item, Resolution.ACCEPT)
        elif item.endswith("-R"):
            story.settle(item, Resolution.REJECT)
    story.settle("MISMATCH-C", Resolution.CUSTOM, {"price": "7.77"})


@pytest.mark.long
@pytest.mark.parametrize("item", KINDS)
def test_check_c_each_kind_arises_in_a_run(story: Story, item: str) -> None:
    assert story.listed[item].kind is KINDS[item]
    assert story.listed[item].is_resolved is False


def test_check_c_a_double_key_goes_before_values_that_differ_and_nothing_else_is_contested(
    story: Story,
) -> None:
    assert {item: one.kind for item, one in story.listed.items()} == KINDS


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("MISMATCH-A", "price changed in woocommerce and in odoo, and differently"),
        ("TAKEN-A", "given up in woocommerce: "),
        ("FAILING-A", "given up in woocommerce: "),
        ("GONE-A", "deleted in woocommerce, but price changed in odoo since both agreed"),
        ("DOUBLE", "claimed by more than one record: 1 in woocommerce"),
        (ADDRESS, "'ada at x'"),
    ],
)
def test_each_kind_says_why(story: Story, item: str, told: str) -> None:
    assert told in story.listed[item].data["reason"]


def test_a_mismatch_is_listed_with_both_values_the_agreed_one_and_its_owner(story: Story) -> None:
    [row] = [row for row in story.rows if row.item == "MISMATCH-A"]

    assert (row.kind, row.entity, row.field, row.owner) == ("DataMismatch", "products", "price", "both")
    assert (row.woocommerce, row.odoo, row.base) == (2, 3, 1)
    assert (row.organization, row.can_be_settled) == (story.shop.connection.organization, True)
    assert not next(row for row in story.rows if row.item == "DOUBLE").can_be_settled


def test_another_organization_sees_none_of_them_and_settles_none(story: Story) -> None:
    assert story.strangers == [[], *[True] * (2 * len(KINDS))]


@pytest.mark.parametrize(
    ("item", "prices"),
    [
        ("MISMATCH-A", ("2.00", 2.0)),
        ("MISMATCH-R", ("3.00", 3.0)),
        ("MISMATCH-C", ("7.77", 7.77)),
        ("FAILING-A", ("4.00", 4.0)),
        ("FAILING-R", ("4.00", 4.0)),
        ("GONE-R", ("5.00", 5.0)),
    ],
)
def test_a_settlement_is_carried_out_in_both_systems(story: Story, item: str, prices: tuple[str, float]) -> None:
    assert story.prices(item) == prices


@pytest.mark.parametrize("item", GTINS)
def test_a_value_that_was_taken_is_written_once_it_is_free(story: Story, item: str) -> None:
    assert story.shop.shop.world.products[story.product(item)].values["global_unique_id"] == GTINS[item]


def test_a_deletion_that_is_accepted_is_followed(story: Story) -> None:
    [variant] = story.shop.odoo.world.find("product.product", ["default_code", "=", "GONE-A"])
    assert story.shop.odoo.world.read("product.product", variant, "active")["active"] is False
    assert "GONE-A" not in {one.values.get("sku") for one in story.shop.shop.world.products.values()}


@pytest.mark.parametrize(
    ("item", "said"),
    [("DOUBLE", "claimed by more than one record"), (ADDRESS, "'ada at x'")],
)
def test_what_only_a_mend_can_end_is_not_settled_by_a_decision(story: Story, item: str, said: str) -> None:
    assert story.refusals[item].startswith(f"a decision does not settle {KINDS[item]}: mend {item} in its system")
    assert said in story.refusals[item]


def test_what_was_mended_in_its_system_needs_no_settlement(story: Story) -> None:
    with story.shop.engine.connect() as store:
        rows = store.execute(text("SELECT item_id, is_resolved FROM sync.sync_conflict WHERE applied_at IS NOT NULL"))
        settled = {row.item_id: row.is_resolved for row in rows}
    assert (settled["DOUBLE"], settled[ADDRESS]) == (False, False)


def test_nothing_of_it_comes_back_in_two_more_runs_and_nothing_is_written(story: Story) -> None:
    assert story.after == [[], [], []]
    assert story.writes == 0


def test_check_c_refused_credentials_stand_as_a_conflict_until_they_are_accepted(
    story: Story,
) -> None:
    access = story.shop.shop.world.access
    access.revoke(DEMO_KEY.consumer_key)
    with pytest.raises(PeerError):
        story.run()
    [conflict] = story.shop.conflicts()
    assert (conflict.kind, conflict.item) == (Kind.AUTH_ERROR, "woocommerce")
    with pytest.raises(ConflictUnsettled, match="a decision does not settle AuthError"):
        settle(story.shop.engine, [story.shop.connection], conflict.id, Resolution.ACCEPT, "ada")
    assert story.shop.conflicts("org-2") == []
    access.add(DEMO_KEY)

    for _ in range(3):
        story.run()
        assert story.shop.conflicts() == []
