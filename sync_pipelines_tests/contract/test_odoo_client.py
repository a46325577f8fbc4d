"""The Odoo client asks as the recordings asked, and understands every answer to it."""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.odoo.answers import read_json2, read_jsonrpc
from sync_pipelines.systems.odoo.calls import READ_METHODS, checked
from sync_pipelines.systems.odoo.errors import OdooError, Reason, TracebackRedactor
from sync_pipelines.systems.odoo.parsing import (
    COUNTRIES,
    CURRENCIES,
    LINES,
    ORDERS,
    PARTNERS,
    QUANTS,
    STATES,
    STOCK_LEVELS,
    TEMPLATES,
    VARIANTS,
    Entity,
    parse_rows,
)
from sync_pipelines.systems.odoo.session import OdooSession
from sync_pipelines.systems.odoo.version import parse_version
from sync_pipelines_tests.contract.odoo_recordings import FILES, Exchange, exchanges
from sync_pipelines_tests.systems.scripted_peer import ScriptedPeer, answer, scripted_peer

P, A, G = FailureKind.PERMANENT, FailureKind.AUTH, FailureKind.GONE
UNKNOWN_DATABASE, RECORD_GONE, LINK_GONE, USER_GONE = "unknown database", "record gone", "link gone", "user gone"
TAKEN, UNFIT = "taken", "unfit"

MEANING = {
    "odoo.exceptions.AccessDenied": (A, Reason.AUTH),
    "odoo.exceptions.AccessError": (A, Reason.FORBIDDEN),
    "odoo.exceptions.UserError": (P, Reason.VALIDATION),
    "odoo.exceptions.ValidationError " + UNFIT: (P, Reason.VALIDATION),
    "odoo.exceptions.ValidationError " + TAKEN: (P, Reason.DUPLICATE_KEY),
    "odoo.exceptions.MissingError " + RECORD_GONE: (G, Reason.MISSING),
    "odoo.exceptions.MissingError " + LINK_GONE: (P, Reason.MISSING),
    "odoo.exceptions.MissingError " + USER_GONE: (A, Reason.AUTH),
    "psycopg2.OperationalError": (A, Reason.SETTING),
    "builtins.ValueError": (P, Reason.VALIDATION),
    "builtins.TypeError": (P, Reason.BAD_CALL),
    "builtins.KeyError": (P, Reason.BAD_CALL),
    "builtins.AttributeError": (P, Reason.BAD_CALL),
    "werkzeug.exceptions.BadRequest": (P, Reason.BAD_CALL),
    "werkzeug.exceptions.NotFound": (P, Reason.BAD_CALL),
    "werkzeug.exceptions.UnprocessableEntity": (P, Reason.BAD_CALL),
    "werkzeug.exceptions.Unauthorized": (A, Reason.AUTH),
    "page 404": (A, Reason.SETTING),
    "page 415": (P, Reason.BAD_CALL),
}
"""What each kind of recorded failure means. A kind that is not here fails the test: it has to be thought about."""

LEFT_OUT = {
    "/xmlrpc/2/common": "XML-RPC: JSON-RPC says the same, and both go away together",
    "/xmlrpc/2/object": "XML-RPC: JSON-RPC says the same, and both go away together",
    "/web/health": "the version is asked instead, which also tells how to go on",
}
LEFT_OUT_SERVICES = {
    ("common", "login"): "older than authenticate, which every version has",
    ("object", "execute"): "execute_kw takes names as well",
    ("db", "list"): "the database is a setting",
    ("nosuch", "x"): "no such service",
}
"""Calls of JSON-RPC that the client never makes; their failures are read all the same."""

# Text, lists and other content types as a body: the client sends objects, but reads what was answered to those.
# Status 429: the transport reads those; see test_session.py.

REFUSED_BEFORE_SENDING = {
    "res.partner.write": "without ids, with an empty list, and with one number for a list",
    "res.partner.read": "an id as text finds nothing",
    "res.partner.create": "with ids",
    "res.partner._compute_display_name": "a private method",
    "res.partner.nosuch": "an unknown method, called without ids",
    "res.partner.name_create": "a method of the model that the client does not use",
    "ir.config_parameter.get_param": "a method of the model that the client does not use",
}


def used(path: Path) -> list[Exchange]:
    return [item for item in exchanges(path) if item.call is not None and item.response["status"] != 429]


def understood(item: Exchange) -> Any:
    assert item.call is not None
    redactor = TracebackRedactor(Redactor(), ())
    if item.is_json2:
        return read_json2(item.call, item.answer, redactor=redactor)
    return read_jsonrpc(item.call, item.answer, request_id=1, uid=item.uid or _uid(item), redactor=redactor)


