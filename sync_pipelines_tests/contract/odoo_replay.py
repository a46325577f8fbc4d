"""Replays recorded exchanges with Odoo against the stand-in and tells where its answers differ.

Ids that a call made are bound to those that the stand-in made, and moments that an answer told to those that the
stand-in told; later requests are sent with the bound ones. Each step takes a second and a half of the stand-in's time.
"""

from __future__ import annotations

import json
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from sync_pipelines.sandbox.odoo import ADMIN_KEY, LOW_KEY, SYNC_KEY, SYNC_PASSWORD, OdooStandIn, too_many_requests

FOLDER = Path(__file__).parent / "recordings" / "odoo"
SECONDS_A_STEP = 1.5
_SECRETS = {
    "<api key>": SYNC_KEY,
    "<api key of an administrator>": ADMIN_KEY,
    "<api key of a user without sales rights>": LOW_KEY,
    "<password of a user without sales rights>": "low@example.test-password",
    "<password>": SYNC_PASSWORD,
    "<wrong api key>": "0" * 40,
}
_MOMENTS = frozenset(("write_date", "create_date", "date_order", "date_done"))
_MAKERS = frozenset(("create", "load", "copy", "name_create"))
_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Step:
    """One recorded exchange."""

    scenario: str
    number: int
    note: str
    request: dict[str, Any]
    response: dict[str, Any]

    @property
    def title(self) -> str:
        return f"[{self.scenario}] {self.number} {self.request['path']}: {self.note}"

    @property
    def method(self) -> str:
        """The method called over JSON-2."""
        return str(self.request["path"].rpartition("/")[2])


def steps(file: str) -> list[Step]:
    """Return the steps of a recording in their order."""
    rows = (json.loads(line) for line in (FOLDER / f"{file}.jsonl").read_text("utf-8").splitlines())
    return [Step(row["scenario"], row["step"], row["note"], row["request"], row["response"]) for row in rows]


