"""Faults of an Odoo server and of the proxies before it. The others are those of every stand-in: see
:mod:`sync_pipelines.sandbox.faults`; failures inside of Odoo are armed on the world."""

from __future__ import annotations

from sync_pipelines.sandbox.faults import ArmedFault, FaultInjector, FaultKind

_TOO_MANY = (
    "<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n<body>\r\n<center><h1>429 Too Many Requests</h1>"
    "</center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
_BROKEN = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n"


def too_many_requests(faults: FaultInjector, *, times: int | None = 1, skip: int = 0, path: str = "") -> ArmedFault:
    """Refuse requests as the proxy does: 429 with a page of HTML, and nothing of when to come again."""
    return faults.add(
        FaultKind.STATUS, status=429, body=_TOO_MANY, content_type="text/html", times=times, skip=skip, path=path
    )


def broken_page(faults: FaultInjector, *, times: int | None = 1, skip: int = 0, path: str = "") -> ArmedFault:
    """Answer 500 with a page of HTML in the place of JSON; nothing was done."""
    return faults.add(FaultKind.STATUS, status=500, body=_BROKEN, times=times, skip=skip, path=path)


def lost_reply(faults: FaultInjector, *, times: int | None = 1, skip: int = 0, path: str = "/create$") -> ArmedFault:
    """Do what is asked for and close the connection without an answer."""
    return faults.add(FaultKind.DROP_AFTER_COMMIT, times=times, skip=skip, path=path)
