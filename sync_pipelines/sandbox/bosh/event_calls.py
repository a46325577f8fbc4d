"""``/events``."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from sync_pipelines.sandbox.bosh.calls import JSON, Answer, Call, json_answer
from sync_pipelines.sandbox.bosh.errors import Refusal
from sync_pipelines.sandbox.bosh.events import Wanted

_EQUAL = ("task", "deployment", "instance", "user", "action", "object_type", "object_name")


def list_page(call: Call) -> Answer:
    """Return a page of events, newest first. A team is enough to see those of all teams."""
    call.caller.need_any_read()
    query = call.query
    wanted = Wanted(
        before_id=_leading_number(query["before_id"]) if "before_id" in query else None,
        before=_moment("before", query["before_time"]) if "before_time" in query else None,
        after=_moment("after", query["after_time"]) if "after_time" in query else None,
        equal={name: query[name] for name in _EQUAL if name in query},
    )
    return json_answer([event.body() for event in call.world.events.page(wanted)], JSON)


def show(call: Call) -> Answer:
    """Return one event."""
    call.caller.need_any_read()
    event = call.world.events.find(_leading_number(call.names["event"]))
    if event is None:
        raise Refusal(404, "Event not found", JSON)
    return json_answer(event.body(), JSON)


def _leading_number(text: str) -> int:
    """Read a number as Ruby does: what is none is 0."""
    found = re.match(r"\s*-?\d+", text)
    return int(found[0]) if found else 0


def _moment(name: str, text: str) -> float:
    if re.fullmatch(r"\d+", text):
        return float(text)
    with contextlib.suppress(ValueError):
        return _aware(datetime.fromisoformat(text.replace(" UTC", "+00:00"))).timestamp()
    with contextlib.suppress(ValueError):
        return _aware(parsedate_to_datetime(text)).timestamp()
    raise Refusal(400, f"Invalid {name} parameter: '{text}' ", JSON)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
