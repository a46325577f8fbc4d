"""Which label goes where: every entry is decoded once, and its rule makes the rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from sync_pipelines.pipelines.ledger.payloads import (
    LEGACY_LABELS,
    MOVEMENTS,
    Label,
    PayloadError,
    decode_payload,
    known_label,
)
from sync_pipelines.pipelines.ledger.rows import contracts, identity, token_log, tokens
from sync_pipelines.pipelines.ledger.rows.collector import LONGEST_KEY, BlockPlace, BlockRows, Rows, StoredEntry

Rule = Callable[[BlockRows, StoredEntry, Any], None]
"""Makes the rows of an entry from its decoded payload, ``None`` for a Delete."""

_RULES: Final[dict[Label, tuple[str, Rule]]] = {
    Label.PROV_REGISTER: ("users", identity.registration),
    Label.USER_REGISTER: ("users", identity.registration),
    Label.PROV_CHECK_IN: ("check_ins", identity.check_in),
    Label.PROV_PROFILE: ("profiles", identity.profile),
    Label.PROV_OFFERING: ("offerings", identity.offerings),
    Label.CONTRACT_SIGN_REQUEST: ("contracts", contracts.request),
    Label.CONTRACT_SIGN_REPLY: ("contracts", contracts.reply),
    Label.REPUTATION_CHANGE: ("reputation", identity.reputation_changes),
    Label.REPUTATION_AGE: ("reputation", identity.reputation_aging),
    Label.TOKEN_TRANSFER: ("transfers", tokens.transfer),
    Label.REWARD_DISTRIBUTION: ("transfers", tokens.reward),
    Label.TOKEN_APPROVAL: ("approvals", tokens.approval),
    Label.LINKED_IC_IDS: ("linked_ids", identity.linked_ids),
    **dict.fromkeys(MOVEMENTS, ("transfers", token_log.movement)),
    Label.APPROVE_2: ("approvals", token_log.approval),
}


def labels_of(projections: Collection[str]) -> list[str]:
    """Return the labels, legacy names included, that some projections are made of."""
    labels = [label.value for label, (projection, _) in _RULES.items() if projection in projections]
    return labels + [old for old, label in LEGACY_LABELS.items() if _RULES[label][0] in projections]


def projection_of(label: str) -> str | None:
    """Return the projection that a label, a legacy one too, belongs to; ``None`` when it is not known."""
    known = known_label(label)
    return None if known is None else _RULES[known][0]


def rows_of_block(rows: Rows, block: BlockPlace, entries: Sequence[StoredEntry]) -> None:
    """Add the rows of a block's entries, given in the stored order."""
    here = BlockRows(rows, block)
    # A reward is made of the block's mints, wherever they stand.
    for last in (False, True):
        for entry in entries:
            label = known_label(entry.label)
            if label is not None and (label is Label.REWARD_DISTRIBUTION) is last:
                _rows_of_entry(here, entry, *_RULES[label])
    if here.transfers:
        here.add("ledger_transfer_blocks", (block.canister, block.offset, here.transfers))


def _rows_of_entry(here: BlockRows, entry: StoredEntry, projection: str, rule: Rule) -> None:
    if len(entry.key) > LONGEST_KEY:
        if entry.operation == "DELETE":
            return
        here.error(projection, entry, "key_too_long", f"{len(entry.key)} bytes")
        return
    try:
        rule(here, entry, None if entry.operation == "DELETE" else decode_payload(entry.label, entry.value))
    except PayloadError as error:
        here.error(projection, entry, "payload_undecodable", error.reason)
