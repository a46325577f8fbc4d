"""The commands that only look, on records that were reconciled."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from sync_pipelines.core.audit import GENESIS, chain_hash
from sync_pipelines.core.errors import PeerError
from sync_pipelines_tests.cli.conftest import NORDLYS, Installation


def test_the_status_of_an_offering_says_where_it_is_and_why(installation: Installation) -> None:
    installation.agree()
    created, duplicate = f"{NORDLYS}/4", f"{NORDLYS}/18"
    offering = installation.waldur.world.by_backend_id(created)[0]

    found = installation.answer("offerings", "status", created)

    assert (found["connection"], found["state"], found["waldur_uuid"]) == ("nordlys", "synced", offering.uuid)
    assert found.items() >= installation.answer("why", offering.uuid).items()
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
        assert entry.pop("pipeline") == "offerings"
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


@pytest.mark.long
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


def _dead_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.long
def test_the_doctor_tells_each_connection_of_a_dead_server_the_cause_and_leaves_the_breakers_alone(
    installation: Installation,
) -> None:
    for connection in installation.document["offerings"]:
        connection["waldur"]["url"] = _dead_url()
    installation.document["offerings"][1]["waldur"]["url"] = installation.document["offerings"][0]["waldur"]["url"]
    installation.configure()

    for _ in range(3):
        found = {check["check"]: check for check in installation.answer("doctor")["checks"]}
        for name in ("nordlys", "kumo", "okra"):
            assert found[f"{name}: chain"]["ok"]
            assert not found[f"{name}: waldur"]["ok"]
            assert "circuit breaker" not in found[f"{name}: waldur"]["detail"]

    with installation.engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM sync.peer")).all() == []


def test_the_doctor_looks_past_a_breaker_that_runs_have_opened(installation: Installation) -> None:
    url = urlsplit(installation.document["offerings"][0]["waldur"]["url"])
    installation.agree()
    with installation.engine.begin() as connection:
        opened = connection.execute(
            text("UPDATE sync.peer SET failures = 5, opened_at = clock_timestamp() WHERE name LIKE :server"),
            {"server": f"%{url.netloc}%"},
        )
        assert opened.rowcount == 1
    with pytest.raises(PeerError, match="circuit breaker is open"):
        installation.agree()

    assert installation.answer("doctor")["healthy"]


# The table of metrics in the guide to the offering sync.
METRICS = {
    "offering_sync_total": "counter",
    "offering_sync_successful": "counter",
    "offering_sync_failed": "counter",
    "offering_sync_dead_lettered": "counter",
    "offering_sync_drift_detected": "counter",
    "offering_sync_reconciliations": "counter",
    "offering_sync_queue_depth": "gauge",
    "offering_sync_active_syncs": "gauge",
    "offering_sync_dead_letter_size": "gauge",
    "offering_sync_duration_seconds": "histogram",
    "offering_sync_events_received": "counter",
    "offering_sync_events_processed": "counter",
    "offering_sync_events_dropped": "counter",
}


def test_all_thirteen_metrics_are_told_for_each_reconciled_connection(installation: Installation) -> None:
    assert installation.answer("metrics") == []
    installation.agree()
    installation.agree("kumo")

    told = {document["connection"]: document["metrics"] for document in installation.answer("metrics")}
    shown = installation.invoke("metrics", "--pipeline", "offerings").stdout

    assert told.keys() == {"nordlys", "kumo"}
    for metrics in told.values():
        assert {name: metric["type"] for name, metric in metrics.items()} == METRICS
        assert metrics["offering_sync_reconciliations"]["value"] == 1
    nordlys = told["nordlys"]
    attempts, duration = nordlys["offering_sync_total"]["value"], nordlys["offering_sync_duration_seconds"]
    assert attempts == nordlys["offering_sync_successful"]["value"] + nordlys["offering_sync_failed"]["value"] > 0
    assert duration["count"] == attempts
    assert duration["sum"] > 0
    sizes = list(duration["buckets"].values())
    assert sizes == sorted(sizes)
    assert list(duration["buckets"])[-1] == "60.0"
    assert sizes[-1] == attempts
    assert all(shown.count(name) == 2 for name in METRICS)


def test_all_thirteen_metrics_can_be_read_with_sql(installation: Installation) -> None:
    installation.agree()
    with installation.engine.connect() as connection:
        names = connection.execute(
            text(
                "SELECT DISTINCT name FROM sync.metric WHERE pair = 'offerings' AND scope = 'nordlys' UNION "
                "SELECT 'offering_sync_' || name FROM sync.gauge WHERE pair = 'offerings' AND scope = 'nordlys'"
            )
        ).scalars()
        assert set(names) == METRICS.keys()


def test_metrics_of_an_unknown_pipeline_are_wrong_usage(installation: Installation) -> None:
    assert installation.invoke("metrics", "--pipeline", "nonesuch").exit_code == 2


def test_history_is_pruned_and_the_audit_log_still_verified(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installation.agree()
    monkeypatch.setenv("SYNC_AUDIT_ARCHIVE", str(tmp_path / "archive"))
    with installation.engine.begin() as connection:
        connection.execute(text("UPDATE sync.audit SET at = now() - interval '2 years' WHERE number <= 2"))
    assert installation.answer("prune", "--dry-run")["audit"] == 2
    assert installation.answer("prune")["audit"] == 2

    verified = installation.invoke("audit", "verify", "--archives")
    assert verified.exit_code == 0, verified.stderr
    assert "verified from entry 3" in " ".join(verified.stdout.split())
    assert installation.answer("audit", "verify")["offerings"]["archive"]["last"] == 2
