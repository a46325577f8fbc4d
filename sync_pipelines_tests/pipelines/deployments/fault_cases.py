"""What the deployments pipeline adds to the fault table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.sandbox.faults import Lie, Rewrite
from sync_pipelines.sandbox.rewriting import REMOVED
from sync_pipelines_tests.conformance.subject import Subject
from sync_pipelines_tests.faults.events import EVENTS
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.pair import SHOWN_ELSEWHERE, PairFaults, StrangeRow, StrangeValue
from sync_pipelines_tests.pipelines.deployments.subject import (
    BINDING_MARK,
    CREDENTIALS_MARK,
    MANIFEST_MARK,
    PASSWORD_MARK,
    TOKEN_MARK,
    DeploymentsSubject,
)

_NFD = "Cafe\u0301 Zu\u0308rich"
_FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f466 \U0001f44d\U0001f3fd team"
PROPERTY = "property"
"""As name of a field: the text that a property has in the manifest, as YAML."""


def _put(subject: Subject, key: str, fields: Mapping[str, Any]) -> Callable[[], object]:
    """Put members into the deployment's row of the list, or a property into its manifest."""
    deployments = cast(DeploymentsSubject, subject)
    before = deployments.world.deployments[key]
    rest = dict(fields)
    if (text := rest.pop(PROPERTY, None)) is not None:
        # A deploy, so that the list shows a newer release and the manifest is read again.
        manifest = (before.manifest or "") + f"  strange: {text}\n"
        deployments.world.add(replace(before, manifest=manifest, releases=(*before.releases, ("strange", "1"))))
    faults = [
        deployments.director.faults.add(
            # The first deployment of the list is the first that was made, which is the one that nobody touches.
            "rewrite",
            path=deployments.peers["left"].listing,
            rewrite=Rewrite(Lie.FIELD, 1, name, value),
        )
        for name, value in rest.items()
    ]

    def undo() -> None:
        for fault in faults:
            deployments.director.faults.remove(fault)
        deployments.world.add(before)

    return undo


VALUES = {
    "value-null": StrangeValue({"teams": None}, shown={"teams": []}),
    "value-missing": StrangeValue({"releases": REMOVED}),
    "value-empty": StrangeValue({"name": ""}),
    "value-cut-surrogate": StrangeValue({"teams": ["x" * 254 + "\ud83d"]}),
    "value-nfd": StrangeValue({"teams": [_NFD]}, shown={"teams": _NFD}),
    "value-emoji": StrangeValue({"teams": [_FAMILY]}, shown={"teams": _FAMILY}),
    "value-tiny": StrangeValue({PROPERTY: "1.0e-18"}),
    "value-2^63": StrangeValue({PROPERTY: str(2**63)}),
    "value-nan": StrangeValue({PROPERTY: ".nan"}),
    "value-1970": StrangeValue({PROPERTY: "1970-01-01T00:00:00Z"}),
    "value-2999": StrangeValue({PROPERTY: "2999-12-31T23:59:59Z"}),
    "value-unknown-enum": StrangeValue({"locked": "perhaps"}),
    "value-new-field": StrangeValue({"carbon_class": {"letter": "A"}}),
    "value-5-mb": StrangeValue({PROPERTY: "long " * 1_000_000}),
}
"""One row of the list that cannot be read discredits the whole list: who would say which one it was."""

ROWS = {
    "value-nan": StrangeRow(
        "note", float("nan"), Expected(Outcome.STOPS, frozenset({FailureKind.TRANSIENT}), "JSON", requests=8)
    ),
}

_TRANSIENT = frozenset({FailureKind.TRANSIENT})
_RATE_LIMITED = frozenset({FailureKind.RATE_LIMITED})
_UNHARMED = Expected(Outcome.UNHARMED)


def _no_list(told: str) -> Expected:
    return Expected(Outcome.STOPS, _TRANSIENT, told, requests=8)


