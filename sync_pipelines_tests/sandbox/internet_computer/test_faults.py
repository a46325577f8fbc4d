"""Faults of a replica: rejects of every code, replies cut short, and what happens between two queries."""

from __future__ import annotations

import httpx
import pytest

from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn
from sync_pipelines.sandbox.internet_computer.candid_decoding import decode
from sync_pipelines.sandbox.internet_computer.candid_encoding import encode
from sync_pipelines.sandbox.internet_computer.faults import (
    RejectCode,
    rate_limited,
    reject,
    reply_too_large,
    wrong_content_type,
)
from sync_pipelines.sandbox.internet_computer.ledger_types import DATA_FETCH_ARGUMENTS, DATA_FETCH_RESULT
from sync_pipelines_tests.sandbox.internet_computer.asking import answer, content, post


def _fetch(standin: InternetComputerStandIn, client: httpx.Client, cursor: str = "position=0") -> httpx.Response:
    arg = encode(DATA_FETCH_ARGUMENTS, [cursor, None])
    canister = standin.world.canister_id
    return post(client, f"v2/canister/{canister}/query", content(canister, "data_fetch", arg))


@pytest.mark.parametrize("code", list(RejectCode))
def test_a_reject_of_any_code_takes_the_place_of_so_many_replies(
    standin: InternetComputerStandIn, client: httpx.Client, code: RejectCode
) -> None:
    armed = reject(standin.replica, code, method="data_fetch", skip=1, times=1)
    statuses = [answer(_fetch(standin, client)) for _ in range(3)]
    assert [one["status"] for one in statuses] == ["replied", "rejected", "replied"]
    assert statuses[1]["reject_code"] == code
    assert armed.fired == 1


def test_a_reply_that_is_too_large_is_rejected_although_nothing_is_large(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    reply_too_large(standin.replica, standin.world.canister_id, times=1)
    assert answer(_fetch(standin, client))["error_code"] == "IC0504"


def test_a_short_reply_has_fewer_bytes_than_its_cursor_tells(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    standin.canister.short_by = 7
    (found,) = decode(answer(_fetch(standin, client))["reply"]["arg"], [DATA_FETCH_RESULT])
    cursor, data = found["Ok"]
    assert "response_bytes=500&" in cursor
    assert len(data) == 493


def test_a_canister_can_be_reinstalled_between_two_chunks(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    before = standin.world.chain.tip()
    standin.replica.after("data_fetch", lambda: standin.world.reinstall(1), skip=1)
    _fetch(standin, client)
    assert standin.world.chain.tip() == before
    _fetch(standin, client)
    (found,) = decode(answer(_fetch(standin, client, f"position={before.end}"))["reply"]["arg"], [DATA_FETCH_RESULT])
    assert found == {"Err": "Provided position start is after the end of the ledger"}


def test_what_proxies_and_boundary_nodes_do_comes_over_http(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    wrong_content_type(standin.faults, times=1)
    told = _fetch(standin, client)
    assert (told.status_code, told.headers["content-type"]) == (200, "text/plain")
    rate_limited(standin.faults, retry_after="3", times=1)
    limited = _fetch(standin, client)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
    assert _fetch(standin, client).headers["content-type"] == "application/cbor"
