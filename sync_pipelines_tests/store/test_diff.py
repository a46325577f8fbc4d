"""The diff: the three trees joined in the database; only what has to be decided comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.store import base, unequal
from sync_pipelines.store.base import NewLink
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import statement
from sync_pipelines_tests.store.scopes import load, records, scope_of

MANY = 10_000


def _diff(
    engine: Engine, scope: Scope, *, keys: list[str] | None = None, force: bool = False, untracked: bool = False
) -> list[Any]:
    """What the diff returns when it joins everything, which is what it returns when it knows where to look."""
    with engine.begin() as connection:
        # A nested loop over everything would take minutes; it must fail instead.
        connection.execute(text("SET LOCAL statement_timeout = '5s'"))
        asked = {"scope_id": scope.id, "keys": keys, "force": force, "untracked": untracked, "renames": False}
        everything, noted = (
            list(connection.execute(text(statement("diff")), {**asked, "everything": not narrowed}).all())
            for narrowed in (False, unequal.narrow(connection, scope))
        )
    assert noted == everything
    return everything


def _link(connection: Connection, scope: Scope, left: Record, right: Record, **more: Any) -> None:
    link = NewLink(left.key, right.key, left.natural_key, left.content, right.content, linked_by="adopt", **more)
    base.put_links(connection, scope, [link])


@pytest.fixture
def agreed(engine: Engine) -> Scope:
    """Ten thousand linked records that agree; the right ones show a name of their own."""
    scope = scope_of(engine)
    left = records(MANY)
    right = [Record(f"r{n:05}", row.natural_key, {"name": f"shown {n}"}) for n, row in enumerate(left)]
    load(engine, scope, "left", left)
    load(engine, scope, "right", right)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO sync.base (scope_id, left_key, right_key, natural_key, left_fingerprint, "
                "right_fingerprint, left_content, right_content, linked_by, agreed_at) "
                "SELECT l.scope_id, l.key, r.key, l.natural_key, l.fingerprint, r.fingerprint, l.content, r.content, "
                "'adopt', now() FROM sync.record l JOIN sync.record r USING (scope_id, natural_key) "
                "WHERE l.side = 'left' AND r.side = 'right'"
            )
        )
    return scope


def test_given_ten_thousand_records_that_agree_only_the_moved_ones_come_out(engine: Engine, agreed: Scope) -> None:
    assert _diff(engine, agreed) == []
    with engine.begin() as connection:
        connection.execute(text("UPDATE sync.record SET fingerprint = '\\x01' WHERE key IN ('k00007', 'r00100')"))
        connection.execute(text("DELETE FROM sync.record WHERE key IN ('k00200', 'r00300', 'k00400', 'r00400')"))
        connection.execute(text("DELETE FROM sync.base WHERE left_key = 'k00500'"))

    rows = _diff(engine, agreed)

    assert [(row.key, row.left_key, row.right_key, row.has_base) for row in rows] == [
        ("k00007", "k00007", "r00007", True),
        ("k00100", "k00100", "r00100", True),
        ("k00200", None, "r00200", True),
        ("k00300", "k00300", None, True),
        ("k00400", None, None, True),
        ("k00500", "k00500", "r00500", False),
    ]
    assert rows[0].left_content == {"name": "record 7"}
    assert rows[0].base_right == {"name": "shown 7"}
    assert [row.key for row in _diff(engine, agreed, keys=["k00100", "k00500", "k09999"])] == ["k00100", "k00500"]
    assert len(_diff(engine, agreed, force=True)) == MANY


def test_given_ten_thousand_unlinked_records_on_both_sides_they_are_paired_by_natural_key(engine: Engine) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", records(MANY))
    load(engine, scope, "right", [replace(row, key=f"r{row.key}") for row in records(MANY)])

    rows = _diff(engine, scope)

    assert len(rows) == MANY
    assert all((row.right_key, row.lefts, row.rights) == (f"r{row.left_key}", 1, 1) for row in rows)
    assert [row.key for row in rows] == sorted(row.key for row in rows)


@pytest.mark.parametrize(
    ("left", "right", "linked", "expected"),
    [
        ("a", "", "", [("a", None, 1, 0)]),
        ("", "r", "", [(None, "r", 0, 1)]),
        ("a", "r", "", [("a", "r", 1, 1)]),
        ("ab", "r", "", [("a", "r", 2, 1)]),
        ("a", "rs", "", [("a", "r", 1, 2)]),
        ("", "rs", "", [(None, "r", 0, 2)]),
        ("a", "r", "ar", []),
        ("ab", "r", "ar", [("b", None, 2, 0)]),
        ("a", "rs", "ar", [(None, "s", 0, 2)]),
        ("ab", "rs", "ar", [("b", "s", 2, 2)]),
    ],
)
def test_claims_of_one_natural_key_are_counted_linked_ones_included(
    engine: Engine, left: str, right: str, linked: str, expected: list[tuple[str | None, str | None, int, int]]
) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", [Record(key, "shared", {}) for key in left])
    load(engine, scope, "right", [Record(key, "shared", {}) for key in right])
    if linked:
        with engine.begin() as connection:
            _link(connection, scope, Record(linked[0], "shared", {}), Record(linked[1], "shared", {}))

    rows = _diff(engine, scope)

    assert [(row.left_key, row.right_key, row.lefts, row.rights) for row in rows] == expected


def test_given_records_without_a_natural_key_each_stands_for_itself(engine: Engine) -> None:
    scope = scope_of(engine)
    load(engine, scope, "left", [Record("a", "", {})])
    load(engine, scope, "right", [Record("r", "", {}), Record("s", "", {})])

    rows = _diff(engine, scope)

    assert [(row.left_key, row.right_key, row.natural_key, row.lefts, row.rights) for row in rows] == [
        ("a", None, "", 1, 0),
        (None, "r", "", 0, 1),
        (None, "s", "", 0, 1),
    ]


def test_given_a_link_without_an_agreement_it_always_comes_out_and_a_retired_one_only_when_its_source_is_back(
    engine: Engine,
) -> None:
    scope = scope_of(engine)
    one, two = Record("a", "a", {"n": 1}), Record("b", "b", {"n": 1})
    load(engine, scope, "left", [one])
    load(engine, scope, "right", [replace(one, key="r"), replace(two, key="s")])
    with engine.begin() as connection:
        _link(connection, scope, one, replace(one, key="r"), agreed=False)
        _link(connection, scope, two, replace(two, key="s"), agreed=False, retired=True)
    assert [row.key for row in _diff(engine, scope)] == ["a"]

    load(engine, scope, "left", [one, two], sweep=Sweep("me", declared=2, seen=2))
    assert [row.key for row in _diff(engine, scope)] == ["a", "b"]


def test_given_keys_in_any_alphabet_they_come_out_bytewise(engine: Engine) -> None:
    scope = scope_of(engine)
    keys = ["Z", "a", "B", "ä", "é", "1", "_", "~"]
    load(engine, scope, "left", [Record(key, key, {}) for key in keys])

    assert [row.key for row in _diff(engine, scope)] == sorted(keys, key=str.encode)


def test_given_untracked_records_asked_for_then_retired_ones_come_out_and_strangers_go_by_their_natural_key(
    engine: Engine,
) -> None:
    scope = scope_of(engine)
    gone, other = Record("a", "na", {"n": 1}), Record("taken", "nb", {"n": 1})
    load(engine, scope, "left", [other])
    strangers = [Record("s", "ns", {}), Record("t", "taken", {}), Record("u", "", {})]
    load(engine, scope, "right", [replace(gone, key="r"), *strangers])
    with engine.begin() as connection:
        _link(connection, scope, gone, replace(gone, key="r"), agreed=False, retired=True)

    asked = [(row.key, row.right_key, row.retired, row.key_taken) for row in _diff(engine, scope, untracked=True)]

    assert [row.key for row in _diff(engine, scope)] == ["s", "t", "taken", "u"]
    assert asked == [
        ("a", "r", True, False),
        ("ns", "s", False, False),
        ("taken", None, False, False),
        ("taken", "t", False, True),
        ("u", "u", False, False),
    ]
