"""Syncs that people start, watch, pause, resume and cancel: the letters are those of the acceptance checks.

Check c is in ``test_conflict_kinds.py``: every kind of conflict in a run against both systems.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import DatabaseUnavailable, FailureKind, RunStopped
from sync_pipelines.core.orchestration import MOST_ACTIVE, Activity, Status, SyncEntity
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine import merging
from sync_pipelines.engine.stopping import Stop
from sync_pipelines.pipelines.commerce.orchestrator import Answer, Caller, answer
from sync_pipelines.pipelines.commerce.sync_shop import Pairs
from sync_pipelines.pipelines.commerce.sync_worker import Temper, run_sync
from sync_pipelines.store import orchestrations, sync_activity
from sync_pipelines.store.database import connect_engine
from sync_pipelines_tests.engine.two_way_worlds import ORG, TwoWayWorld
from sync_pipelines_tests.engine.worlds import Fault, after, is_archived, lost_reply, refused

LEFT, RIGHT = Side.LEFT, Side.RIGHT
QUICK = {"rateLimit": 50, "interBatchDelayMs": 0}
BOTH: dict[str, Any] = {"systems": ["woocommerce", "odoo"], "entityTypes": ["products"], "syncConfig": QUICK}


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@dataclass
class Desk:
    """An organization with one shop, somebody who asks about its syncs, and a worker."""

    world: TwoWayWorld
    waits: list[float] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        """The store's database."""
        return self.world.engine

    def asks(self, action: str, *, org: str = ORG, **request: Any) -> Answer:
        """Ask something; that one may not ask often is left out of it."""
        self.sql("DELETE FROM sync.sync_request")
        return self.posts(json.dumps({"action": action, **request}), org=org)

    def posts(self, body: str | bytes, *, org: str = ORG) -> Answer:
        """Send a request as it is."""
        return answer(self.engine, Caller(org, "ada", ["one"]), body)

    def starts(self, **request: Any) -> str:
        """Start a sync of products in both systems, and return its id."""
        started = self.asks("start", **(BOTH | request))
        assert started.status == 202, started.body
        return str(started.body["syncId"])

    def configured(self, **config: Any) -> str:
        """Start a sync with other settings."""
        return self.starts(syncConfig=QUICK | config)

    def works(self, sync_id: str) -> Status | None:
        """Let a worker take a sync up. Time passes as soon as somebody waits for it."""
        return asyncio.run(self.working(sync_id))

    async def working(self, sync_id: str, **temper: Any) -> Status | None:
        """Let a worker take a sync up within an event loop."""

        async def wait(stop: Stop, seconds: float) -> None:
            self.waits.append(seconds)
            self.let_time_pass()

        temper = {"wait": wait, "chance": lambda: 0.0} | temper
        shop = Pairs(self.engine, {SyncEntity.PRODUCTS: self.world.pair})
        done = await run_sync(self.engine, sync_id, shop, log=logging.getLogger("desk"), temper=Temper(**temper))
        return None if done is None else done.status

    def let_time_pass(self) -> None:
        """Make every retry due, and every quiet time over."""
        self.sql("UPDATE sync.record_state SET next_retry_at = now() WHERE state = 'retrying'")
        self.sql("UPDATE sync.effect SET quiet_until = now() WHERE quiet_until IS NOT NULL")

    def sql(self, statement: str) -> None:
        """Execute a statement that returns nothing."""
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def status(self, sync_id: str) -> dict[str, Any]:
        """What is said about a sync."""
        told = self.asks("status", syncId=sync_id)
        assert told.status == 200, told.body
        return told.body

    def queue(self, sync_id: str, system: str = "odoo") -> dict[str, int]:
        """The numbers of a system that are not zero."""
        return {name: number for name, number in self.status(sync_id)["queues"][system].items() if number}

    def log(self, sync_id: str) -> list[Activity]:
        """The milestones of a sync."""
        with self.engine.begin() as connection:
            return [entry.action for entry in sync_activity.entries(connection, ORG, sync_id)]


@pytest.fixture
def desk(engine: Engine) -> Desk:
    """A shop and an ERP without records."""
    return Desk(TwoWayWorld(engine))


def one_at_a_time(desk: Desk) -> None:
    """Let the changes of a system be made one after the other."""
    policies = {side: {"retired": is_archived, "quiet_seconds": 0.0, "in_flight": 1} for side in Side}
    desk.world.options["policies"] = policies


