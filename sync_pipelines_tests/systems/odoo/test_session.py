"""Which protocol is spoken, how often something is sent, and what time it is."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sync_pipelines.core.errors import ConfigurationError, FailureKind, PeerError
from sync_pipelines.systems.odoo.errors import OdooError, Reason
from sync_pipelines.systems.odoo.session import DEADLINE, TIMEOUT, OdooSession
from sync_pipelines_tests.systems.odoo.server import KEY, Refusal, session, talk
from sync_pipelines_tests.systems.scripted_peer import SILENCE, ScriptedPeer, answer, scripted_peer

VERSION_19 = answer(200, {"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"})
NOT_FOUND = answer(404, "<h1>Not Found</h1>")
TOO_MANY = answer(429, "<html><h1>429 Too Many Requests</h1></html>")


def rpc(request_id: int, result: Any) -> bytes:
    return answer(200, {"jsonrpc": "2.0", "id": request_id, "result": result})


def with_peer(
    replies: list[bytes], ask: Callable[[OdooSession], Awaitable[Any]], **options: Any
) -> tuple[Any, ScriptedPeer]:
    async def run() -> tuple[Any, ScriptedPeer]:
        async with scripted_peer(replies) as peer, session(peer.url, **options) as opened:
            try:
                return await ask(opened), peer
            except (PeerError, ConfigurationError) as error:
                return error, peer

    return asyncio.run(run())


async def count(opened: OdooSession) -> Any:
    return await opened.call("res.partner", "search_count", domain=[])


async def rename(opened: OdooSession) -> Any:
    return await opened.call("res.partner", "write", ids=[7], vals={"name": "x"})


def test_version_19_is_spoken_to_by_json2() -> None:
    found, peer = with_peer([VERSION_19, answer(200, 4)], count, protocol="auto")
    assert found == 4
    assert peer.request_lines == ["GET /json/version HTTP/1.1", "POST /json/2/res.partner/search_count HTTP/1.1"]
    assert KEY.encode() not in peer.requests[0]


@pytest.mark.parametrize("series", [[17, 0, 0, "final", 0, ""], ["saas~18", 2, 0, "final", 0, ""]])
def test_an_older_version_is_spoken_to_by_jsonrpc(series: list[Any]) -> None:
    version = rpc(0, {"server_version": "17.0", "server_version_info": series})
    replies = [NOT_FOUND, NOT_FOUND, version, rpc(1, 5), rpc(2, 4)]
    found, peer = with_peer(replies, count, protocol="auto", login="sync@example.test")
    assert found == 4
    body = json.loads(peer.requests[-1].partition(b"\r\n\r\n")[2])
    context = {"context": {"lang": "en_US"}}
    assert body["params"]["args"] == ["shop", 5, KEY, "res.partner", "search_count", [[]], context]
    assert b"Authorization" not in peer.requests[-1]


def test_jsonrpc_without_a_login_is_a_wrong_setting() -> None:
    version = rpc(0, {"server_version": "17.0", "server_version_info": [17, 0, 0, "final", 0, ""]})
    error, _ = with_peer([NOT_FOUND, NOT_FOUND, version], count, protocol="auto")
    assert isinstance(error, ConfigurationError)
    with pytest.raises(ConfigurationError):
        session("http://127.0.0.1:9", protocol="jsonrpc")


def test_a_wrong_password_is_told_at_the_login_and_nothing_else_is_sent() -> None:
    error, peer = with_peer([rpc(1, False)], rename, protocol="jsonrpc", login="sync@example.test")
    assert isinstance(error, OdooError)
    assert (error.kind, error.reason, len(peer.requests)) == (FailureKind.AUTH, Reason.AUTH, 1)


def test_the_login_is_asked_once() -> None:
    async def twice(opened: OdooSession) -> Any:
        return [await count(opened), await count(opened)]

    replies = [rpc(1, 5), rpc(2, 4), rpc(3, 6)]
    found, peer = with_peer(replies, twice, protocol="jsonrpc", login="sync@example.test")
    assert (found, len(peer.requests)) == ([4, 6], 3)


def test_a_write_that_lost_a_race_is_sent_again() -> None:
    lost = answer(500, {"name": "psycopg2.errors.SerializationFailure", "message": "could not serialize access"})
    found, peer = with_peer([lost, lost, answer(200, True)], rename)
    assert (found, len(peer.requests)) == (True, 3)


def test_a_write_that_loses_every_race_is_given_up() -> None:
    lost = answer(500, {"name": "psycopg2.errors.SerializationFailure", "message": "could not serialize access"})
    error, peer = with_peer([lost], rename)
    assert (error.kind, error.reason, len(peer.requests)) == (FailureKind.TRANSIENT, Reason.CONFLICT, 3)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (SILENCE, FailureKind.AMBIGUOUS),
        (answer(500, "<h1>Internal Server Error</h1>"), FailureKind.AMBIGUOUS),
        (answer(502, "<h1>Bad Gateway</h1>"), FailureKind.AMBIGUOUS),
        (TOO_MANY, FailureKind.RATE_LIMITED),
        (answer(500, {"name": "builtins.ValueError", "message": "no"}), FailureKind.PERMANENT),
        (answer(301, b"", {"Location": "http://other.test/"}), FailureKind.PERMANENT),
    ],
)
def test_a_write_is_sent_once_whatever_comes(reply: bytes, kind: FailureKind) -> None:
    error, peer = with_peer([reply], rename)
    assert (error.kind, len(peer.requests)) == (kind, 1)


@pytest.mark.parametrize("reply", [SILENCE, answer(503, "<h1>soon</h1>"), TOO_MANY])
def test_a_read_is_sent_again(reply: bytes) -> None:
    found, peer = with_peer([reply, answer(200, 4)], count)
    assert (found, len(peer.requests)) == (4, 2)


def test_the_time_is_the_servers() -> None:
    async def time(opened: OdooSession) -> Any:
        return await opened.server_time()

    dated = answer(200, {"version_info": [19, 0], "version": "19.0"}, {"Date": "Sun, 22 Nov 2026 03:07:20 GMT"})
    found, _ = with_peer([dated], time)
    assert found == datetime(2026, 11, 22, 3, 7, 20, tzinfo=UTC)
    newest = answer(200, [{"id": 3, "write_date": "2026-11-22 03:00:00"}])
    found, peer = with_peer([VERSION_19, newest], time)
    assert found == datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)
    assert b'"order":"write_date desc"' in peer.requests[1]
    error, _ = with_peer([VERSION_19, answer(200, [])], time)
    assert error.kind is FailureKind.PERMANENT


def test_what_cannot_be_encoded_is_refused_before_it_is_sent() -> None:
    async def price(opened: OdooSession) -> Any:
        return await opened.call("product.template", "write", ids=[1], vals={"list_price": float("nan")})

    error, peer = with_peer([answer(200, True)], price)
    assert (error.kind, error.reason, peer.requests) == (FailureKind.PERMANENT, Reason.VALIDATION, [])


def test_the_problems_of_a_connection_are_told_in_words() -> None:
    def without_stock(operation: str, body: Any) -> Any:
        if operation == "stock.quant.search":
            return Refusal(404, "werkzeug.exceptions.NotFound", "the model 'stock.quant' does not exist")
        return [1] if operation.endswith("search") else {"uid": 5}

    problems, _ = talk(without_stock, lambda client: client.problems())
    assert [problem.partition(":")[0] for problem in problems] == ["stock.quant"]
    assert "is the module installed" in problems[0]
    problems, _ = talk(lambda *_: Refusal(401, "any", "Invalid apikey"), lambda client: client.problems())
    assert len(problems) == 1
    assert "Invalid apikey - check the key" in problems[0]


def test_timeouts_are_longer_than_the_servers_own_tries() -> None:
    assert TIMEOUT.read is not None
    assert TIMEOUT.read >= 60
    assert DEADLINE > 120
