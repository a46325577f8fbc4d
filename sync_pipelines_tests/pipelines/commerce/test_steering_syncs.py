"""Pause, cancel, and the death of a worker process in the middle of a batch: exact numbers, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.orchestration import Activity
from sync_pipelines_tests.kills import child
from sync_pipelines_tests.kills.points import CHANGE_POINTS, Point, Reply
from sync_pipelines_tests.kills.watch import About
from sync_pipelines_tests.pipelines.commerce.started import CREATES, CUSTOMERS, Syncs, syncs_of


@pytest.fixture
def syncs(engine: Engine) -> Iterator[Syncs]:
    """A shop with ten customers, none of them in Odoo."""
    with syncs_of(engine) as one:
        yield one


def test_given_a_pause_in_the_middle_of_a_batch_then_it_rests_until_it_is_resumed_and_does_the_rest_once(
    syncs: Syncs,
) -> None:
    sync_id = syncs.starts()
    syncs.at_create(3, lambda: syncs.asks("pause", syncId=sync_id))

    syncs.works(sync_id)

    assert syncs.status(sync_id) == "paused"
    assert syncs.queue(sync_id) == {"total": CUSTOMERS, "processed": 3, "pending": 7}
    assert (syncs.creates.made, syncs.waiting()) == (3, [])
    syncs.asks("resume", syncId=sync_id)
    assert syncs.waiting() == [sync_id]
    syncs.works(sync_id)
    assert syncs.status(sync_id) == "done"
    assert syncs.queue(sync_id) == {"total": CUSTOMERS, "processed": CUSTOMERS}
    assert syncs.is_in_odoo_once()


def test_given_a_cancel_in_the_middle_of_a_batch_then_it_is_over_and_the_next_sync_does_the_rest_once(
    syncs: Syncs,
) -> None:
    sync_id = syncs.starts()
    syncs.at_create(4, lambda: syncs.asks("cancel", syncId=sync_id))

    syncs.works(sync_id)
    following = syncs.starts()
    syncs.works(following)

    assert [syncs.status(one) for one in (sync_id, following)] == ["cancelled", "done"]
    assert syncs.queue(sync_id) == {"total": CUSTOMERS, "processed": 4, "pending": 6}
    assert syncs.queue(following) == {"total": 6, "processed": 6}
    assert syncs.is_in_odoo_once()


@pytest.mark.parametrize(
    ("point", "processed"),
    [
        pytest.param(Point("Odoo has made the fourth customer; that is noted nowhere", Reply(4)), 3, id="after-call"),
        pytest.param(CHANGE_POINTS["after-commit"], 1, id="after-commit", marks=pytest.mark.long),
    ],
)
def test_given_a_worker_process_that_is_killed_then_another_goes_on_pauses_and_resumes_and_nothing_is_done_twice(
    syncs: Syncs, point: Point, processed: int
) -> None:
    sync_id = syncs.starts()
    child.kill(syncs.engine, syncs.to_be_killed(sync_id), point, About("", CREATES))

    assert syncs.status(sync_id) == "processing"
    assert syncs.queue(sync_id) == {"total": CUSTOMERS, "processed": processed, "pending": CUSTOMERS - processed}
    assert syncs.works(sync_id) is None, "the killed worker counts as alive for a minute"
    syncs.let_a_dead_worker_be_noticed()
    assert syncs.waiting() == [sync_id]
    syncs.at_create(7, lambda: syncs.asks("pause", syncId=sync_id))
    syncs.works(sync_id)
    assert syncs.status(sync_id) == "paused"
    assert syncs.queue(sync_id) == {"total": CUSTOMERS, "processed": 7, "pending": 3}

    syncs.asks("resume", syncId=sync_id)
    syncs.works(sync_id)

    assert syncs.status(sync_id) == "done"
    assert syncs.queue(sync_id) == {"total": CUSTOMERS, "processed": CUSTOMERS}
    assert syncs.is_in_odoo_once()
    often = (Activity.BATCH_PROCESSED, Activity.NO_ITEMS_TO_SYNC)
    milestones = [one for one in syncs.log(sync_id) if one not in often]
    assert milestones == [
        Activity.SYNC_STARTED,
        Activity.SYNC_RESUMED,
        Activity.SYNC_PAUSED,
        Activity.SYNC_RESUMED,
        Activity.SYNC_COMPLETED,
    ]
