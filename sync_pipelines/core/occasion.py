"""What a call of Cloud Scheduler is about: which job, for which time of its schedule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

AHEAD = timedelta(seconds=60)
"""How far a scheduler's clock may be ahead of ours."""

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_LONGEST_JOB = 500
"""Characters of a job's id, as Cloud Scheduler has it."""


class Unreadable(ValueError):
    """A header does not hold what it should."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a call stands for.

    Attributes:
        job: id of the scheduler's job; empty when it was not told.
        time: of its schedule, in UTC; ``None`` for a call that has none and is never taken for a repetition.
        is_forced: whether somebody pressed "run now" before the time that the call names.
    """

    job: str = ""
    time: datetime | None = None
    is_forced: bool = False


def occasion(job: str | None, time: str | None, now: datetime) -> Occasion:
    """Return what the headers ``X-CloudScheduler-JobName`` and ``X-CloudScheduler-ScheduleTime`` of a call mean.

    The job is told by its id or by its full path (``projects/.../jobs/ID``), and the time in any offset; neither is
    there for jobs without a cron schedule. A forced run may name the *next* time of the schedule: were it kept, the
    regular call at that time would be taken for a repetition and be lost. So a time that has not come yet is not used.

    Raises:
        Unreadable: the time is not RFC 3339, or the job's name cannot be one.
    """
    name = (job or "").strip().rpartition("/")[2]
    if len(name) > _LONGEST_JOB or not name.isprintable():
        raise Unreadable("X-CloudScheduler-JobName is not the name of a job")
    if not (time or "").strip():
        return Occasion(name)
    at = schedule_time(str(time).strip())
    return Occasion(name, is_forced=True) if at > now + AHEAD else Occasion(name, at)


def schedule_time(text: str) -> datetime:
    """Return an RFC 3339 time in UTC, to the microsecond.

    Raises:
        Unreadable: it is none.
    """
    problem = Unreadable("X-CloudScheduler-ScheduleTime is not a time as in 2026-04-13T12:00:00Z")
    if not _RFC_3339.fullmatch(text):
        raise problem
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise problem from None
