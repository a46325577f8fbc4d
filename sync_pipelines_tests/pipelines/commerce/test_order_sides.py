"""The sides of orders against their stand-ins: what is done there, what is found again, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.core.errors import ConfigurationError, FailureKind, PeerError
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.linked import Linked
from sync_pipelines.pipelines.commerce.orders.mapping import alike, retired_in_odoo
from sync_pipelines.pipelines.commerce.orders.odoo_side import services_of
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.odoo import OdooStandIn, demo_world, lost_reply
from sync_pipelines_tests.pipelines.commerce.order_peers import Demo, Peers, everything, looked_up, totals

SOON = "WC-1-342"
"""An order of the shop that Odoo lacks: processing, of a linked customer, with linked products."""


def during(demo: Demo, act: Callable[[Peers], Awaitable[Any]], **opening: Any) -> Any:
    async def run() -> Any:
        async with demo.open(**opening) as peers:
            return await act(peers)

    return asyncio.run(run())


async def _wanted(peers: Peers, number: int) -> Record:
    record = await peers.woo_orders.read(str(number))
    assert record is not None
    return record


async def _shown(peers: Peers, number: int) -> Record:
    [record] = await peers.odoo_orders.find(f"WC-1-{number}")
    return record


async def _bring(peers: Peers, number: int, *fields: str) -> Record:
    """Write some fields of the shop's order to the one in Odoo and return it as it is then."""
    await peers.odoo_orders.write(await _shown(peers, number), (await _wanted(peers, number)).content, fields)
    return await _shown(peers, number)


def test_given_an_order_of_the_shop_when_it_is_created_then_odoo_shows_the_same_with_its_own_date() -> None:
    demo = Demo()

    async def act(peers: Peers) -> list[str]:
        wanted = await _wanted(peers, 342)
        key = await peers.odoo_orders.create(SOON, wanted.content)
        created = await peers.odoo_orders.read(key)
        assert created is not None
        assert created.content["status"] == "open"
        await peers.odoo_orders.write(created, wanted.content, ["status"])
        shown = await _shown(peers, 342)
        return [name for name in wanted.content if not alike(name, wanted.content[name], shown.content[name])]

    assert during(demo, act) == []
    assert demo.order(342)["state"] == "sale"


@pytest.mark.parametrize("fault", [FaultKind.DROP_AFTER_COMMIT, FaultKind.ERROR_AFTER_COMMIT])
def test_given_a_lost_reply_to_a_create_when_it_is_looked_for_then_there_is_one_order(fault: FaultKind) -> None:
    demo = Demo()

    async def act(peers: Peers) -> tuple[FailureKind, int]:
        wanted = await _wanted(peers, 342)
        demo.erp.faults.add(fault, path="/sale.order/create$", times=1)
        with pytest.raises(PeerError) as lost:
            await peers.odoo_orders.create(SOON, wanted.content)
        return lost.value.kind, len(await peers.odoo_orders.find(SOON))

    assert during(demo, act) == (FailureKind.AMBIGUOUS, 1)
    assert demo.erp.world.writes.count(("sale.order", "create")) == 1


def test_given_orders_in_doubt_when_a_create_is_sent_twice_then_both_are_found_and_none_is_chosen() -> None:
    async def act(peers: Peers) -> int:
        wanted = await _wanted(peers, 342)
        for _ in range(2):
            await peers.odoo_orders.create(SOON, wanted.content)
        return len(await peers.odoo_orders.find(SOON))

    assert during(Demo(), act) == 2


def test_given_a_discount_when_the_order_is_created_then_its_lines_come_to_the_shops_totals() -> None:
    demo = Demo()
    variants = demo.erp.world.find("product.product", ["default_code", "=", "NW-GA-1084"])

    async def act(peers: Peers) -> Any:
        linked = Linked(peers.linked.partners, {**peers.linked.variants, "NW-GA-1084": variants[0]})
        known = Peers(peers.woo, peers.odoo, linked, peers.settings)
        wanted = await _wanted(known, 303)
        assert wanted.withheld is None
        await known.odoo_orders.create("WC-1-303", wanted.content)

    during(demo, act)
    assert totals(demo.order(303)["lines"]) == [0.0, 9.45, 19.8]
    assert {line["discount"] for line in demo.order(303)["lines"]} == {0.0, 10.0}