def stock_up(desk: Desk, count: int) -> None:
    """Put new records into the shop."""
    for number in range(count):
        desk.world.put(LEFT, f"w{number}", f"n{number}", price="1")


def at_create(desk: Desk, number: int, fault: Fault, *more: int) -> None:
    """Let creates in the ERP meet a fault, counted from 1 in whatever order they come."""
    counted = itertools.count(1)

    def meet(target: Any, write: Callable[[], None]) -> None:
        if next(counted) in (number, *more):
            fault(target, write)
        else:
            write()

    for name in desk.world.shown(LEFT):
        desk.world.erp.script("create", name, *([meet] * 3))


def contest(desk: Desk, base: Any = "9", left: Any = "1", right: Any = "2") -> None:
    """Let both systems edit one field of a record on which they agreed."""
    desk.world.both("mug", price=base)
    desk.world.run()
    desk.world.put(LEFT, "w-mug", "mug", price=left)
    desk.world.put(RIGHT, "o-mug", "mug", price=right)


def test_check_a_a_start_is_accepted_and_queued(desk: Desk) -> None:
    started = desk.asks("start", **BOTH)

    assert started.status == 202
    assert started.body.pop("syncId").startswith("sync-")
    assert started.body == {"success": True, "status": "queued", "message": "Sync orchestration started"}


def test_check_a_the_sixth_sync_of_an_organization_is_refused_until_one_is_over(desk: Desk) -> None:
    started = [desk.starts() for _ in range(5)]

    assert desk.asks("start", **BOTH).status == 409
    assert desk.asks("start", org="org-2", **BOTH).status == 202
    assert desk.asks("cancel", syncId=started[0]).status == 200
    assert desk.asks("start", **BOTH).status == 202


def test_check_a_a_paused_sync_is_resumed_only_when_there_is_room_for_it(desk: Desk) -> None:
    paused = desk.starts()
    desk.asks("pause", syncId=paused)
    for _ in range(5):
        desk.starts()

    assert desk.asks("resume", syncId=paused).status == 409
    assert desk.status(paused)["status"] == "paused"


def test_check_a_the_eleventh_request_in_a_minute_is_refused_in_every_process(desk: Desk, database_url: str) -> None:
    elsewhere = connect_engine(database_url)
    body = json.dumps({"action": "status", "syncId": "sync-0"})
    try:
        for number in range(10):
            served = answer(elsewhere, Caller(ORG, "bob", []), body) if number % 2 else desk.posts(body)
            assert served.status == 404
        late = answer(elsewhere, Caller(ORG, "bob", []), body)
    finally:
        elsewhere.dispose()

    assert late.status == 429
    assert 0 < int(late.headers["Retry-After"]) <= 60
    assert desk.posts(body).status == 429
    assert desk.posts(body, org="org-2").status == 404
    desk.sql("UPDATE sync.sync_request SET recent = ARRAY(SELECT at - interval '61 s' FROM unnest(recent) AS a(at))")
    assert desk.posts(body).status == 404


def test_check_a_of_many_requests_at_once_no_more_get_through_than_one_after_the_other(desk: Desk) -> None:
    with ThreadPoolExecutor(4) as people:
        served = list(people.map(desk.posts, [json.dumps({"action": "start", **BOTH})] * 12))

    assert Counter(one.status for one in served) == {202: 5, 409: 5, 429: 2}


SENSELESS: tuple[bytes, ...] = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff",
    b"{}",
    b'{"action": "explode"}',
    b'{"action": ["start"]}',
    b'{"action": "status"}',
    b'{"action": "status", "syncId": "\\u0000"}',
    b'{"action": "status", "syncId": "\\ud800"}',
    b'{"action": "resolve-conflict", "conflictId": "conflict-1", "resolution": "maybe"}',
    b'{"action": "resolve-conflict", "resolution": "accept"}',
    b"[" * 100_000,
)
BEYOND: tuple[tuple[dict[str, Any], str], ...] = (
    ({"systems": ["shopify"]}, "systems.0"),
    ({"entityTypes": ["invoices"]}, "entityTypes.0"),
    ({"entityTypes": []}, "entityTypes"),
    ({"syncConfig": {"batchSize": 201}}, "syncConfig.batchSize"),
    ({"syncConfig": {"maxRetries": 6}}, "syncConfig.maxRetries"),
    ({"syncConfig": {"rateLimit": 51}}, "syncConfig.rateLimit"),
    ({"syncConfig": {"conflictStrategy": "guess"}}, "syncConfig.conflictStrategy"),
    ({"shop": "another"}, "shop"),
)


