"""What each answer of WooCommerce means: the one place where it is decided.

=================================================== ================ =================== ==================
answer                                              to a read        to a write          reason
=================================================== ================ =================== ==================
2xx with the JSON expected                          fine             fine
2xx with HTML, damaged JSON, wrong shape            transient        ambiguous           unknown
401                                                 auth             auth                authentication
403 with JSON                                       auth             auth                no right
a code of ``DUPLICATES``                            -                permanent           duplicate
a code of ``NOT_CREATED``                           -                ambiguous           not created
a code of ``GONE_CODES``, 410                       gone             gone                gone
404 ``rest_no_route``                               permanent        permanent           no route
a code of ``REFUSALS``, whatever the status         permanent        permanent           validation
other 4xx with a code, 413                          permanent        permanent           validation
5xx, 408, 425, any answer without a code            transient        ambiguous           unknown
=================================================== ================ =================== ==================

The status alone decides little: a refund that is too large is a 500, an update of a product that is gone is a 400, and
items of a batch carry other statuses than single calls. 429 never gets here, it is the transport's.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NoReturn

import httpx

from sync_pipelines.core.errors import Cause, FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.transport import body_excerpt

PEER = "woocommerce"

DUPLICATES: Mapping[str, str] = MappingProxyType(
    {
        "product_invalid_sku": "sku",
        "product_invalid_global_unique_id": "global_unique_id",
        "registration-error-email-exists": "email",
        # The address of another customer in an update; a text that is no address is rest_invalid_param.
        "woocommerce_rest_customer_invalid_email": "email",
        "registration-error-username-exists": "username",
    }
)
"""Codes that say a value is taken, and the field that holds it."""

NOT_CREATED = frozenset({"woocommerce_rest_product_not_created", "existing_user_login"})
"""Codes of a create that lost a race, or whose SKU a trashed product holds: only a look at the shop tells which."""

GONE_CODES = frozenset(
    {
        "woocommerce_rest_product_invalid_id",
        "woocommerce_rest_product_variation_invalid_id",
        "woocommerce_rest_shop_order_invalid_id",
        "woocommerce_rest_shop_order_refund_invalid_id",
        "woocommerce_rest_invalid_order_id",
        "woocommerce_rest_shop_webhook_invalid_id",
        "woocommerce_rest_customer_invalid_id",
        "wc_user_invalid_id",
        "woocommerce_rest_already_trashed",
    }
)

REFUSALS = frozenset(
    {
        "woocommerce_rest_cannot_create_order_refund",
        "woocommerce_rest_invalid_order_refund",
        "woocommerce_rest_trash_not_supported",
    }
)
"""Codes that come with a status of 500 or 501 although the shop has understood and done nothing."""

_TRY_AGAIN = frozenset({408, 425})
_LONGEST_MESSAGE = 300
_TAGS = re.compile(r"<[^>]*>")


class Reason(StrEnum):
    """Why WooCommerce did not do what was asked."""

    DUPLICATE = "duplicate"
    """A value that must be unique is taken: ``field`` names it, ``resource_id`` its holder when the shop says so."""
    VALIDATION = "validation"
    """The request breaks a rule; ``params`` tells which field breaks which, when the shop says so."""
    AUTHENTICATION = "authentication"
    """The keys are refused. A key that may only read gets this for a write too."""
    NO_RIGHT = "no_right"
    """The keys are good, but their user may not do this."""
    GONE = "gone"
    """There is no such record, or it is in the trash already."""
    NOT_CREATED = "not_created"
    """A race, or a trashed holder of the SKU: look the natural key up, the trash included, before another try."""
    NO_ROUTE = "no_route"
    """The server is no WooCommerce, its REST API is off, or the address is wrong."""
    MALFORMED = "malformed"
    """A record cannot be read."""
    UNKNOWN = "unknown"
    """Out of order, a proxy's page, or an answer that cannot be read."""


