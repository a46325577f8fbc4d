"""Changes that always need a person: they wait in a plan of their own, and the others go on without them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from sync_pipelines.core.guard import Approvals
from sync_pipelines.core.plan import Change, PlanCounts, PlanHash
from sync_pipelines.engine.context import Run
from sync_pipelines.store import plans
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.snapshots import Snapshot


class Asking:
    """The plan of what needs a person, made beside the one that goes on.

    It is opened first, so that the newest plan of a run is the one that goes on.

    Attributes:
        counts: of the changes taken so far.
    """

    def __init__(
        self, connection: Connection, run: Run, left: Snapshot, right: Snapshot, keys: Sequence[str] | None
    ) -> None:
        self.counts = PlanCounts()
        self._connection = connection
        self._run = run
        self._approvals = Approvals()
        self._digest = PlanHash(run.pair.name, run.pair.scope)
        self._plan_id: int | None = None
        if run.pair.asks:
            self._plan_id = plans.open_plan(
                connection, run.scope, run_id=run.run_id, left_snapshot=left.id, right_snapshot=right.id, keys=keys
            )

    def take(self, changes: Sequence[Change]) -> dict[str, str]:
        """Take the changes that need a person. Returns why, by their keys."""
        if self._plan_id is None:
            return {}
        asked = {change.key: reason for change in changes if (reason := self._run.pair.approval(change))}
        mine = [change for change in changes if change.key in asked]
        for change in mine:
            self._digest.add(change)
            self.counts.add(change, state_field=self._run.pair.state_field)
            self._approvals.need(asked[change.key], change.key)
        if mine:
            plans.add_changes(self._connection, self._plan_id, mine)
        return asked

    def close(self, besides: Sequence[str]) -> StoredPlan | None:
        """Finish the plan; ``None`` when nothing needs a person.

        It is held, or approved when a person let the same changes through and the run that was to make them did not.

        Arguments:
            besides: what else there is to say against it.
        """
        if self._plan_id is None:
            return None
        if not self.counts.changes:
            plans.drop(self._connection, self._plan_id)
            return None
        return plans.close_plan(
            self._connection,
            self._run.scope,
            self._plan_id,
            hash_=self._digest.hex,
            counts=self.counts,
            held_reasons=(*self._approvals.reasons, *besides),
        )
