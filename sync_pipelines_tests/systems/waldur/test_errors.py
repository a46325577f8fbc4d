from decimal import Decimal
from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.waldur.errors import IllegalTransition, PageGone, read_answer

HTML = "<html><body><h1>Server Error (500)</h1></body></html>"
DETAIL = {"detail": "No."}
READ, WRITE = False, True
KINDS = FailureKind


def read(status: int, body: Any, write: bool) -> Any:
    if isinstance(body, str):
        response = httpx.Response(status, html=body)
    elif isinstance(body, bytes):
        response = httpx.Response(status, content=body, headers={"Content-Type": "application/json"})
    else:
        response = httpx.Response(status, json=body)
    return read_answer("waldur", "GET /api/x/", response, write=write, redactor=Redactor())


def failure(status: int, body: Any, write: bool) -> PeerError:
    with pytest.raises(PeerError) as caught:
        read(status, body, write)
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "of_read", "of_write"),
    [
        (400, {"name": ["Too long."]}, KINDS.PERMANENT, KINDS.PERMANENT),
        (401, {"detail": "Invalid token."}, KINDS.AUTH, KINDS.AUTH),
        (401, HTML, KINDS.AUTH, KINDS.AUTH),
        (403, DETAIL, KINDS.PERMANENT, KINDS.PERMANENT),
        (404, DETAIL, KINDS.GONE, KINDS.GONE),
        (404, b"", KINDS.GONE, KINDS.GONE),
        (404, HTML, KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (405, DETAIL, KINDS.PERMANENT, KINDS.PERMANENT),
        (408, DETAIL, KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (409, DETAIL, KINDS.PERMANENT, KINDS.PERMANENT),
        (413, HTML, KINDS.PERMANENT, KINDS.PERMANENT),
        (415, DETAIL, KINDS.PERMANENT, KINDS.PERMANENT),
        (400, HTML, KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (403, HTML, KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (500, HTML, KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (500, DETAIL, KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (502, HTML, KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (200, "<form>Log in</form>", KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (200, b'{"uuid": "0f', KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (201, b'{"price": NaN}', KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (200, b"\xff\xfe\xff", KINDS.TRANSIENT, KINDS.AMBIGUOUS),
        (200, b"[" * 100_000, KINDS.TRANSIENT, KINDS.AMBIGUOUS),
    ],
)
def test_each_answer_has_one_meaning(status: int, body: Any, of_read: FailureKind, of_write: FailureKind) -> None:
    assert failure(status, body, READ).kind is of_read
    assert failure(status, body, WRITE).kind is of_write


@pytest.mark.parametrize(("status", "body", "value"), [(200, b"", None), (204, b"", None), (200, b"null", None)])
def test_an_empty_success_is_a_success(status: int, body: bytes, value: Any) -> None:
    assert read(status, body, WRITE) is value


def test_numbers_are_read_exactly() -> None:
    assert read(200, b'{"price": 0.30000000000000004, "n": 9007199254740993}', READ) == {
        "price": Decimal("0.30000000000000004"),
        "n": 9007199254740993,
    }


def test_an_illegal_transition_can_be_told_from_other_refusals() -> None:
    assert isinstance(failure(400, ["Offering state is invalid."], WRITE), IllegalTransition)
    assert not isinstance(failure(400, ["Blocked organization is not available."], WRITE), IllegalTransition)


def test_a_page_that_is_gone_can_be_told_from_a_list_that_is_not_there() -> None:
    assert isinstance(failure(404, {"detail": "Invalid page."}, READ), PageGone)
    assert not isinstance(failure(404, DETAIL, READ), PageGone)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (["Offering state is invalid."], "Offering state is invalid."),
        ({"detail": "No."}, "No."),
        ({"details": "UUID was not provided."}, "UUID was not provided."),
        ({"name": ["Too long.", "Not blank."]}, "name: Too long.; name: Not blank."),
        ({"plans": [{}, {"unit_price": ["Not a number."]}]}, "plans[1].unit_price: Not a number."),
        ({"plans": {"plans": "At least one."}}, "plans.plans: At least one."),
    ],
)
def test_a_refusal_names_the_field_in_words(body: Any, message: str) -> None:
    assert failure(400, body, WRITE).message == message


def test_an_error_shows_no_token_that_the_answer_contains() -> None:
    token = "0123456789abcdef0123456789abcdef01234567"
    error = failure(200, f'<script>{{"token": "{token}"}}</script>', READ)
    assert token[:8] not in str(error)


def test_operators_are_told_what_to_do() -> None:
    assert "token" in failure(401, {"detail": "Token has expired."}, READ).message
    assert "base URL" in failure(404, HTML, READ).message