def test_check_a_a_body_that_makes_no_sense_is_refused_and_no_error_of_ours(desk: Desk) -> None:
    for number, body in enumerate(SENSELESS):
        # One organization each, because none may ask as often.
        refused_ = desk.posts(body, org=f"org-{number}")
        assert (refused_.status, refused_.body["success"]) == (400, False), body[:80]


def test_check_a_a_start_beyond_what_there_is_is_refused_by_name(desk: Desk) -> None:
    for change, named in BEYOND:
        refused_ = desk.asks("start", **(BOTH | change))
        assert refused_.status == 400, change
        assert refused_.body["error"].startswith(f"{named}: ")
    assert desk.world.sql("SELECT FROM sync.sync_orchestration") == []


def test_check_b_equal_records_make_no_conflict_no_write_and_no_wait(desk: Desk) -> None:
    for number in range(20):
        desk.world.both(f"n{number}", price="1")
    sync_id = desk.starts(syncConfig={})

    assert desk.works(sync_id) is Status.DONE
    assert (desk.world.writes, desk.waits, desk.world.conflicts()) == (0, [], [])
    assert desk.log(sync_id) == [
        Activity.SYNC_STARTED,
        Activity.NO_ITEMS_TO_SYNC,
        Activity.NO_ITEMS_TO_SYNC,
        Activity.SYNC_COMPLETED,
    ]
    assert desk.status(sync_id)["progress"] == {"percentComplete": 100, "estimatedTimeRemainingMs": 0}


def test_check_d_what_fails_in_a_batch_is_counted_there_alone_and_nothing_is_half_written(desk: Desk) -> None:
    one_at_a_time(desk)
    stock_up(desk, 6)
    at_create(desk, 3, refused(FailureKind.PERMANENT), 4)
    sync_id = desk.configured(batchSize=2)

    assert desk.works(sync_id) is Status.PARTIAL
    assert desk.queue(sync_id) == {"total": 6, "processed": 4, "failed": 2}
    assert len(desk.world.erp.rows) == 4
    assert all(row["price"] == "1" for row in desk.world.shown(RIGHT).values())
    assert desk.world.sql("SELECT FROM sync.effect WHERE state IN ('intended', 'in_doubt')") == []
    with desk.engine.begin() as connection:
        entries = sync_activity.entries(connection, ORG, sync_id)
    outcomes = [entry.details["outcomes"] for entry in entries if entry.action is Activity.BATCH_PROCESSED]
    assert outcomes == [{"applied": 2}, {"failed": 2}, {"applied": 2}]


FULL_DISK = """
CREATE FUNCTION sync.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER disk_is_full BEFORE INSERT ON sync.sync_conflict FOR EACH ROW
WHEN (NEW.item_id = 'n3') EXECUTE FUNCTION sync.disk_is_full()
"""


def test_check_d_a_database_fault_in_a_batch_takes_all_of_it_back_and_the_rerun_completes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        desk.world.both(f"n{number}", price="1")
    assert desk.works(desk.starts()) is Status.DONE
    for number in range(6):
        desk.world.put(LEFT, f"w-n{number}", f"n{number}", price="2")
        desk.world.put(RIGHT, f"o-n{number}", f"n{number}", price="3")
    desk.sql(FULL_DISK)
    # A batch of the merge: its record, and the conflict of each, are written one table after the other.
    monkeypatch.setattr(merging, "BATCH", 2)
    sync_id = desk.configured(conflictStrategy="manual")

    with pytest.raises(DatabaseUnavailable, match="could not extend file"):
        desk.works(sync_id)
    told = {one.item for one in desk.world.conflicts()}
    contested = "SELECT natural_key FROM sync.merged WHERE cardinality(contested) > 0"
    assert {row.natural_key for row in desk.world.sql(contested)} == told
    assert "n3" not in told
    assert len(told) in (0, 2, 4)

    desk.sql("DROP FUNCTION sync.disk_is_full CASCADE")
    assert desk.works(sync_id) is Status.PARTIAL
    assert {row.natural_key for row in desk.world.sql(contested)} == {f"n{number}" for number in range(6)}
    assert {one.item for one in desk.world.conflicts()} == {f"n{number}" for number in range(6)}
    assert len(desk.world.conflicts()) == 6


