"""Statuses: what a peer says instead of yes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from sync_pipelines.core.errors import FailureKind
from sync_pipelines_tests.conformance.subject import Opening, Side
from sync_pipelines_tests.faults.bench import Bench
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.fault import QUICK, Arm, Family, Fault, Request, both, on, right

_READ_REFUSALS = frozenset({FailureKind.PERMANENT, FailureKind.GONE, FailureKind.AUTH})
_BREAKER = 5
"""Failures in a row after which nobody asks any more."""


def refusal(status: int, **more: Any) -> dict[str, Any]:
    """Return the options of a status with a JSON body, as APIs send it: each reads one of its members."""
    told = f"refused with {status}"
    body = json.dumps({"detail": told, "errors": [told], "name": "", "code": "refused", "message": told})
    return {"status": status, "content_type": "application/json", "body": body, **more}


def _row(id_: str, meaning: str, arm: Arm, expected: Mapping[Side, Expected], note: str = "") -> Fault:
    return Fault(id_, Family.STATUS, meaning, arm, expected, note)


def _refused_listing(status: int) -> Fault:
    expected = both(Expected(Outcome.STOPS, _READ_REFUSALS, rf"\(HTTP {status}\)", requests=5))
    return _row(f"{status}-on-listing", f"{status} to a listing", on("listing", "status", **refusal(status)), expected)


def _refused_write(status: int, request: Request) -> Fault:
    arm = on(request, "status", **refusal(status, times=1))
    expected = right(Expected(Outcome.FAILS, told=rf"\(HTTP {status}\).*refused with {status}", failed=1, letters=1))
    return _row(f"{status}-on-{request}", f"{status} to a {request}", arm, expected)


@contextmanager
def _one_record(bench: Bench, side: Side) -> Iterator[Opening]:
    """Refuse every write to the record that is to change its state, and to no other."""
    peer = bench.subject.peers[side]
    key = bench.right_key(bench.world.moved)
    where = peer.changing(key)
    armed = peer.faults.add("status", method="POST|PUT|PATCH|DELETE", **where, **refusal(403))
    yield QUICK
    assert armed.fired
    assert set(bench.errors()) == {bench.world.moved}, "another record was blamed"


def _in_the_middle(request: Request, status: int) -> Arm:
    """Refuse the second of such requests and all after it."""
    return on(request, "status", **refusal(status, skip=1))


def _retry_later(value: str | None) -> dict[str, str]:
    return {} if value is None else {"Retry-After": value}


def _limited(
    name: str, request: Request, value: str | None, expected: Mapping[Side, Expected], times: int = 1
) -> Fault:
    meaning = f"429 to a {request}, Retry-After {name}"
    arm = on(request, "status", **refusal(429, headers=_retry_later(value), times=times))
    return _row(f"429-{name}-on-{request}", meaning, arm, expected)


@contextmanager
def _until_a_date(bench: Bench, side: Side) -> Iterator[Opening]:
    """Ask to wait until a moment by the peer's own clock, which is a year ahead of ours."""
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)
    headers = {"Date": format_datetime(now, usegmt=True), "Retry-After": format_datetime(now, usegmt=True)}
    headers["Retry-After"] = format_datetime(now + timedelta(seconds=1), usegmt=True)
    with on("listing", "status", **refusal(429, headers=headers, times=1))(bench, side) as opening:
        yield opening


def _held_back(told: str, seconds: tuple[float, float], **more: Any) -> Expected:
    return Expected(Outcome.FAILS, told=told, failed=1, retry_in=seconds, **more)


def _storm(id_: str, meaning: str, request: Request, status: int, expected: Mapping[Side, Expected]) -> Fault:
    opening = replace(QUICK, policies={"in_flight": 4})
    return _row(id_, meaning, on(request, "status", opening, status=status), expected)


def _stormy(status: int) -> Expected:
    return Expected(
        Outcome.STOPS, frozenset({FailureKind.TRANSIENT}), rf"\(HTTP {status}\)", requests=3, again=_BREAKER - 3
    )


_PAUSES: tuple[tuple[Request, str, str | None, tuple[float, float]], ...] = (
    ("create", "1-second", "1", (0, 35)),
    ("change", "absent", None, (0, 35)),
    ("change", "0", "0", (0, 35)),
)

STATUSES = (
    *(_refused_listing(status) for status in (400, 401, 403, 404)),
    *(_refused_write(status, "create") for status in (400, 403, 409, 422)),
    *(_refused_write(status, "change") for status in (405, 409, 412, 422)),
    _row(
        "401-in-the-middle",
        "the credentials are refused from the second change on, and accepted again later",
        _in_the_middle("changes", 401),
        right(Expected(Outcome.BREAKS_OFF, frozenset({FailureKind.AUTH}), "check the token", requests=30)),
    ),
    _row(
        "403-for-one-record",
        "403 to every write of one record",
        _one_record,
        right(Expected(Outcome.FAILS, told=r"\(HTTP 403\).*refused with 403", failed=1, letters=1)),
    ),
    _row(
        "404-on-change",
        "404 to the change of a record that is there all the same",
        on("change", "status", **refusal(404, times=1)),
        right(Expected(Outcome.FAILS, told=r"\(HTTP 404\)", failed=1)),
    ),
    *(
        _limited(name, "listing", value, both(Expected(Outcome.UNHARMED, seconds=30)))
        for name, value in (("1-second", "1"), ("absent", None), ("0", "0"))
    ),
    _row(
        "429-date-on-listing",
        "429 to a listing, Retry-After a date; the peer's clock is a year ahead",
        _until_a_date,
        both(Expected(Outcome.UNHARMED, seconds=30)),
    ),
    _limited(
        "3600",
        "listing",
        "3600",
        both(Expected(Outcome.STOPS, frozenset({FailureKind.RATE_LIMITED}), "too many requests", again=0, seconds=30)),
    ),
    *(
        _limited(name, request, value, right(_held_back("too many requests", seconds)))
        for request, name, value, seconds in _PAUSES
    ),
    _limited(
        "3600",
        "change",
        "3600",
        right(
            Expected(
                Outcome.BREAKS_OFF,
                frozenset({FailureKind.RATE_LIMITED}),
                "no request may be sent for 3[56].. s",
                again=0,
            )
        ),
    ),
    _row(
        "500-rolled-back-on-listing",
        "500 to every listing",
        on("listing", "status", status=500),
        both(Expected(Outcome.STOPS, frozenset({FailureKind.TRANSIENT}), r"\(HTTP 500\)", requests=8)),
    ),
    *(
        _row(
            f"500-rolled-back-on-{request}",
            f"500 to a {request}, and nothing was done",
            on(request, "status", status=500, times=1),
            right(Expected(Outcome.FAILS, told=r"\(HTTP 500\)", failed=1)),
        )
        for request in ("create", "change")
    ),
    *(
        _row(
            f"500-after-{request}",
            f"500 to a {request}, and everything was done",
            on(request, "error_after_commit", times=1),
            right(Expected(Outcome.UNHARMED)),
        )
        for request in ("create", "change")
    ),
    _storm("502-storm", "502 to everything", "anything", 502, both(_stormy(502))),
    _storm("503-storm", "503 to everything", "anything", 503, both(_stormy(503))),
    _storm(
        "503-storm-of-changes",
        "503 to every change",
        "changes",
        503,
        right(Expected(Outcome.FAILS, told=r"\(HTTP 503\)", failed=4)),
    ),
)
