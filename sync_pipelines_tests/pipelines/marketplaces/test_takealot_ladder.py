"""The ladder of Takealot leaves no day out, whatever happens between two runs."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta

import pytest

from sync_pipelines.pipelines.marketplaces.takealot_ladder import RECENT, RUNGS, Older, Progress, sast_day

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = date(2026, 11, 20)
DAY = timedelta(days=1)


def test_a_day_begins_at_midnight_in_south_africa() -> None:
    assert sast_day(datetime(2026, 11, 18, 21, 59, tzinfo=UTC)) == date(2026, 11, 18)
    assert sast_day(datetime(2026, 11, 18, 22, 0, tzinfo=UTC)) == date(2026, 11, 19)


def test_progress_survives_being_kept_as_json() -> None:
    older = Older(90, NOW, TODAY - 90 * DAY, TODAY - 9 * DAY)
    progress = Progress({3: NOW, 35: NOW - DAY}, older, NOW, ("return 1", "transaction 2"))
    assert Progress.of(json.loads(json.dumps(progress.state))) == progress
    assert Progress.of({}) == Progress()


def test_the_first_reading_goes_back_over_the_history_and_counts_for_every_rung() -> None:
    window = Progress().due(NOW, TODAY - 3 * DAY, history=180)
    assert window == Older(90, NOW, TODAY - 180 * DAY, TODAY - 4 * DAY)
    assert window is not None
    half = Progress().older_read(window, TODAY - 100 * DAY)
    assert not half.is_complete
    assert half.due(NOW + DAY, TODAY, 180) == Older(90, NOW, TODAY - 180 * DAY, TODAY - 101 * DAY)
    whole = half.older_read(window, window.first)
    assert (whole.is_complete, whole.older, whole.read) == (True, None, dict.fromkeys(RUNGS, NOW))


@pytest.mark.parametrize(
    ("since_35", "since_90", "due"),
    [
        (timedelta(minutes=59), timedelta(hours=23), None),
        (timedelta(minutes=60), timedelta(hours=23), 35),
        (timedelta(minutes=15), timedelta(hours=24), 90),
        (timedelta(hours=5), timedelta(days=5), 90),
    ],
)
def test_the_longest_rung_that_is_due_is_read(since_35: timedelta, since_90: timedelta, due: int | None) -> None:
    progress = Progress({RECENT: NOW, 35: NOW - since_35, 90: NOW - since_90})
    window = progress.due(NOW, TODAY - 3 * DAY, 180)
    assert (window and window.days) == due


def test_a_clock_that_was_ahead_at_the_last_run_leaves_no_day_out() -> None:
    progress = Progress({RECENT: NOW + 5 * DAY})
    assert progress.recent(NOW) == (TODAY - 3 * DAY, TODAY)


@pytest.mark.parametrize("seed", range(20))
def test_each_day_that_a_rung_reaches_was_read_after_it_ended(seed: int) -> None:
    """Runs at random times, some of which end early: days that pass between two readings of a rung are in the next."""
    chance = random.Random(seed)
    progress, now = Progress(), NOW
    read: dict[date, datetime] = {}
    for _ in range(60):
        now += chance.choice([timedelta(minutes=15), timedelta(hours=1), timedelta(days=2), timedelta(days=40)])
        first, last = progress.recent(now)
        read |= {first + n * DAY: now for n in range((last - first).days + 1)}
        progress = progress.recent_read(now)
        while (window := progress.due(now, first, 180)) is not None:
            assert window.first <= window.last
            start = max(window.first, window.last - 6 * DAY)
            read |= {start + n * DAY: now for n in range((window.last - start).days + 1)}
            progress = progress.older_read(window, start)
            if chance.random() < 0.05:
                break
        progress = Progress.of(progress.state)
        days = [min(read) + n * DAY for n in range((sast_day(now) - min(read)).days + 1)]
        if progress.is_complete:
            assert set(days) <= set(read)
            reached = sast_day(progress.read[90]) - 90 * DAY
            assert all(read[day] >= progress.read[90] for day in days if reached <= day <= sast_day(progress.read[90]))
