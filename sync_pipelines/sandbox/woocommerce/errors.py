"""Refusals of the shop, raised anywhere below the dispatcher and turned into answers there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_APOLOGY = (
    "<p>There has been a critical error on this website.</p>"
    '<p><a href="https://wordpress.org/documentation/article/faq-troubleshooting/">'
    "Learn more about troubleshooting WordPress.</a></p>"
)


class ApiError(Exception):
    """An answer that says no, in the form of WordPress: code, message, data.

    Arguments:
        status: HTTP status.
        code: stable name of the error.
        message: sentence for people; HTML now and then.
        data: ``None`` for an object with the status alone; refunds put a bare number there.
        hides_methods: whether the answer goes without ``Allow``, as when the right to look was refused.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        data: Mapping[str, Any] | int | None = None,
        *,
        hides_methods: bool = False,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.data: Any = {"status": status} if data is None else data
        self.hides_methods = hides_methods

    @property
    def body(self) -> dict[str, Any]:
        """The error as sent."""
        return {"code": self.code, "message": self.message, "data": self.data}


class PhpCrash(Exception):
    """The request ran into an error that PHP did not survive.

    Arguments:
        message: what PHP says of it.
    """

    @property
    def body(self) -> dict[str, Any]:
        """The error as WordPress sends it: JSON with HTML within."""
        error = {"type": 1, "message": f"Uncaught Error: {self}", "file": "/wordpress/class-wc-rest.php", "line": 1}
        return {
            "code": "internal_server_error",
            "message": _APOLOGY,
            "data": {"status": 500, "error": error},
            "additional_errors": [],
        }


def with_details(status: int, code: str, message: str, **details: Any) -> ApiError:
    """Return an error whose data tell more than the status, e.g. the other record in the way."""
    return ApiError(status, code, message, {"status": status, **details})


def invalid_parameters(problems: Mapping[str, tuple[str, str, Any]]) -> ApiError:
    """Return the refusal of parameters; ``problems`` gives code, message and data by name."""
    data = {
        "status": 400,
        "params": {name: message for name, (_, message, _) in problems.items()},
        "details": {
            name: {"code": code, "message": message, "data": more} for name, (code, message, more) in problems.items()
        },
    }
    return ApiError(400, "rest_invalid_param", f"Invalid parameter(s): {', '.join(problems)}", data)


def missing_parameters(names: list[str]) -> ApiError:
    """Return the refusal of a request without parameters that it needs."""
    data = {"status": 400, "params": names}
    return ApiError(400, "rest_missing_callback_param", f"Missing parameter(s): {', '.join(names)}", data)


def no_route() -> ApiError:
    """Return the refusal of an address nobody serves, or not by this method."""
    message = "No route was found matching the URL and request method."
    return ApiError(404, "rest_no_route", message, hides_methods=True)


def no_trash(what: str) -> ApiError:
    """Return the refusal to trash what can only be deleted for good."""
    return ApiError(501, "woocommerce_rest_trash_not_supported", f"{what} do not support trashing.")
