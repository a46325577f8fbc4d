"""Whatever the network, a gateway or the replica does: a message that helps, the position unmoved, and on it goes."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.ledger.importing import Ending
from sync_pipelines.pipelines.ledger.verify import verify_ledger
from sync_pipelines.sandbox.internet_computer import MAINNET_CANISTER, InternetComputerStandIn
from sync_pipelines.sandbox.internet_computer.faults import (
    QUERY,
    RejectCode,
    rate_limited,
    reject,
    reply_too_large,
    wrong_content_type,
)
from sync_pipelines.systems.internet_computer.errors import PEER
from sync_pipelines_tests.faults import closed_doors
from sync_pipelines_tests.pipelines.ledger.replicas import Replica, half_stored, served_ledger

PERMANENT, TRANSIENT, GONE = FailureKind.PERMANENT, FailureKind.TRANSIENT, FailureKind.GONE
PATIENCE = 0.4
"""Seconds; the stand-in on a busy machine answers within a tenth of it."""
MOST_REQUESTS = 6


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[InternetComputerStandIn, str]]:
    with served_ledger() as served:
        yield served


@pytest.fixture
def replica(engine: Engine, served: tuple[InternetComputerStandIn, str]) -> Iterator[Replica]:
    with half_stored(engine, *served) as replica:
        yield replica


Arm = Callable[[InternetComputerStandIn], object]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with every query.

    Attributes:
        told: regular expression for what the error must say: the cause, and what to do.
    """

    arm: Arm
    kind: FailureKind
    told: str
    changes: dict[str, Any] = field(default_factory=dict)


def _http(fault: str, **options: Any) -> Arm:
    return lambda stand_in: stand_in.faults.add(fault, path=QUERY, **options)


def _text(status: int, body: str) -> Arm:
    return _http("status", status=status, body=body, content_type="text/plain; charset=utf-8")


def _rejects(code: RejectCode, message: str | None = None, error_code: str | None = None) -> Arm:
    return lambda stand_in: reject(stand_in.replica, code, message, error_code)


def _skewed(seconds: float) -> Arm:
    return lambda stand_in: setattr(stand_in.replica, "skew_seconds", seconds)