@dataclass
class Replay:
    """One file against one stand-in.

    Attributes:
        client: bound to the stand-in's base URL.
        ids: recorded ids and those of this run, where they differ.
        moments: recorded moments and those of this run, in the order told.
    """

    standin: OdooStandIn
    client: httpx.Client
    ids: dict[int, int] = field(default_factory=dict)
    moments: list[tuple[str, str]] = field(default_factory=list)

    def differences(self, step: Step) -> list[str]:
        """Send a step; returns what was answered differently."""
        self.standin.world.clock.advance(SECONDS_A_STEP)
        self.standin.faults.clear()
        if step.response["status"] == 429:
            # How many requests the proxy lets pass is its own affair.
            too_many_requests(self.standin.faults)
        answer = self.client.send(self._request(step))
        found = list(self._compared(step, answer))
        return [f"{step.title}\n    {one}\n    answered {answer.text[:500]}" for one in found]

    def disorder(self) -> list[str]:
        """Return pairs of moments that came in another order than recorded."""
        seen = sorted(set(self.moments))
        pairs = ((left, right) for index, left in enumerate(seen) for right in seen[index + 1 :])
        return [f"{left} and {right}" for left, right in pairs if left[0] < right[0] and left[1] >= right[1]]

    def _request(self, step: Step) -> httpx.Request:
        sent = step.request
        headers = {name: _revealed(value) for name, value in sent["headers"].items()}
        body = self._bound(sent["body"], in_domain=False)
        content = _revealed(body) if isinstance(body, str) else None if body is None else _revealed(json.dumps(body))
        return self.client.build_request(sent["method"], sent["path"], headers=headers, content=content)

    def _bound(self, value: Any, in_domain: bool) -> Any:
        """Return a part of a request with the ids and moments of this run."""
        if isinstance(value, dict):
            return {
                name: [self.ids.get(one, one) for one in part]
                if name == "ids" and isinstance(part, list)
                else self._bound(part, in_domain or name == "domain")
                for name, part in value.items()
            }
        if isinstance(value, list):
            if in_domain and len(value) == 3 and str(value[0]) in _MOMENTS and isinstance(value[2], str):
                return [value[0], value[1], self._moved(value[2])]
            if in_domain and len(value) == 3 and value[0] == "id":
                ids = value[2] if isinstance(value[2], list) else [value[2]]
                ids = [self.ids.get(one, one) for one in ids]
                return [value[0], value[1], ids if isinstance(value[2], list) else ids[0]]
            return [self._bound(part, in_domain) for part in value]
        return value

    def _moved(self, text: str) -> str:
        """Return a moment of a filter, as far from a known one as it was recorded to be. Its form is kept."""
        try:
            recorded = datetime.strptime(text[:19].replace("T", " "), _FORMAT)
        except ValueError:
            return text
        # A filter was made from the row that told its moment first.
        known: dict[datetime, datetime] = {}
        for left, right in self.moments:
            known.setdefault(datetime.strptime(left, _FORMAT), datetime.strptime(right, _FORMAT))
        if not known:
            return text
        nearest = min(known, key=lambda moment: abs(moment - recorded))
        moved = (known[nearest] + (recorded - nearest)).strftime(_FORMAT)
        return moved[:10] + text[10:11] + moved[11:] + text[19:]

    def _compared(self, step: Step, answer: httpx.Response) -> Iterator[str]:
        recorded = step.response
        if answer.status_code != recorded["status"]:
            yield f"status {answer.status_code}, recorded {recorded['status']}"
            return
        kind = recorded["headers"].get("Content-Type")
        if kind and kind != answer.headers.get("Content-Type"):
            yield f"Content-Type {answer.headers.get('Content-Type')}, recorded {kind}"
        if "Retry-After" in answer.headers:
            yield "a Retry-After"
        body = recorded["body"]
        if step.request["path"].startswith("/xmlrpc"):
            yield from self._compare(_xml(body), _xml(answer.text), "xml")
        elif isinstance(body, str):
            if answer.text != body:
                yield f"text, recorded {body!r}"
        else:
            seen = answer.json()
            if step.method in _MAKERS and answer.status_code == 200:
                self._bind(body, seen)
            yield from self._compare(body, seen, "body")

    def _bind(self, recorded: Any, seen: Any) -> None:
        if isinstance(recorded, dict):
            self._bind(recorded.get("ids") or [], seen.get("ids") or [])
        elif isinstance(recorded, list):
            for left, right in zip(recorded, seen, strict=False):
                if isinstance(left, int) and isinstance(right, int) and left != right:
                    self.ids[left] = right

    def _compare(self, recorded: Any, seen: Any, place: str) -> Iterator[str]:
        if isinstance(recorded, dict) and isinstance(seen, dict):
            if recorded.keys() != seen.keys():
                yield f"{place}: members {sorted(seen)}, recorded {sorted(recorded)}"
            elif "debug" in recorded:
                # Texts are for people; clients go by the name.
                if recorded["name"] != seen["name"]:
                    yield f"{place}: {seen['name']}, recorded {recorded['name']}"
            else:
                for name in recorded:
                    yield from self._member(name, recorded[name], seen[name], f"{place}.{name}")
        elif isinstance(recorded, list) and isinstance(seen, list):
            if len(recorded) != len(seen):
                yield f"{place}: {len(seen)} items, recorded {len(recorded)}"
            for index, (left, right) in enumerate(zip(recorded, seen, strict=False)):
                yield from self._compare(left, right, f"{place}[{index}]")
        elif type(recorded) is not type(seen) or (recorded != seen and self._id(recorded) != seen):
            yield f"{place}: {seen!r}, recorded {recorded!r}"

    def _id(self, value: Any) -> Any:
        return self.ids.get(value, value) if type(value) is int else value

    def _member(self, name: str, recorded: Any, seen: Any, place: str) -> Iterator[str]:
        if name in _MOMENTS and isinstance(recorded, str) and isinstance(seen, str):
            if recorded != seen:
                datetime.strptime(seen, _FORMAT)
                self.moments.append((recorded, seen))
        else:
            yield from self._compare(recorded, seen, place)


def began_at(recorded: list[Step]) -> float:
    """Return a moment a little before everything that a recording tells of, in Unix seconds."""
    told = sorted(_told(step.response["body"] for step in recorded))
    first = datetime.strptime(told[0], _FORMAT) if told else datetime(2026, 11, 22, 3)
    return (first - datetime(1970, 1, 1)).total_seconds()


def _told(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name in ("write_date", "create_date") and isinstance(part, str):
                yield part
            else:
                yield from _told(part)
    elif not isinstance(value, str) and hasattr(value, "__iter__"):
        for part in value:
            yield from _told(part)


def _revealed(text: str) -> str:
    for placeholder, secret in _SECRETS.items():
        text = text.replace(placeholder, secret)
    return text


def _xml(text: str) -> Any:
    try:
        return xmlrpc.client.loads(text)[0]
    except xmlrpc.client.Fault as fault:
        # The text of a fault 1 is a traceback.
        return fault.faultCode, "" if fault.faultCode == 1 else fault.faultString
