from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.bosh.errors import DeploymentGone, Forbidden, TaskGone, is_dead_login, read_answer

KINDS = FailureKind
SCOPES = {"code": 600000, "description": "Require one of the scopes: bosh.admin, bosh.read"}
NO_DEPLOYMENT = {"code": 70000, "description": "Deployment 'x' doesn't exist"}
NO_TASK = {"code": 10000, "description": "Task 7 not found"}
PAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"


def response(status: int, body: Any) -> httpx.Response:
    if isinstance(body, str):
        return httpx.Response(status, html=body)
    if isinstance(body, bytes):
        return httpx.Response(status, content=body)
    return httpx.Response(status, json=body)


def read(status: int, body: Any, redactor: Redactor | None = None) -> Any:
    return read_answer("bosh", "GET /x", response(status, body), redactor=redactor or Redactor())


def failure(status: int, body: Any, redactor: Redactor | None = None) -> PeerError:
    with pytest.raises(PeerError) as caught:
        read(status, body, redactor)
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "kind", "error_type"),
    [
        (400, {"code": 70010, "description": "too long"}, KINDS.PERMANENT, PeerError),
        (400, "Invalid before parameter: 'yesterdayish' ", KINDS.PERMANENT, PeerError),
        (400, PAGE, KINDS.TRANSIENT, PeerError),
        (401, "Not authorized: '/deployments'\n", KINDS.AUTH, PeerError),
        (401, b"", KINDS.AUTH, PeerError),
        (401, PAGE, KINDS.AUTH, PeerError),
        (401, SCOPES, KINDS.PERMANENT, Forbidden),
        (403, PAGE, KINDS.TRANSIENT, PeerError),
        (404, NO_DEPLOYMENT, KINDS.GONE, DeploymentGone),
        (404, NO_TASK, KINDS.TRANSIENT, TaskGone),
        (404, {"code": 70001, "description": "Instance"}, KINDS.PERMANENT, PeerError),
        (404, "Endpoint '/x' not found.", KINDS.PERMANENT, PeerError),
        (404, PAGE, KINDS.TRANSIENT, PeerError),
        (404, b"", KINDS.PERMANENT, PeerError),
        (408, b"", KINDS.TRANSIENT, PeerError),
        (416, "Byte range unsatisfiable", KINDS.PERMANENT, PeerError),
        (500, b"", KINDS.TRANSIENT, PeerError),
        (500, NO_DEPLOYMENT, KINDS.TRANSIENT, PeerError),
        (502, PAGE, KINDS.TRANSIENT, PeerError),
        (200, PAGE, KINDS.TRANSIENT, PeerError),
        (200, b"", KINDS.TRANSIENT, PeerError),
        (204, b"", KINDS.TRANSIENT, PeerError),
        (200, b'[{"name": "red', KINDS.TRANSIENT, PeerError),
        (200, b"[" * 100_000, KINDS.TRANSIENT, PeerError),
        (200, b"\xff\xfe", KINDS.TRANSIENT, PeerError),
        (302, b"", KINDS.PERMANENT, PeerError),
    ],
)
def test_each_answer_has_one_meaning(status: int, body: Any, kind: FailureKind, error_type: type[PeerError]) -> None:
    error = failure(status, body)
    assert (error.kind, type(error), error.operation) == (kind, error_type, "GET /x")


def test_json_is_read_whatever_its_content_type() -> None:
    assert read(200, '{"manifest": null}') == {"manifest": None}


@pytest.mark.parametrize(
    ("status", "body", "is_dead"),
    [
        (401, "Not authorized: '/deployments'\n", True),
        (401, SCOPES, False),
        (401, '{"code":600000,"description":"Require one of the scopes"}', False),
        (403, PAGE, False),
        (200, [], False),
    ],
)
def test_only_a_refused_login_is_worth_a_fresh_token(status: int, body: Any, is_dead: bool) -> None:
    assert is_dead_login(response(status, body)) is is_dead


def test_no_text_of_a_good_answer_gets_into_an_error() -> None:
    assert "hunter2" not in str(failure(200, b'{"manifest": "password: hunter2'))


def test_secrets_are_masked_in_a_refusal() -> None:
    error = failure(400, {"code": 1, "description": "no s3cret-text"}, Redactor(["s3cret-text"]))
    assert error.message == "no ***"


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (401, "Not authorized", "secret"),
        (401, SCOPES, "bosh.read suffices"),
        (404, "Endpoint '/x' not found.", "address"),
        (500, b"", "debug log"),
    ],
)
def test_operators_are_told_what_to_do(status: int, body: Any, hint: str) -> None:
    assert hint in failure(status, body).message
