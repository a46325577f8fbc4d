"""What is seen when: transactions that stay open, races, and failures that leave nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.odoo import OdooError, OdooStandIn, lost_reply
from sync_pipelines_tests.sandbox.odoo.conftest import Ask

BARCODE = "4006381333931"


def test_given_a_slow_write_when_it_commits_then_its_rows_lie_behind_a_cursor_that_moved_on(
    odoo: OdooStandIn, ask: Ask
) -> None:
    slow = odoo.world.begin_slow_write()
    late = slow.create("res.partner", name="Late")
    odoo.world.clock.advance(60)
    early = odoo.world.create("res.partner", name="Early")
    seen = ask("res.partner", "search_read", domain=[["id", ">=", late]], fields=["write_date"], order="write_date,id")
    assert [row["id"] for row in seen] == [early]
    slow.commit()
    cursor = seen[-1]["write_date"]
    assert ask("res.partner", "search", domain=[["id", ">=", late], ["write_date", ">", cursor]]) == []
    assert ask("res.partner", "search", domain=[["write_date", ">=", slow.began], ["name", "=", "Late"]]) == [late]
    assert late < early


def test_given_a_slow_write_to_a_record_when_another_commits_first_then_it_fails(odoo: OdooStandIn) -> None:
    partner = odoo.world.create("res.partner", name="Contended")
    slow = odoo.world.begin_slow_write()
    slow.write("res.partner", partner, city="Utrecht")
    odoo.world.write("res.partner", partner, city="Zeist")
    with pytest.raises(OdooError, match="could not serialize"):
        slow.commit()
    assert odoo.world.read("res.partner", partner, "city")["city"] == "Zeist"


def test_given_a_slow_write_when_rolled_back_then_only_its_ids_are_gone(odoo: OdooStandIn) -> None:
    slow = odoo.world.begin_slow_write()
    taken = slow.create("res.partner", name="Never")
    slow.rollback()
    slow.commit()
    assert odoo.world.find("res.partner", ["name", "=", "Never"]) == []
    assert odoo.world.create("res.partner", name="Next") == taken + 1


def test_given_a_held_call_when_released_then_it_is_seen_and_answered(odoo: OdooStandIn, ask: Ask) -> None:
    held = odoo.world.hold("res.partner.create")
    answers: list[Any] = []
    caller = threading.Thread(
        target=lambda: answers.append(ask("res.partner", "create", vals_list=[{"name": "Held"}])), daemon=True
    )
    caller.start()
    assert held.started.wait(30)
    assert odoo.world.find("res.partner", ["name", "=", "Held"]) == []
    held.release()
    caller.join(30)
    assert odoo.world.find("res.partner", ["name", "=", "Held"]) == answers[0]


def test_given_two_open_transactions_when_both_take_one_barcode_then_both_get_it(odoo: OdooStandIn) -> None:
    first, second = odoo.world.begin_slow_write(), odoo.world.begin_slow_write()
    first.create("product.template", name="One", barcode=BARCODE)
    second.create("product.template", name="Two", barcode=BARCODE)
    first.commit()
    second.commit()
    assert len(odoo.world.find("product.product", ["barcode", "=", BARCODE])) == 2
    with pytest.raises(OdooError, match="already assigned"):
        odoo.world.create("product.template", name="Three", barcode=BARCODE)


def test_given_serialization_failures_when_calling_then_nothing_is_kept_and_the_next_call_works(
    odoo: OdooStandIn, ask: Ask
) -> None:
    odoo.world.serialization_failures(1, "res.partner.create")
    failed = ask("res.partner", "create", vals_list=[{"name": "Twice"}])
    assert failed == (500, "psycopg2.errors.SerializationFailure")
    assert len(ask("res.partner", "create", vals_list=[{"name": "Twice"}])) == 1
    assert len(odoo.world.find("res.partner", ["name", "=", "Twice"])) == 1


def test_given_a_serialization_failure_when_loading_then_it_looks_like_a_bad_row(odoo: OdooStandIn, ask: Ask) -> None:
    odoo.world.serialization_failures(1, r"\.load$")
    told = ask("res.partner", "load", fields=["id", "name"], data=[["woo.customer_1", "Loaded"]])
    assert told["ids"] is False
    assert "could not serialize access" in told["messages"][0]["message"]
    assert odoo.world.find("res.partner", ["name", "=", "Loaded"]) == []
    assert ask("res.partner", "load", fields=["id", "name"], data=[["woo.customer_1", "Loaded"]])["messages"] == []


def test_given_a_lost_reply_when_creating_then_the_record_is_there_and_a_repetition_makes_another(
    odoo: OdooStandIn, ask: Ask, post: Callable[..., httpx.Response]
) -> None:
    lost_reply(odoo.faults)
    with pytest.raises(httpx.RemoteProtocolError):
        post("res.partner", "create", vals_list=[{"name": "Lost"}])
    ask("res.partner", "create", vals_list=[{"name": "Lost"}])
    assert len(odoo.world.find("res.partner", ["name", "=", "Lost"])) == 2


def test_given_a_bad_record_in_a_batch_when_writing_then_none_is_changed(odoo: OdooStandIn, ask: Ask) -> None:
    kept = ask("product.template", "create", vals_list=[{"name": "A", "barcode": "1"}, {"name": "B", "barcode": "2"}])
    clash = ask("product.template", "write", ids=kept, vals={"barcode": "3"})
    assert clash == (422, "odoo.exceptions.ValidationError")
    assert [row["barcode"] for row in odoo.world.rows("product.product")] == ["1", "2"]
