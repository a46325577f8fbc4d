"""Counters, gauges and histograms, kept in PostgreSQL so that a killed run's work counts too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import Part, execute, text

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of a duration histogram in seconds; ``+Inf`` is the count."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of a metric. ``bucket`` is empty but for histograms: an upper bound, ``"sum"`` or ``"count"``."""

    name: str
    scope: str
    bucket: str
    value: float


def begin(connection: Connection, scope: Scope, names: Sequence[str]) -> None:
    """Let counters exist at zero, so that they are shown before they first count something."""
    connection.execute(
        text(
            "INSERT INTO sync.metric (name, pair, scope, bucket, value) SELECT name, :pair, :scope, '', 0 "
            "FROM unnest(CAST(:names AS text[])) AS given(name) ORDER BY name ON CONFLICT DO NOTHING"
        ),
        {"pair": scope.pair, "scope": scope.name, "names": list(names)},
    )


def count(connection: Connection, scope: Scope, name: str, by: float = 1) -> None:
    """Raise a counter within the current transaction."""
    add(connection, scope, {(name, ""): by})


def duration(name: str, seconds: Sequence[float]) -> dict[tuple[str, str], float]:
    """Return what durations add to a histogram, for :func:`add`."""
    sizes = {str(bound): float(sum(taken <= bound for taken in seconds)) for bound in BUCKETS}
    sizes |= {"sum": math.fsum(seconds), "count": float(len(seconds))}
    return {(name, bucket): value for bucket, value in sizes.items() if value}


def adding(scope: Scope, amounts: Mapping[tuple[str, str], float]) -> Part:
    """Add to several numbers, (name, bucket) -> amount.

    The order of the rows is fixed, so that two runs of different scopes never wait for each other in a circle.
    """
    ordered = sorted(amounts)
    return Part(
        (
            "INSERT INTO sync.metric AS m (name, pair, scope, bucket, value) SELECT given.name, :pair, :scope, "
            "given.bucket, given.value FROM unnest(CAST(:names AS text[]), CAST(:buckets AS text[]), "
            "CAST(:amounts AS double precision[])) AS given(name, bucket, value) "
            "ON CONFLICT (name, pair, scope, bucket) DO UPDATE SET value = m.value + EXCLUDED.value"
        ),
        {
            "pair": scope.pair,
            "scope": scope.name,
            "names": [name for name, _ in ordered],
            "buckets": [bucket for _, bucket in ordered],
            "amounts": [float(amounts[key]) for key in ordered],
        },
    )


def add(connection: Connection, scope: Scope, amounts: Mapping[tuple[str, str], float]) -> None:
    """Add to several numbers within the current transaction, as :func:`adding`."""
    execute(connection, adding(scope, amounts))


def counters(connection: Connection, pair: str) -> list[Sample]:
    """Return all stored counters and histograms of a pair."""
    rows = connection.execute(
        text("SELECT name, scope, bucket, value FROM sync.metric WHERE pair = :pair ORDER BY name, scope, bucket"),
        {"pair": pair},
    )
    return [Sample(*row) for row in rows]


def gauges(connection: Connection, pair: str, prefix: str) -> list[Sample]:
    """Return what can be counted right now, per scope: queue depth, effects in flight, open dead letters.

    Arguments:
        prefix: what the pair's metric names start with, e.g. ``"offering_sync"``.
    """
    rows = connection.execute(
        text("SELECT name, scope, value FROM sync.gauge WHERE pair = :pair ORDER BY name, scope"), {"pair": pair}
    )
    return [Sample(f"{prefix}_{row.name}", row.scope, "", row.value) for row in rows]