TRAP = "Canister called `ic0.trap` with message: 'Panicked at x.rs:1'"
FAULTS = {
    "reject-1": Fault(_rejects(RejectCode.SYS_FATAL, "fatal", ""), PERMANENT, "code 1.*the replica cannot do this"),
    "reject-2": Fault(_rejects(RejectCode.SYS_TRANSIENT), TRANSIENT, "code 2, IC0512.*overloaded.*may work later"),
    "reject-3": Fault(_rejects(RejectCode.DESTINATION_INVALID), GONE, "IC0301.*check the canister's identifier"),
    "reject-4": Fault(_rejects(RejectCode.CANISTER_REJECT), PERMANENT, "code 4, IC0406.*the canister itself refused"),
    "reject-5": Fault(_rejects(RejectCode.CANISTER_ERROR), TRANSIENT, "IC0508.*its controllers have to start it"),
    "reject-6": Fault(_rejects(RejectCode.SYS_UNKNOWN), TRANSIENT, "code 6.*a read may be sent again"),
    "trap": Fault(_rejects(RejectCode.CANISTER_ERROR, TRAP, "IC0503"), PERMANENT, "IC0503.*ic0.trap.*trapped on these"),
    "out-of-cycles": Fault(_rejects(RejectCode.SYS_TRANSIENT, "", "IC0207"), TRANSIENT, "IC0207.*top it up"),
    "no-method": Fault(_rejects(RejectCode.CANISTER_ERROR, "", "IC0536"), PERMANENT, "IC0536.*does not offer"),
    "too-large": Fault(
        lambda stand_in: reply_too_large(stand_in.replica, MAINNET_CANISTER), PERMANENT, "IC0504.*ask for less"
    ),
    "rate-limit": Fault(
        lambda stand_in: rate_limited(stand_in.faults, retry_after="90"), FailureKind.RATE_LIMITED, r"HTTP 429.*limit"
    ),
    "rate-limit-without-a-time": Fault(
        lambda stand_in: rate_limited(stand_in.faults), FailureKind.RATE_LIMITED, r"HTTP 429.*limit"
    ),
    "500": Fault(_text(500, "oh no"), TRANSIENT, r"HTTP 500.*oh no"),
    "502-html": Fault(_http("status", status=502, body="<html>Bad Gateway</html>"), TRANSIENT, r"HTTP 502"),
    "503-no-nodes": Fault(_text(503, "error: no_healthy_nodes"), TRANSIENT, r"HTTP 503.*no_healthy_nodes"),
    "400-malformed": Fault(_text(400, "error: malformed_request"), PERMANENT, r"HTTP 400.*malformed_request"),
    "403": Fault(_text(403, "denied by the operator"), PERMANENT, r"HTTP 403.*denied"),
    "404-elsewhere": Fault(_text(404, "Not Found"), PERMANENT, "HTTP 404.*address of an Internet Computer gateway"),
    "login-page": Fault(_http("login_page"), TRANSIENT, "does a proxy answer|login"),
    "wrong-content-type": Fault(
        lambda stand_in: wrong_content_type(stand_in.faults), TRANSIENT, "text/plain.*does a proxy answer"
    ),
    "our-clock-slow": Fault(_skewed(600), PERMANENT, r"HTTP 400.*expir.*our clock says.*(NTP|held the request back)"),
    "our-clock-fast": Fault(_skewed(-600), PERMANENT, r"HTTP 400.*expir.*our clock says.*(NTP|held the request back)"),
    "expired-on-the-way": Fault(
        _text(400, "Invalid request expiry: Specified ingress_expiry not within expected range"),
        PERMANENT,
        "not within expected range.*they agree, so that the replica behind it is late or a proxy held the request back",
    ),
    "wrong-canister": Fault(
        _text(400, "error: canister_not_found\ndetails: The specified canister does not exist."),
        GONE,
        "check the canister's identifier and the network's address",
    ),
    "truncated-body": Fault(_http("truncated_body"), TRANSIENT, "no CBOR"),
    "reset-in-body": Fault(_http("reset_mid_body"), TRANSIENT, "broke"),
    "dropped": Fault(_http("drop"), TRANSIENT, "broke|closed"),
    "wrong-length": Fault(_http("wrong_length"), TRANSIENT, "broke"),
    "broken-gzip": Fault(_http("broken_gzip"), TRANSIENT, "damaged"),
    "silence": Fault(_http("hang", seconds=3.0), TRANSIENT, "in time", {"timeout_seconds": PATIENCE}),
    "redirect": Fault(_http("redirect", location="http://192.0.2.1/"), PERMANENT, "redirect"),
}


@pytest.mark.parametrize(
    ("name", "strikes"),
    [
        *((name, "on-the-way") for name in FAULTS),
        *((name, "at-once") for name in ("reject-2", "503-no-nodes", "login-page")),
    ],
)
def test_given_a_fault_it_is_told_nothing_moves_and_the_next_run_goes_on(
    replica: Replica, name: str, strikes: str
) -> None:
    fault, stand_in = FAULTS[name], replica.stand_in
    before = replica.stored()
    if strikes == "at-once":
        fault.arm(stand_in)
    else:
        stand_in.replica.after("metadata", lambda: fault.arm(stand_in))
    asked = len(stand_in.replica.requests)

    with pytest.raises(PeerError) as failed:
        replica.imported(**fault.changes)

    told = str(failed.value)
    assert failed.value.kind is fault.kind
    assert told.startswith(
        f"{PEER} [query {'metadata' if strikes == 'at-once' else 'data_fetch'} of {MAINNET_CANISTER}]"
    )
    assert re.search(fault.told, told, re.DOTALL), told
    assert len(told) < 700
    assert not re.search(r"Traceback|<[a-z/]|\n| at 0x", told), told
    assert replica.stored() == before
    assert replica.notes() == []
    assert len(stand_in.replica.requests) - asked <= MOST_REQUESTS

    replica.heal()
    assert replica.imported().ending is Ending.CAUGHT_UP
    assert verify_ledger(replica.engine, "main").sound
    assert replica.stored()[0][1] == 5


DOORS: dict[str, tuple[Callable[[str], AbstractContextManager[str]], str]] = {
    "refused": (closed_doors.refusing, "no connection .*is it running"),
    "unknown-host": (closed_doors.unknown_host, "host name is not known"),
    "no-tls": (closed_doors.without_tls, "does this port speak https"),
    "deaf": (closed_doors.deaf, "no connection .*nobody answers"),
}


