"""Everything that can be measured of all pipelines, read at once and in bounded time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from sync_pipelines.store.statements import statement, text

LONGEST_MS = 8000
"""Of one statement. Prometheus gives up after ten seconds by default, and nobody would wait for the answer."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One number.

    Attributes:
        name: of the metric; of a gauge of ``sync.gauge`` without the prefix of its pair.
        pair: empty for a peer.
        scope: of the pair, or the peer's name.
        bucket: as in :class:`~sync_pipelines.store.metrics.Sample`, or a class of errors.
    """

    name: str
    pair: str
    scope: str
    bucket: str
    value: float


@dataclass(frozen=True, slots=True)
class Everything:
    """What one look found.

    Attributes:
        counted: what only grows, and histograms.
        gauges: what stands now.
    """

    counted: tuple[Measured, ...]
    gauges: tuple[Measured, ...]


def measure(engine: Engine, longest_ms: int = LONGEST_MS) -> Everything:
    """Read all numbers, in one transaction that writes nothing.

    Arguments:
        longest_ms: milliseconds that a statement may take.

    Raises:
        DBAPIError: the database cannot be used, or took longer.
    """
    with engine.connect() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        connection.execute(text("SELECT set_config('statement_timeout', :ms, true)"), {"ms": str(longest_ms)})
        return Everything(_counted(connection), _gauges(connection))


def _counted(connection: Connection) -> tuple[Measured, ...]:
    query = "SELECT name, pair, scope, bucket, value FROM sync.metric ORDER BY name, pair, scope, bucket"
    return tuple(Measured(*row) for row in connection.execute(text(query)))


def _gauges(connection: Connection) -> tuple[Measured, ...]:
    rows = connection.execute(text(statement("measured")))
    return tuple(Measured(row.name, row.pair, row.scope, "", row.value) for row in rows if row.value is not None)