def test_check_e_a_second_sync_writes_nothing_and_every_write_is_in_the_log_once(desk: Desk) -> None:
    stock_up(desk, 5)
    first = desk.starts()
    assert desk.works(first) is Status.DONE
    before = desk.world.writes
    # Each ends in the number of the attempt's row, which makes any two of them differ.
    keys = [row.idempotency_key for row in desk.world.sql("SELECT * FROM sync.sync_idempotency_log")]
    written = sorted(key.rpartition("/")[0] for key in keys)
    assert written == [f"twoways_erp/one.things/n{number}" for number in range(5)]

    second = desk.starts()

    assert desk.works(second) is Status.DONE
    assert desk.world.writes == before
    assert desk.world.sql("SELECT FROM sync.sync_idempotency_log WHERE sync_id = :id", id=second) == []
    assert desk.queue(first) == {"total": 5, "processed": 5}


def test_check_e_a_start_that_is_repeated_with_its_key_starts_nothing(desk: Desk) -> None:
    first = desk.starts(idempotencyKey="monday")

    assert desk.starts(idempotencyKey="monday") == first
    assert desk.starts(idempotencyKey="tuesday") != first
    assert desk.asks("start", org="org-2", **BOTH, idempotencyKey="monday").body["syncId"] != first


@pytest.mark.parametrize(
    ("resolution", "price"),
    [({"resolution": "accept"}, "1"), ({"resolution": "reject"}, "2")],
    ids=["accept", "reject"],
)
def test_check_f_a_settlement_is_carried_out_when_the_sync_is_resumed(
    desk: Desk, resolution: dict[str, Any], price: str
) -> None:
    settles(desk, resolution, price)


def test_check_f_a_settlement_by_values_of_ones_own_is_carried_out_as_well(desk: Desk) -> None:
    settles(desk, {"resolution": "custom", "customData": {"price": "3"}}, "3")


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"resolution": "custom", "customData": {"price": "many"}}, "price: 'many' is not a number"),
        ({"resolution": "custom", "customData": {"price": True}}, "price: 'true' is not a number"),
        ({"resolution": "custom", "customData": {}}, "no value for price"),
        ({"resolution": "custom", "customData": {"price": 1, "color": "x"}}, "color is not contested"),
        ({"resolution": "accept", "customData": {"price": 1}}, "custom only"),
        ({"resolution": "custom", "customData": [1]}, "customData: an object"),
    ],
)
def test_check_f_values_that_do_not_fit_are_refused(desk: Desk, request_: dict[str, Any], told: str) -> None:
    contest(desk, 9, 1, 2)
    desk.world.run()

    refused_ = desk.asks("resolve-conflict", conflictId=desk.world.conflicts()[0].id, **request_)

    assert refused_.status == 400
    assert told in refused_.body["error"]


def settles(desk: Desk, resolution: dict[str, Any], price: str) -> None:
    """Settle the conflict of a sync, resume it, and see what both systems show."""
    contest(desk)
    sync_id = desk.configured(conflictStrategy="manual")
    assert desk.works(sync_id) is Status.PARTIAL
    (conflict,) = desk.asks("conflicts", syncId=sync_id).body["conflicts"]
    assert (conflict["owner"], conflict["canBeSettled"], conflict["history"]) == ({"price": "both"}, True, [])

    settled = desk.asks("resolve-conflict", conflictId=conflict["id"], **resolution)
    assert (settled.status, settled.body["conflictId"]) == (200, conflict["id"])
    assert desk.asks("conflicts", syncId=sync_id).body["stats"]["unresolvedCount"] == 0
    assert desk.asks("resume", syncId=sync_id).body["status"] == "queued"
    assert desk.works(sync_id) is Status.DONE

    assert [desk.world.shown(side)["mug"]["price"] for side in Side] == [price, price]
    assert desk.asks("conflicts", syncId=sync_id).body["stats"] == {
        "totalConflicts": 1,
        "unresolvedCount": 0,
        "byType": {},
    }
    over = desk.asks("resolve-conflict", conflictId=conflict["id"], **resolution)
    assert (over.status, over.body["error"]) == (409, f"{conflict['id']} is over: settled by ada")