def _uid(item: Exchange) -> int | None:
    arguments = item.request["body"]["params"].get("args", [])
    return arguments[1] if len(arguments) > 1 and isinstance(arguments[1], int) else None


def refusal(item: Exchange) -> OdooError | None:
    try:
        understood(item)
    except OdooError as error:
        return error
    return None


def kind_of_failure(item: Exchange) -> str:
    if item.is_page:
        return f"page {item.response['status']}"
    assert item.error is not None
    name, message = item.error["name"], item.error["message"]
    if name == "odoo.exceptions.MissingError":
        assert item.call is not None
        if "res.users(9999,)" in message:
            return f"{name} {USER_GONE}"
        is_addressed = any(f"{item.call.model}({record}," in message for record in item.call.ids or ())
        return f"{name} {RECORD_GONE if is_addressed else LINK_GONE}"
    if name == "odoo.exceptions.ValidationError":
        is_taken = any(part in message for part in ("already assigned", "must be unique", "duplicate key value"))
        return f"{name} {TAKEN if is_taken else UNFIT}"
    return str(name)


def _stem(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", FILES, ids=_stem)
def test_every_recorded_answer_has_its_meaning(path: Path) -> None:
    assert used(path)
    for item in used(path):
        error = refusal(item)
        if item.error is None and item.response["status"] == 200:
            assert error is None, item.title
            continue
        assert error is not None, item.title
        assert (error.kind, error.reason) == MEANING[kind_of_failure(item)], item.title
        assert error.name == (item.error["name"] if item.error else ""), item.title
        assert 0 < len(error.message) < 500, item.title
        assert "traceback" not in str(error).lower(), item.title


def test_every_kind_of_failure_in_the_table_was_recorded() -> None:
    met = {
        kind_of_failure(item) for path in FILES for item in used(path) if item.error or item.response["status"] != 200
    }
    assert met == MEANING.keys()


def test_every_recorded_exchange_is_used_or_named_as_left_out() -> None:
    for path in FILES:
        for item in exchanges(path):
            where = item.request["path"]
            if item.call is None and where not in ("/json/version", "/web/version"):
                assert where in LEFT_OUT or not isinstance(item.request["body"], dict), item.title
            elif where == "/jsonrpc" and item.call is not None and item.uid is None:
                service = (item.call.model, item.call.method)
                assert service in LEFT_OUT_SERVICES or service[0] == "common", item.title


@pytest.mark.parametrize("path", FILES, ids=_stem)
def test_every_recorded_call_is_sent_as_it_was_recorded(path: Path) -> None:
    sendable = [item for item in used(path) if _is_sendable(item)]

    over_json2 = [item for item in sendable if item.is_json2]
    batches = [over_json2, *([item] for item in sendable if not item.is_json2)]

    async def run() -> None:
        for batch in filter(None, batches):
            async with scripted_peer(_replies(batch)) as peer, _session(peer, json2=batch[0].is_json2) as session:
                for item in batch:
                    await _assert_answered_alike(item, session)
                    _assert_asked_alike(item, peer)

    asyncio.run(run())


def _replies(batch: list[Exchange]) -> list[bytes]:
    first = batch[0]
    # Over JSON-RPC the login comes first, so the call is the second request.
    login = [] if first.is_json2 else [answer(200, {"jsonrpc": "2.0", "id": 1, "result": first.uid})]
    return login + [answer(item.response["status"], _numbered(item), item.response["headers"]) for item in batch]


async def _assert_answered_alike(item: Exchange, session: OdooSession) -> None:
    assert item.call is not None
    expected = refusal(item)
    call = session.call(item.call.model, item.call.method, ids=item.call.ids, **dict(item.call.named))
    if expected is None:
        assert await call == understood(item), item.title
        return
    with pytest.raises(PeerError) as caught:
        await call
    assert caught.value.kind is expected.kind, item.title


def _is_sendable(item: Exchange) -> bool:
    assert item.call is not None
    if item.request["method"] != "POST" or not isinstance(item.request["body"], dict):
        return False
    if item.request["headers"]["Content-Type"] != "application/json" or not (item.is_json2 or item.uid):
        return False
    context = item.call.named.get("context") or {}
    ids = item.request["body"].get("ids") if item.is_json2 else item.call.ids
    try:
        if ids is not None and not isinstance(ids, list | tuple):
            raise ValueError("ids: not a list")
        checked(item.call.model, item.call.method, ids, item.call.named)
    except ValueError:
        assert item.call.operation in REFUSED_BEFORE_SENDING, item.title
        return False
    return isinstance(context, dict)


def _numbered(item: Exchange) -> bytes:
    body = item.response["body"]
    return item.content if item.is_json2 or item.is_page else json.dumps({**body, "id": 2}).encode()


def _session(peer: ScriptedPeer, *, json2: bool) -> OdooSession:
    protocol: Any = "json2" if json2 else "jsonrpc"
    return OdooSession(
        peer.url, key="<api key>", database="shop", login="sync@example.test", protocol=protocol, read_delay=0.0
    )


def _assert_asked_alike(item: Exchange, peer: ScriptedPeer) -> None:
    head, _, body = peer.requests[-1].partition(b"\r\n\r\n")
    sent = json.loads(body)
    assert head.startswith(f"POST {item.request['path']} HTTP".encode()), item.title
    if item.is_json2:
        assert b"\r\nAuthorization: bearer <api key>\r\nX-Odoo-Database: shop\r\n" in head, item.title
        assert _without_lang(sent, item.request["body"]) == item.request["body"], item.title
        return
    recorded = item.request["body"]["params"]["args"]
    arguments = sent["params"]["args"]
    assert arguments[:2] + arguments[3:6] == recorded[:2] + recorded[3:6], item.title
    assert _without_lang(arguments[6], recorded[6]) == recorded[6], item.title


def _without_lang(sent: Mapping[str, Any], recorded: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was sent, without the language that the client fixes where none was recorded."""
    wanted = recorded.get("context") or {}
    context = {name: value for name, value in sent["context"].items() if name != "lang" or "lang" in wanted}
    rest = {name: value for name, value in sent.items() if name != "context"}
    return {**rest, "context": context} if "context" in recorded else rest


ENTITIES: Mapping[str, tuple[Entity[Any], ...]] = {
    "res.partner": (PARTNERS,),
    "product.template": (TEMPLATES,),
    "product.product": (VARIANTS, STOCK_LEVELS),
    "stock.quant": (QUANTS,),
    "sale.order": (ORDERS,),
    "sale.order.line": (LINES,),
    "res.country": (COUNTRIES,),
    "res.country.state": (STATES,),
    "res.currency": (CURRENCIES,),
}
UNREAD_MODELS = {
    *("res.company", "product.pricelist", "stock.warehouse", "stock.location", "product.category", "uom.uom"),
    *("account.tax", "res.lang", "ir.model.data", "stock.picking", "stock.move", "decimal.precision"),
    *("product.template.attribute.line", "product.template.attribute.value"),
}
"""Models that were recorded and that the client has no types for: settings, deliveries, attributes."""


@pytest.mark.parametrize("path", FILES, ids=_stem)
def test_every_recorded_row_is_parsed(path: Path) -> None:
    for item in used(path):
        assert item.call is not None
        if item.call.method not in ("read", "search_read") or item.error or item.is_page:
            continue
        rows = understood(item)
        assert item.call.model in ENTITIES or item.call.model in UNREAD_MODELS, item.title
        for entity in ENTITIES.get(item.call.model, ()):
            good, malformed = parse_rows(entity, rows)
            assert (len(good), malformed) == (len(rows), ()), item.title
            _assert_same_texts(entity, rows, good, item)


def _assert_same_texts(entity: Entity[Any], rows: list[Any], good: tuple[Any, ...], item: Exchange) -> None:
    """Each field that the value has under the same name, and money, are what the row says."""
    for row, value in zip(rows, good, strict=True):
        for name, said in row.items():
            if isinstance(said, str) and not name.endswith("_date") and name != "date_order" and hasattr(value, name):
                assert getattr(value, name) == said, item.title
            if isinstance(said, Decimal) and name in ("list_price", "price_unit", "amount_total", "weight"):
                assert getattr(value, name, said) == said, item.title


def test_the_recorded_version_leads_to_json2() -> None:
    bodies = [
        item.response["body"]
        for path in FILES
        for item in exchanges(path)
        if item.request["path"] in ("/json/version", "/web/version")
    ]
    versions = {parse_version(body, "version_info", "version") for body in bodies}
    assert [(version.major, version.has_json2) for version in versions if version] == [(19, True)]


def test_the_list_of_refused_calls_holds_no_more_than_was_recorded() -> None:
    refused = {
        item.call.operation
        for path in FILES
        for item in used(path)
        if item.call and item.is_json2 and isinstance(item.request["body"], dict) and not _is_sendable(item)
    }
    assert REFUSED_BEFORE_SENDING.keys() <= refused


def test_no_recorded_method_that_changes_something_counts_as_a_read() -> None:
    changing = {"create", "write", "unlink", "load", "copy", "action_confirm", "action_cancel", "name_create"}
    assert not changing & READ_METHODS
