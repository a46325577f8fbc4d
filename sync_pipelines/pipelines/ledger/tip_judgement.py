"""Whether what the canister says of its ledger's end fits what is stored, and noting it where it does not."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.pipelines.ledger.source import Tip
from sync_pipelines.store.ledger import chain, errors, positions, statuses
from sync_pipelines.store.ledger.batches import TABLE
from sync_pipelines.store.ledger.positions import Position
from sync_pipelines.store.storable import storable_text


@dataclass(frozen=True, slots=True)
class Look:
    """The first transaction of an import: notes the tip and looks where we are.

    What was wrong is forgotten where it no longer holds: that the canister did not answer, and what kept a ledger from
    being read that is stored to its end now.

    Returns the position, the seconds for which every answer has been behind it, and whether a tip that is behind lies
    on the stored chain.

    Raises:
        ConfigurationError: the connection has imported another canister before.
    """

    name: str
    canister_id: str
    tip: Tip

    def __call__(self, connection: Connection) -> tuple[Position, float, bool]:
        position = positions.ensure(connection, self.name, self.canister_id)
        tip, here = self.tip, position.next_position
        behind = here is not None and tip.end < here
        seconds = positions.note_tip(
            connection, position.canister, tip.end, tip.blocks, tip.timestamp_ns, behind=behind
        )
        if here is not None and tip.end == here and tip.may_be(position.last_hash):
            errors.clear_blocks(connection, position.canister)
        statuses.recover(connection, position.canister, TABLE)
        if not behind:
            return position, seconds, False
        block = chain.block_before(connection, position.canister, tip.end)
        if block is None:
            return position, seconds, tip.end == position.data_start
        return position, seconds, block.end == tip.end and tip.may_be(block.hash)


def judged(position: Position, tip: Tip, behind_for: float, *, known: bool, lag_seconds: float) -> str | None:
    """Return why a tip shows another chain, as far as that can be told without asking for bytes; else ``None``."""
    if tip.data_start != position.data_start:
        return f"it begins at position {tip.data_start}, ours at {position.data_start}"
    if tip.end == position.next_position:
        if tip.may_be(position.last_hash):
            return None
        return f"its last block has the hash {tip.hash.hex()}, ours at the same place {position.last_hash.hex()}"
    if not known:
        found = tip.hash.hex() or "of no block"
        return f"it ends at position {tip.end} with the hash {found}, where we have no such block"
    if behind_for > lag_seconds:
        return (
            f"it ends at position {tip.end}, and for {behind_for:.0f} s every answer has ended before ours: that is no "
            "node that lags any more"
        )
    return None


def lagging(position: Position, tip: Tip) -> str:
    """Return how a node that lags is told of."""
    return f"the node that answered is behind: it knows the ledger up to {tip.end}, stored is {position.next_position}"


@dataclass(frozen=True, slots=True)
class NoteFailure:
    """Notes what keeps the import from going on."""

    position: Position
    kind: str
    reason: str

    def __call__(self, connection: Connection) -> None:
        place = self.position.next_position or 0
        errors.note_block(connection, self.position.canister, place, self.kind, self.reason)
        statuses.fail(connection, self.position.canister, TABLE, f"position {place}: {self.reason}")


@dataclass(frozen=True, slots=True)
class NoteUnanswered:
    """Notes in the status that the canister could not be asked; until it answers again."""

    name: str
    reason: str

    def __call__(self, connection: Connection) -> None:
        position = positions.find(connection, self.name)
        if position is not None and not errors.count_blocks(connection, position.canister):
            statuses.fail(connection, position.canister, TABLE, storable_text(self.reason))