def test_check_g_the_sync_of_another_organization_does_not_exist(desk: Desk) -> None:
    sync_id = desk.starts()
    before = desk.world.sql("SELECT * FROM sync.sync_orchestration")

    for action in ("status", "pause", "resume", "cancel", "conflicts"):
        assert desk.asks(action, org="org-2", syncId=sync_id).status == 404, action
    assert desk.world.sql("SELECT * FROM sync.sync_orchestration") == before


def test_check_g_the_conflict_of_another_organization_does_not_exist(desk: Desk) -> None:
    contest(desk)
    desk.works(desk.configured(conflictStrategy="manual"))
    (conflict,) = desk.world.conflicts()

    refused_ = desk.asks("resolve-conflict", org="org-2", conflictId=conflict.id, resolution="accept")

    assert refused_.status == 404
    assert desk.world.conflicts()[0].is_resolved is False


def test_check_h_the_status_of_the_guides_numbers_is_44_percent(desk: Desk) -> None:
    sync_id = desk.starts()
    desk.sql(
        "UPDATE sync.sync_item i SET total = g.total, processed = g.processed, failed = g.failed, "
        "skipped = g.skipped, pending = g.pending FROM (VALUES ('woocommerce', 500, 250, 5, 10, 235), "
        "('odoo', 300, 100, 2, 5, 193)) AS g(system, total, processed, failed, skipped, pending) "
        "WHERE i.system = g.system"
    )
    desk.sql("UPDATE sync.sync_orchestration SET worked_seconds = 70")

    status = desk.status(sync_id)

    assert status["queues"] == {
        "woocommerce": {"total": 500, "processed": 250, "failed": 5, "skipped": 10, "pending": 235},
        "odoo": {"total": 300, "processed": 100, "failed": 2, "skipped": 5, "pending": 193},
    }
    assert status["progress"] == {"percentComplete": 44, "estimatedTimeRemainingMs": 428 * 200}


@pytest.mark.parametrize("done", [True, False], ids=["after the create", "before the create"])
def test_check_i_a_worker_that_is_killed_is_followed_by_one_that_goes_on(desk: Desk, done: bool) -> None:
    one_at_a_time(desk)
    stock_up(desk, 6)

    def kill(target: Any, write: Callable[[], None]) -> None:
        if done:
            write()
        raise Killed

    at_create(desk, 3, kill)
    sync_id = desk.starts()
    with pytest.raises(Killed):
        desk.works(sync_id)
    assert desk.status(sync_id)["status"] == "processing"
    assert desk.queue(sync_id) == {"total": 6, "processed": 2, "pending": 4}
    assert desk.works(sync_id) is None, "the killed worker may still be alive"

    desk.sql("UPDATE sync.sync_orchestration SET owner_until = now()")
    assert desk.works(sync_id) is Status.DONE

    assert desk.queue(sync_id) == {"total": 6, "processed": 6}
    assert len(desk.world.erp.rows) == 6
    assert desk.world.agree()
    assert desk.log(sync_id).count(Activity.SYNC_STARTED) == 1
    assert Activity.SYNC_RESUMED in desk.log(sync_id)


def test_given_a_pause_in_the_middle_of_a_batch_the_rest_is_done_on_resume_and_nothing_twice(desk: Desk) -> None:
    one_at_a_time(desk)
    stock_up(desk, 7)
    sync_id = desk.configured(batchSize=5)
    at_create(desk, 3, after(lambda: desk.asks("pause", syncId=sync_id)))

    assert desk.works(sync_id) is Status.PAUSED
    assert desk.queue(sync_id) == {"total": 7, "processed": 3, "pending": 4}
    assert desk.status(sync_id)["progress"]["percentComplete"] == 43
    assert len(desk.world.erp.rows) == 3
    assert desk.works(sync_id) is None, "a paused sync waits for a person"

    assert desk.asks("resume", syncId=sync_id).body["status"] == "queued"
    assert desk.works(sync_id) is Status.DONE
    assert desk.queue(sync_id) == {"total": 7, "processed": 7}
    assert desk.world.erp.sent["create"] == len(desk.world.erp.rows) == 7
    log = desk.log(sync_id)
    assert log.index(Activity.SYNC_PAUSED) < log.index(Activity.SYNC_RESUMED) < log.index(Activity.SYNC_COMPLETED)
    assert log.count(Activity.SYNC_STARTED) == 1


