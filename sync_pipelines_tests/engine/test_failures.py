"""What follows a failed write: retries on time, dead letters, a stopped run, and never a second create."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.ledger import PEER_ERRORS, RETRIES
from sync_pipelines.store import metrics, waiting
from sync_pipelines_tests.engine.worlds import World, breaker_open, ignored, lost_reply, refused, rolled_back

TRANSIENT = refused(FailureKind.TRANSIENT, 503)


def _wait_of(world: World, key: str) -> int:
    ((seconds,),) = world.sql(
        "SELECT extract(epoch FROM next_retry_at - last_attempt_at) FROM sync.record_state WHERE key = :key", key=key
    )
    return int(seconds)


def test_given_failures_in_a_row_the_waits_double_and_the_sixth_failure_dead_letters(world: World) -> None:
    world.left.put("k1", name="one")
    world.right.script("create", "nk-k1", *[TRANSIENT] * 6)
    waits = []

    for failure in range(1, 6):
        world.reconcile()
        assert (world.state("k1").state, world.state("k1").failures) == (State.RETRYING, failure)
        waits.append(_wait_of(world, "k1"))
        assert world.writes_of(world.reconcile) == {}, "nothing is sent before the retry is due"
        world.let_time_pass()
    world.reconcile()

    assert waits == [30, 60, 120, 240, 480]
    assert world.state("k1").state is State.DEAD_LETTERED
    assert world.right.sent == {"create": 6}
    (letter,) = world.letters()
    assert (letter.key, letter.action, letter.attempts) == ("k1", "create", 6)
    assert "refused by script" in letter.first_error
    assert letter.first_attempt_at <= letter.last_attempt_at <= letter.dead_lettered_at
    assert letter.plan_hash is not None
    assert world.writes_of(world.reconcile) == {}


def test_given_a_dead_letter_reprocessing_makes_it_pending_and_the_next_run_reads_the_source_anew(world: World) -> None:
    world.left.put("k1", name="bad")
    world.right.script("create", "nk-k1", refused(FailureKind.PERMANENT, 400))
    world.reconcile()
    assert world.state("k1").state is State.DEAD_LETTERED
    world.left.put("k1", name="good")
    world.reconcile()
    assert world.right.rows == {}

    assert world.reprocess("k1") == ["k1"]
    assert world.state("k1").state is State.PENDING
    world.reconcile()

    assert world.agrees()
    assert world.letters() == []
    (letter,) = world.letters(open_only=False)
    assert (letter.state, letter.closed_by) == ("reprocessed", "ada")


def test_given_a_permanent_refusal_the_record_is_dead_lettered_at_once_and_the_others_go_on(world: World) -> None:
    world.fill(8)
    world.right.script("write", "nk-k03", refused(FailureKind.PERMANENT, 403))

    result = world.reconcile()

    assert result.applied is not None
    assert result.applied.outcomes == {"applied": 7, "failed": 1}
    assert world.tally() == {State.SYNCED: 7, State.DEAD_LETTERED: 1}
    assert "HTTP 403" in world.state("k03").reason
    assert world.writes_of(world.reconcile) == {}


def test_given_a_dead_letter_that_agrees_again_by_itself_it_is_resolved(world: World) -> None:
    world.fill(2)
    world.reconcile()
    world.left.put("k01", name="refused")
    world.right.script("write", "nk-k01", refused(FailureKind.PERMANENT, 400))
    world.reconcile()
    assert len(world.letters()) == 1

    world.left.put("k01", name="name of k01")
    world.reconcile()

    assert world.state("k01").state is State.SYNCED
    assert [letter.state for letter in world.letters(open_only=False)] == ["resolved"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [(refused(FailureKind.AUTH, 401), PeerError), (breaker_open, PeerUnavailable)],
    ids=["credentials refused", "breaker open"],
)
def test_given_a_peer_that_lets_nobody_in_the_run_stops_and_no_record_pays_for_it(
    world: World, fault: object, error: type[PeerError]
) -> None:
    world.policies["in_flight"] = 1
    world.fill(5)
    world.right.script("create", "nk-k02", fault)  # type: ignore[arg-type]  # one of two kinds of callables

    with pytest.raises(error):
        world.reconcile()

    assert world.right.sent["create"] == 2
    assert (world.state("k02").state, world.state("k02").failures) == (State.FAILED, 0)
    assert world.sql("SELECT state, count(*) FROM sync.plan_change GROUP BY state ORDER BY state") == [
        ("applied", 1),
        ("failed", 1),
        ("skipped", 3),
    ]
    world.reconcile()
    assert world.agrees()
    assert len(world.right.rows) == 5


def test_given_a_retrying_record_when_the_run_stops_its_failures_are_kept(world: World) -> None:
    world.left.put("k1", name="one")
    world.right.script("create", "nk-k1", TRANSIENT, refused(FailureKind.AUTH, 401), TRANSIENT)
    world.reconcile()
    world.let_time_pass()
    with pytest.raises(PeerError):
        world.reconcile()
    assert (world.state("k1").state, world.state("k1").failures) == (State.FAILED, 1)

    world.reconcile()
    assert (world.state("k1").state, world.state("k1").failures) == (State.RETRYING, 2)


def test_given_failures_they_are_counted_by_class_and_so_are_the_attempts_after_them(world: World) -> None:
    world.left.put("k1", name="one")
    world.right.script("create", "nk-k1", TRANSIENT, refused(FailureKind.RATE_LIMITED, 429))
    for _ in range(3):
        world.reconcile()
        world.let_time_pass()
    assert world.state("k1").state is State.SYNCED

    with world.engine.connect() as connection:
        counted = {(one.name, one.bucket): one.value for one in metrics.counters(connection, world.scope.pair)}
    assert {key: value for key, value in counted.items() if key[0] in (RETRIES, PEER_ERRORS)} == {
        (RETRIES, ""): 2,
        (PEER_ERRORS, "transient"): 1,
        (PEER_ERRORS, "rate_limited"): 1,
    }


def test_given_a_peer_that_asks_to_wait_longer_the_retry_waits_for_it(world: World) -> None:
    world.left.put("k1", name="one")
    world.right.script("create", "nk-k1", refused(FailureKind.RATE_LIMITED, 429, retry_after=900.0))

    world.reconcile()

    assert _wait_of(world, "k1") == 900


def test_given_a_lost_reply_to_a_create_that_was_done_it_is_found_and_linked(world: World) -> None:
    world.left.put("k1", name="one", price="2")
    world.right.script("create", "nk-k1", lost_reply)

    world.reconcile()

    assert world.right.sent == {"create": 1, "write": 1}
    assert world.links() == {"k1": "r1"}
    assert world.state("k1").state is State.SYNCED
    assert world.agrees()


def test_given_a_lost_reply_to_a_create_that_is_not_to_be_seen_nothing_is_sent_until_it_must_be_over(
    world: World,
) -> None:
    world.policies["quiet_seconds"] = 600.0
    world.left.put("k1", name="one")
    world.right.script("create", "nk-k1", rolled_back)

    world.reconcile()
    assert world.state("k1").state is State.RETRYING
    assert _wait_of(world, "k1") == 600
    assert world.sql("SELECT state FROM sync.effect") == [("in_doubt",)]
    world.sql("UPDATE sync.record_state SET next_retry_at = now() WHERE key = 'k1'")
    assert world.writes_of(world.reconcile) == {}, "the retry is due, but the create may still be running"
    assert "reply to an earlier create was lost" in world.state("k1").reason

    world.let_time_pass()
    assert world.writes_of(world.reconcile) == {"create": 1}
    assert len(world.right.rows) == 1
    assert world.sql("SELECT state FROM sync.effect ORDER BY id") == [("resolved",), ("settled",)]


def test_given_a_slow_create_that_shows_up_during_the_quiet_time_it_is_adopted(world: World) -> None:
    world.left.put("k1", name="one", state="active")
    world.right.script("create", "nk-k1", rolled_back)
    world.reconcile()
    world.right.put("late", "nk-k1", name="one", state="draft")
    world.let_time_pass()

    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.links() == {"k1": "late"}
    assert world.agrees()


@pytest.mark.parametrize("fault", [lost_reply, rolled_back])
def test_given_a_lost_reply_to_an_update_what_the_target_shows_decides(world: World, fault: object) -> None:
    world.left.put("k1", name="one")
    world.reconcile()
    world.left.put("k1", name="two")
    world.right.script("write", "nk-k1", fault)  # type: ignore[arg-type]  # one of two kinds of callables

    world.reconcile()

    done = fault is lost_reply
    assert world.state("k1").state is (State.SYNCED if done else State.RETRYING)
    world.let_time_pass()
    world.reconcile()
    assert world.agrees()
    assert world.writes_of(world.reconcile) == {}


def test_given_a_target_that_ignores_a_write_it_is_a_failure_and_not_taken_for_agreed(world: World) -> None:
    world.left.put("k1", name="one")
    world.reconcile()
    world.left.put("k1", name="two")
    world.right.script("write", "nk-k1", ignored)

    world.reconcile()

    assert world.state("k1").state is State.RETRYING
    assert "shows other values for name" in world.state("k1").reason
    world.let_time_pass()
    world.reconcile()
    assert world.agrees()


def test_given_a_failed_retire_it_is_tried_again(world: World) -> None:
    world.fill(10)
    world.reconcile()
    world.left.remove("k05")
    world.right.script("retire", "nk-k05", TRANSIENT)

    world.reconcile()
    assert world.state("k05").state is State.RETRYING
    world.let_time_pass()
    world.reconcile()

    assert world.right.rows[world.links()["k05"]].content["state"] == "archived"
    assert world.state("k05").state is State.SYNCED


def test_given_a_create_that_succeeds_and_a_write_that_fails_the_record_is_linked_and_completed_later(
    world: World,
) -> None:
    world.left.put("k1", name="one", price="2")
    world.right.script("write", "nk-k1", TRANSIENT)

    world.reconcile()
    assert world.links() == {"k1": "r1"}
    world.let_time_pass()

    assert world.writes_of(world.reconcile) == {"write": 1}
    assert world.agrees()


def test_given_a_due_retry_its_natural_key_is_named_and_a_selective_run_does_it(world: World) -> None:
    world.fill(3)
    world.right.script("create", "nk-k02", TRANSIENT)
    world.reconcile()

    def due() -> list[str]:
        with world.engine.begin() as connection:
            return [retry.natural_key for retry in waiting.due(connection, "worlds")]

    assert due() == []
    world.let_time_pass()
    assert due() == ["nk-k02"]
    world.reconcile(keys=due())
    assert due() == []
    assert world.agrees()


@pytest.mark.parametrize(
    "pointless", ["withheld", "vanished", "doubled", "blocked"], ids=lambda reason: f"because it is {reason}"
)
def test_given_a_retry_that_has_become_pointless_it_is_not_due_for_ever(world: World, pointless: str) -> None:
    world.fill(2)
    world.reconcile()
    world.left.put("k02", name="new")
    world.left.put("k03", name="three")
    world.right.script("write", "nk-k02", TRANSIENT)
    world.right.script("create", "nk-k03", TRANSIENT)
    world.reconcile()
    world.let_time_pass()
    if pointless == "withheld":
        world.left.replace("k02", withheld="not now")
        world.left.replace("k03", withheld="not now")
    elif pointless == "vanished":
        world.policies["retires"] = False
        world.left.remove("k02", "k03")
    elif pointless == "doubled":
        world.right.put("twin1", "nk-k03", name="x")
        world.right.put("twin2", "nk-k03", name="x")
        world.right.replace(world.links()["k02"], withheld="moved to another customer")
    else:
        world.policies["blocked"] = lambda before, after, fields: dict.fromkeys(fields, "a person must")
        world.left.remove("k03")

    world.reconcile()

    assert world.sql("SELECT key FROM sync.record_state WHERE state = 'retrying'") == []


def test_given_an_error_text_that_postgresql_cannot_hold_the_failure_is_recorded_all_the_same(world: World) -> None:
    world.left.put("k1", name="one")

    def hostile(target: object, write: object) -> None:
        raise PeerError("target", FailureKind.PERMANENT, "half \ud800 and NUL \x00")

    world.right.script("create", "nk-k1", hostile)
    world.reconcile()

    assert world.state("k1").state is State.DEAD_LETTERED
    assert "half \N{REPLACEMENT CHARACTER} and NUL \N{REPLACEMENT CHARACTER}" in world.letters()[0].last_error


def test_given_an_unreadable_source_the_run_fails_plainly_and_the_other_side_is_not_read_on(world: World) -> None:
    async def broken(sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        raise PeerError("source", FailureKind.TRANSIENT, "out of order", status=502)
        yield []

    world.fill(3)
    world.left.sweep = broken  # type: ignore[method-assign]  # a script of this test

    with pytest.raises(PeerError, match="out of order"):
        world.reconcile()

    assert world.sql("SELECT count(*) FROM sync.plan") == [(0,)]


def test_given_a_retirement_that_is_accepted_and_ignored_it_is_tried_again(world: World) -> None:
    world.fill(10)
    world.reconcile()
    linked = world.links()["k01"]
    world.left.remove("k01")
    world.right.script("retire", "nk-k01", ignored)

    world.reconcile()

    assert world.state("k01").state is State.RETRYING
    assert "shows the record in service" in world.state("k01").reason
    world.let_time_pass()
    world.reconcile()
    assert world.right.rows[linked].content["state"] == "archived"


def test_given_a_create_that_is_answered_with_a_linked_record_then_that_one_stays_whose_it_is(world: World) -> None:
    world.left.put("k1", name="one")
    world.reconcile()
    linked = world.links()["k1"]
    made = world.right.create

    async def mixed_up(natural_key: str, content: Content) -> str:
        await made(natural_key, content)
        return linked

    world.left.put("k2", name="two")
    world.right.create = mixed_up  # type: ignore[method-assign]  # a script of this test
    world.reconcile()

    assert world.links() == {"k1": linked}
    assert world.right.rows[linked].content["name"] == "one"
    (letter,) = world.letters()
    assert letter.key == "k2"
    assert f"answered with {linked}, which is linked with k1" in letter.last_error
    world.right.create = made  # type: ignore[method-assign]  # a script of this test
    world.reprocess()
    world.reconcile()
    world.reconcile()
    assert world.agrees()
    assert world.right.sent["create"] == 2
