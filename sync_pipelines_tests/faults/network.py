"""Faults of the network and of what stands between us and a peer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.sandbox.server import serve
from sync_pipelines_tests.conformance.subject import Opening, Side
from sync_pipelines_tests.faults import closed_doors
from sync_pipelines_tests.faults.bench import Bench
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.fault import ONE_BY_ONE, QUICK, Arm, Family, Fault, at, both, on, right
from sync_pipelines_tests.faults.fault import Request as Asked

_TRANSIENT = frozenset({FailureKind.TRANSIENT})
_PATIENCE = 0.4
"""Seconds; a stand-in on a busy machine answers within a tenth of it."""
_SILENT = replace(QUICK, timeout_seconds=_PATIENCE)
_SILENT_WRITES = replace(ONE_BY_ONE, timeout_seconds=_PATIENCE)

LOOKED_UP = Expected(Outcome.UNHARMED)
"""The write was done and its answer lost: the target is looked at, and shows it."""


def _reading(id_: str, meaning: str, arm: Arm, told: str, kinds: frozenset[FailureKind] = _TRANSIENT) -> Fault:
    return Fault(id_, Family.NETWORK, meaning, arm, both(Expected(Outcome.STOPS, kinds, told, requests=8)))


def _writing(id_: str, meaning: str, arm: Arm, expected: Expected = LOOKED_UP) -> Fault:
    return Fault(id_, Family.NETWORK, meaning, arm, right(expected))


def _reading_one(id_: str, meaning: str, arm: Arm, told: str) -> Fault:
    return _writing(id_, meaning, arm, Expected(Outcome.FAILS, told=told, failed=1))


def _undone(told: str) -> Expected:
    """The write was not done, and nobody can know that from the answer: it is looked for, and tried again later."""
    return Expected(Outcome.FAILS, told=told, failed=1)


@contextmanager
def elsewhere(bench: Bench, side: Side, asked: Asked) -> Iterator[Opening]:
    """Redirect requests to another host, which must not hear anything."""
    heard: list[str] = []

    async def hear(request: Request) -> JSONResponse:
        heard.append(f"{request.method} {request.url}")
        return JSONResponse([])

    app = Starlette(routes=[Route("/{path:path}", hear, methods=["GET", "POST"])])
    with serve(app) as url, on(asked, "redirect", location=f"{url}/taken")(bench, side) as opening:
        yield opening
    assert heard == [], "a redirect to another host was followed"


def _elsewhere(asked: Asked) -> Arm:
    return lambda bench, side: elsewhere(bench, side, asked)


def _writes(kind: str, meaning: str, **options: Any) -> tuple[Fault, Fault]:
    """A fault that strikes the answer to a write after it was done, at a create and at a change."""
    name = kind.replace("_", "-").removesuffix("-after-commit")
    return (
        _writing(
            f"{name}-after-create", f"{meaning} of a create that was done", on("create", kind, times=1, **options)
        ),
        _writing(
            f"{name}-after-change", f"{meaning} of a change that was done", on("change", kind, times=1, **options)
        ),
    )


NETWORK = (
    _reading("connection-refused", "the port is closed", at(closed_doors.refusing), "no connection .*is it running"),
    _reading("dns-failure", "the host name does not resolve", at(closed_doors.unknown_host), "host name is not known"),
    _reading("tls-failure", "the port does not speak TLS", at(closed_doors.without_tls), "does this port speak https"),
    _reading(
        "connect-timeout",
        "the connection is neither accepted nor refused",
        at(closed_doors.deaf, timeout=0.15),
        "no connection .*nobody answers",
    ),
    _reading(
        "read-timeout",
        "a listing is asked for, no answer comes",
        on("listing", "hang", _SILENT, seconds=5.0),
        "in time",
    ),
    _writing(
        "read-timeout-after-create",
        "a create is done, no answer comes",
        on("create", "hang_after_commit", _SILENT_WRITES, times=1, seconds=5.0),
    ),
    _writing(
        "read-timeout-after-change",
        "a change is done, no answer comes",
        on("change", "hang_after_commit", _SILENT_WRITES, times=1, seconds=5.0),
    ),
    _writing(
        "dropped-before-create",
        "the connection closes before a create is done",
        on("create", "drop", times=1),
        _undone("broke before the whole answer came .*is looked at again"),
    ),
    *_writes("drop_after_commit", "the connection closes instead of the answer"),
    _reading("reset-in-listing", "a reset in the middle of a listing", on("listing", "reset_mid_body"), "broke before"),
    *_writes("reset_mid_body", "a reset in the middle of the answer"),
    _reading("truncated-listing", "half of a listing's JSON, with 200", on("listing", "truncated_body"), "JSON"),
    *_writes("truncated_body", "half of the JSON, with 200, as the answer"),
    _reading("login-page-for-listing", "an HTML login page, with 200", on("listing", "login_page"), "JSON"),
    _writing(
        "login-page-for-create",
        "an HTML login page, with 200, instead of a create",
        on("create", "login_page", times=1),
        _undone("login page"),
    ),
    _writing(
        "login-page-for-change",
        "an HTML login page, with 200, instead of a change",
        on("change", "login_page", times=1),
        _undone("login page"),
    ),
    _reading("wrong-length-of-listing", "a Content-Length that is too large", on("listing", "wrong_length"), "broke"),
    *_writes("wrong_length", "a Content-Length that is too large, on the answer"),
    _reading("broken-gzip-of-listing", "a listing that does not unpack", on("listing", "broken_gzip"), "damaged: gzip"),
    *_writes("broken_gzip", "an answer that does not unpack,"),
    _reading(
        "redirect-of-listing",
        "a redirect to another host, which must not hear of any credentials",
        _elsewhere("listing"),
        "redirect",
        frozenset({FailureKind.PERMANENT}),
    ),
    _writing(
        "redirect-of-create",
        "a redirect of a create to another host",
        _elsewhere("create"),
        Expected(Outcome.FAILS, told="was redirected", failed=1, letters=1),
    ),
    Fault(
        "slow-drip",
        Family.NETWORK,
        "the listing drips in, piece by piece",
        on("listing", "slow_drip", seconds=0.03),
        both(Expected(Outcome.UNHARMED)),
    ),
    Fault(
        "previous-listing",
        Family.NETWORK,
        "the answer to an earlier request of the same kind",
        on("listing", "previous"),
        {
            "left": Expected(Outcome.STOPS, _TRANSIENT, "a proxy mixes up answers", requests=5),
            "right": Expected(Outcome.UNHARMED),
        },
        "a listing as it was in the run before does no harm: whatever is written is looked at again first",
    ),
    _writing(
        "previous-create",
        "a create is done and answered with what an earlier create was",
        on("create", "previous", times=1),
    ),
    _reading_one(
        "previous-record",
        "a record is asked for and another one is answered",
        on("record", "previous", times=1),
        "a proxy mixes up answers",
    ),
)