def test_given_several_changes_in_hand_when_it_is_paused_each_of_them_is_finished(desk: Desk) -> None:
    stock_up(desk, 20)
    sync_id = desk.starts()
    at_create(desk, 3, after(lambda: desk.asks("pause", syncId=sync_id)))

    assert desk.works(sync_id) is Status.PAUSED
    queue = desk.queue(sync_id)
    assert queue["processed"] == len(desk.world.erp.rows) < 20
    assert queue["processed"] + queue["pending"] == queue["total"] == 20
    assert all(row["price"] == "1" for row in desk.world.shown(RIGHT).values())


def test_given_a_cancel_in_the_middle_of_a_batch_it_is_over_and_the_next_sync_does_the_rest(desk: Desk) -> None:
    one_at_a_time(desk)
    stock_up(desk, 7)
    sync_id = desk.starts()
    at_create(desk, 3, after(lambda: desk.asks("cancel", syncId=sync_id)))

    assert desk.works(sync_id) is Status.CANCELLED
    assert desk.asks("resume", syncId=sync_id).status == 409
    following = desk.starts()
    assert desk.works(following) is Status.DONE
    assert desk.queue(sync_id) == {"total": 7, "processed": 3, "pending": 4}
    assert desk.queue(following) == {"total": 4, "processed": 4}
    assert desk.world.erp.sent["create"] == 7


def test_given_a_pause_that_is_followed_by_a_cancel_it_is_cancelled(desk: Desk) -> None:
    one_at_a_time(desk)
    stock_up(desk, 3)
    sync_id = desk.starts()

    def ask() -> None:
        assert desk.asks("pause", syncId=sync_id).body["requested"] == "pause"
        assert desk.asks("cancel", syncId=sync_id).body["requested"] == "cancel"
        assert desk.asks("pause", syncId=sync_id).body["requested"] == "cancel"

    at_create(desk, 1, after(ask))

    assert desk.works(sync_id) is Status.CANCELLED


def test_given_a_sync_that_waits_it_is_paused_and_cancelled_at_once(desk: Desk) -> None:
    sync_id = desk.starts()

    assert desk.asks("pause", syncId=sync_id).body["status"] == "paused"
    assert desk.asks("pause", syncId=sync_id).status == 409
    assert desk.asks("cancel", syncId=sync_id).body["status"] == "cancelled"
    assert desk.works(sync_id) is None


def test_given_a_process_that_is_to_end_the_sync_is_left_to_the_next_worker(desk: Desk) -> None:
    one_at_a_time(desk)
    stock_up(desk, 5)
    process = Stop()
    at_create(desk, 2, after(lambda: process.ask("SIGTERM")))
    sync_id = desk.starts()

    with pytest.raises(RunStopped):
        asyncio.run(process.over(desk.working(sync_id, look_seconds=0.0)))

    with desk.engine.begin() as connection:
        assert [one.sync_id for one in orchestrations.waiting(connection)] == [sync_id]
    assert desk.works(sync_id) is Status.DONE
    assert desk.queue(sync_id) == {"total": 5, "processed": 5}
    assert desk.world.erp.sent["create"] == 5


def test_given_a_sync_that_waits_for_its_turn_it_can_be_cancelled(desk: Desk) -> None:
    one_at_a_time(desk)
    stock_up(desk, 3)
    sync_id = desk.configured(rateLimit=1)

    begun = asyncio.Event()
    at_create(desk, 1, after(begun.set))

    async def cancelled_at_the_second() -> Status | None:
        working = asyncio.create_task(desk.working(sync_id, look_seconds=0.01))
        await begun.wait()
        # Long enough for the first change to be settled, usually; the second one has to wait for a minute.
        await asyncio.sleep(0.3)
        desk.asks("cancel", syncId=sync_id)
        return await working

    assert asyncio.run(cancelled_at_the_second()) is Status.CANCELLED
    assert len(desk.world.erp.rows) == 1


def test_given_a_failure_that_passes_it_is_tried_again_after_growing_waits(desk: Desk) -> None:
    stock_up(desk, 3)
    desk.world.erp.script("create", "n1", *([refused(FailureKind.TRANSIENT)] * 2))
    sync_id = desk.starts()

    assert desk.works(sync_id) is Status.DONE
    assert desk.world.agree()
    assert [round(wait) for wait in desk.waits] == [1, 2]
    assert desk.queue(sync_id) == {"total": 3, "processed": 3}


