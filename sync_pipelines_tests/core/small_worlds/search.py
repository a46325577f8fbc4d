"""Run the worlds of many seeds over several processes, and collect those in which a promise was broken."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

from sync_pipelines_tests.core.small_worlds.story import live
from sync_pipelines_tests.core.small_worlds.world import RULES, Rules

CHUNK = 10_000
"""Worlds that a process runs before it reports."""
WORKERS = 2


class Finding(NamedTuple):
    """A seed whose world broke, and how."""

    seed: int
    reason: str


class Report(NamedTuple):
    """What came of one chunk; ``seconds`` of processor time."""

    worlds: int
    seconds: float
    findings: list[Finding]


def explore(seeds: range, rules: Rules = RULES) -> list[Finding]:
    """Run the worlds of the seeds in this process and return those that broke, in their order."""
    findings = []
    for seed in seeds:
        try:
            live(seed, rules)
        except Exception as error:
            # Whatever a world stumbles over is a finding about that seed, and the other seeds still count.
            findings.append(Finding(seed, f"{type(error).__name__}: {error}"))
    return findings


def search(seeds: range, rules: Rules = RULES, *, workers: int = WORKERS, chunk: int = CHUNK) -> Iterator[Report]:
    """Run the worlds of the seeds over several processes and yield a report per chunk, in no order."""
    chunks = [seeds[at : at + chunk] for at in range(0, len(seeds), chunk)]
    with get_context("spawn").Pool(min(workers, len(chunks)) or 1, initializer=_begin) as pool:
        yield from pool.imap_unordered(partial(_report, rules=rules), chunks)


def _begin() -> None:
    # The parent alone answers Ctrl-C. Worlds are freed by counting references; looking for cycles costs a tenth.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whoever starts tests in the background has SIGINT ignored, and Dagster then lets SIGTERM be ignored, too: the pool
    # would wait for ever for workers that it told to end.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.disable()


def _report(seeds: range, rules: Rules) -> Report:
    started = time.process_time()
    findings = explore(seeds, rules)
    return Report(len(seeds), time.process_time() - started, findings)