def test_given_a_guest_whom_odoo_lacks_then_a_partner_is_made_once_and_found_by_mail_afterwards() -> None:
    demo = Demo()
    billing = {
        "first_name": "Zoe",
        "last_name": "Guest",
        "city": "Berlin",
        "state": "DE-BE",
        "country": "DE",
        "email": "z@x.example.test",
    }
    line = [{"sku": "NW-KI-1176", "quantity": 2}]

    async def act(peers: Peers) -> list[str]:
        made = []
        for _ in range(2):
            values = {"status": "pending", "billing": billing, "line_items": line}
            order = await peers.woo.orders.create(values)
            wanted = await _wanted(peers, order.id)
            made.append(await peers.odoo_orders.create(wanted.natural_key, wanted.content))
            shown = await _shown(peers, order.id)
            assert alike("customer", wanted.content["customer"], shown.content["customer"])
        return made

    first, second = during(demo, act)
    [partner] = demo.erp.world.find("res.partner", ["email_normalized", "=", "z@x.example.test"])
    assert demo.read(int(first))["partner_id"] == demo.read(int(second))["partner_id"] == [partner, "Zoe Guest"]
    told = demo.erp.world.read("res.partner", partner, "country_id", "state_id", "ref")
    assert (told["country_id"][1], told["state_id"][1]) == ("Germany", "Berlin (DE)")
    assert told["ref"] == "WC-1-G-z@x.example.test"


def test_given_a_lost_reply_to_a_guests_partner_when_it_is_tried_again_then_there_is_one() -> None:
    demo = Demo()
    billing = {"first_name": "Zoe", "last_name": "Guest", "email": "z@x.example.test"}

    async def act(peers: Peers) -> FailureKind:
        order = await peers.woo.orders.create(
            {"billing": billing, "line_items": [{"sku": "NW-KI-1176", "quantity": 1}]}
        )
        wanted = await _wanted(peers, order.id)
        lost_reply(demo.erp.faults, path="/res.partner/load$")
        with pytest.raises(PeerError) as lost:
            await peers.odoo_orders.create(wanted.natural_key, wanted.content)
        await peers.odoo_orders.create(wanted.natural_key, wanted.content)
        return lost.value.kind

    # Nothing of the order was sent, so nothing of it is in doubt.
    assert during(demo, act) is FailureKind.TRANSIENT
    assert len(demo.erp.world.find("res.partner", ["email_normalized", "=", "z@x.example.test"])) == 1


def test_given_two_partners_with_a_guests_address_then_nobody_is_chosen() -> None:
    demo = Demo()
    for name in ("One", "Two"):
        demo.erp.world.create("res.partner", name=name, email="z@x.example.test")

    async def act(peers: Peers) -> PeerError:
        order = await peers.woo.orders.create(
            {"billing": {"email": "z@x.example.test"}, "line_items": [{"sku": "NW-KI-1176", "quantity": 1}]}
        )
        wanted = await _wanted(peers, order.id)
        with pytest.raises(PeerError, match="all have the address z@x") as refused:
            await peers.odoo_orders.create(wanted.natural_key, wanted.content)
        return refused.value

    assert during(demo, act).kind is FailureKind.PERMANENT


def test_given_a_customer_whose_link_is_gone_when_the_order_is_created_then_it_is_tried_later() -> None:
    async def act(peers: Peers) -> FailureKind:
        wanted = await _wanted(peers, 342)
        stranger = Peers(peers.woo, peers.odoo, Linked(variants=peers.linked.variants), peers.settings)
        with pytest.raises(PeerError, match="not linked") as refused:
            await stranger.odoo_orders.create(SOON, wanted.content)
        return refused.value.kind

    assert during(Demo(), act) is FailureKind.TRANSIENT


@pytest.mark.parametrize("number", [341, 393])
def test_given_a_draft_of_a_paid_order_when_its_status_is_written_then_it_is_confirmed_and_keeps_its_date(
    number: int,
) -> None:
    demo = Demo()
    before = demo.order(number)["date_order"]
    shown = during(demo, lambda peers: _bring(peers, number, "status"))
    assert shown.content["status"] == "confirmed"
    assert demo.order(number)["date_order"] == before


def test_given_a_cancelled_order_when_its_status_is_written_then_it_is_cancelled() -> None:
    assert retired_in_odoo(during(Demo(), lambda peers: _bring(peers, 281, "status")).content)


def test_given_a_failed_payment_that_was_tried_again_then_the_cancelled_order_is_confirmed() -> None:
    demo = Demo()

    async def act(peers: Peers) -> Record:
        await peers.woo.orders.update(345, {"status": "processing"})
        return await _bring(peers, 345, "status", "lines")

    assert during(demo, act).content["status"] == "confirmed"
    assert demo.order(345)["date_order"] == "2026-10-01 07:52:00"


