"""Errors that an operator reads."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "waldur: no such plan"),
        ({"status": 404}, "waldur (HTTP 404): no such plan"),
        ({"operation": "GET /api/"}, "waldur [GET /api/]: no such plan"),
        ({"key": "offering/1"}, "waldur for offering/1: no such plan"),
        (
            {"status": 500, "operation": "POST /api/", "key": "offering/1", "retry_after": 3.0},
            "waldur [POST /api/] (HTTP 500) for offering/1: no such plan",
        ),
    ],
)
def test_a_peer_error_says_what_is_known_and_keeps_it(facts: dict[str, Any], text: str) -> None:
    error = PeerError("waldur", FailureKind.GONE, "no such plan", **facts)

    assert str(error) == text
    assert error.args == (text,)
    assert (error.peer, error.kind, error.message) == ("waldur", FailureKind.GONE, "no such plan")
    nothing = {"status": None, "operation": None, "key": None, "retry_after": None}
    assert {name: getattr(error, name) for name in nothing} == nothing | facts


def test_a_peer_error_that_quotes_a_stranger_is_one_line_without_control_characters() -> None:
    error = PeerError("waldur", FailureKind.PERMANENT, "no\x1b[31m\r\nplan\x07\u202e f\u00fcr \U0001f600")

    assert error.message == "no\ufffd[31m  plan\ufffd\ufffd f\u00fcr \U0001f600"
    assert str(error).isprintable()
