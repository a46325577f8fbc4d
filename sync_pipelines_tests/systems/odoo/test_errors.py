"""Each failure of Odoo has one meaning, and tells nothing of the server's inside."""

import json

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.odoo.answers import read_json2, read_jsonrpc
from sync_pipelines.systems.odoo.calls import Call, checked
from sync_pipelines.systems.odoo.errors import OdooError, Reason, TracebackRedactor

P, A, G, T, X = (
    FailureKind.PERMANENT,
    FailureKind.AUTH,
    FailureKind.GONE,
    FailureKind.TRANSIENT,
    FailureKind.AMBIGUOUS,
)
READ = Call("res.partner", "read", (7,), {})
WRITE = Call("res.partner", "write", (7,), {})
CREATE = Call("sale.order", "create", None, {})
KEY = "0123456789abcdef0123456789abcdef01234567"
REDACTOR = TracebackRedactor(Redactor(), (KEY,))

GONE = "Record does not exist or has been deleted.\n(Record: {}, User: 5)"


def told(call: Call, status: int, body: object, content_type: str = "application/json") -> OdooError:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    response = httpx.Response(status, headers={"Content-Type": content_type}, content=content)
    with pytest.raises(OdooError) as caught:
        read_json2(call, response, redactor=REDACTOR)
    return caught.value


@pytest.mark.parametrize(
    ("call", "status", "name", "message", "kind", "reason"),
    [
        (WRITE, 500, "psycopg2.errors.SerializationFailure", "could not serialize access", T, Reason.CONFLICT),
        (WRITE, 500, "psycopg2.errors.LockNotAvailable", "", T, Reason.CONFLICT),
        (WRITE, 500, "psycopg2.errors.DeadlockDetected", "", T, Reason.CONFLICT),
        (WRITE, 500, "psycopg2.OperationalError", "could not serialize access due to", T, Reason.CONFLICT),
        (WRITE, 500, "psycopg2.OperationalError", "server closed the connection", X, Reason.UNKNOWN),
        (READ, 500, "psycopg2.OperationalError", "server closed the connection", T, Reason.UNKNOWN),
        (WRITE, 500, "psycopg2.OperationalError", "connection to server failed: refused", T, Reason.UNKNOWN),
        (WRITE, 500, "psycopg2.OperationalError", 'FATAL:  database "x" does not exist', A, Reason.SETTING),
        (WRITE, 500, "builtins.ValueError", "Wrong value", P, Reason.VALIDATION),
        (WRITE, 422, "odoo.exceptions.ValidationError", "Barcode(s) already assigned", P, Reason.DUPLICATE_KEY),
        (WRITE, 404, "odoo.exceptions.MissingError", GONE.format("res.partner(7,)"), G, Reason.MISSING),
        (WRITE, 404, "odoo.exceptions.MissingError", GONE.format("res.partner(9,)"), P, Reason.MISSING),
        (CREATE, 404, "odoo.exceptions.MissingError", GONE.format("res.partner(9,)"), P, Reason.MISSING),
        (WRITE, 404, "odoo.exceptions.MissingError", "weg", G, Reason.MISSING),
        (WRITE, 404, "odoo.exceptions.MissingError", "(Datensatz: res.partner(7,), x: 5)", G, Reason.MISSING),
        (WRITE, 403, "odoo.exceptions.AccessError", "no", A, Reason.FORBIDDEN),
        (WRITE, 404, "werkzeug.exceptions.NotFound", "no such model", P, Reason.BAD_CALL),
        (WRITE, 401, "any.name", "no", A, Reason.AUTH),
        (WRITE, 409, "any.name", "no", P, Reason.UNKNOWN),
        (WRITE, 500, "any.name", "no", X, Reason.UNKNOWN),
        (READ, 500, "any.name", "no", T, Reason.UNKNOWN),
        (WRITE, 503, "builtins.ValueError", "no", X, Reason.UNKNOWN),
    ],
)
def test_a_failure_is_known_by_its_name(
    call: Call, status: int, name: str, message: str, kind: FailureKind, reason: Reason
) -> None:
    error = told(call, status, {"name": name, "message": message, "debug": "Traceback (most recent call last)"})
    assert (error.kind, error.reason) == (kind, reason)
    assert "Traceback" not in str(error)


@pytest.mark.parametrize(
    ("status", "body", "to_read", "to_write"),
    [
        (500, "<h1>Internal Server Error</h1>", T, X),
        (502, "<h1>Bad Gateway</h1>", T, X),
        (404, "<h1>default backend</h1>", T, X),
        (403, "<h1>blocked</h1>", T, X),
        (404, "<p>No database is selected and the requested URL</p>", A, A),
        (401, "<h1>Unauthorized</h1>", A, A),
        (413, "<h1>too large</h1>", P, P),
        (200, "<html>login</html>", T, X),
        (200, '[{"id": 1', T, X),
        (500, "", T, X),
    ],
)
def test_a_page_of_a_proxy_says_little(status: int, body: str, to_read: FailureKind, to_write: FailureKind) -> None:
    assert told(READ, status, body, "text/html").kind is to_read
    assert told(WRITE, status, body, "text/html").kind is to_write


def test_neither_tracebacks_nor_the_key_get_into_an_error() -> None:
    page = f"<pre>key {KEY} Traceback (most recent call last): File /opt/odoo</pre>"
    assert told(WRITE, 500, page, "text/html").message == "key *** (traceback left out)"
    named = {"name": "builtins.ValueError", "message": f"{KEY}\nTraceback (most recent call last):\n x", "debug": "y"}
    assert told(WRITE, 500, named).message == "*** (traceback left out)"


def rpc(body: object, call: Call = WRITE, status: int = 200) -> object:
    response = httpx.Response(status, json=body)
    return read_jsonrpc(call, response, request_id=3, uid=5, redactor=REDACTOR)


def test_a_jsonrpc_answer_without_a_result_is_none() -> None:
    assert rpc({"jsonrpc": "2.0", "id": 3}) is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"jsonrpc": "2.0", "id": 4, "result": True}, X),
        ({"status": "ok"}, X),
        ([], X),
        ({"jsonrpc": "2.0", "id": None, "error": {"data": {"name": "odoo.exceptions.AccessDenied"}}}, A),
        ({"jsonrpc": "2.0", "id": 3, "error": "odd"}, X),
        ({"jsonrpc": "2.0", "id": 3, "error": {"code": 0, "message": "odd"}}, X),
    ],
)
def test_a_jsonrpc_answer_that_is_no_success_is_classified(body: object, kind: FailureKind) -> None:
    with pytest.raises(OdooError) as caught:
        rpc(body)
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("model", "method", "ids"),
    [
        ("res.partner", "write", None),
        ("res.partner", "write", []),
        ("res.partner", "unlink", [0]),
        ("res.partner", "unlink", [True]),
        ("res.partner", "read", ["1"]),
        ("res.partner", "read", [1, 1]),
        ("res.partner", "search", [1]),
        ("res.partner", "_private", [1]),
        ("res.partner/../x", "read", [1]),
    ],
)
def test_a_call_that_odoo_would_misunderstand_is_not_sent(model: str, method: str, ids: list[int] | None) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        checked(model, method, ids, {})
