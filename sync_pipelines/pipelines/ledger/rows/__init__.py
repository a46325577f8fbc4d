"""What an entry means for the tables. Pure: blocks go in, rows and errors come out, per table and in order."""

from __future__ import annotations

from sync_pipelines.pipelines.ledger.rows.collector import BlockPlace, Rows, StoredEntry
from sync_pipelines.pipelines.ledger.rows.rules import labels_of, projection_of, rows_of_block

__all__ = ["BlockPlace", "Rows", "StoredEntry", "labels_of", "projection_of", "rows_of_block"]
