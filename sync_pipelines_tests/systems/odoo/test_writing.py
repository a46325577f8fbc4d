"""One bad record stops no other, and nothing whose outcome is unknown is sent again."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.odoo.batches import Status
from sync_pipelines.systems.odoo.errors import OdooError, Reason
from sync_pipelines.systems.odoo.loading import LoadRecord
from sync_pipelines.systems.odoo.orders import LineDraft, OrderDraft
from sync_pipelines.systems.odoo.stock import StockCount
from sync_pipelines_tests.systems.odoo.server import Body, Refusal, talk
from sync_pipelines_tests.systems.scripted_peer import SILENCE, answer

DONE, REFUSED, UNKNOWN, UNSENT = Status.DONE, Status.REFUSED, Status.UNKNOWN, Status.UNSENT
INVALID = Refusal(422, "odoo.exceptions.ValidationError", "Contacts require a name")
FORBIDDEN = Refusal(403, "odoo.exceptions.AccessError", "not yours")
TOO_LARGE = answer(413, "<h1>Request Entity Too Large</h1>")
MONDAY = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


class Shop:
    """Creates and changes records as one transaction each, and refuses those of a given name."""

    def __init__(self, refusal: Any, *names: str, at_most: int = 1000) -> None:
        self.refusal = refusal
        self.names = names
        self.at_most = at_most
        self.stored: list[str] = []

    def __call__(self, operation: str, body: Body) -> Any:
        names = [record["name"] for record in body["vals_list"]]
        if len(names) > self.at_most or any(name in self.names for name in names):
            return self.refusal
        self.stored += names
        return list(range(len(self.stored) - len(names) + 1, len(self.stored) + 1))


def create(shop: Callable[[str, Body], Any], names: str, batch_size: int = 100) -> tuple[list[Any], list[Body]]:
    records = [{"name": name} for name in names]
    outcomes, server = talk(shop, lambda client: client.create("res.partner", records, batch_size=batch_size))
    return outcomes, server.bodies("res.partner.create")


def statuses(outcomes: list[Any]) -> list[Status]:
    return [outcome.status for outcome in outcomes]


@pytest.mark.parametrize("bad", ["a", "d", "h", "ah", "cdf", "abcdefgh"])
def test_the_bad_records_of_a_batch_are_refused_and_the_others_are_created_once(bad: str) -> None:
    shop = Shop(INVALID, *bad)
    outcomes, _ = create(shop, "abcdefgh")
    assert statuses(outcomes) == [REFUSED if name in bad else DONE for name in "abcdefgh"]
    assert shop.stored == [name for name in "abcdefgh" if name not in bad]
    assert [outcome.id for outcome in outcomes if outcome.done] == list(range(1, len(shop.stored) + 1))
    assert all(outcome.error.reason is Reason.VALIDATION for outcome in outcomes if not outcome.done)


def test_a_batch_that_is_too_large_for_a_proxy_is_halved() -> None:
    shop = Shop(TOO_LARGE, at_most=2)
    outcomes, asked = create(shop, "abcde")
    assert (statuses(outcomes), shop.stored) == ([DONE] * 5, list("abcde"))
    assert len(asked) == 5


@pytest.mark.parametrize(
    ("failure", "first", "kind"),
    [
        (SILENCE, UNKNOWN, FailureKind.AMBIGUOUS),
        (answer(500, "<h1>500</h1>"), UNKNOWN, FailureKind.AMBIGUOUS),
        (answer(200, [1]), UNKNOWN, FailureKind.AMBIGUOUS),
        (answer(200, [1, 1]), UNKNOWN, FailureKind.AMBIGUOUS),
        (answer(429, "<h1>429</h1>"), UNSENT, FailureKind.RATE_LIMITED),
        (Refusal(401, "any", "Invalid apikey"), UNSENT, FailureKind.AUTH),
        (Refusal(404, "werkzeug.exceptions.NotFound", "no model"), UNSENT, FailureKind.PERMANENT),
        (Refusal(500, "psycopg2.errors.SerializationFailure"), UNSENT, FailureKind.TRANSIENT),
    ],
)
def test_any_other_failure_ends_the_whole_without_halving(failure: Any, first: Status, kind: FailureKind) -> None:
    shop = Shop(failure, "c")
    outcomes, asked = create(shop, "abcdef", batch_size=2)
    assert statuses(outcomes) == [DONE, DONE, first, first, UNSENT, UNSENT]
    assert {outcome.error.kind for outcome in outcomes if not outcome.done} == {kind}
    assert shop.stored == ["a", "b"]
    assert len(asked) == (4 if kind is FailureKind.TRANSIENT else 2)


def test_a_record_that_the_user_has_no_right_to_stops_no_other() -> None:
    shop = Shop(FORBIDDEN, "a")
    outcomes, _ = create(shop, "abcd")
    assert statuses(outcomes) == [REFUSED, DONE, DONE, DONE]
    assert outcomes[0].error.kind is FailureKind.AUTH


def test_a_user_without_the_right_to_any_record_is_found_out_soon() -> None:
    names = "abcdefghijklmnop"
    outcomes, asked = create(Shop(FORBIDDEN, *names), names)
    assert statuses(outcomes) == [REFUSED, REFUSED, *[UNSENT] * 14]
    assert len(asked) < len(names)


def test_equal_changes_go_in_one_call_and_a_gone_record_is_told() -> None:
    def answering(operation: str, body: Body) -> Any:
        if 3 in body["ids"]:
            return Refusal(404, "odoo.exceptions.MissingError", "(Record: res.partner(3,), User: 5)")
        return True

    changes = [(1, {"city": "A"}), (2, {"city": "B"}), (3, {"city": "A"}), (4, {"city": "A"})]
    outcomes, server = talk(answering, lambda client: client.write("res.partner", changes))
    assert statuses(outcomes) == [DONE, DONE, REFUSED, DONE]
    assert outcomes[2].error is not None
    assert outcomes[2].error.kind is FailureKind.GONE
    assert [body["ids"] for body in server.bodies("res.partner.write")] == [[1, 3, 4], [1], [3, 4], [3], [4], [2]]


def test_after_an_unknown_outcome_no_further_change_is_sent() -> None:
    changes = [(1, {"city": "A"}), (2, {"city": "B"})]
    outcomes, server = talk(lambda *_: SILENCE, lambda client: client.write("res.partner", changes))
    assert (statuses(outcomes), len(server.asked)) == ([UNKNOWN, UNSENT], 1)


@pytest.mark.parametrize("changes", [[(1, {})], [(1, {"a": 1}), (1, {"a": 2})]])
def test_changes_that_cannot_be_meant_are_refused(changes: list[Any]) -> None:
    with pytest.raises(ValueError, match="changes"):
        talk(lambda *_: True, lambda client: client.write("res.partner", changes))


def test_what_is_gone_already_counts_as_removed() -> None:
    gone = Refusal(404, "odoo.exceptions.MissingError", "(Record: res.partner(3,), User: 5)")
    outcomes, _ = talk(
        lambda _, body: gone if 3 in body["ids"] else True, lambda client: client.unlink("res.partner", [2, 3])
    )
    assert statuses(outcomes) == [DONE, DONE]


def test_archiving_writes_active() -> None:
    _, server = talk(lambda *_: True, lambda client: client.archive("res.partner", [2, 3]))
    assert (server.asked[0][1]["ids"], server.asked[0][1]["vals"]) == ([2, 3], {"active": False})
    _, server = talk(lambda *_: True, lambda client: client.unarchive("res.partner", [2]))
    assert server.asked[0][1]["vals"] == {"active": True}


def load_answer(ids: Any, *refused: tuple[int, str]) -> Any:
    messages = [{"type": "error", "record": place, "field": "country_id", "message": text} for place, text in refused]
    return {"ids": ids, "messages": messages, "nextrow": 0}


def records(*names: str) -> list[LoadRecord]:
    return [LoadRecord(f"woo.customer_{name}", {"name": name, "active": True, "email": None}) for name in names]


def test_rows_that_load_refuses_are_left_out_of_the_next_try() -> None:
    def answering(operation: str, body: Body) -> Any:
        names = [row[3] for row in body["data"]]
        if "bad" in names:
            return load_answer(False, (names.index("bad"), "No matching record found for name 'Atlantis'"))
        return load_answer([len(name) + 10 for name in names])

    outcomes, server = talk(answering, lambda client: client.load("res.partner", records("a", "bad", "ccc")))
    assert [(outcome.status, outcome.id) for outcome in outcomes] == [(DONE, 11), (REFUSED, None), (DONE, 13)]
    assert outcomes[1].error is not None
    assert outcomes[1].error.key == "woo.customer_bad"
    assert [len(body["data"]) for body in server.bodies("res.partner.load")] == [3, 2]
    first = server.bodies("res.partner.load")[0]
    assert (first["fields"], first["data"][0]) == (["id", "active", "email", "name"], ["woo.customer_a", "1", "", "a"])


def test_a_load_that_lost_a_race_is_sent_again() -> None:
    answers = iter([load_answer(False, (0, "could not serialize access due to concurrent update")), load_answer([5])])
    outcomes, _ = talk(lambda *_: next(answers), lambda client: client.load("res.partner", records("a")))
    assert [(outcome.status, outcome.id) for outcome in outcomes] == [(DONE, 5)]


def test_a_load_that_loses_every_race_is_left_for_later() -> None:
    lost = load_answer(False, (0, "could not serialize access due to concurrent update"))
    outcomes, server = talk(lambda *_: lost, lambda client: client.load("res.partner", records("a", "b")))
    assert (statuses(outcomes), len(server.asked)) == ([UNSENT, UNSENT], 3)
    assert outcomes[0].error is not None
    assert outcomes[0].error.kind is FailureKind.TRANSIENT


def test_records_with_other_columns_go_in_a_call_of_their_own() -> None:
    mixed = [LoadRecord("woo.a", {"name": "A"}), LoadRecord("woo.b", {"city": "B"}), LoadRecord("woo.c", {"name": "C"})]
    outcomes, server = talk(
        lambda _, body: load_answer(list(range(1, len(body["data"]) + 1))),
        lambda client: client.load("res.partner", mixed),
    )
    assert [outcome.id for outcome in outcomes] == [1, 1, 2]
    assert [body["fields"] for body in server.bodies("res.partner.load")] == [["id", "name"], ["id", "city"]]


def test_lines_continue_the_record_before_them() -> None:
    lines = ({"order_line/price_unit": Decimal("9.90")}, {"order_line/price_unit": Decimal(1)})
    order = LoadRecord("woo.order_31", {"client_order_ref": "WC-1-31"}, lines)
    _, server = talk(lambda *_: load_answer([1]), lambda client: client.load("sale.order", [order]))
    assert server.asked[0][1]["data"] == [["woo.order_31", "WC-1-31", "9.90"], ["", "", "1"]]


@pytest.mark.parametrize(
    "bad",
    [
        [LoadRecord("customer_17")],
        [LoadRecord("woo.cust.16")],
        [LoadRecord("")],
        [LoadRecord("woo.a"), LoadRecord("woo.a")],
        [LoadRecord("woo.a", {"id": "x"})],
        [LoadRecord("woo.a", {}, ({"order_line/name": "x"}, {"order_line/price_unit": 1}))],
        [LoadRecord("woo.a", {"list_price": Decimal("NaN")})],
    ],
)
def test_what_load_would_take_for_something_else_is_not_sent(bad: list[LoadRecord]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        talk(lambda *_: load_answer([1]), lambda client: client.load("res.partner", bad))


COUNTS = [StockCount(1, 5, Decimal(12)), StockCount(2, 5, Decimal("0.5"))]


def test_stock_is_counted_in_inventory_mode_and_applied() -> None:
    outcomes, server = talk(
        lambda operation, _: [7, 8] if operation.endswith("create") else None, lambda client: client.set_stock(COUNTS)
    )
    assert [(outcome.status, outcome.id) for outcome in outcomes] == [(DONE, 7), (DONE, 8)]
    (_, created), (applied, body) = server.asked
    assert created["context"]["inventory_mode"] is True
    assert created["vals_list"][1] == {"product_id": 2, "location_id": 5, "inventory_quantity": 0.5}
    assert (applied, body["ids"]) == ("stock.quant.action_apply_inventory", [7, 8])


def test_a_count_that_odoo_asks_a_person_about_is_refused() -> None:
    dialogue = {"type": "ir.actions.act_window", "name": "Conflict in Inventory Adjustment", "res_model": "x"}
    outcomes, _ = talk(
        lambda operation, _: [7] if operation.endswith("create") else dialogue,
        lambda client: client.set_stock(COUNTS[:1]),
    )
    assert statuses(outcomes) == [REFUSED]
    assert "Conflict in Inventory Adjustment" in str(outcomes[0].error)


@pytest.mark.parametrize("counts", [[COUNTS[0], COUNTS[0]], [StockCount(1, 5, Decimal("Infinity"))]])
def test_counts_that_cannot_be_meant_are_refused(counts: list[StockCount]) -> None:
    with pytest.raises(ValueError, match=r"twice|finite"):
        talk(lambda *_: [1], lambda client: client.set_stock(counts))


LINE = LineDraft(Decimal(2), Decimal("9.90"), product_id=4)


@pytest.mark.parametrize("tax_field", ["tax_ids", "tax_id"])
def test_a_line_is_always_sent_with_its_price_and_taxes(tax_field: str) -> None:
    def answering(operation: str, body: Body) -> Any:
        if operation.endswith("fields_get"):
            return {tax_field: {"type": "many2many"}}
        return [31] if operation.endswith("create") else True

    draft = OrderDraft(8, "WC-1-31", MONDAY, (LINE,), shipping_partner_id=9)
    outcomes, server = talk(answering, lambda client: client.create_orders([draft]))
    assert [outcome.id for outcome in outcomes] == [31]
    values = {"product_uom_qty": 2.0, "price_unit": 9.9, "discount": 0.0, tax_field: [[6, 0, []]], "product_id": 4}
    [order] = server.bodies("sale.order.create")[0]["vals_list"]
    assert order == {
        "partner_id": 8,
        "client_order_ref": "WC-1-31",
        "date_order": "2026-11-02 10:00:00",
        "order_line": [[0, 0, values]],
        "partner_shipping_id": 9,
    }
    _, server = talk(answering, lambda client: client.change_lines(31, change={7: LINE}, add=[LINE], remove=[6]))
    [body] = server.bodies("sale.order.write")
    assert body["vals"] == {"order_line": [[1, 7, values], [0, 0, values], [2, 6, 0]]}


def test_a_line_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="product or a name"):
        LineDraft(Decimal(1), Decimal(1)).values("tax_ids")


def test_confirmed_orders_keep_their_date_and_a_bad_one_stops_no_other() -> None:
    def answering(operation: str, body: Body) -> Any:
        if operation.endswith("action_confirm") and 2 in body["ids"]:
            return Refusal(422, "odoo.exceptions.UserError", "Some order lines are missing a product")
        return True

    dates = {1: MONDAY, 2: MONDAY, 3: MONDAY}
    outcomes, server = talk(answering, lambda client: client.confirm(dates))
    assert {order: outcome.status for order, outcome in outcomes.items()} == {1: DONE, 2: REFUSED, 3: DONE}
    [dated] = server.bodies("sale.order.write")
    assert (dated["ids"], dated["vals"]) == ([1, 3], {"date_order": "2026-11-02 10:00:00"})


def test_an_order_that_was_confirmed_but_not_dated_is_unknown() -> None:
    limited = answer(429, "<h1>429</h1>")
    outcomes, _ = talk(
        lambda operation, _: True if operation.endswith("confirm") else limited,
        lambda client: client.confirm({1: MONDAY}),
    )
    assert outcomes[1].status is UNKNOWN
    assert outcomes[1].error is not None
    assert outcomes[1].error.operation == "sale.order.write"


def test_a_cancellation_that_odoo_asks_about_is_not_taken_for_done() -> None:
    dialogue = {"name": "Cancel Sales Order", "res_model": "sale.order.cancel"}
    outcomes, server = talk(lambda *_: dialogue, lambda client: client.cancel([1]))
    assert (statuses(outcomes), server.asked[0][1]["context"]["disable_cancel_warning"]) == ([REFUSED], True)


def test_countries_are_looked_up_by_their_codes() -> None:
    rows = [{"id": 57, "code": "DE", "name": "Germany"}]
    countries, _ = talk(lambda *_: rows, lambda client: client.countries())
    assert [(country.id, country.code) for country in countries] == [(57, "DE")]
    with pytest.raises(OdooError):
        talk(lambda *_: [{"id": 57, "code": 5}], lambda client: client.countries())
