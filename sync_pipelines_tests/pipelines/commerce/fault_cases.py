"""What commerce adds to the fault table: products into Odoo, and products into the shop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.sandbox.faults import Lie, Rewrite
from sync_pipelines.sandbox.rewriting import REMOVED
from sync_pipelines_tests.conformance.subject import Subject
from sync_pipelines_tests.faults.events import EVENTS
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.pair import SHOWN_ELSEWHERE, PairFaults, StrangeRow, StrangeValue
from sync_pipelines_tests.pipelines.commerce.subject import ODOO_KEY, SHOP_KEY

_NFD = "Cafe\u0301 Zu\u0308rich"
_FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f466 \U0001f44d\U0001f3fd mug"
_CUT = "x" * 254 + "\ud83d"
_LONG = "long " * 1_000_000


def _put(subject: Subject, key: str, fields: Mapping[str, Any]) -> Callable[[], object]:
    """Let the listing of the source show the first product, which nobody touches, with other values."""
    peer = subject.peers["left"]
    where = {"path": peer.listing, "query": peer.listing_query, "sent": peer.listing_sent}
    faults = [
        peer.faults.add("rewrite", rewrite=Rewrite(Lie.FIELD, 1, name, value), **where)
        for name, value in fields.items()
    ]

    def undo() -> None:
        for fault in faults:
            peer.faults.remove(fault)

    return undo


_VALUES = {
    "value-null": StrangeValue({"name": None}),
    "value-missing": StrangeValue({"name": REMOVED}),
    "value-empty": StrangeValue({"name": ""}),
    "value-cut-surrogate": StrangeValue({"name": _CUT}, "half of a surrogate pair"),
    "value-nfd": StrangeValue({"name": _NFD}, shown={"name": _NFD}),
    "value-emoji": StrangeValue({"name": _FAMILY}, shown={"name": _FAMILY}),
    "value-new-field": StrangeValue({"carbon_class": {"letter": "A"}}),
}
SHOP_VALUES = _VALUES | {
    "value-tiny": StrangeValue({"regular_price": "1e-18"}),
    "value-2^63": StrangeValue({"regular_price": str(2**63)}),
    "value-nan": StrangeValue({"regular_price": float("nan")}),
    "value-1970": StrangeValue({"date_modified_gmt": "1970-01-01T00:00:00"}),
    "value-2999": StrangeValue({"date_modified_gmt": "2999-12-31T23:59:59"}),
    "value-unknown-enum": StrangeValue({"status": "mothballed"}),
    "value-5-mb": StrangeValue({"short_description": _LONG}),
}
ODOO_VALUES = _VALUES | {
    "value-tiny": StrangeValue({"lst_price": 1e-18}),
    "value-2^63": StrangeValue({"lst_price": float(2**63)}, "more digits than a price can have"),
    "value-nan": StrangeValue({"lst_price": float("nan")}),
    "value-1970": StrangeValue({"write_date": "1970-01-01 00:00:00"}),
    "value-2999": StrangeValue({"write_date": "2999-12-31 23:59:59"}),
    "value-unknown-enum": StrangeValue({"type": "mothballed"}),
    "value-5-mb": StrangeValue({"description_sale": _LONG}),
}

_TRANSIENT = frozenset({FailureKind.TRANSIENT})
_LOOKED_AGAIN = Expected(Outcome.UNHARMED)
"""The listing shows what the record itself does not: a look at it just before the write tells."""


def _no_page(told: str = "JSON") -> Expected:
    return Expected(Outcome.STOPS, _TRANSIENT, told, requests=12)


SHOP_ROWS = {
    "value-null": StrangeRow("name", None, _LOOKED_AGAIN),
    "value-nan": StrangeRow("weight", float("nan"), _no_page()),
    "value-new-field": StrangeRow("carbon_class", {"letter": "A"}, _LOOKED_AGAIN),
}
ODOO_ROWS = {
    "value-null": StrangeRow("name", None, _LOOKED_AGAIN),
    "value-nan": StrangeRow("weight", float("nan"), _no_page()),
    "value-new-field": StrangeRow("carbon_class", {"letter": "A"}, _LOOKED_AGAIN),
}


def _unsealed(told: str) -> Expected:
    return Expected(Outcome.UNSEALED, told=told)


_LESS = r"declares \d+ rows, \d+ were read"
_DISORDER = "the order or the domain is not applied"
_MOVED = "the list moved faster than it could be read, or ignores the offset"
_KEY_REFUSED = Expected(Outcome.BREAKS_OFF, frozenset({FailureKind.AUTH}), "check the .*key", requests=30)
_NOT_FOUND = Expected(Outcome.FAILS, told=r"\(HTTP 404\)", failed=1, letters=1)
_THREE_CHANGES = Expected(Outcome.FAILS, told=r"\(HTTP 503\)", failed=3)
"""A product is made as a whole: of the four changes only three write to one that is there."""

ODOO_EXPECTED = {
    "401-in-the-middle-right": _KEY_REFUSED,
    "404-on-change-right": _NOT_FOUND,
    "503-storm-of-changes-right": _THREE_CHANGES,
    "listing-empty-right": _unsealed(r"declares \d+ rows, 0 were read"),
    "listing-omitted-ids-right": _unsealed(_LESS),
    "listing-moving-item-right": _unsealed(_DISORDER),
    "listing-looping-right": _unsealed(_DISORDER),
    "value-nan-left": _no_page(),
    "value-nan-right": _unsealed("NaN is not a finite number"),
}
"""Odoo counts its rows beside the listing, so that one that is too short is told from a deletion."""
SHOP_EXPECTED = {
    "401-in-the-middle-right": Expected(Outcome.BREAKS_OFF, frozenset({FailureKind.AUTH}), "keys", requests=30),
    "404-on-change-right": _NOT_FOUND,
    "503-storm-of-changes-right": _THREE_CHANGES,
    "listing-empty-left": _unsealed(r"declares \d+ rows, 0 were read"),
    "listing-short-left": _unsealed(_LESS),
    "listing-omitted-ids-right": _unsealed(_MOVED),
    "listing-wrong-total-right": _unsealed(_MOVED),
    "listing-moving-item-right": _unsealed(_MOVED),
    "listing-looping-right": _unsealed(_MOVED),
    "value-nan-left": _unsealed("NaN is not a finite number"),
}
"""Pages of the shop overlap by a row, and one that does not join the page before is read again, some eighty times."""

_NO_EVENTS = "webhooks only say what to look at; those that are lost, doubled or forged are in the tests of their inbox"
_EVENTS = {f"{event.id}-left": _NO_EVENTS for event in EVENTS}
_BY_ROLE = "the shop gives rights by role, not by product: a 403 is about the key, as the 401 in the middle"
_COUNTED_APART = "Odoo counts its rows in a request of its own; see the omitted row"

_ONLY_RIGHT = (
    "connection-refused read-timeout-after-create dropped-before-create drop-after-create drop-after-change "
    "truncated-listing truncated-body-after-change login-page-for-listing login-page-for-create "
    "wrong-length-after-change broken-gzip-of-listing redirect-of-listing previous-listing "
    "401-on-listing 400-on-create 401-in-the-middle 403-for-one-record 404-on-change 429-1-second-on-listing "
    "429-date-on-listing 429-absent-on-change 429-3600-on-change 500-rolled-back-on-create 500-after-create "
    "500-after-change 503-storm-of-changes echo-302-on-listing echo-400-on-create echo-500-on-change "
    "listing-empty listing-wrong-total listing-omitted-ids listing-moving-item listing-looping listing-skewed-clock "
    "value-nan"
)
_ONLY_LEFT = (
    "read-timeout 503-storm listing-empty listing-short value-null value-cut-surrogate value-2^63 value-nan "
    "value-unknown-enum value-new-field value-5-mb"
)
_ONLY = frozenset([*(f"{one}-right" for one in _ONLY_RIGHT.split()), *(f"{one}-left" for one in _ONLY_LEFT.split())])
_MARKS = (SHOP_KEY.consumer_key, SHOP_KEY.consumer_secret, ODOO_KEY)
_SHOP_TIME, _ODOO_TIME = "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"

INTO_ODOO_FAULTS = PairFaults(
    secrets=_MARKS,
    times={"left": "date_modified_gmt", "right": "write_date"},
    time_forms={"left": _SHOP_TIME, "right": _ODOO_TIME},
    put=_put,
    values=SHOP_VALUES,
    rows=ODOO_ROWS,
    expected=ODOO_EXPECTED,
    only_because=SHOWN_ELSEWHERE,
    only=_ONLY - {"value-2^63-left"},
    requests=80,
    rounds=15,
    absent=_EVENTS | {"listing-wrong-total-right": _COUNTED_APART},
)
INTO_SHOP_FAULTS = PairFaults(
    secrets=_MARKS,
    times={"left": "write_date", "right": "date_modified_gmt"},
    time_forms={"left": _ODOO_TIME, "right": _SHOP_TIME},
    put=_put,
    values=ODOO_VALUES,
    rows=SHOP_ROWS,
    expected=SHOP_EXPECTED,
    only_because=SHOWN_ELSEWHERE,
    only=_ONLY - {"read-timeout-left", "503-storm-left", "value-5-mb-left"},
    requests=100,
    rounds=15,
    absent=_EVENTS | {"listing-wrong-total-left": _COUNTED_APART, "403-for-one-record-right": _BY_ROLE},
)
