"""A run that ends in the middle, wherever that is, leaves nothing that the next one does not put right.

A handful of moments within the process; the whole matrix, with SIGKILL, is in ``sync_pipelines_tests/kills``.
"""

from __future__ import annotations

import pytest

from sync_pipelines_tests.conformance.meddling import Killed, Moment, kill
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Opening, Subject

MOMENTS: tuple[Moment, ...] = (
    ("after", "sweep"),
    ("before", "create"),
    ("after", "create"),
    ("before", "write"),
    ("after", "write"),
    ("before", "retire"),
    ("after", "retire"),
)


@pytest.mark.parametrize("moment", MOMENTS, ids=" the ".join)
def test_given_a_run_that_is_killed_then_the_next_ones_end_as_if_it_had_not_been(
    subject: Subject, operator: Operator, moment: Moment
) -> None:
    """Create, update and retire, killed before and after each call: one record each, nothing lost, all settled."""
    edited, gone = subject.add(2)
    operator.reconcile()
    subject.edit(edited)
    subject.remove(gone)
    (new,) = subject.add()

    with pytest.raises(Killed):
        operator.reconcile(Opening(policies={"in_flight": 1}), meddling={moment: kill})
    operator.let_time_pass()
    operator.reconcile()
    operator.let_time_pass()
    operator.reconcile()

    assert subject.creates() == 3
    assert [subject.in_service(subject.natural_key(key)) for key in (edited, gone, new)] == [1, 0, 1]
    operator.ends_well()
