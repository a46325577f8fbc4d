"""The Director's journal of events, which is pruned now and then."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PAGE = 200
"""No answer has more events, and no parameter changes that."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at ``timestamp`` (Unix seconds). What is ``None`` is left out of answers."""

    id: int
    timestamp: int
    user: str
    action: str
    object_type: str
    object_name: str | None = None
    parent_id: int | None = None
    error: str | None = None
    task: str | None = None
    deployment: str | None = None
    instance: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the event as it is told: ids are text."""
        told = {
            "id": str(self.id),
            "parent_id": None if self.parent_id is None else str(self.parent_id),
            "timestamp": self.timestamp,
            "user": self.user,
            "action": self.action,
            "object_type": self.object_type,
            "object_name": self.object_name,
            "error": self.error,
            "task": self.task,
            "deployment": self.deployment,
            "instance": self.instance,
            "context": dict(self.context),
        }
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for.

    Attributes:
        before_id: only events with a smaller id.
        before, after: Unix seconds; events at exactly these are left out.
        equal: required values by name of an attribute.
    """

    before_id: int | None = None
    before: float | None = None
    after: float | None = None
    equal: Mapping[str, str] = field(default_factory=dict)

    def takes(self, event: Event) -> bool:
        """Return whether an event is one of these; ids are not looked at."""
        if self.before is not None and event.timestamp >= self.before:
            return False
        if self.after is not None and event.timestamp <= self.after:
            return False
        return all(getattr(event, name) == value for name, value in self.equal.items())


class EventLog:
    """All events that are left, by id and by deployment.

    Attributes:
        is_recording: a Director may be told to keep no events at all.
    """

    def __init__(self) -> None:
        self.is_recording = True
        self._events: list[Event] = []
        self._of: dict[str, list[Event]] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._events)

    def add(self, timestamp: float, user: str, action: str, object_type: str, **details: Any) -> int:
        """Append an event and return its id; ``details`` are further fields of :class:`Event`."""
        self._last_id += 1
        if self.is_recording:
            self._keep(Event(self._last_id, int(timestamp), user, action, object_type, **details))
        return self._last_id

    def restore(self, event: Event) -> None:
        """Append an event that happened elsewhere, with its own id, which must be the largest so far."""
        self._last_id = event.id
        self._keep(event)

    def prune(self, keep: int) -> None:
        """Forget all but the newest events, as the nightly job of a Director does."""
        kept = self._events[max(0, len(self._events) - keep) :]
        self._events, self._of = [], {}
        for event in kept:
            self._keep(event)

    def find(self, event_id: int) -> Event | None:
        """Return the event with an id."""
        place = bisect_left(self._events, event_id, key=_id)
        found = self._events[place : place + 1]
        return found[0] if found and found[0].id == event_id else None

    def of(self, deployment: str) -> Sequence[Event]:
        """Return what is left of a deployment's events, oldest first."""
        return self._of.get(deployment, ())

    def page(self, wanted: Wanted) -> list[Event]:
        """Return the newest events that are wanted, newest first."""
        page: list[Event] = []
        for event in self._newest_first(wanted):
            if wanted.takes(event):
                page.append(event)
                if len(page) == PAGE:
                    break
        return page

    def _newest_first(self, wanted: Wanted) -> Iterator[Event]:
        name = wanted.equal.get("deployment")
        events = self._events if name is None else self._of.get(name, [])
        end = len(events) if wanted.before_id is None else bisect_left(events, wanted.before_id, key=_id)
        return (events[place] for place in range(end - 1, -1, -1))

    def _keep(self, event: Event) -> None:
        self._events.append(event)
        if event.deployment is not None:
            self._of.setdefault(event.deployment, []).append(event)


def _id(event: Event) -> int:
    return event.id
