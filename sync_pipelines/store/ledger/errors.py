"""``import_errors``: what was wrong, where, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.store.statements import text
from sync_pipelines.store.storable import storable_text


@dataclass(frozen=True, slots=True)
class EntryError:
    """An error at an entry, or at a whole block (``entry_index`` -1)."""

    projection: str
    block_offset: int
    entry_index: int
    label: str
    key: bytes
    kind: str
    reason: str | None

    def __str__(self) -> str:
        what = self.kind if self.reason is None else f"{self.kind}: {self.reason}"
        return f"position {self.block_offset}, {self.label or 'block'} {self.key.hex()}".rstrip() + f": {what}"


def standing(
    connection: Connection, canister: int, projections: Sequence[str] | None = None, limit: int = 100
) -> list[EntryError]:
    """Return the errors that stand now, in the order of the ledger.

    Arguments:
        projections: only of these; damaged blocks belong to ``"import"``.
        limit: how many at most.
    """
    rows = connection.execute(
        text(
            "SELECT projection, block_offset, entry_index, label, key, kind, reason FROM sync.import_errors "
            "WHERE canister = :canister "
            "AND (CAST(:projections AS text[]) IS NULL OR projection = ANY (CAST(:projections AS text[]))) "
            "ORDER BY block_offset, entry_index, kind, reason LIMIT :limit"
        ),
        {"canister": canister, "projections": None if projections is None else list(projections), "limit": limit},
    )
    return [EntryError(*row) for row in rows]


def count(connection: Connection, canister: int) -> int:
    """Return how many errors stand now."""
    counted = text("SELECT count(*) FROM sync.import_errors WHERE canister = :canister")
    return int(connection.execute(counted, {"canister": canister}).scalar_one())


def note_block(connection: Connection, canister: int, position: int, kind: str, reason: str) -> None:
    """Note why the block at a position is not imported, in place of what was noted about it before."""
    connection.execute(
        text(
            "DELETE FROM sync.import_errors WHERE canister = :canister AND projection = 'import' "
            "AND block_offset >= :position"
        ),
        {"canister": canister, "position": position},
    )
    connection.execute(
        text(
            "INSERT INTO sync.import_errors "
            "(canister, projection, block_offset, entry_index, label, key, kind, reason) "
            "VALUES (:canister, 'import', :position, -1, '', '', :kind, :reason)"
        ),
        {"canister": canister, "position": position, "kind": kind, "reason": storable_text(reason)},
    )


def clear_blocks(connection: Connection, canister: int) -> None:
    """Forget what was noted about blocks that could not be imported."""
    connection.execute(
        text("DELETE FROM sync.import_errors WHERE canister = :canister AND projection = 'import'"),
        {"canister": canister},
    )


def count_blocks(connection: Connection, canister: int) -> int:
    """Return how many notes there are about blocks that could not be imported."""
    counted = text("SELECT count(*) FROM sync.import_errors WHERE canister = :canister AND projection = 'import'")
    return int(connection.execute(counted, {"canister": canister}).scalar_one())


def bad_signatures(connection: Connection, canister: int) -> dict[str, int]:
    """Return how many entries have a signature that is not good, by label as written."""
    rows = connection.execute(
        text(
            "SELECT label, count(*) FROM sync.import_errors WHERE canister = :canister "
            "AND kind IN ('signature_invalid', 'reply_wrong_signer') GROUP BY label ORDER BY label"
        ),
        {"canister": canister},
    )
    return {label: int(number) for label, number in rows}


def by_kind(connection: Connection, canister: int) -> dict[str, dict[str, int]]:
    """Return how many errors stand, by projection (``"import"`` for blocks) and kind."""
    rows = connection.execute(
        text(
            "SELECT projection, kind, count(*) FROM sync.import_errors WHERE canister = :canister "
            "GROUP BY projection, kind ORDER BY projection, kind"
        ),
        {"canister": canister},
    )
    found: dict[str, dict[str, int]] = {}
    for projection, kind, number in rows:
        found.setdefault(projection, {})[kind] = int(number)
    return found
