"""What was read of a peer, kept for a while, and how the last runs went."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sync_pipelines.store import peer_cache, run_summaries
from sync_pipelines.store.peer_cache import Cached
from sync_pipelines_tests.store.scopes import rows_of, scope_of

DOCUMENT = {"text": "ä \x00 \ud800 ☃", "number": 12345678901234567890, "nothing": None, "list": [True, 1.5]}


def test_what_is_kept_comes_back_as_it_was(engine: Engine) -> None:
    scope = scope_of(engine)
    with engine.begin() as connection:
        peer_cache.put(connection, scope, {"a": ("1", DOCUMENT), "b": ("1", {})})
        peer_cache.put(connection, scope, {"b": ("2", {"new": 1})})
        found = peer_cache.read(connection, scope, ["a", "b", "c"])
    assert {key: (one.stamp, one.document) for key, one in found.items()} == {
        "a": ("1", DOCUMENT),
        "b": ("2", {"new": 1}),
    }
    assert all(0 <= one.age < 60 for one in found.values())


def test_scopes_do_not_see_each_other(engine: Engine) -> None:
    one, other = scope_of(engine), scope_of(engine, name="two")
    with engine.begin() as connection:
        peer_cache.put(connection, one, {"a": ("1", {})})
        assert peer_cache.read(connection, other, ["a"]) == {}
        assert peer_cache.forget(connection, other) == peer_cache.purge(connection, other, []) == 0
        assert "a" in peer_cache.read(connection, one, ["a"])


@pytest.mark.parametrize(("keys", "left"), [(None, set()), (["a"], {"b"}), ([], {"a", "b"})])
def test_what_is_forgotten_is_out_of_date_but_still_known(
    engine: Engine, keys: list[str] | None, left: set[str]
) -> None:
    scope = scope_of(engine)
    with engine.begin() as connection:
        peer_cache.put(connection, scope, {"a": ("1", {}), "b": ("1", {})})
        assert peer_cache.forget(connection, scope, keys) == 2 - len(left)
        found = peer_cache.read(connection, scope, ["a", "b"])
    assert set(found) == {"a", "b"}
    assert {key for key, one in found.items() if one.is_fresh("1", 60)} == left


def test_what_is_listed_no_more_is_purged(engine: Engine) -> None:
    scope = scope_of(engine)
    with engine.begin() as connection:
        peer_cache.put(connection, scope, {"a": ("1", {}), "b": ("1", {})})
        assert peer_cache.purge(connection, scope, ["b", "c"]) == 1
    assert rows_of(engine, "SELECT key FROM sync.peer_cache") == [("b",)]


@pytest.mark.parametrize(
    ("stamp", "age", "longest", "fresh"),
    [("1", 5.0, 10.0, True), ("2", 5.0, 10.0, False), ("1", 10.0, 10.0, False), ("1", 0.0, 0.0, False)],
)
def test_only_what_is_young_and_of_the_same_list_entry_is_fresh(
    stamp: str, age: float, longest: float, fresh: bool
) -> None:
    assert Cached("1", {}, age).is_fresh(stamp, longest) is fresh


def test_the_last_hundred_runs_are_kept_and_their_durations_are_gauges(engine: Engine) -> None:
    scope = scope_of(engine)
    with engine.begin() as connection:
        for number in range(run_summaries.KEPT + 5):
            run_summaries.add(
                connection, scope, seconds=number, outcome="successful", reason=None, numbers={"deployments": number}
            )
        kept = run_summaries.latest(connection, scope)
    assert [run.numbers["deployments"] for run in kept] == list(range(104, 4, -1))
    gauges = dict(rows_of(engine, "SELECT name, value FROM sync.gauge WHERE name LIKE '%%duration%%'"))
    assert gauges == {"last_run_duration_seconds": 104.0, "average_run_duration_seconds": 54.5}


def test_given_no_run_then_there_is_no_duration(engine: Engine) -> None:
    scope_of(engine)
    assert rows_of(engine, "SELECT name FROM sync.gauge WHERE name LIKE '%%duration%%'") == []
