"""Customers, read from and written to served systems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.customers.fields import CUSTOMER_FIELDS
from sync_pipelines.pipelines.commerce.customers.odoo_side import OdooCustomers
from sync_pipelines.pipelines.commerce.customers.woocommerce_side import WooCommerceCustomers
from sync_pipelines.pipelines.commerce.geography import read_geography
from sync_pipelines.sandbox.odoo import OdooStandIn
from sync_pipelines.sandbox.woocommerce import ShopWorld, WooCommerceStandIn
from sync_pipelines.systems.odoo import OdooClient
from sync_pipelines.systems.woocommerce import WooCommerceClient
from sync_pipelines_tests.pipelines.commerce.peers import Peers, everything, serving

Side = WooCommerceCustomers | OdooCustomers
EMAIL = "anna@mail.example.test"
SHIPPING = {
    "name": "Anna Bloom",
    "phone": None,
    "street": "Quay 4",
    "street2": None,
    "zip": "20457",
    "city": "Hamburg",
    "country": "DE",
    "state": "HH",
}
ANNA: Content = {
    "email": EMAIL,
    "name": "Anna Maria Bloom",
    "phone": "+49301234",
    "company": "Bloom & Sons",
    "street": "Lane 1",
    "street2": "2nd floor",
    "zip": "10115",
    "city": "Berlin",
    "country": "DE",
    "state": "BE",
    "shipping": SHIPPING,
    "active": True,
}


@pytest.fixture
def peers() -> Iterator[Peers]:
    with serving(WooCommerceStandIn(ShopWorld()), OdooStandIn()) as served:
        yield served


async def _sides(shop: WooCommerceClient, odoo: OdooClient) -> tuple[WooCommerceCustomers, OdooCustomers]:
    geography = await read_geography(odoo)
    return WooCommerceCustomers(shop, geography), OdooCustomers(odoo, geography)


async def made(side: Side, content: Content) -> Record:
    """Create a record as the engine does: the first step, then what it left out."""
    key = await side.create(content["email"], content)
    record = await read(side, key)
    missing = [name for name in content if record.content.get(name) != content[name]]
    if missing:
        await side.write(record, content, missing)
    return await read(side, key)


async def read(side: Side, key: str) -> Record:
    record = await side.read(key)
    assert record is not None
    return record


@pytest.mark.parametrize("system", [0, 1], ids=["woocommerce", "odoo"])
@pytest.mark.parametrize(
    "content",
    [ANNA, {**ANNA, "shipping": None}, {**dict.fromkeys(ANNA), "email": EMAIL, "active": True}],
    ids=["full", "shipped home", "bare"],
)
def test_given_a_content_when_created_then_that_is_what_is_read_looked_up_and_listed(
    peers: Peers, system: int, content: Content
) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side = (await _sides(shop, odoo))[system]
        record = await made(side, content)
        assert record.content == content
        assert record.content.keys() == set(CUSTOMER_FIELDS.names)
        assert [one.content for one in await side.find(EMAIL)] == [content]
        found = [one async for page in side.look([EMAIL, "nobody@mail.example.test"], Sweep()) for one in page]
        assert [one.key for one in found] == [record.key]
        assert (await everything(side))[record.key].content == content

    peers.run(work)


CHANGES: Sequence[Content] = [
    {"name": "Anna Maria Stone"},
    {"email": "stone@mail.example.test"},
    {"street": "Lane 2", "zip": None},
    {"country": "AT", "state": None},
    {"phone": None, "company": None},
    {"shipping": {**SHIPPING, "street": "Quay 5"}},
    {"shipping": None},
]


@pytest.mark.parametrize("system", [0, 1], ids=["woocommerce", "odoo"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: ",".join(change))
def test_given_a_customer_when_some_fields_are_written_then_they_change_and_no_others(
    peers: Peers, system: int, change: Content
) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side = (await _sides(shop, odoo))[system]
        record = await made(side, ANNA)
        for _ in range(2):
            await side.write(record, {**ANNA, **change}, list(change))
        assert (await read(side, record.key)).content == {**ANNA, **change}

    peers.run(work)


def test_given_shipping_to_the_billing_address_when_that_moves_then_the_shop_ships_to_the_new_one(peers: Peers) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> dict[str, Any]:
        side, _ = await _sides(shop, odoo)
        home = {**ANNA, "shipping": None}
        record = await made(side, home)
        await side.write(record, {**home, "street": "Lane 9"}, ["street"])
        assert (await read(side, record.key)).content == {**home, "street": "Lane 9"}
        return peers.shop.world.customers[int(record.key)].shipping

    assert peers.run(work)["address_1"] == "Lane 9"


def test_given_a_changed_name_when_written_to_the_shop_then_the_parts_that_stay_are_kept(peers: Peers) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        side, _ = await _sides(shop, odoo)
        given = {"email": EMAIL, "first_name": "Anna Maria", "last_name": "von Bloom"}
        number = peers.shop.world.add_customer(**given).id
        record = await read(side, str(number))
        await side.write(record, {**record.content, "name": "Anna Maria Stone"}, ["name"])
        kept = peers.shop.world.customers[number]
        assert (kept.first_name, kept.last_name) == ("Anna Maria", "Stone")
        assert kept.billing["last_name"] == "Stone"

    peers.run(work)


def test_given_a_contact_of_a_company_when_its_address_is_written_then_the_companys_stays(peers: Peers) -> None:
    world = peers.odoo.world
    company = world.create("res.partner", name="Bloom Ltd", is_company=True, street="Head Office 1")
    contact = world.create("res.partner", name="Anna Bloom", email=EMAIL, parent_id=company)

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        _, side = await _sides(shop, odoo)
        record = await read(side, str(contact))
        assert record.content["company"] == "Bloom Ltd"
        with pytest.raises(PeerError, match="contact of a company") as refused:
            await side.write(record, {**record.content, "street": "Lane 1", "company": "Other"}, ["company", "street"])
        assert refused.value.kind is FailureKind.PERMANENT
        assert (await read(side, str(contact))).content["street"] == "Lane 1"
        withheld = (await read(side, str(company))).withheld
        assert withheld is not None
        assert "company" in withheld

    peers.run(work)
    assert world.read("res.partner", company, "street", "name")["street"] == "Head Office 1"


def test_given_contacts_when_swept_then_users_suppliers_and_addresses_are_no_customers(peers: Peers) -> None:
    world = peers.odoo.world
    supplier = world.create("res.partner", name="Mill", email="mill@mail.example.test", supplier_rank=3)
    world.create("res.partner", name="Depot", email="depot@mail.example.test", type="other")
    archived = world.create("res.partner", name="Old", email="old@mail.example.test", active=False)

    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        _, side = await _sides(shop, odoo)
        records = await everything(side)
        assert records[str(supplier)].withheld == "a supplier"
        assert records[str(archived)].content["active"] is False
        open_for_all = [record.natural_key for record in records.values() if not record.withheld]
        assert open_for_all == ["old@mail.example.test"]

    peers.run(work)


def test_given_a_moved_delivery_address_when_changes_are_read_then_its_contact_is_among_them(peers: Peers) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        _, side = await _sides(shop, odoo)
        record = await made(side, ANNA)
        peers.odoo.world.clock.advance(3600)
        since = datetime.now(UTC) + timedelta(minutes=30)
        none = [one async for page in side.changed(since, Sweep()) for one in page]
        delivery = record.meta["delivery_id"]
        peers.odoo.world.write("res.partner", delivery, street="Quay 7")
        moved = [one async for page in side.changed(since, Sweep()) for one in page]
        assert none == []
        assert [(one.key, one.content["shipping"]["street"]) for one in moved] == [(record.key, "Quay 7")]

    peers.run(work)


def test_given_a_customer_when_retired_then_odoo_archives_it_and_the_shop_refuses(peers: Peers) -> None:
    async def work(shop: WooCommerceClient, odoo: OdooClient) -> None:
        left, right = await _sides(shop, odoo)
        mine, theirs = await made(left, ANNA), await made(right, ANNA)
        await right.retire(theirs)
        assert (await read(right, theirs.key)).content["active"] is False
        await right.write(await read(right, theirs.key), ANNA, ["active"])
        assert (await read(right, theirs.key)).content == ANNA
        with pytest.raises(PeerError, match="deleted for good") as refused:
            await left.retire(mine)
        assert refused.value.kind is FailureKind.PERMANENT

    peers.run(work)
