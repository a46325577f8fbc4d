"""What is missing on one side: retired, created again or only reported, and never because of a bad look."""

from __future__ import annotations

import pytest

from sync_pipelines.core.errors import PeerError, SnapshotUnsealed
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines_tests.conformance.needs import needs
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Capability, Opening, Side, Skew, Subject

GUARDED = Opening(policies={"guard": GuardLimits()})


def test_given_a_record_gone_at_the_source_then_it_is_taken_out_of_service_once(
    subject: Subject, operator: Operator
) -> None:
    """What the source no longer has is retired at the target, and only that."""
    gone, kept = subject.add(2)
    operator.reconcile()
    subject.remove(gone)

    result = operator.reconcile()

    assert (result.plan.changes, result.plan.counts["retire"]) == (1, 1)
    assert subject.in_service(subject.natural_key(gone)) == 0
    assert subject.in_service(subject.natural_key(kept)) == 1
    operator.ends_well()


def test_given_a_connection_that_retires_nothing_then_what_is_gone_is_reported_and_stays(
    subject: Subject, operator: Operator
) -> None:
    """Retiring is a policy: switched off, the record stays in service and stands as an orphan."""
    gone, _ = subject.add(2)
    operator.reconcile()
    subject.remove(gone)

    assert operator.committed(lambda: operator.reconcile(Opening(policies={"retires": False}))) == 0

    assert operator.findings("orphan") == [subject.natural_key(gone)]
    assert subject.in_service(subject.natural_key(gone)) == 1
    operator.reconcile()
    assert operator.findings("orphan") == []
    operator.ends_well()


def test_given_a_retired_record_that_comes_back_then_it_is_in_service_again_and_not_doubled(
    subject: Subject, operator: Operator
) -> None:
    """Back at the source is back at the target: the same record, with its newest contents."""
    key, _ = subject.add(2)
    operator.reconcile()
    before = subject.shown()
    subject.remove(key)
    operator.reconcile()
    subject.bring_back(key)

    operator.reconcile()

    assert subject.shown() == before
    assert subject.creates() == 2
    operator.ends_well()


@pytest.mark.parametrize("returns", [True, False], ids=["it comes back", "it stays empty"])
def test_given_a_source_that_is_suddenly_empty_then_nothing_is_retired_unasked(
    subject: Subject, operator: Operator, returns: bool
) -> None:
    """An empty listing where there were records is not sealed; a person decides."""
    keys = subject.add(3)
    operator.reconcile()
    before = subject.shown()
    for key in keys:
        subject.remove(key)

    result = operator.reconcile(GUARDED)

    assert (result.plan.state, result.applied) == ("held", None)
    assert subject.shown() == before
    assert operator.sql("SELECT side FROM sync.snapshot WHERE sealed_at IS NULL") == [("left",)]
    if returns:
        for key in keys:
            subject.bring_back(key)
        assert operator.committed(lambda: operator.reconcile(GUARDED)) == 0
        assert subject.shown() == before
    else:
        operator.approve(result.plan.hash)
        assert [subject.in_service(subject.natural_key(key)) for key in keys] == [0, 0, 0]
    operator.ends_well()


def test_given_a_target_that_is_suddenly_empty_then_nothing_is_created_again_unasked(
    subject: Subject, operator: Operator
) -> None:
    """A target that seems to have lost everything may be the wrong one; a person decides."""
    keys = subject.add(3)
    operator.reconcile()
    for key in keys:
        subject.delete_right(subject.natural_key(key))

    result = operator.reconcile(GUARDED)

    assert (result.plan.state, result.applied, subject.shown()) == ("held", None, {})
    operator.approve(result.plan.hash)
    assert [subject.in_service(subject.natural_key(key)) for key in keys] == [1, 1, 1]
    operator.ends_well()


def test_given_a_record_deleted_at_the_target_then_it_is_created_once_more_and_counted_as_drift(
    subject: Subject, operator: Operator
) -> None:
    """What the target lost it gets back, and the loss is counted."""
    lost, _ = subject.add(2)
    operator.reconcile()
    before, drift = subject.shown(), operator.drift()
    subject.delete_right(subject.natural_key(lost))

    result = operator.reconcile()

    assert (result.plan.counts["create"], result.plan.counts["drifted"]) == (1, 1)
    assert (subject.shown(), subject.creates(), operator.drift() - drift) == (before, 3, 1)
    operator.ends_well()


