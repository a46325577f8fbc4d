"""What each kind of fault does with an exchange."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

from sync_pipelines.sandbox.exchange import Answer, Exchange, page, phrase, with_header
from sync_pipelines.sandbox.fault_kinds import ArmedFault, Fault, FaultKind
from sync_pipelines.sandbox.rewriting import ListingShape, rewritten

_ERROR_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_LOGIN_PAGE = '<html><head><title>Sign in</title></head><body><form method="post">Please sign in</form></body></html>\n'


@dataclass(frozen=True, slots=True)
class Incident:
    """An exchange that a fault has taken.

    Attributes:
        previous: the application's answer to the last request that the fault would have taken, ``None`` for the first.
        shape: what the application's listings look like, ``None`` when it has none that can be rewritten.
    """

    exchange: Exchange
    armed: ArmedFault
    previous: Answer | None
    shape: ListingShape | None

    @property
    def fault(self) -> Fault:
        """What is to happen."""
        return self.armed.fault


async def _status(incident: Incident) -> None:
    answer = _replacement(incident.fault, incident.fault.status or 503)
    if any(name == b"date" for name, _ in answer.headers):
        # The HTTP library would add a second one.
        answer = Answer(answer.status, with_header(answer.headers, "connection", "close"), answer.body)
        await incident.exchange.write_raw(answer, answer.body)
        await incident.exchange.close()
    else:
        await incident.exchange.reply(answer)


async def _error_after_commit(incident: Incident) -> None:
    await incident.exchange.commit()
    await incident.exchange.reply(_replacement(incident.fault, incident.fault.status or 500))


async def _drop(incident: Incident) -> None:
    await incident.exchange.close()


async def _drop_after_commit(incident: Incident) -> None:
    await incident.exchange.commit()
    await incident.exchange.close()


async def _hang(incident: Incident) -> None:
    await incident.exchange.hang(incident.fault.seconds)


async def _hang_after_commit(incident: Incident) -> None:
    await incident.exchange.commit()
    await incident.exchange.hang(incident.fault.seconds)


async def _truncated_body(incident: Incident) -> None:
    answer = await incident.exchange.commit()
    await incident.exchange.reply(answer.with_body(answer.body[: len(answer.body) // 2]))


async def _login_page(incident: Incident) -> None:
    await incident.exchange.reply(page(200, _LOGIN_PAGE))


async def _reset_mid_body(incident: Incident) -> None:
    answer = await incident.exchange.commit()
    await incident.exchange.write_raw(answer, answer.body[: len(answer.body) // 2])
    # A reset throws away what the client's kernel has not delivered yet; give it the time to read the first half.
    await asyncio.sleep(0.05)
    await incident.exchange.close(reset=True)


async def _wrong_length(incident: Incident) -> None:
    answer = await incident.exchange.commit()
    length = str(len(answer.body) + 64)
    longer = Answer(answer.status, with_header(answer.headers, "content-length", length), answer.body)
    await incident.exchange.write_raw(longer, answer.body)
    await incident.exchange.close()


async def _broken_gzip(incident: Incident) -> None:
    answer = await incident.exchange.commit()
    headers = with_header(answer.headers, "content-encoding", "gzip")
    await incident.exchange.reply(Answer(answer.status, headers, answer.body))


async def _redirect(incident: Incident) -> None:
    answer = _replacement(incident.fault, incident.fault.status or 302)
    answer.headers.append((b"location", incident.fault.location.encode("latin-1")))
    await incident.exchange.reply(answer)


async def _slow_drip(incident: Incident) -> None:
    answer = await incident.exchange.commit()
    await incident.exchange.send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    size = max(1, len(answer.body) // 10)
    for start in range(0, len(answer.body), size):
        await asyncio.sleep(incident.fault.seconds)
        await incident.exchange.send(
            {"type": "http.response.body", "body": answer.body[start : start + size], "more_body": True}
        )
    await incident.exchange.send({"type": "http.response.body", "body": b""})


async def _previous(incident: Incident) -> None:
    answer = await incident.exchange.commit()
    await incident.exchange.reply(incident.previous or answer)


async def _headers(incident: Incident) -> None:
    answer = await incident.exchange.commit()
    headers = answer.headers
    for name, value in incident.fault.headers.items():
        headers = with_header(headers, name, value)
    await incident.exchange.reply(Answer(answer.status, headers, answer.body))


async def _rewrite(incident: Incident) -> None:
    answer = await incident.exchange.commit()
    if incident.shape is not None and incident.fault.rewrite is not None:
        answer = rewritten(answer, incident.shape, incident.fault.rewrite, incident.armed.memory)
    await incident.exchange.reply(answer)


async def _echo(incident: Incident) -> None:
    scope = incident.exchange.scope
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    # The address as the client sent it: a key may stand in its path.
    address = scope["raw_path"].decode("ascii")
    # A key may travel in the query, too.
    query = [value for values in parse_qs(scope["query_string"].decode("latin-1")).values() for value in values]
    asked = [headers.get("authorization", ""), *query, address, *headers.values()]
    repeated = "refused: " + "; ".join(_spellings(asked))
    error = {"code": -32603, "message": "Internal error", "data": repeated}
    told = {"jsonrpc": "2.0", "detail": repeated, "errors": [repeated], "request": headers, "error": error}
    told |= {"name": "", "code": "refused", "message": repeated}
    body = json.dumps(told) if incident.fault.body is None else incident.fault.body + repeated
    location = f"http://elsewhere.invalid{address}?echo={quote(headers.get('authorization', ''), safe='')}"
    extra = {"location": location, "x-request": address, "warning": headers.get("authorization", "")}
    kind = "application/json" if incident.fault.body is None else incident.fault.content_type
    await incident.exchange.reply(page(incident.fault.status or 400, body, kind, extra))


def _spellings(values: list[str]) -> Iterator[str]:
    """Yield texts in the spellings that servers and their logs use."""
    for value in values:
        yield value
        yield value.swapcase()
        yield quote(value, safe="")
        yield "".join(f"%{byte:02x}" for byte in value.encode("latin-1"))
        yield base64.b64encode(value.encode("latin-1")).decode("ascii")
        yield base64.b64encode(f"user:{value}".encode("latin-1")).decode("ascii")
        yield json.dumps({"Authorization": value})


ACTIONS: Mapping[FaultKind, Callable[[Incident], Awaitable[None]]] = {
    FaultKind.STATUS: _status,
    FaultKind.ERROR_AFTER_COMMIT: _error_after_commit,
    FaultKind.DROP: _drop,
    FaultKind.DROP_AFTER_COMMIT: _drop_after_commit,
    FaultKind.HANG: _hang,
    FaultKind.HANG_AFTER_COMMIT: _hang_after_commit,
    FaultKind.TRUNCATED_BODY: _truncated_body,
    FaultKind.LOGIN_PAGE: _login_page,
    FaultKind.RESET_MID_BODY: _reset_mid_body,
    FaultKind.WRONG_LENGTH: _wrong_length,
    FaultKind.BROKEN_GZIP: _broken_gzip,
    FaultKind.REDIRECT: _redirect,
    FaultKind.SLOW_DRIP: _slow_drip,
    FaultKind.PREVIOUS: _previous,
    FaultKind.HEADERS: _headers,
    FaultKind.REWRITE: _rewrite,
    FaultKind.ECHO: _echo,
}


def _replacement(fault: Fault, status: int) -> Answer:
    body = fault.body if fault.body is not None else _ERROR_PAGE.format(f"{status} {phrase(status)}")
    return page(status, body, fault.content_type, fault.headers)
