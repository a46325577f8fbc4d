"""The records that the benchmarks move: eight fields each, always the same for the same number."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sync_pipelines.core.records import Record

PAGE = 1000
"""Rows of a page, as a peer that can be read in bulk serves them."""

_NAMES = (
    "Compute node",
    "Objektlagring på Åland",
    "GPU — A100 ×8",
    "Резервная копия",
    "Object storage",
    "対話型ノート",
)
_REGIONS = ("eu-north-1", "eu-west-3", "us-east-2", None)


def row(number: int, revision: int = 0) -> dict[str, Any]:
    """Return the eight fields of one record, its key among them, as a client would parse them from a page."""
    return {
        "sku": f"item-{number:08}",
        "name": f"{_NAMES[number % 6]} {number}",
        "description": f"Number {number}, kept in agreement between two systems; revision {revision}",
        "stock": number * 7919 % 100_003,
        "price": Decimal(number * 31 % 1_000_000) / 100,
        "weight": Decimal(number % 5000) / 8,
        "active": number % 7 != 0,
        "region": _REGIONS[number % 4],
    }


def record(fields: dict[str, Any]) -> Record:
    """Return the record of a page's row."""
    return Record(key=fields["sku"], natural_key=fields["sku"], content=fields)


def revision_of(number: int, changed_every: int) -> int:
    """Return 1 for each ``changed_every``-th number, else 0; 0 means that none is changed."""
    return int(changed_every > 0 and number % changed_every == 0)


def pages(count: int, changed_every: int = 0) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows 0 to ``count`` - 1 page by page, made when they are asked for.

    Arguments:
        changed_every: each such row has another description; 0 for none.
    """
    for start in range(0, count, PAGE):
        numbers = range(start, min(start + PAGE, count))
        yield [row(number, revision_of(number, changed_every)) for number in numbers]