def test_given_a_delivered_order_when_it_is_to_be_cancelled_then_it_is_refused_with_the_reason() -> None:
    demo = Demo()
    for line in demo.order(281)["order_line"]:
        demo.erp.world.write("sale.order.line", line, qty_delivered=1.0)

    async def act(peers: Peers) -> Any:
        with pytest.raises(PeerError, match="it is delivered in Odoo") as refused:
            await _bring(peers, 281, "status")
        return refused.value.kind

    assert during(demo, act) is FailureKind.PERMANENT
    assert demo.order(281)["state"] == "sale"


@pytest.mark.parametrize(
    ("number", "what"), [(289, "re-priced"), (332, "re-priced"), (351, "quantity"), (385, "no shipping line")]
)
def test_given_lines_of_a_confirmed_order_that_differ_when_they_are_written_then_they_cost_the_same_again(
    number: int, what: str
) -> None:
    demo = Demo()

    async def act(peers: Peers) -> bool:
        shown = await _bring(peers, number, "lines")
        wanted = await _wanted(peers, number)
        return all(alike(name, wanted.content[name], shown.content[name]) for name in ("lines", "total"))

    assert during(demo, act), what
    [order] = asyncio.run(_of_the_shop(demo, number))
    assert Decimal(str(demo.order(number)["amount_total"])) == order


async def _of_the_shop(demo: Demo, number: int) -> list[Decimal]:
    async with demo.open() as peers:
        record = await _wanted(peers, number)
        return [record.content["total"]["amount"]]


def test_given_a_line_on_the_stand_in_whose_product_is_there_now_then_it_moves_to_it() -> None:
    demo = Demo()
    world = demo.erp.world
    variant = world.create("product.product", name="Oak coaster set", default_code="NW-TA-1099", is_storable=True)
    shown = during(demo, lambda peers: _bring(peers, 282, "lines"))
    assert [one["product"] for one in shown.content["lines"]] == ["NW-TA-1099", "NW-TA-1112", ""]
    lines = {line["product_id"][0]: line["product_uom_qty"] for line in demo.order(282)["lines"]}
    # A confirmed order lets no line be removed.
    assert (lines[variant], lines[250]) == (2.0, 0.0)
    assert demo.order(282)["amount_total"] == 60.7


def test_given_a_draft_when_its_customer_reference_and_date_are_written_then_they_are_the_shops() -> None:
    demo = Demo()
    order = demo.order(279)["id"]
    demo.erp.world.write("sale.order", order, partner_id=8, date_order="2026-01-01 00:00:00", client_order_ref="PO 17")

    async def act(peers: Peers) -> bool:
        wanted = await _wanted(peers, 279)
        current = await peers.odoo_orders.read(str(order))
        assert current is not None
        assert current.natural_key == ""
        await peers.odoo_orders.write(current, wanted.content, ["reference", "customer", "date"])
        shown = await _shown(peers, 279)
        return all(alike(name, wanted.content[name], shown.content[name]) for name in ("customer", "date"))

    assert during(demo, act)


def test_given_a_refund_and_an_invoice_when_it_is_written_then_one_draft_of_a_credit_note_is_there() -> None:
    demo = Demo()
    settings = OrderSettings("1", credit_notes="draft")

    async def act(peers: Peers) -> bool:
        await _bring(peers, 291, "refunds")
        shown = await _bring(peers, 291, "refunds")
        wanted = await _wanted(peers, 291)
        return alike("refunds", wanted.content["refunds"], shown.content["refunds"])

    assert during(demo, act, settings=settings)
    [note] = demo.erp.world.find("account.move", ["move_type", "=", "out_refund"])
    told = demo.erp.world.read("account.move", note, "ref", "state", "amount_total", "invoice_origin")
    assert (told["ref"], told["state"], told["amount_total"]) == ("WC-1-291-R399", "draft", 5.0)


def test_given_a_product_for_shipping_that_is_missing_then_the_settings_are_to_be_mended() -> None:
    async def act(peers: Peers) -> None:
        with pytest.raises(ConfigurationError, match="no product of the code 'POST'"):
            await services_of(peers.odoo, OrderSettings("1", shipping="POST"))

    during(Demo(), act)


def test_given_single_orders_when_they_are_looked_at_then_both_sides_show_them_and_only_them() -> None:
    async def act(peers: Peers) -> list[list[str]]:
        keys = ("WC-1-279", "WC-1-90001", "WC-1-311", "WC-9-1")
        sides = (peers.woo_orders, peers.odoo_orders)
        return [[record.natural_key for record in await looked_up(side, *keys)] for side in sides]

    left, right = during(Demo(), act)
    assert sorted(left) == ["WC-1-279", "WC-1-311"]
    assert sorted(right) == ["WC-1-279", "WC-1-311", "WC-1-311", "WC-1-90001"]


