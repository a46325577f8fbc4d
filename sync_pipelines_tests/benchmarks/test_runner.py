"""The benchmarks run, and their page says what came out. How fast they are is not tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import verdicts
from benchmarks.measure import Report
from benchmarks.page import page

PROJECT = Path(__file__).parents[2]


@pytest.mark.long
def test_given_a_quick_run_the_page_has_a_line_for_every_measurement(tmp_path: Path) -> None:
    written = tmp_path / "page.md"

    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", "load,engine", "--page", str(written)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    text = written.read_text(encoding="utf-8")
    assert "A quick run" in text
    for line in ("load 1,000 records, first time", "memory of the loading process", "reconcile of 100 unchanged"):
        assert line in text


def test_given_an_unknown_name_the_run_says_which_there_are() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "speed"], cwd=PROJECT, capture_output=True, text=True
    )

    assert run.returncode == 2
    assert "there is no benchmark speed; there are load, dlt," in run.stderr


def test_a_missed_target_is_said() -> None:
    report = Report()
    report.at_least("rows", 79_999, 80_000, "rows/s")
    report.at_most("seconds", 1.0, 1.0, "s", "2 x slower")
    report.plain("by the way", 12.345, "ms")

    written = page([("load", report)], quick=False)

    assert "| rows | 79,999 rows/s | >= 80,000 rows/s |  | **no** |" in written
    assert "| seconds | 1 s | <= 1 s | 2 x slower | yes |" in written
    assert "| by the way | 12.3 ms |  |  |  |" in written
    assert "A quick run" not in written


def test_a_rate_below_or_above_the_shared_limit_is_missed() -> None:
    def met(overall: float) -> bool | None:
        limited = {"runs": 4, "rate": 50.0, "overall": overall, "busiest": 50}
        return verdicts.applier({"speeds": [], "limited": limited}).lines[0].met

    assert [met(rate) for rate in (47.4, 47.5, 50.0, 50.1)] == [False, True, True, False]