EXPECTED = {
    "dropped-before-create-right": Expected(Outcome.FAILS, told="broke before the whole answer came", failed=1),
    "login-page-for-create-right": Expected(Outcome.FAILS, told="'Sign in .*is this address Vault's", failed=1),
    "login-page-for-change-right": Expected(Outcome.FAILS, told="'Sign in .*is this address Vault's", failed=1),
    # Three of the four changes are of the index.
    "redirect-of-create-right": Expected(Outcome.FAILS, told="was redirected", failed=3, letters=3),
    "echo-429-on-listing-right": Expected(Outcome.STOPS, _RATE_LIMITED, "too many requests", requests=8),
    "listing-empty-left": Expected(Outcome.UNSEALED, told="the Director lists no deployments at all"),
    "404-on-change-right": Expected(Outcome.FAILS, told=r"\(HTTP 404\)", failed=1, letters=1),
    "previous-listing-left": _UNHARMED,
    "previous-record-right": _UNHARMED,
    "value-missing-left": _no_list("releases: missing"),
    "value-empty-left": _no_list("name: empty"),
    "value-cut-surrogate-left": _no_list("JSON"),
    "value-unknown-enum-left": _no_list("locked: str is not the expected kind"),
}

_ONE_LIST = "the Director's list comes in one answer"
_NO_TOTAL = "the Director's list tells no total; see the short listing"
_ONE_DOCUMENT = "the index is one document"
_NO_COUNT = "the index is one document, which tells no total; see the short listing"
_ONE_VERSION = "the index is one document: as of one version it is read whole, or is no JSON"
_NO_EVENTS = "no events are followed; each run reads the whole list"

_LEFT = (
    "connection-refused read-timeout truncated-listing login-page-for-listing redirect-of-listing previous-listing "
    "401-on-listing 500-rolled-back-on-listing 503-storm echo-200-on-listing "
    "listing-empty listing-short listing-half value-null value-missing value-cut-surrogate "
    "value-2^63 value-nan value-unknown-enum value-5-mb"
)
_RIGHT = (
    "connection-refused read-timeout-after-create dropped-before-create drop-after-create "
    "truncated-body-after-change login-page-for-change redirect-of-create previous-listing "
    "previous-record 403-on-listing 400-on-create 403-for-one-record 404-on-change "
    "429-3600-on-change 500-rolled-back-on-create 500-after-create 500-after-change "
    "503-storm-of-changes echo-400-on-create echo-500-on-change listing-empty value-nan"
)

DEPLOYMENTS_FAULTS = PairFaults(
    secrets=(PASSWORD_MARK, TOKEN_MARK, MANIFEST_MARK, CREDENTIALS_MARK, BINDING_MARK),
    times={"left": "created_at", "right": "created_at"},
    put=_put,
    values=VALUES,
    rows=ROWS,
    expected=EXPECTED,
    only_because=SHOWN_ELSEWHERE,
    only=frozenset([*(f"{one}-left" for one in _LEFT.split()), *(f"{one}-right" for one in _RIGHT.split())]),
    requests=160,
    rounds=10,
    absent={
        "listing-wrong-total-left": _NO_TOTAL,
        "listing-wrong-total-right": _NO_COUNT,
        "listing-omitted-ids-left": _NO_TOTAL,
        "listing-omitted-ids-right": _NO_COUNT,
        "listing-duplicate-ids-left": _ONE_LIST,
        "listing-duplicate-ids-right": _ONE_DOCUMENT,
        "listing-moving-item-left": _ONE_LIST,
        "listing-moving-item-right": _ONE_DOCUMENT,
        "listing-looping-left": _ONE_LIST,
        "listing-looping-right": _ONE_DOCUMENT,
        "listing-equal-timestamps-left": "the Director's list has no times",
        "listing-skewed-clock-left": "the Director's list has no times",
        "listing-short-right": _ONE_VERSION,
        "listing-half-right": _ONE_VERSION,
        "listing-equal-timestamps-right": _ONE_VERSION,
        "listing-skewed-clock-right": _ONE_VERSION,
        "401-in-the-middle-right": "Vault answers 403 to a dead token, as the conformance kit has it",
    }
    | {f"{event.id}-left": _NO_EVENTS for event in EVENTS},
)
