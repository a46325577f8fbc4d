"""The points at which a run is killed: label -> what has happened by then, and how an onlooker sees that.

A point is seen from outside, in what is said to PostgreSQL and what the peers answer; the product knows of none of
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Moment(Enum):
    """When, around a statement."""

    BEFORE = "before it is sent"
    AFTER = "when it is done and not committed"
    BEFORE_COMMIT = "when its transaction is complete and COMMIT was not sent"
    MID_COMMIT = "when COMMIT was sent and nothing came back"
    AFTER_COMMIT = "when its transaction is committed"


@dataclass(frozen=True)
class Statement:
    """The first statement that contains a text.

    Attributes:
        names_record: only one whose parameters hold the key of the record that the run is about.
    """

    text: str
    moment: Moment
    names_record: bool = False


@dataclass(frozen=True)
class Reply:
    """The reply to a request that writes at the target has come, to the first one or a later one."""

    number: int = 1


@dataclass(frozen=True)
class Copy:
    """Half of the rows of a COPY are sent, of the first one into a table or a later one."""

    table: str
    number: int = 1


@dataclass(frozen=True)
class Point:
    """One place to die at: what it means in one line, and how it is seen."""

    meaning: str
    seen: Statement | Reply | Copy


_BATCH = "snapshot_batch"
_MERGED = "UPDATE sync.snapshot SET added"
_BOTH_WAYS = "UPDATE sync.merged m SET natural_key"
_RECOVERED = "UPDATE sync.effect SET error"
_PLAN_MADE = "UPDATE sync.plan SET hash"
_PLAN_APPROVED = "UPDATE sync.plan SET state = 'approved'"
_PLAN_BEGUN = "UPDATE sync.plan SET state = 'applying'"
_PLAN_DONE = "UPDATE sync.plan SET state = 'applied'"
_INTENT = "INSERT INTO sync.effect"
_SETTLED = "UPDATE sync.effect SET state = 'settled'"
_AUDIT = "INSERT INTO sync.audit "
_LETTER = "INSERT INTO sync.dead_letter"
_LEASE = "UPDATE sync.lease SET expires_at = clock_timestamp() WHERE"
_WATERMARK = "INSERT INTO sync.watermark"
_POSITION = "UPDATE sync.ledger_position SET data_start"

CHANGE_POINTS = {
    "mid-copy": Point("half of one side is staged, nothing of the other", Copy(_BATCH)),
    "mid-copy-both": Point("one side is staged, and half of the other", Copy(_BATCH, 2)),
    "before-intent": Point("about to write the intent down", Statement(_INTENT, Moment.BEFORE, names_record=True)),
    "after-intent": Point(
        "the intent is committed, nothing was sent", Statement(_INTENT, Moment.AFTER_COMMIT, names_record=True)
    ),
    "after-call": Point("the target has answered the first write; that is noted nowhere", Reply()),
    "before-settle": Point("every write is done, nothing of it is settled", Statement(_SETTLED, Moment.BEFORE)),
    "before-audit": Point("settled, not audited, not committed", Statement(_AUDIT, Moment.BEFORE, names_record=True)),
    "after-audit": Point("settled and audited, not committed", Statement(_AUDIT, Moment.AFTER, names_record=True)),
    "mid-commit": Point("COMMIT of the settlement is on its way", Statement(_SETTLED, Moment.MID_COMMIT)),
    "after-commit": Point(
        "the settlement is committed, the plan is still open", Statement(_SETTLED, Moment.AFTER_COMMIT)
    ),
}
"""Points in the life of one change."""

RUN_POINTS = {
    "mid-merge": Point("one side's new snapshot is merged and not committed", Statement(_MERGED, Moment.AFTER)),
    "before-plan": Point("the comparison is done and not committed", Statement(_PLAN_MADE, Moment.BEFORE_COMMIT)),
    "mid-plan": Point("COMMIT of the comparison is on its way", Statement(_PLAN_MADE, Moment.MID_COMMIT)),
    "after-plan": Point("a plan stands that nobody began", Statement(_PLAN_MADE, Moment.AFTER_COMMIT)),
    "after-begin": Point("the plan is begun, nothing of it is intended", Statement(_PLAN_BEGUN, Moment.AFTER_COMMIT)),
    "mid-intent": Point("COMMIT of the intent is on its way", Statement(_INTENT, Moment.MID_COMMIT, names_record=True)),
    "between-calls": Point("a change that takes several writes has had two of them", Reply(2)),
    "before-close": Point(
        "every change is settled, the plan is about to be closed", Statement(_PLAN_DONE, Moment.BEFORE)
    ),
    "mid-close": Point("COMMIT of the plan's end is on its way", Statement(_PLAN_DONE, Moment.MID_COMMIT)),
    "before-release": Point("all is done, the lease is still held", Statement(_LEASE, Moment.BEFORE)),
}
"""Points between the steps of a run, which do not depend on the kind of change."""

LETTER_POINTS = {
    "mid-letter": Point("the dead letter is written and not committed", Statement(_LETTER, Moment.BEFORE_COMMIT)),
    "after-letter": Point(
        "the dead letter is committed, the plan is still open", Statement(_LETTER, Moment.AFTER_COMMIT)
    ),
}
"""Points of a run whose write is refused for good."""

RECOVERY_POINTS = {
    "mid-recovery": Point(
        "what the first killed run left is taken over, not committed", Statement(_RECOVERED, Moment.AFTER)
    ),
    "mid-plan": RUN_POINTS["mid-plan"],
    "before-settle": CHANGE_POINTS["before-settle"],
    "after-call": CHANGE_POINTS["after-call"],
}
"""Points of a run that takes over what a killed one left, and is killed itself."""

APPROVAL_POINTS = {
    "before-approval": Point("an approval is about to be committed", Statement(_PLAN_APPROVED, Moment.BEFORE_COMMIT)),
    "after-approval": Point("a plan is approved, and not begun", Statement(_PLAN_APPROVED, Moment.AFTER_COMMIT)),
    "after-begin": RUN_POINTS["after-begin"],
    "after-call": CHANGE_POINTS["after-call"],
}
"""Points of a run that approves a held plan and carries it out."""

LEDGER_POINTS = {
    "before-position": Point("a batch is about to be stored", Statement(_POSITION, Moment.BEFORE)),
    "after-position": Point("the position is moved, the batch is not stored", Statement(_POSITION, Moment.AFTER)),
    "mid-entries": Point("half of the first batch's entries are sent", Copy("sync.ledger_entries")),
    "mid-later-entries": Point("a batch is stored, and half of the next one's entries", Copy("sync.ledger_entries", 2)),
    "mid-blocks": Point("entries are stored, and half of their blocks", Copy("sync.ledger_blocks", 2)),
    "before-commit": Point("a batch is stored and not committed", Statement(_POSITION, Moment.BEFORE_COMMIT)),
    "mid-commit": Point("COMMIT of a batch is on its way", Statement(_POSITION, Moment.MID_COMMIT)),
    "after-commit": Point("the first batch is committed", Statement(_POSITION, Moment.AFTER_COMMIT)),
}
"""Points of an import of a ledger, which stores a batch and the position behind it in one transaction."""

TWO_WAY_POINTS = {
    "before-merge": Point(
        "what both systems show is merged, not committed", Statement(_BOTH_WAYS, Moment.BEFORE_COMMIT)
    ),
    "mid-merge": Point("COMMIT of the merge is on its way", Statement(_BOTH_WAYS, Moment.MID_COMMIT)),
    "after-merge": Point("the merge is committed, neither plan is made", Statement(_BOTH_WAYS, Moment.AFTER_COMMIT)),
    "before-settle": CHANGE_POINTS["before-settle"],
    "mid-commit": CHANGE_POINTS["mid-commit"],
}
"""Points of a run between two systems that both may be edited, beside the replies to its writes."""

EVENT_POINTS = {
    "before-cursor": Point(
        "events are kept, the watermark is moved, COMMIT is not sent", Statement(_WATERMARK, Moment.BEFORE_COMMIT)
    ),
    "mid-cursor": Point("COMMIT of events and watermark is on its way", Statement(_WATERMARK, Moment.MID_COMMIT)),
    "after-cursor": Point(
        "events and watermark are committed, nothing was reconciled", Statement(_WATERMARK, Moment.AFTER_COMMIT)
    ),
}
"""Points of a run that follows the chain's events."""