def test_given_a_record_gone_on_both_sides_then_its_link_is_forgotten_without_a_write(
    subject: Subject, operator: Operator
) -> None:
    """Nothing is left to do for what nobody has any more."""
    gone, _ = subject.add(2)
    operator.reconcile()
    subject.remove(gone)
    subject.delete_right(subject.natural_key(gone))

    assert operator.committed(operator.reconcile) == 0

    assert operator.sql("SELECT count(*) FROM sync.base") == [(1,)]
    operator.ends_well()


@needs(Capability.LEAVES_UNTRACKED)
def test_given_an_untracked_record_at_the_target_then_it_is_reported_and_never_touched(
    subject: Subject, operator: Operator
) -> None:
    """Orphans belong to somebody else: they are shown for as long as they are there."""
    subject.add()
    natural_key = subject.stray()
    stray = subject.shown()[natural_key]

    for _ in range(2):
        operator.reconcile()
        assert operator.findings("orphan") == [natural_key]
        assert subject.shown()[natural_key] == stray

    subject.delete_right(natural_key)
    operator.reconcile()
    assert operator.findings("orphan") == []
    operator.ends_well()


@needs(Capability.RETIRES_UNTRACKED)
def test_given_an_untracked_record_at_the_target_then_it_is_taken_out_of_service_once_and_no_other(
    subject: Subject, operator: Operator
) -> None:
    """Whose source is gone since before the first run, is out of service after it, and nothing more is done to it."""
    (kept,) = subject.add()
    natural_key = subject.stray()

    result = operator.reconcile()

    assert result.plan.counts["retire"] == 1
    assert (subject.in_service(natural_key), subject.in_service(subject.natural_key(kept))) == (0, 1)
    assert operator.findings("orphan") == []
    assert operator.sql("SELECT natural_key FROM sync.base") == [(subject.natural_key(kept),)]
    assert [entry["action"] for entry in operator.audited(natural_key)] == ["retire"]
    operator.ends_well()


@needs(Capability.TOTALS)
@pytest.mark.parametrize("skew", Skew)
def test_given_a_listing_that_is_not_whole_then_nothing_is_concluded_from_it(
    subject: Subject, operator: Operator, skew: Skew
) -> None:
    """Short, miscounted and doubled listings create nothing, change nothing and take nothing away."""
    subject.show_pages_of(2)
    keys = subject.add(3)
    operator.reconcile()
    subject.remove(keys[1])
    subject.edit(keys[2])
    new = subject.add()
    before = subject.shown()

    with subject.skewed(skew), pytest.raises(SnapshotUnsealed, match="read incompletely"):
        operator.reconcile()

    assert subject.shown() == before
    assert operator.findings("orphan") == []
    operator.reconcile()
    assert [subject.in_service(subject.natural_key(key)) for key in [*keys, *new]] == [1, 0, 1, 1]
    operator.ends_well()


@needs(Capability.TOTALS)
def test_given_a_short_listing_at_the_first_look_then_what_it_hides_is_not_created_again(
    subject: Subject, operator: Operator
) -> None:
    """Without any memory a short listing still does not lead to a double."""
    subject.add(2)
    operator.reconcile()
    operator.lose_store()

    with subject.skewed(Skew.ROW_MISSING), pytest.raises(SnapshotUnsealed):
        operator.reconcile()

    operator.reconcile()
    assert subject.creates() == 2
    operator.ends_well()


@needs(Capability.SERVED)
@pytest.mark.parametrize("side", ["left", "right"])
def test_given_a_side_that_cannot_be_read_then_the_run_fails_and_changes_nothing(
    subject: Subject, operator: Operator, side: Side
) -> None:
    """An unreadable listing is an error, not an empty one; the last snapshot stays."""
    key, _ = subject.add(2)
    operator.reconcile()
    subject.edit(key)
    peer = subject.peers[side]
    peer.faults.add("login_page", path=peer.listing)

    with pytest.raises(PeerError, match=peer.name):
        operator.reconcile()

    assert operator.sql("SELECT count(*) FROM sync.snapshot WHERE side = :side", side=side) == [(1,)]
    peer.faults.clear()
    operator.let_time_pass()
    operator.reconcile()
    operator.ends_well()
