"""What came of a reconcile, per connection: one row of the table that ``reconcile`` and ``demo`` print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rich.table import Table
from sqlalchemy import Connection

from sync_pipelines.cli import output
from sync_pipelines.core.lifecycle import State
from sync_pipelines.store import findings, plans, states
from sync_pipelines.store.findings import ORPHAN
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.scopes import find_scope

APPLIED, PLANNED, HELD, FAILED = "applied", "planned", "held", "failed"
_CHANGES = ("created", "updated", "state_changes", "adopted", "retired")
_ALWAYS = ("created", "updated", "adopted", "seconds")
_NUMBERS = (*_CHANGES, "orphans", "conflicts", "withheld", "held_back", "dead_letters", "seconds")


@dataclass(frozen=True, slots=True)
class Summary:
    """One connection's outcome.

    Attributes:
        pipeline, connection: whose.
        state: applied, planned (plan mode), held or failed; held also when only some of the changes wait for a person.
        created, updated, state_changes, adopted, retired: changes done; in plan mode, to be done.
        orphans, conflicts, withheld, dead_letters: what waits for a person or at the source, standing now.
        held_back: records with fields that cannot be written now (an archived offering, a missing staff token).
        retrying: records that failed and have a time for the next attempt.
        failed: changes that did not succeed in this run; ``stale`` ones are planned anew by the next.
        reason: why the run failed or the plan is held.
    """

    connection: str
    state: str
    pipeline: str = ""
    plan: str | None = None
    created: int = 0
    updated: int = 0
    state_changes: int = 0
    adopted: int = 0
    retired: int = 0
    orphans: int = 0
    conflicts: int = 0
    withheld: int = 0
    held_back: int = 0
    dead_letters: int = 0
    retrying: int = 0
    failed: int = 0
    stale: int = 0
    seconds: float = 0.0
    run_id: str = ""
    reason: str | None = None

    @property
    def full_name(self) -> str:
        """The connection's name that no other has."""
        return f"{self.pipeline}/{self.connection}"

    @property
    def done(self) -> bool:
        """Whether everything that was planned was also done."""
        return self.state in (APPLIED, PLANNED) and not self.failed and not self.stale

    def advice(self) -> list[str]:
        """Return what the operator should know or type next."""
        lines = []
        if self.state == FAILED:
            lines.append(f"{self.full_name}: the run failed: {self.reason}")
        if self.state == HELD and self.plan:
            lines.append(f"{self.full_name}: plan {self.plan[:12]} is held: {self.reason}")
            lines.append(f"  look at it:     sync-pipelines plan show {self.plan[:12]}")
            lines.append(f"  let it through: sync-pipelines plan approve {self.plan[:12]}")
        if self.dead_letters:
            lines.append(f"{self.full_name}: {_count(self.dead_letters, 'record')} given up")
            lines.append(f"  look at them:   sync-pipelines dead-letter list --connection {self.full_name}")
            lines.append("  try them again: sync-pipelines dead-letter reprocess ID")
        if self.failed:
            lines.append(f"{self.full_name}: {_count(self.failed, 'change')} failed; {self.retrying} will be retried")
        if self.stale:
            lines.append(f"{self.full_name}: {_count(self.stale, 'record')} moved meanwhile; the next run plans anew")
        return lines


def summarise(
    connection: Connection,
    pipeline: str,
    name: str,
    *,
    run_id: str,
    success: bool,
    reason: str | None,
    seconds: float,
    plan_only: bool = False,
    approved: str | None = None,
    since: datetime | None = None,
) -> Summary:
    """Return what the database says about a run that ended.

    Arguments:
        pipeline, name: the connection.
        reason: why the run failed, when it did.
        approved: hash of the plan that the run let through; other runs have made theirs themselves.
        since: count the changes of all plans that were made from then on, whichever run applied them.
    """
    own = plans.list_plans(connection, pair=pipeline, scope=name)
    made = [plan for plan in own if plan.run_id == run_id]
    # The newest plan of a run is the one that went on; before it there may be that of what waits for a person.
    plan = plans.find_plan(connection, approved) if approved else made[0] if made else None
    waiting = next((one for one in [plan, *made] if one is not None and one.state == HELD), None)
    scope = find_scope(connection, pipeline, name)
    standing = findings.standing(connection, pipeline, scope=name)
    tally = states.tally(connection, scope) if scope else {}
    orphans = sum(finding.kind == ORPHAN for finding in standing)
    state = HELD if waiting else FAILED if not success else PLANNED if plan_only else APPLIED
    found = Summary(
        connection=name,
        pipeline=pipeline,
        state=state,
        plan=waiting.hash if waiting else plan.hash if plan else None,
        orphans=orphans,
        conflicts=len(standing) - orphans,
        withheld=int(plan.counts.get("withheld", 0)) if plan else 0,
        held_back=int(plan.counts.get("blocked", 0)) if plan else 0,
        dead_letters=tally.get(State.DEAD_LETTERED, 0),
        retrying=tally.get(State.RETRYING, 0),
        seconds=round(seconds, 1),
        run_id=run_id,
        reason="; ".join(waiting.held_reasons) if waiting else reason,
        **_changes(plan, planned=plan_only or (plan is not None and plan.state == HELD)),
    )
    if since is None:
        return found
    earlier = [
        _changes(other, planned=False)
        for other in own
        if other.created_at >= since and (plan is None or other.id != plan.id)
    ]
    return replace(found, **{kind: getattr(found, kind) + sum(one[kind] for one in earlier) for kind in _CHANGES})


def summary_table(title: str, rows: Sequence[Summary]) -> Table:
    """Return the rows as a table."""
    # The usual outcome goes without saying; its column would make the table wider than many a screen.
    facts = ("connection",) if all(row.state == APPLIED for row in rows) else ("connection", "state")
    # For the same reason: what happened nowhere.
    shown = [name for name in _NUMBERS if name in _ALWAYS or any(getattr(row, name) for row in rows)]
    numbers = [name.replace("_", " ") for name in shown]
    columns = [*("outcome" if name == "state" else name for name in facts), *numbers]
    whose = output.names([(row.pipeline, row.connection) for row in rows])
    cells = [
        (name, *(getattr(row, column) for column in (*facts[1:], *shown)))
        for name, row in zip(whose, rows, strict=True)
    ]
    return output.table(title, columns, cells, numbers=numbers)


def _changes(plan: StoredPlan | None, *, planned: bool) -> dict[str, Any]:
    if plan is None:
        return {}
    counts, outcome = plan.counts, plan.outcome or {}
    source = counts if planned else outcome.get("actions", {})
    outcomes = {} if planned else outcome.get("outcomes", {})
    return {
        "created": int(source.get("create", 0)),
        "updated": int(source.get("update", 0)),
        "retired": int(source.get("retire", 0)),
        "state_changes": int((counts if planned else outcome).get("state_changes", 0)),
        "adopted": int((counts if planned else outcome).get("adopted", 0)),
        "failed": int(outcomes.get("failed", 0)),
        "stale": int(outcomes.get("stale", 0)),
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