@pytest.mark.parametrize("name", DOORS)
def test_given_a_replica_out_of_reach_it_is_told_and_nothing_moves(replica: Replica, name: str) -> None:
    door, told = DOORS[name]
    before = replica.stored()

    with door(replica.url) as url, pytest.raises(PeerError, match=told):
        replica.imported(url=url, timeout_seconds=0.3)

    assert replica.stored() == before


@pytest.mark.parametrize(
    "arm",
    [
        lambda stand_in: rate_limited(stand_in.faults, retry_after="1", times=1),
        lambda stand_in: stand_in.faults.add("status", path=QUERY, status=503, times=2),
        lambda stand_in: reject(stand_in.replica, RejectCode.SYS_TRANSIENT, times=2, skip=1),
        lambda stand_in: stand_in.faults.add("truncated_body", path=QUERY, times=1),
        lambda stand_in: stand_in.faults.add("reset_mid_body", path=QUERY, times=1),
    ],
    ids=["rate-limit", "503", "reject-2", "truncated", "reset"],
)
def test_given_a_fault_that_passes_the_same_run_goes_on(replica: Replica, arm: Arm) -> None:
    arm(replica.stand_in)

    outcome = replica.imported(max_retries=3)

    assert (outcome.ending, outcome.position.blocks) == (Ending.CAUGHT_UP, 5)


def test_given_retry_after_nothing_is_asked_before(replica: Replica) -> None:
    rate_limited(replica.stand_in.faults, retry_after="1", times=1)
    began = time.monotonic()

    replica.imported(max_retries=1)

    assert time.monotonic() - began >= 1.0


def test_given_fewer_bytes_than_announced_nothing_of_the_chunk_is_stored(replica: Replica) -> None:
    replica.stand_in.canister.short_by = 7
    before = replica.stored()

    with pytest.raises(PeerError, match=r"1993 bytes came where the cursor tells of 2000; has the interface changed"):
        replica.imported()

    assert replica.stored() == before


def test_given_another_kind_of_canister_it_is_asked_whether_it_is_the_one_that_is_meant(replica: Replica) -> None:
    replica.stand_in.canister.missing.add("metadata")
    try:
        with pytest.raises(PeerError, match="does not offer that method; is it the one that is meant"):
            replica.imported()
    finally:
        replica.stand_in.canister.missing.clear()


def test_given_another_canister_in_the_connection_the_answer_says_so(replica: Replica) -> None:
    before = replica.stored()

    with pytest.raises(PeerError, match="check the canister's identifier and the network's address"):
        replica.imported(canister_id="2vxsx-fae")

    assert replica.stored() == before


def test_given_a_chunk_of_a_node_that_lags_nothing_is_taken_back(replica: Replica) -> None:
    replica.stand_in.replica.after("metadata", lambda: replica.stand_in.world.lag(3))
    before = replica.stored()

    behind = replica.imported()

    assert behind.ending is Ending.LAGGING
    assert "before position" in behind.reason
    assert replica.stored() == before

    replica.stand_in.world.catch_up()
    assert replica.imported().position.blocks == 5
    replica.stand_in.world.lag(4)
    assert (replica.imported().ending, replica.stored()[0][1]) == (Ending.LAGGING, 5)


ODD = "\x1b[31mred\x1b[0m\r\nINFO all is well\x07\x00\u202e\x9b2J"


@pytest.mark.parametrize(
    "arm",
    [
        _rejects(RejectCode.CANISTER_REJECT, ODD),
        _rejects(RejectCode.CANISTER_ERROR, ODD, "IC0503"),
        _text(400, ODD),
        _text(500, ODD),
    ],
    ids=["reject", "trap", "400", "500"],
)
def test_given_odd_texts_in_answers_no_control_character_gets_into_messages_or_logs(
    replica: Replica, arm: Arm, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    arm(replica.stand_in)

    with pytest.raises(PeerError) as failed:
        replica.imported(max_retries=1)

    told = [str(failed.value), *(record.getMessage() for record in caplog.records), *replica.notes()]
    assert "all is well" in told[0]
    assert [one for one in told if not one.isprintable()] == []
