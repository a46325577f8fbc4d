"""Orders as records: what is read from either side, what counts as equal, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.pipelines.commerce.linked import Linked
from sync_pipelines.pipelines.commerce.orders.fields import ORDERS
from sync_pipelines.pipelines.commerce.orders.lines import CENT, Kind, Services, draft_of, line
from sync_pipelines.pipelines.commerce.orders.mapping import (
    alike,
    blocked_in_odoo,
    blocked_in_shop,
    destructive_in_odoo,
    not_creatable_in_odoo,
    order_of_woo,
    woo_values,
)
from sync_pipelines.pipelines.commerce.orders.order_writing import NotLinkedYet, Writing, line_changes
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.pipelines.commerce.orders.status import Step, steps_between, why_not
from sync_pipelines.pipelines.commerce.payments.fields import PAYMENTS
from sync_pipelines.systems.woocommerce import Address, CouponLine, FeeLine, Order, RefundSummary, ShippingLine
from sync_pipelines_tests.pipelines.commerce.order_peers import item, order

LINKED = Linked(partners={3: 30}, variants={"MUG": 100, "JAR": 101})
PLAIN = OrderSettings("1", taxes={"": (1,)}, pricelists={"USD": 4})
SERVICES = Services(shipping=900, fee=901, other=902)
WRITING = Writing(PLAIN, LINKED, SERVICES)


def content_of(one: Order, settings: OrderSettings = PLAIN, linked: Linked = LINKED) -> dict[str, Any]:
    record = order_of_woo(one, linked, settings)
    assert record is not None
    return dict(record.content)


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("pending", "open"),
        ("on-hold", "open"),
        ("processing", "confirmed"),
        ("completed", "confirmed"),
        ("cancelled", "cancelled"),
        ("failed", "cancelled"),
        ("refunded", "cancelled"),
    ],
)
def test_given_a_status_of_the_shop_then_it_is_one_of_three(told: str, meant: str) -> None:
    assert content_of(order(status=told))["status"] == meant


@pytest.mark.parametrize("status", ["auto-draft", "checkout-draft", "trash"])
def test_given_what_is_no_order_then_there_is_no_record(status: str) -> None:
    assert order_of_woo(order(status=status), LINKED, PLAIN) is None


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [
        ("open", "confirmed", (Step.CONFIRM,)),
        ("open", "cancelled", (Step.CANCEL,)),
        ("confirmed", "cancelled", (Step.CANCEL,)),
        ("cancelled", "open", (Step.DRAFT,)),
        ("cancelled", "confirmed", (Step.DRAFT, Step.CONFIRM)),
        ("open", "open", ()),
    ],
)
def test_given_two_statuses_then_the_way_between_them_is_known(
    before: str, after: str, steps: tuple[Step, ...]
) -> None:
    assert steps_between(before, after) == steps
    assert why_not(before, after, []) is None


@pytest.mark.parametrize(
    ("before", "after", "progress", "why"),
    [
        ("confirmed", "open", [], "does not go back to a quotation"),
        ("confirmed", "cancelled", ["delivered"], "it is delivered in Odoo"),
        ("confirmed", "cancelled", ["locked", "invoiced"], "it is invoiced and locked in Odoo"),
    ],
)
def test_given_no_way_between_two_statuses_then_the_reason_is_told(
    before: str, after: str, progress: list[str], why: str
) -> None:
    assert why in (why_not(before, after, progress) or "")
    with pytest.raises(ValueError, match="Odoo"):
        steps_between(before, after, progress)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (order(status="shipped"), "status 'shipped' is unknown"),
        (order(customer_id=0, billing=Address()), "no e-mail address"),
        (order(created=None), "no date"),
        (order(currency="CHF"), "no price list of Odoo for CHF"),
        (order(item(tax_class="reduced-rate", total_tax=Decimal("0.70"))), "tax class reduced-rate"),
    ],
)
def test_given_an_order_without_a_form_in_odoo_then_it_is_invalid_and_says_why(one: Order, why: str) -> None:
    record = order_of_woo(one, LINKED, PLAIN)
    assert record is not None
    assert why in (record.invalid or "")
    assert record.withheld is None


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (order(customer_id=4), "waits for its customer 4"),
        (order(item("VASE"), item("JAR")), "waits for its products VASE"),
    ],
)
def test_given_an_order_of_what_is_not_linked_yet_then_it_waits(one: Order, why: str) -> None:
    record = order_of_woo(one, LINKED, PLAIN)
    assert record is not None
    assert record.invalid is None
    assert why in (record.withheld or "")


def test_given_items_without_a_product_then_they_stand_in_by_name_or_the_order_is_invalid() -> None:
    deleted = order(item("", name="Ash &amp; oak lamp"))
    [stands] = content_of(deleted)["lines"]
    assert (stands["kind"], stands["product"], stands["name"]) == ("other", "", "Ash & oak lamp")
    assert "no product here" in WRITING.line(stands).name
    refused = order_of_woo(deleted, LINKED, OrderSettings("1", stand_in=""))
    assert refused is not None
    assert "'Ash & oak lamp' has no product" in (refused.invalid or "")


def test_given_the_stand_in_for_what_is_not_linked_then_nothing_waits_and_the_code_is_told() -> None:
    record = order_of_woo(order(item("VASE", name="Vase")), LINKED, OrderSettings("1", unlinked="stand_in"))
    assert record is not None
    assert record.withheld is None
    assert [(one["kind"], one["name"]) for one in record.content["lines"]] == [("other", "Vase (VASE)")]


def test_given_a_guest_then_the_billing_says_who_it_is() -> None:
    billing = Address(first_name="Zoë", last_name="O&#039;Neil", email=" Zoe@X.Example.Test ", country="DE")
    customer = content_of(order(customer_id=0, billing=billing))["customer"]
    assert (customer["id"], customer["email"]) == (None, "zoe@x.example.test")
    assert customer["billing"]["last_name"] == "O'Neil"


def test_given_shipping_fees_and_a_coupon_then_the_discount_is_in_the_items_and_the_rest_are_lines() -> None:
    one = order(
        item(subtotal="62.00", quantity=2, total="55.79"),
        shipping_lines=(ShippingLine(id=2, method_title="Parcel", total=Decimal("4.95")),),
        fee_lines=(
            FeeLine(id=3, name="Gift wrap", total=Decimal("2.50")),
            FeeLine(id=4, name="Loyal", total=Decimal(-3)),
        ),
        coupon_lines=(CouponLine(id=5, code="welcome10", discount=Decimal("6.21")),),
    )
    lines = content_of(one)["lines"]
    shown = [(line["kind"], line["quantity"], line["price"], line["total"]) for line in lines]
    assert shown == [
        ("fee", 1, Decimal("-3.00"), Decimal("-3.00")),
        ("fee", 1, Decimal("2.50"), Decimal("2.50")),
        ("product", 2, Decimal("31.00"), Decimal("55.79")),
        ("shipping", 1, Decimal("4.95"), Decimal("4.95")),
    ]
    assert [WRITING.line(line).product_id for line in lines] == [901, 901, 100, 900]


@pytest.mark.parametrize(
    ("quantity", "subtotal", "total", "price", "discount"),
    [
        (2, "62.00", "55.79", "31.00", "10.02"),
        (1, "10.00", "10.00", "10.00", "0"),
        (1, "10.00", "0.00", "10.00", "100.00"),
        (1, "0.00", "0.00", "0.00", "0"),
        (3, "10.00", "10.00", "3.333333", "0"),
        (1000, "33.33", "33.33", "0.03333", "0"),
        (1, "10000.00", "6666.67", "6666.67", "0"),
        (1, "10.00", "12.00", "12.00", "0"),
        (2, "0.00", "5.00", "2.50", "0"),
    ],
)
def test_given_amounts_of_an_item_then_price_and_discount_come_to_its_total(
    quantity: int, subtotal: str, total: str, price: str, discount: str
) -> None:
    [one] = content_of(order(item(quantity=quantity, subtotal=subtotal, total=total)))["lines"]
    draft = draft_of(one, 100, PLAIN)
    assert (draft.price_unit, draft.discount) == (Decimal(price), Decimal(discount))
    assert abs(draft.quantity * draft.price_unit * (1 - draft.discount / 100) - Decimal(total)) <= CENT


def test_given_a_line_with_tax_then_its_tax_is_sent_and_without_tax_none() -> None:
    taxed = content_of(order(item(total_tax=Decimal("1.90"))))["lines"][0]
    assert WRITING.line(taxed).tax_ids == (1,)
    assert WRITING.line(content_of(order())["lines"][0]).tax_ids == ()


def _mug(total: str, *, quantity: int = 1, kind: Kind = Kind.PRODUCT, product: str = "MUG") -> dict[str, Any]:
    return line(kind, product=product, quantity=Decimal(quantity), price=Decimal(total), total=Decimal(total))


@pytest.mark.parametrize(
    ("name", "wanted", "found", "equal"),
    [
        ("lines", [_mug("10.00")], [_mug("10.01")], True),
        ("lines", [_mug("10.00")], [_mug("10.02")], False),
        ("lines", [_mug("10.00")], [_mug("10.00", product="mug ")], True),
        ("lines", [_mug("10.00")], [_mug("10.00", quantity=2)], False),
        ("lines", [_mug("10.00")], [_mug("10.00", product="JAR")], False),
        ("lines", [_mug("10.00")], [_mug("10.00", kind=Kind.OTHER, product="")], False),
        ("lines", [_mug("10.00")], [_mug("10.00"), _mug("0.00", kind=Kind.SHIPPING, product="")], False),
        ("lines", [_mug("1.00"), _mug("2.00")], [_mug("2.00"), _mug("1.00")], True),
        ("total", {"amount": "10.00", "lines": 3}, {"amount": Decimal("10.03"), "lines": 3}, True),
        ("total", {"amount": "10.00", "lines": 3}, {"amount": Decimal("10.04"), "lines": 3}, False),
        ("customer", {"id": 3, "email": "a@x"}, {"id": 3, "email": "old@x"}, True),
        ("customer", {"id": 3, "email": "a@x"}, {"id": None, "email": "a@x"}, False),
        ("customer", {"id": None, "email": "a@x", "billing": {}}, {"id": 3, "email": "a@x"}, True),
        ("customer", {"id": None, "email": "a@x", "billing": {}}, {"id": None, "email": "b@x"}, False),
        ("refunds", [{"id": 1, "amount": "5.00"}], [{"id": 1, "amount": Decimal(5), "reason": "?"}], True),
        ("refunds", [{"id": 1, "amount": "5.00"}], [], False),
        ("refunds", [], None, True),
        ("refunds", [{"id": 1, "amount": "5.00"}], None, False),
        ("date", "2026-08-01T12:00:00Z", None, False),
        ("status", "open", "open", True),
        ("date", "2026-08-01T12:00:00Z", "2026-08-01T12:00:01Z", False),
    ],
)
def test_given_two_values_of_a_field_then_they_are_alike_or_not(
    name: str, wanted: object, found: object, equal: bool
) -> None:
    assert alike(name, wanted, found) is equal


def _blocked(settings: OrderSettings = PLAIN, before: dict[str, Any] | None = None, **after: Any) -> dict[str, str]:
    shown = {"reference": "WC-1-7", "status": "open", "progress": [], "refunds": []} | (before or {})
    return blocked_in_odoo(shown, shown | after, sorted(after), settings)


DRAFTS = OrderSettings("1", credit_notes="draft")


@pytest.mark.parametrize(
    ("reasons", "held"),
    [
        (_blocked(status="confirmed", lines=[], customer={}, date=""), {}),
        (_blocked(total={}), {"total": "only compared"}),
        (_blocked(before={"status": "confirmed"}, status="open"), {"status": "go back to a quotation"}),
        (_blocked(before={"status": "confirmed"}, customer={}), {"customer": "delivery is made out"}),
        (_blocked(before={"status": "confirmed"}, lines=[], date=""), {}),
        (_blocked(before={"progress": ["delivered"]}, lines=[]), {"lines": "delivered in Odoo"}),
        (_blocked(before={"status": "cancelled"}, lines=[]), {"lines": "a cancelled order is not edited"}),
        (_blocked(before={"status": "cancelled"}, lines=[], status="confirmed"), {}),
        (_blocked(currency="USD"), {}),
        (_blocked(currency="EUR"), {"currency": "no price list is named for EUR"}),
        (_blocked(refunds=[1]), {"refunds": "reference WC-1-7-R<refund id>"}),
        (_blocked(DRAFTS, refunds=[1]), {"refunds": "nothing is invoiced"}),
        (_blocked(DRAFTS, {"progress": ["invoiced"]}, refunds=[1]), {}),
    ],
)
def test_given_what_odoo_does_not_take_then_the_field_waits_with_a_reason(
    reasons: dict[str, str], held: dict[str, str]
) -> None:
    assert reasons.keys() == held.keys()
    assert all(text in reasons[name] for name, text in held.items())


def test_given_credit_notes_that_cannot_be_read_then_refunds_wait_for_somebody_who_may() -> None:
    before = {"reference": "WC-1-7", "status": "open", "progress": []}
    assert "may not read credit notes" in blocked_in_odoo(before, {"refunds": [1]}, ["refunds"], PLAIN)["refunds"]


def test_given_an_order_of_the_shop_then_only_its_status_is_ever_written_there() -> None:
    assert woo_values({"status": "cancelled"}) == {"status": "cancelled"}
    assert blocked_in_shop({}, {"status": "confirmed", "lines": []}, ["lines", "status"]).keys() == {"lines"}
    assert blocked_in_shop({}, {"status": "open"}, ["status"]).keys() == {"status"}
    with pytest.raises(ValueError, match="open is not written"):
        woo_values({"status": "open"})
    assert ORDERS.writable_at("woocommerce") == {"status"}


def test_given_an_order_that_was_cancelled_before_odoo_knew_it_then_it_is_not_made_there() -> None:
    assert not_creatable_in_odoo(content_of(order(status="failed"))) is not None
    assert not_creatable_in_odoo(content_of(order(status="on-hold"))) is None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("confirmed", "cancelled", True),
        ("open", "cancelled", False),
        ("cancelled", "cancelled", False),
        ("confirmed", "confirmed", False),
    ],
)
def test_given_an_update_then_it_is_destructive_when_it_calls_off_a_delivery(
    before: str, after: str, expected: bool
) -> None:
    assert destructive_in_odoo({"status": before}, {"status": after}) is expected
    assert not destructive_in_odoo(None, {"status": after})


def test_given_refunds_then_their_amounts_are_positive_and_in_order() -> None:
    refunds = (RefundSummary(9, "", Decimal(-1)), RefundSummary(8, "Broken", Decimal("-5.00")))
    shown = content_of(order(refunds=refunds))["refunds"]
    assert [(one["id"], one["amount"], one["reason"]) for one in shown] == [(8, 5, "Broken"), (9, 1, "")]


def _found(number: int, variant: int, one: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "variant": variant, **one}


def test_given_lines_that_differ_then_only_those_are_sent() -> None:
    found = [_found(1, 100, _mug("10.00")), _found(2, 101, _mug("4.00", product="JAR")), _found(3, 900, _mug("3"))]
    wanted = [_mug("10.01"), _mug("8.00", quantity=2, product="JAR"), _mug("2.00", kind=Kind.FEE, product="")]
    changes = line_changes(found, wanted, WRITING, confirmed=False)
    assert [draft.product_id for draft in changes.add] == [901]
    assert {number: draft.quantity for number, draft in (changes.change or {}).items()} == {2: 2}
    assert changes.remove == (3,)


def test_given_a_confirmed_order_then_a_line_that_goes_keeps_its_price_at_the_quantity_0() -> None:
    changes = line_changes([_found(1, 100, _mug("10.00"))], [], WRITING, confirmed=True)
    assert changes.remove == ()
    [(number, draft)] = (changes.change or {}).items()
    assert (number, draft.quantity, draft.price_unit) == (1, Decimal(0), Decimal("10.00"))


def test_given_equal_lines_then_there_is_nothing_to_send() -> None:
    assert line_changes([_found(1, 100, _mug("10.00"))], [_mug("10.00")], WRITING, confirmed=True).none


def test_given_a_line_of_an_unknown_product_then_nothing_is_guessed() -> None:
    with pytest.raises(NotLinkedYet, match="'VASE' has no product in Odoo"):
        WRITING.line(_mug("1.00", product="VASE"))


@pytest.mark.parametrize(
    ("reference", "number"),
    [("WC-1-279", 279), (" WC-1-279 ", 279), ("WC-2-279", None), ("WC-1-0", None), ("PO 279", None), ("", None)],
)
def test_given_a_reference_then_only_those_of_this_store_name_orders(reference: str, number: int | None) -> None:
    assert PLAIN.order_id_of(reference) == number


def test_given_the_reference_of_a_credit_note_then_order_and_refund_are_told() -> None:
    assert PLAIN.refund_of(PLAIN.refund_reference("WC-1-291", 399)) == ("WC-1-291", 399)
    assert PLAIN.refund_of("WC-2-291-R399") is None


def test_given_payments_then_neither_side_is_written() -> None:
    assert PAYMENTS.writable_at("odoo") == PAYMENTS.writable_at("woocommerce") == frozenset()
