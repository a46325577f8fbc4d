"""Faults that shops meet. The others are those of every stand-in: see :mod:`sync_pipelines.sandbox.faults`."""

from __future__ import annotations

from sync_pipelines.sandbox.faults import ArmedFault, FaultInjector, FaultKind
from sync_pipelines.sandbox.woocommerce.calls import encoded
from sync_pipelines.sandbox.woocommerce.errors import PhpCrash

_PAGE = (
    "<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n<body>\r\n<center><h1>429 Too Many Requests</h1>"
    "</center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
_ERROR_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>WordPress &rsaquo; Error</title></head>"
    "<body><p>There has been a critical error on this website.</p></body></html>\n"
)


def too_many_requests(
    faults: FaultInjector, *, path: str = "", retry_after: str = "2", skip: int = 0, times: int | None = None
) -> ArmedFault:
    """Refuse requests as a proxy does: 429 with HTML.

    Arguments:
        retry_after: the header of that name, "" for none; in seconds, or a date.
        skip: matching requests that are let through first.
    """
    headers = {"Retry-After": retry_after} if retry_after else {}
    options = {"path": path, "headers": headers, "skip": skip, "times": times}
    return faults.add(FaultKind.STATUS, status=429, body=_PAGE, content_type="text/html", **options)


def critical_error(
    faults: FaultInjector, *, path: str = "", method: str = ".*", times: int | None = None
) -> ArmedFault:
    """Answer with 500 and a page of HTML; nothing is done."""
    content_type = "text/html; charset=UTF-8"
    return faults.add(
        FaultKind.STATUS, status=500, body=_ERROR_PAGE, content_type=content_type, path=path, method=method, times=times
    )


def php_crash(faults: FaultInjector, *, path: str = "", method: str = ".*", times: int | None = None) -> ArmedFault:
    """Do what is asked for, then answer with 500 and JSON with HTML within."""
    body, content_type = encoded(PhpCrash("Allowed memory size exhausted").body), "application/json; charset=UTF-8"
    kind = FaultKind.ERROR_AFTER_COMMIT
    return faults.add(kind, status=500, body=body, content_type=content_type, path=path, method=method, times=times)


def lost_reply(faults: FaultInjector, *, path: str = "/orders$", times: int | None = 1) -> ArmedFault:
    """Do what a POST asks for, then close the connection without an answer."""
    return faults.add(FaultKind.DROP_AFTER_COMMIT, method="POST", path=path, times=times)
