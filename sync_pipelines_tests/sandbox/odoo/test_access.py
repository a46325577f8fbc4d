"""Keys that end, databases that are not there, proxies in between, and the routes for people."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from sync_pipelines.sandbox.odoo import SYNC_KEY, OdooStandIn, broken_page, too_many_requests
from sync_pipelines_tests.sandbox.odoo.conftest import NOON, Ask

RPC = {"jsonrpc": "2.0", "method": "call", "id": 1}


def test_given_a_key_with_an_end_when_it_has_passed_then_both_protocols_refuse_it(
    odoo: OdooStandIn, url: str, ask: Ask
) -> None:
    world = odoo.world
    key = world.add_key(world.users[5], expires_at=NOON + 60)
    call = RPC | {"params": {"service": "object", "method": "execute_kw"}}
    call["params"]["args"] = ["shop", 5, key, "res.partner", "search_count", [[]]]  # type: ignore[index] # an object
    assert isinstance(ask("res.partner", "search_count", key=key, domain=[]), int)
    assert "result" in httpx.post(f"{url}/jsonrpc", json=call).json()
    world.clock.advance(60)
    assert ask("res.partner", "search_count", key=key, domain=[]) == (401, "werkzeug.exceptions.Unauthorized")
    assert httpx.post(f"{url}/jsonrpc", json=call).json()["error"]["data"]["name"] == "odoo.exceptions.AccessDenied"


def test_given_several_databases_when_none_is_named_then_the_answer_is_a_page(
    odoo: OdooStandIn, url: str, ask: Ask
) -> None:
    odoo.world.databases.append("other")
    headers = {"Authorization": f"bearer {SYNC_KEY}"}
    answer = httpx.post(f"{url}/json/2/res.partner/search_count", json={"domain": []}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    named = {**headers, "X-Odoo-Database": "shop"}
    assert httpx.post(f"{url}/json/2/res.partner/search_count", json={"domain": []}, headers=named).is_success


def test_given_a_proxy_in_trouble_when_writing_then_pages_come_and_nothing_is_written(
    odoo: OdooStandIn, post: Callable[..., httpx.Response]
) -> None:
    too_many_requests(odoo.faults)
    broken_page(odoo.faults)
    answers = [post("res.partner", "create", vals_list=[{"name": "Once"}]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 500, 200]
    assert all(answer.text.lstrip().startswith("<") for answer in answers[:2])
    assert "retry-after" not in answers[0].headers
    assert len(odoo.world.find("res.partner", ["name", "=", "Once"])) == 1
    post("res.partner", "search_count", domain=[])
    assert odoo.world.writes == [("res.partner", "create")]


def test_given_the_routes_for_people_when_posted_to_then_the_world_follows(odoo: OdooStandIn, url: str) -> None:
    def act(action: str, **arguments: object) -> object:
        return httpx.post(f"{url}/_sandbox/odoo/{action}", json=arguments).json()["result"]

    assert act("begin_slow_write", name="one") == "2026-11-22 12:00:00"
    late = act("slow_create", name="one", model="res.partner", values={"name": "Late"})
    act("advance_clock", seconds=30)
    made = act("create", model="res.partner", values={"name": "Now"})
    assert odoo.world.find("res.partner", ["name", "in", ["Late", "Now"]]) == [made]
    act("commit", name="one")
    assert odoo.world.find("res.partner", ["name", "in", ["Late", "Now"]]) == [late, made]
    assert httpx.get(f"{url}/_sandbox/odoo").json()["records"]["res.partner"] == 9
    assert not odoo.world.requests