def test_given_a_failure_that_does_not_pass_it_is_given_up_and_a_resume_tries_it_again(desk: Desk) -> None:
    stock_up(desk, 3)
    desk.world.erp.script("create", "n1", *([refused(FailureKind.TRANSIENT)] * 3))
    sync_id = desk.configured(maxRetries=2)

    assert desk.works(sync_id) is Status.PARTIAL
    assert desk.queue(sync_id) == {"total": 3, "processed": 2, "failed": 1}
    desk.asks("resume", syncId=sync_id)
    assert desk.works(sync_id) is Status.DONE
    assert desk.queue(sync_id) == {"total": 3, "processed": 3}


def test_given_a_lost_reply_the_record_is_there_once_and_counted_once(desk: Desk) -> None:
    stock_up(desk, 3)
    desk.world.erp.script("create", "n1", lost_reply)
    sync_id = desk.starts()

    assert desk.works(sync_id) is Status.DONE
    assert len(desk.world.erp.rows) == 3
    assert desk.queue(sync_id) == {"total": 3, "processed": 3}


def test_given_refused_credentials_the_sync_stops_at_once_and_goes_on_when_they_are_mended(desk: Desk) -> None:
    one_at_a_time(desk)
    stock_up(desk, 5)
    at_create(desk, 2, refused(FailureKind.AUTH, 401))
    sync_id = desk.starts(entityTypes=["products", "orders"])

    assert desk.works(sync_id) is Status.FAILED
    assert desk.world.erp.sent["create"] == 2
    assert "refused by script" in desk.status(sync_id)["errorMessage"]
    assert {Activity.BATCH_ERROR, Activity.SYNC_ERROR} <= set(desk.log(sync_id))
    assert desk.queue(sync_id) == {"total": 5, "processed": 1, "failed": 1, "pending": 3}
    assert [one["type"] for one in desk.status(sync_id)["conflicts"]["manualReview"]] == ["AuthError"]
    desk.asks("resume", syncId=sync_id)
    desk.works(sync_id)
    assert desk.status(sync_id)["conflicts"]["count"] == 0
    assert len(desk.world.erp.rows) == 5


@pytest.mark.parametrize(
    ("strategy", "waits"),
    [("auto-retry", [1, 2, 4]), ("manual", []), ("skip", [])],
    ids=["auto-retry", "manual", "skip"],
)
def test_given_a_conflict_it_is_looked_at_again_as_the_strategy_says_and_the_others_go_on(
    desk: Desk, strategy: str, waits: list[float]
) -> None:
    contest(desk)
    desk.world.put(LEFT, "w1", "cup", price="4")
    sync_id = desk.configured(conflictStrategy=strategy)

    assert desk.works(sync_id) is Status.PARTIAL
    assert desk.waits == waits
    assert desk.world.shown(RIGHT)["cup"]["price"] == "4"
    assert desk.queue(sync_id) == {"total": 2, "processed": 1, "skipped": 1}
    assert desk.queue(sync_id, "woocommerce") == {"total": 1, "skipped": 1}
    told = desk.status(sync_id)["conflicts"]
    assert (told["count"], [one["type"] for one in told["manualReview"]]) == (1, ["DataMismatch"])


def test_given_one_system_only_the_other_is_not_written_to(desk: Desk) -> None:
    desk.world.put(LEFT, "w1", "mug", price="1")
    desk.world.put(RIGHT, "o1", "cup", price="1")
    sync_id = desk.starts(systems=["odoo"])

    assert desk.works(sync_id) is Status.DONE
    assert (desk.world.shop.writes, sorted(desk.world.shown(RIGHT))) == (0, ["cup", "mug"])
    assert list(desk.status(sync_id)["queues"]) == ["odoo"]


def test_given_batches_there_are_pauses_between_them_and_half_of_one_between_the_systems(desk: Desk) -> None:
    desk.world.put(RIGHT, "o1", "cup", price="1")
    stock_up(desk, 5)
    sync_id = desk.configured(batchSize=2, interBatchDelayMs=3000)

    assert desk.works(sync_id) is Status.DONE
    assert desk.waits == [1.5, 3.0, 3.0]
    assert desk.log(sync_id).count(Activity.BATCH_PROCESSED) == 4