class WooCommerceError(PeerError):
    """WooCommerce refused, or its answer cannot be used.

    Attributes:
        reason: what conflict rules look at.
        code: WooCommerce's own code, empty when there was none.
        field: field whose value is taken, for a duplicate.
        resource_id: id of the record that holds the value, for a duplicate.
        params: what is wrong with which field, for a validation.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        reason: Reason,
        code: str = "",
        field: str | None = None,
        resource_id: int | None = None,
        params: Mapping[str, str] = MappingProxyType({}),
        status: int | None = None,
        key: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(PEER, kind, message, status=status, key=key, operation=operation)
        self.reason = reason
        self.code = code
        self.field = field
        self.resource_id = resource_id
        self.params = params

    @property
    def cause(self) -> Cause | None:
        """What the refusal was about."""
        return Cause.DUPLICATE_KEY if self.reason is Reason.DUPLICATE else None


class MalformedRecord(WooCommerceError):
    """One record of an otherwise good answer cannot be read.

    Attributes:
        place: where the value stands, e.g. ``products[17].regular_price``.
        record_id: id of the record, when at least that can be read.
    """

    def __init__(self, place: str, record_id: int | None, problem: str, *, operation: str | None = None) -> None:
        key = None if record_id is None else str(record_id)
        super().__init__(
            FailureKind.PERMANENT, f"{place}: {problem}", reason=Reason.MALFORMED, key=key, operation=operation
        )
        self.place = place
        self.record_id = record_id


def reason_of(error: PeerError) -> Reason | None:
    """Return why, ``None`` for a failure below WooCommerce: the network, a rate limit, an open breaker."""
    return error.reason if isinstance(error, WooCommerceError) else None


def read_answer(operation: str, response: httpx.Response, *, write: bool, redactor: Redactor) -> Any:
    """Return the JSON of a good answer; numbers with a fraction are ``Decimal``.

    Arguments:
        operation, redactor: for the error text.
        response: a whole answer with any status.
        write: whether the request could change something.

    Raises:
        WooCommerceError: classified as in the table above.
    """
    value = _json_or_none(response)
    if response.is_success:
        if value is None:
            shown = body_excerpt(response, redactor) or "nothing"
            reason = f"no readable JSON (a login page, a notice of PHP, a cut answer?): {shown}"
            raise unexpected_shape(operation, write=write, reason=reason, status=response.status_code)
        return value
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        raise _without_code(operation, response, write=write, redactor=redactor)
    raise refusal(value, response.status_code, operation=operation, write=write, redactor=redactor)


def refusal(
    body: Mapping[str, Any],
    status: int,
    *,
    operation: str,
    write: bool,
    redactor: Redactor,
    key: str | None = None,
) -> WooCommerceError:
    """Return the error for ``{"code", "message", "data"}``, of a whole answer or of one item of a batch.

    Arguments:
        status: of the answer; for an item of a batch the one in its ``data``.
        key: record that an item of a batch is about.
    """
    code = str(body.get("code", ""))
    data = body.get("data")
    details = data if isinstance(data, dict) else {}
    reason = reason_for(status, code)
    kind = kind_for(reason, write=write)
    text = " ".join(html.unescape(_TAGS.sub(" ", str(body.get("message", "")))).split())
    message = redactor.text(text)[:_LONGEST_MESSAGE] or "no explanation given"
    holder = details.get("resource_id")
    return WooCommerceError(
        kind,
        f"{message} ({redactor.text(code)[:80]}){_hint(reason, status, code)}",
        reason=reason,
        code=code,
        field=DUPLICATES.get(code),
        resource_id=holder if type(holder) is int and holder > 0 else None,
        params=_params(details.get("params"), redactor),
        status=status,
        key=key,
        operation=operation,
    )


def reason_for(status: int, code: str) -> Reason:
    """Return why, from the status and WooCommerce's code; the first row of the table that fits."""
    if code in DUPLICATES:
        return Reason.DUPLICATE
    if code in NOT_CREATED:
        return Reason.NOT_CREATED
    if code in GONE_CODES or (code and status == 410):
        return Reason.GONE
    if code in REFUSALS or status == 413:
        return Reason.VALIDATION
    if status == 401:
        return Reason.AUTHENTICATION
    if not code or status in _TRY_AGAIN or not 400 <= status < 500:
        return Reason.UNKNOWN
    if status == 403:
        return Reason.NO_RIGHT
    return Reason.NO_ROUTE if code == "rest_no_route" else Reason.VALIDATION


def kind_for(reason: Reason, *, write: bool) -> FailureKind:
    """Return how to treat a failure."""
    match reason:
        case Reason.DUPLICATE | Reason.VALIDATION | Reason.NO_ROUTE | Reason.MALFORMED:
            return FailureKind.PERMANENT
        case Reason.AUTHENTICATION | Reason.NO_RIGHT:
            return FailureKind.AUTH
        case Reason.GONE:
            return FailureKind.GONE
        case Reason.NOT_CREATED | Reason.UNKNOWN:
            return FailureKind.AMBIGUOUS if write else FailureKind.TRANSIENT


def unexpected_shape(
    operation: str, *, write: bool, reason: str, status: int | None = None, key: str | None = None
) -> WooCommerceError:
    """Return the error for a success whose content is not the expected one. A write may have been done all the same."""
    kind = kind_for(Reason.UNKNOWN, write=write)
    message = f"the answer has an unexpected shape: {reason:.400}"
    return WooCommerceError(kind, message, reason=Reason.UNKNOWN, status=status, key=key, operation=operation)


def _without_code(operation: str, response: httpx.Response, *, write: bool, redactor: Redactor) -> WooCommerceError:
    status = response.status_code
    reason = reason_for(status, "")
    message = body_excerpt(response, redactor) or "no explanation given"
    return WooCommerceError(
        kind_for(reason, write=write),
        message + _hint(reason, status, ""),
        reason=reason,
        status=status,
        operation=operation,
    )


def _json_or_none(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _params(params: Any, redactor: Redactor) -> Mapping[str, str]:
    """Return what is wrong by field: an object says it, a list names fields that are missing."""
    if isinstance(params, dict):
        found = {str(name): redactor.text(str(text))[:_LONGEST_MESSAGE] for name, text in params.items()}
    elif isinstance(params, list):
        found = {str(name): "is missing" for name in params}
    else:
        found = {}
    return MappingProxyType(found)


def _hint(reason: Reason, status: int, code: str) -> str:
    match reason:
        case Reason.AUTHENTICATION if code == "woocommerce_rest_authentication_error":
            return " - check the keys, whether they may write, this machine's clock, and that the address is the shop's"
        case Reason.AUTHENTICATION:
            return (
                " - the keys are unknown or did not arrive: Basic works over https only, and some proxies drop the "
                "Authorization header"
            )
        case Reason.NO_RIGHT:
            return " - give the user of the keys the role of a shop manager or an administrator"
        case Reason.NOT_CREATED:
            return " - look the SKU or the address up, the trash included, before another try"
        case Reason.NO_ROUTE:
            return " - is this the address of a WooCommerce shop, and is its REST API on?"
        case Reason.UNKNOWN if status == 404:
            return " - a page instead of JSON: check the address, and that permalinks are not set to plain"
    return ""
