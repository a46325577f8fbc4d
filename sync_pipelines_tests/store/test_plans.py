"""Stored plans: addressed by hash, applied once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import Connection, Engine, text

from sync_pipelines.core.errors import PlanRefused
from sync_pipelines.core.plan import Action, Change, PlanCounts
from sync_pipelines.store import metrics, plan_states, plans, states
from sync_pipelines.store.plans import StoredPlan
from sync_pipelines.store.scopes import Scope
from sync_pipelines_tests.store.scopes import load, records, scope_of

CHANGE = Change(
    action=Action.UPDATE,
    key="k",
    natural_key="nk",
    right_key="r",
    before={"price": Decimal("1.10"), "units": 2**53 + 1},
    after={"price": Decimal("1.2"), "units": 2**53 + 1},
    fields=("price",),
    reason="price changed at the source",
    destructive=True,
    blocked=("state",),
)


class Plans:
    """Makes plans of one scope."""

    def __init__(self, engine: Engine, scope: Scope) -> None:
        self.engine = engine
        self.scope = scope
        self.snapshots = [load(engine, scope, side, records(1)).id for side in ("left", "right")]

    def make(self, hash_: str, *, held: bool = False, keys: list[str] | None = None) -> StoredPlan:
        """Store a plan."""
        with self.engine.begin() as connection:
            plan_id = plans.open_plan(
                connection,
                self.scope,
                run_id="a run",
                left_snapshot=self.snapshots[0],
                right_snapshot=self.snapshots[1],
                keys=keys,
            )
            plans.add_changes(connection, plan_id, [CHANGE])
            reasons = ("too much",) if held else ()
            return plans.close_plan(
                connection, self.scope, plan_id, hash_=hash_, counts=PlanCounts(update=1), held_reasons=reasons
            )

    def state(self, plan: StoredPlan) -> str:
        """Return the state a plan is in now."""
        with self.engine.begin() as connection:
            return plans.read_plan(connection, plan.id).state


@pytest.fixture
def stored(engine: Engine) -> Plans:
    return Plans(engine, scope_of(engine))


A, B = "abc123" + "0" * 26, "abc123" + "f" * 26


def test_given_the_first_digits_of_a_hash_the_newest_plan_with_it_is_found(engine: Engine, stored: Plans) -> None:
    stored.make(A)
    newest = stored.make(A)
    with engine.begin() as connection:
        assert plans.find_plan(connection, " ABC123000 ").id == newest.id


@pytest.mark.parametrize(
    ("digits", "message"),
    [
        ("abc12", "give at least its first 6"),
        ("", "give at least its first 6"),
        ("zzabc123", "not a plan's hash"),
        ("abc123%", "not a plan's hash"),
        ("______", "not a plan's hash"),
        ("abc124", "no plan has the hash"),
        ("abc123", "several plans start with"),
    ],
)
def test_given_digits_that_name_no_single_plan_the_refusal_says_why(
    engine: Engine, stored: Plans, digits: str, message: str
) -> None:
    stored.make(A)
    stored.make(B)
    with pytest.raises(PlanRefused, match=message), engine.begin() as connection:
        plans.find_plan(connection, digits)


def test_given_a_stored_change_it_comes_back_as_it_was(engine: Engine, stored: Plans) -> None:
    plan = stored.make(A)
    with engine.begin() as connection:
        (change,) = plans.changes(connection, plan.id)
    assert change == CHANGE
    assert change.digest == CHANGE.digest
    assert plan.counts["update"] == 1


@pytest.mark.parametrize(("limit", "expected"), [(None, ["a", "b", "k"]), (2, ["a", "b"]), (9, ["a", "b", "k"])])
def test_given_a_limit_only_the_first_changes_by_key_are_read(
    engine: Engine, stored: Plans, limit: int | None, expected: list[str]
) -> None:
    plan = stored.make(A)
    with engine.begin() as connection:
        plans.add_changes(connection, plan.id, [replace(CHANGE, key="b"), replace(CHANGE, key="a")])
        assert [change.key for change in plans.changes(connection, plan.id, limit=limit)] == expected
        assert next(plans.changes(connection, plan.id)).key == "a"
        plans.mark_changes(connection, plan.id, ["a"], "applied")
        assert [change.key for change in plans.changes(connection, plan.id, state="planned", limit=1)] == ["b"]


def test_given_a_newer_plan_an_open_one_is_superseded_and_a_held_one_waits(stored: Plans) -> None:
    open_plan, held = stored.make(A), stored.make(B, held=True)
    assert stored.state(open_plan) == "superseded"

    other = stored.make("c" * 32, held=True)
    assert (stored.state(held), stored.state(other)) == ("held", "held")
    stored.make("d" * 32, keys=["k"])
    assert stored.state(held) == "held"
    same = stored.make(B, held=True)
    assert (stored.state(held), stored.state(same)) == ("superseded", "held")
    stored.make("e" * 32)
    assert (stored.state(same), stored.state(other)) == ("superseded", "superseded")


def test_given_a_plan_that_is_held_again_and_again_the_guard_tripped_once(engine: Engine, stored: Plans) -> None:
    for hash_, held in ((A, True), (A, True), (B, False), (B, True)):
        stored.make(hash_, held=held)
    with engine.connect() as connection:
        counted = {one.name: one.value for one in metrics.counters(connection, stored.scope.pair)}
    assert counted == {plans.GUARD_TRIPS: 2}


def test_given_an_approved_plan_the_same_plan_made_anew_is_approved_and_another_is_not(
    engine: Engine, stored: Plans
) -> None:
    held = stored.make(A, held=True)
    with engine.begin() as connection:
        assert plan_states.approve(connection, held, "ada").state == "approved"
        assert plan_states.approve(connection, held, "bob").approved_by == "ada"

    assert stored.make(B, held=True).state == "held"
    again = stored.make(A, held=True)
    assert (again.state, again.approved_by) == ("approved", "ada")


def test_given_an_applied_plan_its_approval_is_used_up(engine: Engine, stored: Plans) -> None:
    held = stored.make(A, held=True)
    with engine.begin() as connection:
        plan_states.approve(connection, held, "ada")
        plan_states.begin(connection, held.id)
        plan_states.finish(connection, held.id, {"applied": 1})

    with pytest.raises(PlanRefused, match="applied already"), engine.begin() as connection:
        plan_states.approve(connection, held, "ada")
    with pytest.raises(PlanRefused, match="applied already"), engine.begin() as connection:
        plan_states.begin(connection, held.id)
    assert stored.make(A, held=True).state == "held"


def test_given_a_held_plan_it_cannot_begin_and_the_refusal_says_how_to_let_it_through(
    engine: Engine, stored: Plans
) -> None:
    held = stored.make(A, held=True)
    with (
        pytest.raises(PlanRefused, match=r"is held: too much.*plan approve abc123000000"),
        engine.begin() as connection,
    ):
        plan_states.begin(connection, held.id)


def test_given_changes_that_were_not_tried_they_are_marked_as_skipped(engine: Engine, stored: Plans) -> None:
    plan = stored.make(A)
    with engine.begin() as connection:
        assert plans.skip_rest(connection, plan.id) == 1
        assert plans.skip_rest(connection, plan.id) == 0
        assert _change_states(connection) == ["skipped"]


def _change_states(connection: Connection) -> list[str]:
    return list(connection.execute(text("SELECT state FROM sync.plan_change")).scalars())


def test_plans_are_listed_newest_first_by_pair_and_scope(engine: Engine, stored: Plans) -> None:
    plan = stored.make(A)
    other = Plans(engine, scope_of(engine, name="two")).make(B)
    with engine.begin() as connection:
        assert [found.id for found in plans.list_plans(connection)] == [other.id, plan.id]
        assert [found.id for found in plans.list_plans(connection, pair="pair", scope="one")] == [plan.id]
        assert plans.list_plans(connection, pair="another") == []
        assert len(plans.list_plans(connection, limit=1)) == 1


def test_a_plan_just_written_is_looked_up_record_by_record_while_nothing_is_known_of_its_size(
    engine: Engine, stored: Plans
) -> None:
    """Without statistics PostgreSQL takes the plan for one row, and would read all of it again for every record."""
    count = 400
    with engine.begin() as connection:
        parts = {"scope": stored.scope.id, "count": count}
        connection.execute(
            text(
                "INSERT INTO sync.base (scope_id, left_key, right_key, natural_key, left_fingerprint, "
                "right_fingerprint, left_content, right_content, linked_by, agreed_at) "
                "SELECT :scope, n, n, n, '', '', '{}', '{}', 'test', now() FROM generate_series(1, :count) n"
            ),
            parts,
        )
        connection.execute(
            text(
                "INSERT INTO sync.record_state (scope_id, key, state, reason) "
                "SELECT :scope, n, 'out_of_sync', 'test' FROM generate_series(1, :count) n"
            ),
            parts,
        )
    changes = [replace(CHANGE, key=str(n)) for n in range(1, count)]
    with engine.begin() as connection:
        plans.add_changes(connection, stored.make(A).id, changes)
        connection.execute(text("ANALYZE sync.base, sync.plan_change"))
    plan = stored.make(B)
    with engine.begin() as connection:
        plans.add_changes(connection, plan.id, changes)
        agreed = states.mark_agreed(connection, stored.scope, plan.id, [], None)
        query = "SELECT pg_stat_get_xact_tuples_returned('sync.plan_change_pkey'::regclass)"
        read = connection.execute(text(query)).scalar_one()

    assert agreed == 1
    assert read < 2 * count