def test_given_an_entity_that_cannot_be_read_the_others_are_carried_out(desk: Desk) -> None:
    stock_up(desk, 2)
    sync_id = desk.starts(entityTypes=["products", "orders"])

    assert desk.works(sync_id) is Status.PARTIAL
    assert desk.status(sync_id)["errorMessage"] == "orders: orders is not synchronized here"
    assert desk.world.agree()


def test_given_a_bug_the_sync_has_failed_and_the_worker_does_not_hide_it(desk: Desk) -> None:
    stock_up(desk, 2)

    def bug(target: Any, write: Callable[[], None]) -> None:
        raise ZeroDivisionError

    at_create(desk, 1, bug)
    sync_id = desk.starts()

    with pytest.raises(ZeroDivisionError):
        desk.works(sync_id)

    assert desk.status(sync_id)["errorMessage"] == "ZeroDivisionError; see the log of the worker"
    assert desk.status(sync_id)["status"] == "failed"


def test_given_two_records_of_one_key_the_sync_skips_them_and_says_so(desk: Desk) -> None:
    desk.world.put(LEFT, "w1", "mug", price="1")
    desk.world.put(LEFT, "w2", "mug", price="1")
    sync_id = desk.starts()

    assert desk.works(sync_id) is Status.PARTIAL
    assert desk.waits == []
    told = desk.asks("conflicts", syncId=sync_id).body
    assert told["stats"] == {"totalConflicts": 1, "unresolvedCount": 1, "byType": {"DuplicateKey": 1}}
    assert (told["conflicts"][0]["itemId"], told["conflicts"][0]["entityType"]) == ("mug", "things")
    assert desk.status(sync_id)["conflicts"] == {"count": 1, "manualReview": []}


def test_given_a_worker_that_lost_its_sync_to_another_it_stops_and_leaves_it_alone(desk: Desk) -> None:
    one_at_a_time(desk)
    stock_up(desk, 4)
    at_create(desk, 2, after(lambda: desk.sql("UPDATE sync.sync_orchestration SET owner = 'another'")))
    sync_id = desk.starts()

    with pytest.raises(RunStopped):
        desk.works(sync_id)

    assert len(desk.world.erp.rows) == 2
    assert desk.world.sql("SELECT owner, status FROM sync.sync_orchestration") == [("another", "processing")]


def test_given_a_plan_that_the_guard_holds_the_sync_ends_partial_and_says_why(desk: Desk) -> None:
    for number in range(12):
        desk.world.both(f"n{number}", price="1")
    desk.world.run()
    desk.world.shop.remove(*(f"w-n{number}" for number in range(9)))
    sync_id = desk.starts()

    assert desk.works(sync_id) is Status.PARTIAL
    assert "for odoo is held" in desk.status(sync_id)["errorMessage"]
    assert desk.queue(sync_id) == {"total": 9, "skipped": 9}
    assert all(row["state"] == "active" for row in desk.world.shown(RIGHT).values())


def test_given_a_draft_then_nobody_carries_it_out_nor_counts_it_until_it_is_started(desk: Desk) -> None:
    stock_up(desk, 1)
    drafts = [desk.starts(draft=True) for _ in range(MOST_ACTIVE + 1)]
    assert {desk.status(one)["status"] for one in drafts} == {"draft"}
    assert desk.works(drafts[0]) is None
    assert desk.asks("pause", syncId=drafts[0]).status == 409

    started, resumed = desk.asks("start", syncId=drafts[0]), desk.asks("resume", syncId=drafts[1])
    assert [(one.body["syncId"], one.body["status"]) for one in (started, resumed)] == [
        (drafts[0], "queued"),
        (drafts[1], "queued"),
    ]
    assert desk.asks("start", syncId=drafts[0]).status == 409
    assert desk.works(drafts[0]) is Status.DONE
    assert desk.log(drafts[0])[0] is Activity.SYNC_STARTED
    assert desk.asks("cancel", syncId=drafts[2]).body["status"] == "cancelled"


def test_given_as_many_syncs_as_may_be_then_a_draft_stays_one_and_another_organization_cannot_start_it(
    desk: Desk,
) -> None:
    draft = desk.starts(draft=True)
    for _ in range(MOST_ACTIVE):
        desk.starts()

    assert desk.asks("start", syncId=draft).status == 409
    assert desk.status(draft)["status"] == "draft"
    assert desk.asks("start", org="org-2", syncId=draft).status == 404
