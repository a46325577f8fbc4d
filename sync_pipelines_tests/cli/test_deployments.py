"""The commands on two pipelines at once, and those of the deployments pipeline."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from sync_pipelines.cli.demo import print_outcome
from sync_pipelines.cli.demo_shops import ShopsOutcome
from sync_pipelines.cli.reconcile import holding, split
from sync_pipelines.cli.session import choose, connections
from sync_pipelines.cli.summary import summarise
from sync_pipelines.core.errors import SelectsNothing
from sync_pipelines.sandbox.bosh import DEMO_USER, DirectorStandIn, many
from sync_pipelines.store import audit, plans
from sync_pipelines_tests.cli.conftest import Deployed

PLAIN = "3ceaaf30-8142-48ea-91d9-3080f9b439fc"
DEPLOYMENT = f"redis-cache-small-{PLAIN}"
LARGE = "6fced11d-2bd8-41e6-847a-8387cdde8d51"
NEEDS_REVIEW = "postgresql-standalone-medium-66080f17-4c96-48e2-9cbd-0ba3a1a6bcde"
MALFORMED = "postgresql-standalone-small-78b7d0ac-8477-4ce0-8e4c-da11b43c589b"
ORPHAN = "2eb73728-2fea-475e-b536-5e1458294a90"


def test_every_looking_command_works_for_both_pipelines(deployed: Deployed) -> None:
    world = deployed.installation
    world.agree("nordlys")
    world.agree("lab")

    plans = world.answer("plan", "list")
    assert {(plan["pipeline"], plan["connection"]) for plan in plans} == {
        ("offerings", "nordlys"),
        ("deployments", "lab"),
    }
    assert [plan["connection"] for plan in world.answer("plan", "list", "--connection", "deployments/lab")] == ["lab"]
    assert [plan["connection"] for plan in world.answer("plan", "list", "--pipeline", "offerings")] == ["nordlys"]
    both = world.invoke("plan", "list", "--pipeline", "offerings", "--connection", "deployments")
    assert (both.exit_code, "are two pipelines; give one" in both.stderr) == (1, True)
    shown = world.invoke("plan", "show", plans[0]["hash"][:8]).stdout
    assert "deployments/lab" in shown

    told = {document["connection"]: document["metrics"] for document in world.answer("metrics")}
    assert told["nordlys"]["offering_sync_reconciliations"]["value"] == 1
    assert told["lab"]["blacksmith_reconciler_reconciliations"]["value"] == 1
    assert told["lab"]["blacksmith_reconciler_runs_successful"]["value"] == 1
    seconds = told["lab"]["blacksmith_reconciler_last_run_duration_seconds"]["value"]
    assert 0 < seconds != int(seconds)
    assert world.answer("metrics", "--pipeline", "deployments")[0]["pipeline"] == "deployments"

    assert world.answer("dead-letter", "list") == []
    assert set(world.answer("audit", "verify")) == {"offerings", "deployments"}
    exported = [json.loads(line)["pipeline"] for line in world.invoke("audit", "export").stdout.splitlines()]
    assert set(exported) == {"offerings", "deployments"}


def test_why_answers_for_the_instance_and_for_its_deployment(deployed: Deployed) -> None:
    deployed.installation.agree("lab")
    by_instance, by_name = deployed.installation.answer("why", PLAIN), deployed.installation.answer("why", DEPLOYMENT)
    assert by_instance == by_name
    assert (by_instance["pipeline"], by_instance["state"], by_instance["right_key"]) == ("deployments", "synced", PLAIN)
    assert by_instance["audit"]
    shown = deployed.installation.invoke("why", PLAIN).stdout
    assert shown.startswith(f"Instance {DEPLOYMENT}")
    unknown = deployed.installation.invoke("why", "nobody")
    assert unknown.exit_code == 1
    assert "no record of offerings/nordlys, " in unknown.stderr


@pytest.mark.long
def test_a_reconcile_may_be_of_both_pipelines_and_a_name_of_both_must_be_given_in_full(deployed: Deployed) -> None:
    world = deployed.installation
    world.document["deployments"][0]["name"] = "kumo"
    world.configure()

    ambiguous = world.invoke("reconcile", "kumo")
    assert ambiguous.exit_code == 1
    assert "write offerings/kumo or deployments/kumo" in ambiguous.stderr

    planned = world.run("reconcile", "offerings/kumo", "deployments", "--plan", "--json")
    assert planned.returncode == 0, planned.stderr
    rows = {row["pipeline"]: row for row in json.loads(planned.stdout)}
    assert (rows["offerings"]["state"], rows["offerings"]["created"]) == ("planned", 2)
    assert (rows["deployments"]["state"], rows["deployments"]["created"], rows["deployments"]["retired"]) == (
        "planned",
        1,
        1,
    )
    assert "director" not in deployed.entry(PLAIN)


def test_status_tells_the_reconcilers_own_numbers(deployed: Deployed) -> None:
    (before,) = deployed.installation.answer("deployments", "status")
    assert (before["connection"], before["runs_total"], before["last_run_at"]) == ("lab", 0, None)
    deployed.installation.agree("lab")

    (found,) = deployed.installation.answer("deployments", "status", "lab")

    assert (found["running"], found["last_run_outcome"]) == (False, "successful")
    assert (found["runs_total"], found["runs_successful"], found["runs_failed"]) == (1, 1, 0)
    assert found["last_run_deployments"] == found["deployments_total"] == 14
    assert found["last_run_instances_found"] == found["last_run_instances_synced"] == 11
    assert found["last_run_duration_seconds"] == found["average_run_duration_seconds"] > 0
    assert len(found["history"]) == 1
    assert "instances synced total" in deployed.installation.invoke("deployments", "status").stdout


def test_matches_tell_what_each_deployment_was_taken_for_and_are_no_run(deployed: Deployed) -> None:
    rows = {row["deployment"]: row for row in deployed.installation.answer("deployments", "matches", "lab")}

    assert len(rows) == 14
    kinds = [row["as"] for row in rows.values()]
    assert {kind: kinds.count(kind) for kind in kinds} == {"instance": 11, "needs review": 1, "no instance": 2}
    assert (rows[DEPLOYMENT]["plan_id"], rows[DEPLOYMENT]["confidence"]) == ("redis-cache-small", 1)
    assert rows[NEEDS_REVIEW]["confidence"] == 0.3
    assert "the manifest's metadata names plan 'postgresql-standalone-small'" in rows[NEEDS_REVIEW]["remarks"]
    assert rows[MALFORMED]["problems"]
    assert "1 to be reviewed" in deployed.installation.invoke("deployments", "matches").stderr

    deployed.installation.document["deployments"][0]["director"]["url"] = "http://127.0.0.1:9"
    deployed.installation.configure()
    assert deployed.installation.invoke("deployments", "matches").exit_code == 1
    assert deployed.installation.answer("deployments", "status")[0]["runs_total"] == 0


def test_a_service_is_reconciled_only_where_there_is_some_of_it(deployed: Deployed) -> None:
    world = deployed.installation
    with DirectorStandIn(many(0)).running() as url:
        lab = world.document["deployments"][0]
        director = {"url": url, "user": DEMO_USER, "password": "env:LAB_SECRET"}
        world.document["deployments"].append(lab | {"name": "empty", "director": director})
        world.configure()
        chosen = choose(connections(), "deployments")

        def parts(*keys: str) -> list[tuple[str, list[str]]]:
            return [(one.name, own) for one, own in holding(world.engine, split(chosen, keys))]

        assert parts("service:redis") == [("lab", ["service:redis"])]
        assert parts("service:redis", ORPHAN) == [("lab", ["service:redis", ORPHAN]), ("empty", [ORPHAN])]
        with pytest.raises(SelectsNothing, match="the catalog has no service 'nothing'"):
            parts("service:nothing")
    assert world.answer("deployments", "status", "lab")[0]["runs_total"] == 0


def test_a_documented_discrepancy_that_is_not_found_is_told_and_is_a_failure(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    index = deployed.vault.read("secret", "db")
    deployed.vault.write("secret", "db", index | {LARGE: index[LARGE] | {"plan_id": "redis-cache-large"}})
    started = datetime.now(UTC)
    deployed.installation.agree("lab")
    deployed.installation.agree("lab")

    assert not print_outcome(deployed.installation.engine, [], [], ShopsOutcome([], [], [], []), [], as_json=False)
    assert "documented discrepancies that were not found: 5\n" in capsys.readouterr().err
    with deployed.installation.engine.connect() as connection:
        last, _ = plans.list_plans(connection, pair="deployments")
        summary = partial(
            summarise, connection, "deployments", "lab", run_id=last.run_id, success=True, reason=None, seconds=1
        )
        assert (summary().created, summary().retired) == (0, 0)
        assert (summary(since=started).created, summary(since=started).retired) == (1, 1)


@pytest.mark.long
def test_an_instance_is_put_back_from_its_backup_and_the_audit_log_says_so(deployed: Deployed) -> None:
    world = deployed.installation
    original: dict[str, Any] = deployed.entry(LARGE)
    world.agree("lab")
    assert deployed.entry(LARGE)["plan_id"] == "redis-cache-large"
    (backup,) = world.answer("deployments", "backups", "lab", f"redis-cache-large-{LARGE}")

    dry = world.invoke("deployments", "restore", "lab", LARGE, "--dry-run")
    unasked = world.invoke("deployments", "restore", "lab", LARGE)
    assert (dry.exit_code, unasked.exit_code) == (0, 1)
    assert "plan_id" in dry.stdout
    assert "gets the old value" in dry.stdout
    assert "there is no terminal to ask on; give --yes" in unasked.stderr
    assert deployed.entry(LARGE)["plan_id"] == "redis-cache-large"

    done = world.answer("deployments", "restore", "lab", LARGE, str(backup["taken_at"]), "--yes")

    assert deployed.entry(LARGE) == original
    assert (done["written"], done["taken_at"]) == (True, backup["taken_at"])
    assert done["saved_at"] in [kept["taken_at"] for kept in world.answer("deployments", "backups", "lab", LARGE)]
    began, last = world.answer("why", LARGE)["audit"][-2:]
    assert (began["action"], began["backup"]) == ("restore_began", backup["taken_at"])
    assert (last["action"], last["backup"], last["success"]) == ("restore", backup["taken_at"], True)
    assert "db: " not in str(last["fields"])
    with world.engine.connect() as connection:
        assert audit.verify(connection, "deployments").intact
    again = world.invoke("deployments", "restore", "lab", LARGE, str(backup["taken_at"]), "--yes")
    assert "nothing to restore" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("backups", "lab", "no-id"), "'no-id' is no instance id"),
        (("backups", "nobody", PLAIN), "no connection is named 'nobody'"),
        (("restore", "lab", PLAIN, "1", "--yes"), "there is no backup of 1"),
        (("restore", "lab", ORPHAN, "--yes"), "there is no backup of it"),
    ],
)
def test_what_is_not_there_ends_with_1_and_says_so(deployed: Deployed, arguments: tuple[str, ...], told: str) -> None:
    answer = deployed.installation.invoke("deployments", *arguments)
    assert answer.exit_code == 1
    assert told in answer.stderr


def test_the_doctor_tells_of_a_login_that_sees_its_teams_only_and_of_a_dead_vault(deployed: Deployed) -> None:
    sound = {check["check"]: check for check in deployed.installation.answer("doctor")["checks"]}
    assert all(sound[f"lab: {part}"]["ok"] for part in ("director", "catalog", "vault"))
    assert "14 deployments" in sound["lab: director"]["detail"]

    assert deployed.director.uaa is not None
    deployed.director.uaa.narrow(DEMO_USER, "bosh.teams.redis.admin")
    teams = {check["check"]: check for check in deployed.installation.answer("doctor")["checks"]}
    assert not teams["lab: director"]["ok"]
    assert teams["lab: vault"]["ok"]

    deployed.vault.seal()
    sealed = {check["check"]: check for check in deployed.installation.answer("doctor")["checks"]}
    assert "sealed" in str([check["detail"] for check in sealed.values() if not check["ok"]])
    with deployed.installation.engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM sync.peer")).all() == []


def test_a_run_that_leaves_a_removal_to_a_person_tells_what_it_did_and_which_plan_waits(deployed: Deployed) -> None:
    world = deployed.installation
    world.agree("lab")
    world.document["deployments"][0]["orphans"] = {"remove": True, "stale_after_days": 1, "remove_after_days": 1}
    world.configure()
    index = deployed.vault.read("secret", "db")
    deployed.vault.write("secret", "db", index | {LARGE: index[LARGE] | {"plan_id": "redis-cache-small"}})
    world.agree("lab")

    with world.engine.connect() as connection:
        waiting = next(p for p in plans.list_plans(connection, pair="deployments") if p.state == "held")
        row = summarise(connection, "deployments", "lab", run_id=waiting.run_id, success=True, reason=None, seconds=1)
    assert (row.state, row.plan, row.done) == ("held", waiting.hash, False)
    assert (row.updated, row.retired, row.failed) == (1, 0, 0)
    assert deployed.entry(LARGE)["plan_id"] == "redis-cache-large"
    assert "would be removed" in str(row.reason)
