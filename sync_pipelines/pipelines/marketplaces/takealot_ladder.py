"""Which days of sales a run reads: Takealot cannot be asked for what changed, so days are read again, old ones seldom.

::

    run:      every one     hourly           daily            first
    days:     3             35               90               all of the history

Days are South African. Each rung also reaches back over the time since it was last read, so that an outage leaves no
gap. The newest days come first and are a window of their own; the older ones follow as one window, from new to old,
which a later run goes on with when this one ends early.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Self

from sync_pipelines.systems.takealot.models import SAST

RECENT = 3
"""Days back that every run reads, besides today."""
RUNGS: Mapping[int, timedelta] = {35: timedelta(hours=1), 90: timedelta(days=1)}
"""Days back -> how often they are read. A return can change a sale weeks later."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Older:
    """A window of older days that is being read.

    Attributes:
        days: its rung.
        began: when its reading began.
        first: its oldest day.
        last: the newest day that is yet to be read.
    """

    days: int
    began: datetime
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the sales of an account were read: the state of the watermark.

    Attributes:
        read: rung -> when it was last read.
        older: a window that is not read to its end.
        signaled: up to when returns and reversals were looked at.
        seen: marks of those that were looked at, of the time that the next look overlaps.
    """

    read: Mapping[int, datetime] = field(default_factory=dict)
    older: Older | None = None
    signaled: datetime | None = None
    seen: tuple[str, ...] = ()

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """Return the progress that a watermark tells of."""
        older = state.get("older")
        signaled = state.get("signaled")
        return cls(
            {int(days): datetime.fromisoformat(at) for days, at in state.get("read", {}).items()},
            older
            and Older(
                older["days"],
                datetime.fromisoformat(older["began"]),
                date.fromisoformat(older["first"]),
                date.fromisoformat(older["last"]),
            ),
            signaled and datetime.fromisoformat(signaled),
            tuple(state.get("seen", ())),
        )

    @property
    def state(self) -> dict[str, Any]:
        """The progress as JSON."""
        told: dict[str, Any] = {
            "read": {str(days): at.isoformat() for days, at in self.read.items()},
            "seen": list(self.seen),
        }
        if self.signaled is not None:
            told["signaled"] = self.signaled.isoformat()
        if self.older is not None:
            window = self.older
            told["older"] = {
                "days": window.days,
                "began": window.began.isoformat(),
                "first": window.first.isoformat(),
                "last": window.last.isoformat(),
            }
        return told

    @property
    def is_complete(self) -> bool:
        """Whether the history was read once."""
        return max(RUNGS) in self.read

    def recent(self, now: datetime) -> tuple[date, date]:
        """Return the first and the last day that every run reads."""
        return _back_to(self.read.get(RECENT, now), now, RECENT), sast_day(now)

    def recent_read(self, now: datetime) -> Self:
        """Return the progress with the recent days read."""
        return replace(self, read={**self.read, RECENT: now})

    def due(self, now: datetime, before: date, history: int) -> Older | None:
        """Return the older days that are to be read now.

        Arguments:
            before: day from which on everything is read already.
            history: days back that the first reading goes.
        """
        if self.older is not None:
            return self.older
        last = before - _DAY
        if not self.is_complete:
            return Older(max(RUNGS), now, min(sast_day(now) - timedelta(days=history), last), last)
        for days, every in sorted(RUNGS.items(), reverse=True):
            read = self.read.get(days)
            if read is None or read + every <= now:
                first = _back_to(read or now, now, days)
                return Older(days, now, first, last) if first <= last else None
        return None

    def older_read(self, window: Older, first: date) -> Self:
        """Return the progress with the days of a window read, back to one."""
        if first > window.first:
            return replace(self, older=replace(window, last=first - _DAY))
        return replace(
            self, older=None, read={**self.read, **{days: window.began for days in RUNGS if days <= window.days}}
        )


def sast_day(moment: datetime) -> date:
    """Return the South African day of a moment."""
    return moment.astimezone(SAST).date()


def _back_to(read: datetime, now: datetime, days: int) -> date:
    return sast_day(min(read, now)) - timedelta(days=days)
