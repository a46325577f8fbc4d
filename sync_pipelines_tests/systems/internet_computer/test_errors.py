from typing import Any

import cbor2
import httpx
import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.internet_computer.errors import (
    CanisterGone,
    ClockSkew,
    MethodNotOffered,
    Rejected,
    RejectedForGone,
    ReplyTooLarge,
    UnexpectedReply,
    read_answer,
    rejection,
)

KINDS = FailureKind
NOW = 1_700_000_000.0
EXPIRED = (
    "Invalid request expiry: Specified ingress_expiry not within expected range: Minimum allowed expiry: "
    "2023-11-14 22:13:20 UTC, Maximum allowed expiry: 2023-11-14 22:18:50 UTC, Provided expiry: 2023-11-14 21:00:00 UTC"
)
NO_CANISTER = "error: canister_not_found\ndetails: The specified canister does not exist."
PAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"


def answer(status: int, body: Any, **headers: str) -> httpx.Response:
    if isinstance(body, str):
        kind = "text/html" if body.startswith("<") else "text/plain; charset=utf-8"
        return httpx.Response(status, text=body, headers={"Content-Type": kind, **headers})
    content = body if isinstance(body, bytes) else cbor2.dumps(cbor2.CBORTag(55799, body))
    return httpx.Response(status, content=content, headers={"Content-Type": "application/cbor", **headers})


def failure(response: httpx.Response, redactor: Redactor | None = None) -> PeerError:
    with pytest.raises(PeerError) as caught:
        read_answer("query x", response, redactor=redactor or Redactor(), now=NOW)
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "kind", "error_type"),
    [
        (200, PAGE, KINDS.TRANSIENT, PeerError),
        (200, "ok", KINDS.TRANSIENT, PeerError),
        (200, b"", KINDS.TRANSIENT, PeerError),
        (200, b"\xd9\xd9\xf7\xa1", KINDS.TRANSIENT, PeerError),
        (200, [1], KINDS.PERMANENT, UnexpectedReply),
        (202, PAGE, KINDS.TRANSIENT, PeerError),
        (400, EXPIRED, KINDS.PERMANENT, ClockSkew),
        (400, NO_CANISTER, KINDS.GONE, CanisterGone),
        (404, NO_CANISTER, KINDS.GONE, CanisterGone),
        (400, "Could not parse body as query: missing field `content`", KINDS.PERMANENT, PeerError),
        (400, PAGE, KINDS.TRANSIENT, PeerError),
        (401, "", KINDS.AUTH, PeerError),
        (403, "error: canister_denied", KINDS.PERMANENT, PeerError),
        (403, PAGE, KINDS.TRANSIENT, PeerError),
        (404, "error: not_found", KINDS.PERMANENT, PeerError),
        (408, "", KINDS.TRANSIENT, PeerError),
        (413, "Request is too large", KINDS.PERMANENT, PeerError),
        (500, "", KINDS.TRANSIENT, PeerError),
        (503, "error: no_healthy_nodes", KINDS.TRANSIENT, PeerError),
        (503, PAGE, KINDS.TRANSIENT, PeerError),
    ],
)
def test_each_answer_has_one_meaning(status: int, body: Any, kind: FailureKind, error_type: type[PeerError]) -> None:
    error = failure(answer(status, body))
    assert (error.kind, type(error), error.operation) == (kind, error_type, "query x")


def test_a_good_answer_is_its_map() -> None:
    assert read_answer("query x", answer(200, {"status": "replied"}), redactor=Redactor(), now=NOW) == {
        "status": "replied"
    }


@pytest.mark.parametrize(
    ("date", "told"),
    [
        ("Tue, 14 Nov 2023 22:20:20 GMT", "ours is 420 s slow"),
        ("Tue, 14 Nov 2023 22:06:20 GMT", "ours is 420 s fast"),
        ("Tue, 14 Nov 2023 22:13:22 GMT", "they agree"),
        ("yesterday", "does not say what its own does"),
        ("", "does not say what its own does"),
    ],
)
def test_a_wrong_clock_is_named_with_what_both_say(date: str, told: str) -> None:
    error = failure(answer(400, EXPIRED, **({"Date": date} if date else {})))
    assert "our clock says 2023-11-14 22:13:20 UTC" in error.message
    assert told in error.message
    assert "NTP" in error.message or told == "they agree"


@pytest.mark.parametrize(
    ("reject_code", "error_code", "kind", "error_type"),
    [
        (1, None, KINDS.PERMANENT, Rejected),
        (1, "IC0207", KINDS.TRANSIENT, Rejected),
        (2, None, KINDS.TRANSIENT, Rejected),
        (2, "IC0999", KINDS.TRANSIENT, Rejected),
        (3, None, KINDS.GONE, RejectedForGone),
        (3, "IC0301", KINDS.GONE, RejectedForGone),
        (4, None, KINDS.PERMANENT, Rejected),
        (5, None, KINDS.PERMANENT, Rejected),
        (5, "IC0503", KINDS.PERMANENT, Rejected),
        (5, "IC0504", KINDS.PERMANENT, ReplyTooLarge),
        (5, "IC0508", KINDS.TRANSIENT, Rejected),
        (3, "IC0302", KINDS.PERMANENT, MethodNotOffered),
        (5, "IC0536", KINDS.PERMANENT, MethodNotOffered),
        (6, None, KINDS.TRANSIENT, Rejected),
        (9, None, KINDS.PERMANENT, Rejected),
    ],
)
def test_each_reject_has_one_meaning(
    reject_code: int, error_code: str | None, kind: FailureKind, error_type: type[Rejected]
) -> None:
    reply = {"reject_code": reject_code, "reject_message": "because", "error_code": error_code}
    error = rejection("query x", reply, Redactor())
    assert isinstance(error, Rejected)
    assert (error.kind, type(error)) == (kind, error_type)
    assert (error.reject_code, error.error_code) == (reject_code, error_code)
    assert "because" in error.message


def test_a_canister_that_is_gone_is_so_however_it_was_said() -> None:
    reply = {"reject_code": 3, "reject_message": "not found", "error_code": "IC0301"}
    assert isinstance(rejection("query x", reply, Redactor()), CanisterGone)
    assert isinstance(failure(answer(400, NO_CANISTER)), CanisterGone)


@pytest.mark.parametrize("reply", [{}, {"reject_code": "5", "reject_message": ""}, {"reject_code": 5}])
def test_a_reject_without_its_parts_is_unexpected(reply: dict[str, Any]) -> None:
    assert isinstance(rejection("query x", reply, Redactor()), UnexpectedReply)


def test_secrets_are_masked_and_long_texts_are_cut() -> None:
    redactor = Redactor(["hunter22"])
    reply = {"reject_code": 5, "reject_message": "hunter22 " + "x" * 10_000}
    told = rejection("query x", reply, redactor).message
    assert "hunter22" not in told
    assert len(told) < 500
    assert "hunter22" not in failure(answer(500, "hunter22"), redactor).message
