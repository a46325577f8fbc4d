"""What a run leaves behind: audit entries, metrics, plans, and why every record is where it is."""

from __future__ import annotations

from datetime import datetime

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.core.plan import Action
from sync_pipelines.store import audit, effects, metrics, plans
from sync_pipelines_tests.engine.worlds import World, lost_reply, refused


def _eventful(world: World) -> None:
    """Let a bit of everything happen."""
    world.policies |= {"audit_names": ("offering_id", "waldur_uuid", "provider_address"), "metric_prefix": "offering"}
    world.fill(10)
    world.right.put("old", "nk-k10", **world.left.rows["k10"].content)
    world.right.script("create", "nk-k01", lost_reply)
    world.right.script("create", "nk-k02", refused(FailureKind.TRANSIENT, 503))
    world.right.script("create", "nk-k03", refused(FailureKind.PERMANENT, 400))
    world.reconcile()
    world.let_time_pass()
    world.left.put("k04", name="new")
    world.right.put(world.links()["k05"], name="edited")
    world.left.remove("k06")
    world.reconcile()


def test_given_an_eventful_life_the_audit_chain_verifies_and_has_the_documented_fields(world: World) -> None:
    _eventful(world)

    with world.engine.begin() as connection:
        report = audit.verify(connection, "worlds")
    entries = world.audit()
    assert report.intact
    assert report.entries == len(entries) > 14
    created = next(entry for entry in entries if entry.get("offering_id") == "k04" and entry["action"] == "create")
    assert created.keys() >= {
        "timestamp",
        "offering_id",
        "waldur_uuid",
        "action",
        "success",
        "duration_ns",
        "retry_count",
        "provider_address",
        "checksum",
    }
    assert created["success"] is True
    assert created["waldur_uuid"] == world.links()["k04"]
    assert created["provider_address"] == "provider-1"
    assert created["checksum"].startswith("blake2b:")
    assert datetime.fromisoformat(created["timestamp"]).utcoffset() is not None
    retried = [entry for entry in entries if entry.get("offering_id") == "k02"]
    assert [(entry["success"], entry["retry_count"]) for entry in retried] == [(False, 0), (True, 1)]
    assert "refused by script" in retried[0]["error"]
    (buried,) = [entry for entry in entries if entry["action"] == "dead_lettered"]
    assert (buried["offering_id"], buried["total_attempts"]) == ("k03", 1)
    assert [entry["success"] for entry in entries if entry["action"] == "reconcile"] == [True, True]


def test_given_an_altered_entry_verification_names_it(world: World) -> None:
    world.fill(2)
    world.reconcile()
    world.sql("""UPDATE sync.audit SET entry = jsonb_set(entry, '{success}', 'false') WHERE number = 2""")

    with world.engine.begin() as connection:
        report = audit.verify(connection, "worlds")

    assert (report.intact, report.broken_at, report.reason) == (False, 2, "entry 2 was altered")


def test_given_an_eventful_life_the_metrics_add_up(world: World) -> None:
    _eventful(world)

    with world.engine.begin() as connection:
        counted = {(s.name, s.bucket): s.value for s in metrics.counters(connection, "worlds")}
        gauges = {s.name: s.value for s in metrics.gauges(connection, "worlds", "offering")}
    attempts = sum(entry["action"] in set(Action) for entry in world.audit())
    assert counted["offering_total", ""] == attempts
    assert counted["offering_successful", ""] + counted["offering_failed", ""] == attempts
    assert counted["offering_failed", ""] == 2
    assert counted["offering_dead_lettered", ""] == 1
    assert counted["offering_reconciliations", ""] == 2
    assert counted["offering_drift_detected", ""] == 3
    assert counted["offering_duration_seconds", "count"] == attempts
    assert gauges == {"offering_queue_depth": 0, "offering_active_syncs": 0, "offering_dead_letter_size": 1}


def test_given_an_eventful_life_every_record_says_why_it_is_where_it_is(world: World) -> None:
    _eventful(world)

    reasons = dict(world.sql("SELECT key, reason FROM sync.record_state"))
    assert all(reasons.values())
    assert reasons["k05"] == "update: name changed at the target"
    assert reasons["k04"] == "update: name changed at the source"
    assert reasons["k06"] == "retired: gone at the source"
    with world.engine.begin() as connection:
        last = effects.latest(connection, world.scope, "k02")
    assert last is not None
    assert (last.action, last.state, last.attempt) == ("create", "settled", 2)


def test_given_a_plan_its_changes_carry_before_after_fields_and_reason(world: World) -> None:
    world.fill(2)
    world.reconcile()
    world.left.put("k01", name="new")
    plan = world.reconcile(plan_only=True).plan

    with world.engine.begin() as connection:
        (change,) = plans.changes(connection, plan.id)

    assert (change.action, change.key, change.fields) == (Action.UPDATE, "k01", ("name",))
    assert change.before is not None
    assert change.after is not None
    assert (change.before["name"], change.after["name"]) == ("name of k01", "new")
    assert change.reason == "name changed at the source"


def test_given_two_worlds_with_the_same_content_their_plans_have_one_hash(world: World) -> None:
    world.fill(5)
    first = world.reconcile(plan_only=True).plan.hash
    world.left.rows = dict(reversed(world.left.rows.items()))

    assert world.reconcile(plan_only=True).plan.hash == first
    world.left.put("k05", name="other")
    assert world.reconcile(plan_only=True).plan.hash != first
