"""Peers that repeat credentials: in errors, redirects and headers, in every spelling that servers use."""

from __future__ import annotations

from typing import Any

from sync_pipelines.core.errors import FailureKind
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.fault import Family, Fault, both, on, right

_ANY = frozenset(FailureKind)


def _reading(id_: str, meaning: str, told: str = "", **options: Any) -> Fault:
    expected = both(Expected(Outcome.STOPS, _ANY, told, requests=8))
    return Fault(f"echo-{id_}-on-listing", Family.ECHO, meaning, on("listing", "echo", **options), expected)


ECHOES = (
    _reading("400", "400 to a listing, with the request's own headers in the error", r"\*\*\*", status=400),
    _reading("429", "429 to a listing, with the request's own headers in the error", r"\*\*\*", status=429),
    _reading("500", "500 to a listing, with the request's own headers in the error", r"\*\*\*", status=500),
    _reading("302", "a redirect of a listing, with the credentials in its address", "redirect", status=302),
    _reading(
        "200", "200 to a listing: a page of HTML with the request's own headers", status=200, body="<p>Sign in</p>\n"
    ),
    Fault(
        "echo-400-on-create",
        Family.ECHO,
        "400 to a create, with the request's own headers in the error",
        on("create", "echo", status=400, times=1),
        right(Expected(Outcome.FAILS, told=r"\*\*\*", failed=1, letters=1)),
    ),
    Fault(
        "echo-500-on-change",
        Family.ECHO,
        "500 to a change, with the request's own headers in the error",
        on("change", "echo", status=500, times=1),
        right(Expected(Outcome.FAILS, told=r"\*\*\*", failed=1)),
    ),
)
