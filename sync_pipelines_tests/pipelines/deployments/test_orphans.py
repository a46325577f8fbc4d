"""Which step is due for an entry whose deployment is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.core.plan import Action, Change
from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.deployments.instance import content_of_vault
from sync_pipelines.pipelines.deployments.orphans import OrphanPolicy, Step, orphan_facts
from sync_pipelines.pipelines.deployments.times import stamp
from sync_pipelines_tests.pipelines.deployments.instances import DIRECTOR, ID, NOW

KEEPING = OrphanPolicy(lambda: NOW)
REMOVING = OrphanPolicy(lambda: NOW, remove=True)
NO_OTHERS: frozenset[str] = frozenset()


def entry(days: int | None = None, **more: Any) -> dict[str, Any]:
    """Return an entry that was orphaned so many days ago."""
    marks = {} if days is None else {"orphaned": True, "orphaned_at": stamp(NOW - timedelta(days=days))}
    return {"service_id": "redis", "plan_id": "redis-small", **marks, **more}


def seen(entry: object, key: str = ID, others: frozenset[str] = NO_OTHERS) -> Content:
    content = content_of_vault(ID, entry, None, None, bindings=None, has_credentials=None, key=key)
    return {**content, **orphan_facts(key, entry, DIRECTOR, others)}


@pytest.mark.parametrize(
    ("entry", "keeping", "removing"),
    [
        (entry(), Step.MARK, Step.MARK),
        (entry(orphaned=True), Step.MARK, Step.MARK),
        (entry(orphaned="yes", orphaned_at=stamp(NOW)), Step.MARK, Step.MARK),
        (entry(1), None, None),
        (entry(30), None, None),
        (entry(31), Step.STALE, Step.STALE),
        # A step is never left out, however late it is.
        (entry(1000), Step.STALE, Step.STALE),
        (entry(31, stale=True), None, None),
        (entry(91, stale=True), None, Step.REMOVE),
        (entry(director=DIRECTOR), Step.MARK, Step.MARK),
        (entry(director="unknown"), None, None),
        ({"plan_id": None}, None, None),
        ("cut", None, None),
    ],
)
def test_the_steps(entry: object, keeping: Step | None, removing: Step | None) -> None:
    content = seen(entry)
    assert KEEPING.due(content) is keeping
    assert REMOVING.due(content) is removing
    assert KEEPING.untracked(content) == (keeping and keeping.value)
    assert KEEPING.retired(content) == (content["orphaned"] and keeping is None)
    # Being removed is a step of its own: what is marked and stale has been retired.
    assert REMOVING.retired(content) == KEEPING.retired(content)


@pytest.mark.parametrize(
    ("director", "step"), [(None, None), ("bosh-other", None), ("unknown", None), (DIRECTOR, Step.MARK)]
)
def test_given_several_directors_then_only_what_names_this_one_is_marked(
    director: str | None, step: Step | None
) -> None:
    named: dict[str, Any] = {} if director is None else {"director": director}
    assert KEEPING.due(seen(entry(**named), others=frozenset({"bosh-other"}))) is step


@pytest.mark.parametrize(("content", "asks"), [(entry(), False), (entry(31), False), (entry(91, stale=True), True)])
def test_only_a_removal_asks_for_a_person(content: object, asks: bool) -> None:
    change = Change(
        action=Action.RETIRE,
        key=ID,
        natural_key=ID,
        right_key=ID,
        before=seen(content),
        after=None,
        fields=(),
        reason="gone",
    )
    assert (REMOVING.approval(change) is not None) is asks
    assert KEEPING.approval(change) is None
