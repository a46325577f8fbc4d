"""The Waldur client understands every recorded answer of the endpoints it uses."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.waldur.errors import (
    ILLEGAL_TRANSITION,
    INVALID_PAGE,
    IllegalTransition,
    PageGone,
    read_answer,
)
from sync_pipelines.systems.waldur.models import price_as_read
from sync_pipelines.systems.waldur.parsing import parse_offering, parse_plan
from sync_pipelines.systems.waldur.states import TRANSITIONS, Action, State
from sync_pipelines_tests.contract.replay import Step, read_scenarios

RECORDINGS = sorted((Path(__file__).parent / "recordings" / "waldur").glob("*.jsonl"))
PUBLIC_FILES = {"public.jsonl"}
"""Recordings of the public view, which the client does not use."""

_ACTIONS = "activate|pause|unpause|archive|draft"
_UPDATES = "update_overview|update_description|update_integration|update_attributes"
_COMPONENTS = "create_offering_component|update_offering_component|remove_offering_component"
ENDPOINTS = {
    "GET": re.compile(
        r"/api/(marketplace-provider-offerings/([^/]+/)?|users/me/|customers/[^/]+/|marketplace-plugins/"
        r"|marketplace-categories/[^/]+/|marketplace-plans/[^/]+/)"
    ),
    "POST": re.compile(
        rf"/api/(marketplace-provider-offerings/([^/]+/({_ACTIONS}|{_UPDATES}|{_COMPONENTS})/)?"
        r"|marketplace-plans/([^/]+/update_prices/)?)"
    ),
    "DELETE": re.compile(r"/api/marketplace-provider-offerings/[^/]+/"),
}

FINE = None
MEANING = {
    ("read", 200, "json"): FINE,
    ("read", 200, "html"): FailureKind.TRANSIENT,
    ("read", 400, "json"): FailureKind.PERMANENT,
    ("read", 401, "json"): FailureKind.AUTH,
    ("read", 404, "json"): FailureKind.GONE,
    ("read", 406, "json"): FailureKind.PERMANENT,
    ("read", 500, "html"): FailureKind.TRANSIENT,
    ("write", 200, "json"): FINE,
    ("write", 200, "empty"): FINE,
    ("write", 201, "json"): FINE,
    ("write", 201, "empty"): FINE,
    ("write", 204, "empty"): FINE,
    ("write", 400, "json"): FailureKind.PERMANENT,
    ("write", 401, "json"): FailureKind.AUTH,
    ("write", 403, "json"): FailureKind.PERMANENT,
    ("write", 404, "json"): FailureKind.GONE,
    ("write", 404, "empty"): FailureKind.GONE,
    ("write", 415, "json"): FailureKind.PERMANENT,
    ("write", 500, "html"): FailureKind.AMBIGUOUS,
}
"""What each kind of recorded answer means. A kind that is not here fails the test: it has to be thought about."""


def used_steps(path: Path) -> Iterator[Step]:
    for steps in read_scenarios(path).values():
        for step in steps:
            pattern = ENDPOINTS.get(step.request["method"])
            # Status 0: the client was gone before the answer came.
            if pattern and pattern.fullmatch(step.request["path"]) and step.response["status"]:
                yield step


def answer_of(step: Step) -> httpx.Response:
    body = step.response["body"]
    kind = step.response["headers"].get("Content-Type", "")
    text = json.dumps(body) if "json" in kind and body != "" else body
    return httpx.Response(step.response["status"], headers=step.response["headers"], content=text.encode())


def is_write(step: Step) -> bool:
    return bool(step.request["method"] != "GET")


def understood(step: Step) -> Any:
    return read_answer("waldur", step.title, answer_of(step), write=is_write(step), redactor=Redactor())


def refusal(step: Step) -> PeerError | None:
    try:
        understood(step)
    except PeerError as error:
        return error
    return None


def form_of(step: Step) -> str:
    if step.response["body"] == "":
        return "empty"
    return "html" if "html" in step.response["headers"]["Content-Type"] else "json"


def _stem(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", RECORDINGS, ids=_stem)
def test_every_recorded_answer_has_its_meaning(path: Path) -> None:
    steps = list(used_steps(path))
    assert steps or path.name in PUBLIC_FILES
    for step in steps:
        expected = MEANING["write" if is_write(step) else "read", step.response["status"], form_of(step)]
        error = refusal(step)
        assert (error.kind if error else FINE) is expected, step.title
        body = step.response["body"]
        assert isinstance(error, IllegalTransition) == (body == [ILLEGAL_TRANSITION]), step.title
        assert isinstance(error, PageGone) == (body == {"detail": INVALID_PAGE}), step.title
        assert error is None or 0 < len(error.message) < 500, step.title


@pytest.mark.parametrize("path", RECORDINGS, ids=_stem)
def test_every_recorded_offering_is_parsed(path: Path) -> None:
    for step in used_steps(path):
        if not step.request["path"].startswith("/api/marketplace-provider-offerings/") or form_of(step) != "json":
            continue
        if step.response["status"] not in (200, 201) or step.request["path"].count("/") > 4:
            continue
        answer = understood(step)
        for row in answer if isinstance(answer, list) else [answer]:
            if "uuid" not in row:
                continue
            offering = parse_offering(row)
            assert offering.present == set(row), step.title
            assert (offering.uuid, offering.state) == (row["uuid"], row.get("state", "")), step.title
            assert [item.type for item in offering.components] == [item["type"] for item in row.get("components", ())]
            assert [item.unit_price for item in offering.plans] == [
                Decimal(item["unit_price"]) for item in row.get("plans", ())
            ], step.title


def test_every_recorded_state_action_is_in_the_table() -> None:
    [path] = [path for path in RECORDINGS if path.name == "states.jsonl"]
    met = set()
    for scenario, steps in read_scenarios(path).items():
        match = re.fullmatch(rf"(staff|owner): (\w+) -> ({_ACTIONS})", scenario)
        if not match:
            continue
        role, current, action = match[1], State(match[2]), Action(match[3])
        [step] = [step for step in steps if step.note == f"{action} from {current}"]
        met.add((role, current, action))
        allowed = TRANSITIONS.get((current, action))
        if role == "owner" and action is Action.ACTIVATE:
            assert step.response["status"] == 403, scenario
        elif allowed:
            assert (step.response["status"], step.response["body"]["state"]) == (200, allowed), scenario
        else:
            assert step.response["body"] == [ILLEGAL_TRANSITION], scenario
    assert len(met) == 2 * 4 * 5


def test_every_recorded_price_is_read_back_as_predicted() -> None:
    [path] = [path for path in RECORDINGS if path.name == "prices.jsonl"]
    compared = 0
    for steps in read_scenarios(path).values():
        sent: dict[str, Any] = {}
        for step in steps:
            url, status = step.request["path"], step.response["status"]
            if url.endswith("/update_prices/") and status == 200:
                body = step.request["body"]
                body = json.loads(body, parse_float=Decimal) if step.request.get("raw") else body
                sent[url.removesuffix("update_prices/")] = body["prices"]
            elif url in sent and step.request["method"] == "GET" and status == 200:
                read = parse_plan(understood(step)).effective_prices
                for kind, price in sent.pop(url).items():
                    assert read[kind] == price_as_read(Decimal(str(price))), step.title
                    compared += 1
    assert compared > 20
