"""What a scheduler's call is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sync_pipelines.core.occasion import AHEAD, Occasion, Unreadable, occasion

NOW = datetime(2026, 4, 13, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("job", "time", "expected"),
    [
        (None, None, Occasion()),
        ("", " ", Occasion()),
        ("sync", "2026-04-13T12:00:00Z", Occasion("sync", NOW)),
        ("projects/p/locations/l/jobs/sync", "2026-04-13T05:00:00-07:00", Occasion("sync", NOW)),
        (None, "2026-04-13T12:00:00.000000999z", Occasion("", NOW)),
        ("sync", None, Occasion("sync")),
        ("sync", "2026-04-13T11:45:00Z", Occasion("sync", NOW - timedelta(minutes=15))),
        ("sync", "2026-04-13T12:01:00Z", Occasion("sync", NOW + AHEAD)),
        ("sync", "2026-04-13T12:01:01Z", Occasion("sync", is_forced=True)),
    ],
)
def test_job_and_time_are_read_as_they_are_meant(job: str | None, time: str | None, expected: Occasion) -> None:
    assert occasion(job, time, NOW) == expected


@pytest.mark.parametrize(
    ("job", "time"),
    [
        ("sync", "12:00"),
        ("sync", "20260413T120000Z"),
        ("sync", "2026-04-13T12:00:00"),
        ("sync", "2026-02-30T12:00:00Z"),
        ("sync", "0001-01-01T00:00:00+23:00"),
        ("sync", "2026-04-13T12:00:00Z, 2026-04-13T12:15:00Z"),
        ("x" * 501, None),
        ("a\x00b", None),
    ],
)
def test_what_cannot_be_read_is_refused(job: str, time: str | None) -> None:
    with pytest.raises(Unreadable):
        occasion(job, time, NOW)
