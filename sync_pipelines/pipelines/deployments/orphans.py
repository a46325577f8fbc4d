"""What becomes of an index entry whose deployment is gone: orphaned, stale, removed where that is switched on. Pure.

Each step is taken by a retirement of its own, and what is due is read from the entry alone: a plan that was made for
one step never takes the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.deployments.documents import STALE_AFTER
from sync_pipelines.pipelines.deployments.instance import is_orphaned, not_orphanable
from sync_pipelines.pipelines.deployments.times import moment_of, stamp

REMOVE_AFTER = timedelta(days=90)


class Step(StrEnum):
    """What is to be done next about an entry without a deployment."""

    MARK = "its deployment is gone"
    STALE = "it has been an orphan for so long that it is stale"
    REMOVE = "it has been an orphan for so long that it is removed"


@dataclass(frozen=True, slots=True)
class OrphanPolicy:
    """The steps that a connection takes.

    Attributes:
        clock: present time, aware.
        stale_after: since it was found orphaned.
        remove: whether stale entries are removed at all.
        remove_after: since it was found orphaned.
    """

    clock: Callable[[], datetime]
    stale_after: timedelta = STALE_AFTER
    remove: bool = False
    remove_after: timedelta = REMOVE_AFTER

    def due(self, content: Content) -> Step | None:
        """Return the step that is due for an instance without a deployment; ``None`` for none.

        Arguments:
            content: with :func:`orphan_facts`.
        """
        if content.get("not_orphanable") is not None:
            return None
        since = moment_of(content.get("orphaned_at"))
        if not is_orphaned(content) or since is None:
            return Step.MARK
        age = self.clock() - since
        if content.get("stale") is not True:
            return Step.STALE if age > self.stale_after else None
        return Step.REMOVE if self.remove and age > self.remove_after else None

    def untracked(self, content: Content) -> str | None:
        """Say why an instance without a deployment has to be retired (again); ``None`` when it has not."""
        step = self.due(content)
        return None if step is None else step.value

    def retired(self, content: Content) -> bool:
        """Say whether Vault shows an instance as out of service. That it is to be removed next is a step of its own."""
        return is_orphaned(content) and self.due(content) in (None, Step.REMOVE)

    def approval(self, change: Change) -> str | None:
        """Say why a change needs a person: what is removed does not come back by itself."""
        if change.action is not Action.RETIRE or self.due(change.before or {}) is not Step.REMOVE:
            return None
        return "would be removed from Vault for good, with their metadata and manifests; backups stay"


def orphan_facts(key: str, entry: object, director: str, other_directors: frozenset[str]) -> dict[str, object]:
    """Return what the steps depend on, as fields that only Vault's side has.

    Arguments:
        key: of the index, as it is spelled.
        director: the one looked at.
        other_directors: those that share this Vault.
    """
    row = entry if isinstance(entry, Mapping) else {}
    since = moment_of(row.get("orphaned_at")) if row.get("orphaned") is True else None
    return {
        "orphaned_at": None if since is None else stamp(since),
        "stale": row.get("stale") is True,
        "not_orphanable": not_orphanable(key, entry) or _another_s(row, director, other_directors),
    }


def _another_s(row: Mapping[str, object], director: str, other_directors: frozenset[str]) -> str | None:
    named = row.get("director")
    if named == director or (named is None and not other_directors):
        return None
    if named is None:
        return "its entry names no director, and several share this Vault: whose it was cannot be told"
    if named in other_directors:
        return "its entry names another director, which takes care of it"
    return "its entry names a director that is not connected here: whether its deployment is gone cannot be told"
