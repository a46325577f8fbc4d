"""The commands that only look, on records that were reconciled."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import text

from sync_pipelines.core.audit import GENESIS, chain_hash
from sync_pipelines_tests.cli.conftest import NORDLYS, Installation


def test_the_status_of_an_offering_says_where_it_is_and_why(installation: Installation) -> None:
    installation.agree()
    created, duplicate = f"{NORDLYS}/4", f"{NORDLYS}/18"
    offering = installation.waldur.world.by_backend_id(created)[0]

    found = installation.answer("offerings", "status", created)

    assert (found["connection"], found["state"], found["waldur_uuid"]) == ("nordlys", "synced", offering.uuid)
    assert found["linked_by"] == "create"
    assert found["next_retry_at"] is None
    assert [entry["action"] for entry in found["audit"]] == ["create"]
    assert "both sides agree" in installation.invoke("offerings", "status", f"{NORDLYS}/9").stdout
    assert [finding["kind"] for finding in installation.answer("offerings", "status", duplicate)["findings"]] == [
        "duplicate"
    ]


def test_the_status_of_an_unknown_offering_ends_with_1_and_says_what_to_do(installation: Installation) -> None:
    installation.agree()
    unknown = installation.invoke("offerings", "status", f"{NORDLYS}/4711")
    stranger = installation.invoke("offerings", "status", "virtengine1stranger/1")
    no_id = installation.invoke("offerings", "status", "4711")
    assert (unknown.exit_code, stranger.exit_code, no_id.exit_code) == (1, 1, 1)
    assert f"reconcile offerings --provider nordlys --keys {NORDLYS}/4711" in unknown.stderr
    assert "no enabled connection has the provider virtengine1stranger" in stranger.stderr
    assert "<provider address>/<number>" in no_id.stderr


def test_a_plan_is_shown_with_each_change_its_fields_and_its_reason(installation: Installation) -> None:
    installation.agree()
    (made,) = installation.answer("plan", "list", "--provider", "nordlys")

    whole = installation.answer("plan", "show", made["hash"][:8])
    shown = installation.invoke("plan", "show", made["hash"][:8]).stdout

    assert made["state"] == whole["state"] == "applied"
    changes = {change["key"]: change for change in whole["changes"]}
    renamed = changes[f"{NORDLYS}/14"]
    assert (renamed["action"], renamed["fields"]) == ("update", ["name"])
    assert renamed["before"]["name"] != renamed["after"]["name"]
    assert renamed["reason"]
    assert "name:" in shown
    assert "→" in shown
    assert installation.answer("plan", "list", "--provider", "okra") == []


def test_a_plan_that_is_not_there_ends_with_1(installation: Installation) -> None:
    answer = installation.invoke("plan", "show", "abcdef")
    assert answer.exit_code == 1
    assert "no plan has the hash 'abcdef'" in answer.stderr


def test_control_characters_of_strangers_do_not_reach_the_terminal(installation: Installation) -> None:
    installation.chain.update_offering(f"{NORDLYS}/1", {"name": "\x1b]0;owned\x07 nice"})
    installation.agree()
    (made,) = installation.answer("plan", "list", "--provider", "nordlys")
    assert "\x1b]0;" not in installation.invoke("plan", "show", made["hash"]).stdout


def test_the_exported_audit_log_can_be_checked_without_us(installation: Installation, tmp_path: Path) -> None:
    installation.agree()
    file = tmp_path / "audit.jsonl"

    exported = installation.invoke("audit", "export", "--output", str(file))
    entries = [json.loads(line, parse_float=Decimal) for line in file.read_text("utf-8").splitlines()]

    assert exported.exit_code == 0
    previous = GENESIS
    for number, entry in enumerate(entries, start=1):
        assert (entry.pop("number"), entry.pop("previous_hash")) == (number, previous)
        said = entry.pop("hash")
        assert chain_hash(previous, entry) == said
        previous = said
    one = installation.invoke("audit", "export", "--key", f"{NORDLYS}/4").stdout.splitlines()
    assert [json.loads(line)["action"] for line in one] == ["create"]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
    assert installation.invoke("audit", "export", "--since", tomorrow).stdout == ""


def test_an_altered_audit_log_ends_with_1_and_names_the_entry(installation: Installation) -> None:
    installation.agree()
    assert installation.invoke("audit", "verify").exit_code == 0
    with installation.engine.begin() as connection:
        connection.execute(text('UPDATE sync.audit SET entry = entry || \'{"action": "nothing"}\' WHERE number = 3'))
    answer = installation.invoke("audit", "verify")
    assert answer.exit_code == 1
    assert "entry 3 was altered" in answer.stderr


def test_the_doctor_finds_a_sound_connection_well_and_says_what_is_wrong_with_another(
    installation: Installation,
) -> None:
    sound = installation.run("doctor", "--json")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    checks = {check["check"] for check in json.loads(sound.stdout)["checks"]}
    assert checks >= {"settings", "database", "schema", "dagster", "kumo: chain", "kumo: waldur"}

    def two_mistakes(connection: dict[str, Any]) -> None:
        connection["chain"]["chain_id"] = "another-1"
        connection["waldur"]["offering_type"] = "No.Such"

    installation.configure(two_mistakes)
    ill = installation.run("doctor", "--json")
    wrong = {check["check"]: check["detail"] for check in json.loads(ill.stdout)["checks"] if not check["ok"]}
    assert ill.returncode == 1
    assert wrong.keys() == {"nordlys: chain", "nordlys: waldur"}
    assert "expected 'another-1'" in wrong["nordlys: chain"]
    assert "'No.Such': not registered" in wrong["nordlys: waldur"]
