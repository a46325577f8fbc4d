import httpx
import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.vault.errors import Sealed, read_answer

JSON = "application/json"
HTML = "text/html"
TRANSIENT, AMBIGUOUS, PERMANENT = FailureKind.TRANSIENT, FailureKind.AMBIGUOUS, FailureKind.PERMANENT


def refused(status: int, body: str, kind: str = JSON, *, write: bool = False, location: str = "") -> PeerError:
    answer = httpx.Response(status, content=body.encode(), headers={"Content-Type": kind, "Location": location})
    with pytest.raises(PeerError) as caught:
        read_answer("GET /v1/secret/data/x", answer, write=write, redactor=Redactor(["s.token-of-mine"]))
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "kind", "read", "write"),
    [
        (200, "<html>Please sign in</html>", HTML, TRANSIENT, AMBIGUOUS),
        (200, '{"data": {"data": {"password": "hunter2"', JSON, TRANSIENT, AMBIGUOUS),
        (200, "[]", JSON, TRANSIENT, AMBIGUOUS),
        (200, "", JSON, TRANSIENT, AMBIGUOUS),
        (400, '{"errors": ["no data provided"]}', JSON, PERMANENT, PERMANENT),
        (400, '{"errors": ["Upgrading from non-versioned to versioned data"]}', JSON, TRANSIENT, TRANSIENT),
        (400, '{"errors": ["refused JSON input due to high complexity"]}', JSON, PERMANENT, PERMANENT),
        (400, "<h1>Bad Request</h1>", HTML, TRANSIENT, AMBIGUOUS),
        (404, "<h1>Not Found</h1>", HTML, TRANSIENT, AMBIGUOUS),
        (404, "", JSON, TRANSIENT, AMBIGUOUS),
        (404, '{"errors": ["namespace not found"]}', JSON, PERMANENT, PERMANENT),
        (404, '{"data": null, "warnings": ["Invalid path for a versioned K/V"]}', JSON, PERMANENT, PERMANENT),
        (413, "<h1>Too large</h1>", HTML, PERMANENT, PERMANENT),
        (500, '{"errors": ["internal error"]}', JSON, TRANSIENT, AMBIGUOUS),
        (500, '{"errors": ["put failed due to value being too large"]}', JSON, PERMANENT, PERMANENT),
        (502, "<h1>Bad Gateway</h1>", HTML, TRANSIENT, AMBIGUOUS),
        (503, "<h1>Unavailable</h1>", HTML, TRANSIENT, AMBIGUOUS),
        (503, '{"errors": ["Vault is sealed"]}', JSON, TRANSIENT, TRANSIENT),
        (307, "", HTML, PERMANENT, PERMANENT),
    ],
)
def test_given_an_answer_then_it_is_known_whether_a_write_may_have_been_done(
    status: int, body: str, kind: str, read: FailureKind, write: FailureKind
) -> None:
    assert refused(status, body, kind).kind is read
    assert refused(status, body, kind, write=True).kind is write


def test_given_a_cut_answer_with_a_secret_in_it_then_the_error_does_not_quote_it() -> None:
    assert "hunter2" not in str(refused(200, '{"data": {"data": {"password": "hunter2"'))


def test_given_an_error_that_repeats_the_token_then_it_is_masked() -> None:
    assert "token-of-mine" not in str(refused(400, '{"errors": ["bad header s.token-of-mine"]}'))


def test_given_a_sealed_server_then_the_operator_is_told_what_to_do() -> None:
    error = refused(503, '{"errors": ["Vault is sealed"]}', write=True)
    assert isinstance(error, Sealed)
    assert "unseal" in str(error)


def test_given_a_policy_that_says_no_then_the_path_is_named() -> None:
    assert "/v1/secret/data/x" in str(refused(403, '{"errors": ["1 error occurred:\\n\\t* permission denied\\n\\n"]}'))
