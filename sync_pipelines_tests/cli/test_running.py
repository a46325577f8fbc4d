"""The commands that start Dagster runs, each in a process of its own as its user starts it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from sync_pipelines.store import audit, plans, states
from sync_pipelines_tests.cli.conftest import KUMO, NORDLYS, Installation

ACTIVE = (1, 2, 5, 7, 9, 14)
"""Six offerings of nordlys that are for sale: more than the guard lets go at once."""


@pytest.mark.long
def test_a_plan_changes_nothing_and_a_selective_run_one_record_and_a_failing_run_ends_with_1_and_its_reason(
    installation: Installation,
) -> None:
    world = installation.waldur.world

    planned = installation.run("reconcile", "offerings", "--provider", "kumo", "--plan", "--json")
    (row,) = json.loads(planned.stdout)
    assert planned.returncode == 0, planned.stderr
    assert (row["state"], row["created"], row["adopted"]) == ("planned", 2, 17)
    assert world.mutations == []

    one = installation.run("reconcile", "offerings", "--provider", KUMO, "--keys", f"{KUMO}/21")
    assert one.returncode == 0, one.stderr
    assert [offering.state for offering in world.by_backend_id(f"{KUMO}/21")] == ["Active"]
    assert world.by_backend_id(f"{KUMO}/2") == []
    assert "kumo" in one.stdout

    installation.chain.catching_up = True
    failing = installation.run("reconcile", "offerings", "--provider", "kumo")
    assert failing.returncode == 1
    assert "kumo: the run failed: chain [status]: the node is catching up" in failing.stderr
    assert "Traceback" not in failing.stderr

    with installation.engine.connect() as connection:
        runs = connection.execute(text("SELECT status, partition FROM runs ORDER BY id")).all()
    assert [tuple(run) for run in runs] == [("SUCCESS", "kumo"), ("SUCCESS", "kumo"), ("FAILURE", "kumo")]


@pytest.mark.long
def test_a_held_plan_is_let_through_once_by_its_hash(installation: Installation) -> None:
    installation.agree()
    chain, world = installation.chain, installation.waldur.world
    gone = [f"{NORDLYS}/{number}" for number in ACTIVE]
    for key in gone:
        chain.terminate_offering(key)

    held = installation.run("reconcile", "offerings", "--provider", "nordlys", "--json")
    (row,) = json.loads(held.stdout)
    assert (held.returncode, row["state"]) == (1, "held")
    assert f"let it through: sync-pipelines plan approve {row['plan'][:12]}" in held.stderr
    assert {offering.state for key in gone for offering in world.by_backend_id(key)} != {"Archived"}

    unasked = installation.invoke("plan", "approve", row["plan"])
    assert unasked.exit_code == 1
    assert "there is no terminal to ask on; give --yes" in unasked.stderr
    assert "held because" in unasked.stdout

    approved = installation.run("plan", "approve", row["plan"][:8], "--yes", "--json")
    assert approved.returncode == 0, approved.stderr
    assert {offering.state for key in gone for offering in world.by_backend_id(key)} == {"Archived"}

    again = installation.invoke("plan", "approve", row["plan"], "--yes")
    assert again.exit_code == 1
    assert "an approval lets a plan through once" in again.stderr


def test_a_held_plan_may_be_approved_for_the_next_run(installation: Installation) -> None:
    installation.agree()
    for number in ACTIVE:
        installation.chain.terminate_offering(f"{NORDLYS}/{number}")
    installation.agree()
    with installation.engine.connect() as connection:
        held = plans.list_plans(connection, scope="nordlys", limit=1)[0]
    writes = len(installation.waldur.world.mutations)

    approved = installation.invoke("plan", "approve", held.hash, "--yes", "--no-apply")
    assert approved.exit_code == 0, approved.stderr
    assert len(installation.waldur.world.mutations) == writes

    installation.agree()
    assert installation.waldur.world.by_backend_id(f"{NORDLYS}/1")[0].state == "Archived"


@pytest.mark.long
def test_a_dead_letter_is_listed_and_reprocessed_with_what_the_source_says_now(installation: Installation) -> None:
    key = f"{NORDLYS}/1"
    installation.chain.update_offering(key, {"category": "no such category"})
    installation.agree()

    (letter,) = installation.answer("dead-letter", "list")
    assert (letter["key"], letter["state"], letter["attempts"]) == (key, "open", 1)
    assert key in installation.invoke("dead-letter", "list", "--provider", "nordlys").stdout
    assert installation.answer("dead-letter", "list", "--provider", "okra") == []
    status = installation.answer("offerings", "status", key)
    assert (status["state"], status["dead_letter"]["id"]) == ("dead_lettered", letter["id"])

    installation.chain.update_offering(key, {"category": "compute", "name": "Mended"})
    answer = installation.run("dead-letter", "reprocess", str(letter["id"]))

    assert answer.returncode == 0, answer.stderr
    assert installation.waldur.world.by_backend_id(key)[0].name == "Mended"
    assert installation.answer("offerings", "status", key)["state"] == "synced"
    with installation.engine.connect() as connection:
        (closed,) = states.letters(connection, "offerings", open_only=False)
        actions = [entry.entry["action"] for entry in audit.entries(connection, "offerings", key=key)]
    assert closed.state == "reprocessed"
    assert actions[:2] == ["dead_lettered", "reprocess"]
    again = installation.invoke("dead-letter", "reprocess", str(letter["id"]))
    assert again.exit_code == 1
    assert "is not open: it was reprocessed by" in again.stderr


def test_dead_letters_may_be_reset_without_a_run(installation: Installation) -> None:
    key = f"{NORDLYS}/1"
    installation.chain.update_offering(key, {"category": "no such category"})
    installation.agree()
    assert installation.answer("dead-letter", "reprocess", "--all", "--no-run") == {"reprocessed": [key]}
    assert installation.answer("offerings", "status", key)["state"] == "pending"
    assert installation.answer("dead-letter", "list") == []


def test_reprocess_wants_one_dead_letter_or_all(installation: Installation) -> None:
    assert installation.invoke("dead-letter", "reprocess").exit_code == 2
    assert installation.invoke("dead-letter", "reprocess", "1", "--all").exit_code == 2
    unknown = installation.invoke("dead-letter", "reprocess", "4711")
    assert unknown.exit_code == 1
    assert "there is no dead letter 4711" in unknown.stderr