def test_given_an_order_that_was_changed_when_a_window_is_read_then_it_is_named() -> None:
    demo = Demo()

    async def act(peers: Peers) -> tuple[list[str], list[str]]:
        since = datetime.now(UTC) - timedelta(minutes=1)
        await peers.woo.orders.update(279, {"status": "on-hold"})
        demo.erp.world.write("sale.order", demo.order(280)["id"], note="seen")
        odoo_since = await peers.odoo.server_time()
        touched = await peers.odoo_orders.touched(odoo_since, overlap=timedelta(minutes=1))
        return await peers.woo_orders.touched(since), touched

    assert during(demo, act) == (["WC-1-279"], ["WC-1-280"])


def test_given_an_order_in_the_trash_then_it_is_gone_for_us() -> None:
    async def act(peers: Peers) -> tuple[Record | None, int]:
        await peers.woo.orders.trash(279)
        return await peers.woo_orders.read("279"), len(await everything(peers.woo_orders))

    assert during(Demo(), act) == (None, 119)


def test_given_the_shop_then_no_order_is_made_or_taken_away_there_and_only_a_status_is_written() -> None:
    async def act(peers: Peers) -> str:
        side, wanted = peers.woo_orders, await _wanted(peers, 279)
        with pytest.raises(PeerError, match="never made in the shop"):
            await side.create("WC-1-90001", {})
        with pytest.raises(PeerError, match="not taken away"):
            await side.retire(wanted)
        await side.write(wanted, {**wanted.content, "status": "cancelled"}, ["status", "lines"])
        return str((await _wanted(peers, 279)).meta["status"])

    assert during(Demo(), act) == "cancelled"


def test_given_an_invoice_of_an_order_then_its_payment_is_compared_and_before_it_is_not() -> None:
    demo = Demo()
    origin = demo.erp.world.read("sale.order", demo.order(289)["id"], "name", "partner_id")
    line = [0, 0, {"name": "All", "quantity": 1.0, "price_unit": 199.45, "tax_ids": [[6, 0, []]]}]
    invoice = demo.erp.world.create(
        "account.move",
        move_type="out_invoice",
        partner_id=origin["partner_id"][0],
        invoice_origin=origin["name"],
        invoice_line_ids=[line],
    )

    async def read(peers: Peers) -> tuple[Any, Any]:
        # Credit notes and invoices are of one model, and no two entities may share what is asked of it.
        await peers.odoo_orders.find("WC-1-289")
        [left], [right] = await peers.woo_payments.find("WC-1-289"), await peers.odoo_payments.find("WC-1-289")
        return left.content, right.content

    content, before = during(demo, read)
    assert (content["paid"], content["paid_at"], content["method"]) == (True, "2026-08-06T11:32:00Z", "cheque")
    assert before == {}
    demo.erp.world.call("account.move", "action_post", invoice)
    assert during(demo, read)[1] == {"paid": False}
    demo.erp.world.write("account.move", invoice, payment_state="paid")
    assert during(demo, read)[1] == {"paid": True}


def test_given_payments_when_all_are_read_then_there_is_one_for_each_order_and_none_is_written() -> None:
    async def act(peers: Peers) -> tuple[int, int]:
        left, right = await everything(peers.woo_payments), await everything(peers.odoo_payments)
        with pytest.raises(PeerError, match="booked by accounting"):
            await peers.odoo_payments.write(right[0], left[0].content, ["paid"])
        return len(left), len(right)

    assert during(Demo(), act) == (120, 114)


def test_given_nothing_that_is_there_when_it_is_looked_for_then_every_side_answers_with_nothing() -> None:
    async def act(peers: Peers) -> list[object]:
        return [
            (await target.find("WC-1-99999"), await target.read("99999"), await looked_up(target, "WC-1-99999"))
            for target in peers.targets
        ]

    assert during(Demo(), act) == [([], None, [])] * 6


def test_given_a_user_who_may_not_see_accounting_when_orders_are_read_then_refunds_are_left_out_with_a_note() -> None:
    demo = Demo(erp=OdooStandIn(demo_world()))
    for user in demo.erp.world.users.values():
        user.groups.discard("invoicing")

    async def act(peers: Peers) -> tuple[Record, list[str], list[str]]:
        orders, payments = Sweep(), Sweep()
        async for _ in peers.odoo_orders.sweep(orders):
            pass
        async for _ in peers.odoo_payments.sweep(payments):
            pass
        return await _shown(peers, 291), orders.notes, payments.notes

    shown, orders, payments = during(demo, act)
    assert "refunds" not in shown.content
    assert orders == ["credit notes cannot be read with this key; refunds are not compared"]
    assert payments == ["invoices cannot be read with this key; payments are not compared"]
