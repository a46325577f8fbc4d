"""The options of the reconciler: environment before file before default, and ``false`` and ``0`` are values."""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from pathlib import Path

import pytest

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.deployments.go_duration import parse_duration
from sync_pipelines.pipelines.deployments.reconciler_settings import (
    BackupOptions,
    ReconcilerOptions,
    load_reconciler_options,
    variable_of,
)

PREFIX = "BLACKSMITH_RECONCILER_"
EXAMPLE = """
broker: {password: s3cr3t}
reconciler:
  enabled: true
  interval: "30m"
  max_concurrency: 10
  batch_size: 20
  retry_attempts: 5
  retry_delay: "15s"
  cache_ttl: "10m"
  backup:
    enabled: true
    retention: 20
    cleanup: true
    path: "reconciler-backups"
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "blacksmith.conf"


def options(conf: Path, text: str, **environment: str) -> ReconcilerOptions:
    """Return the options of a file and these variables, given without their prefix."""
    conf.write_text(text, encoding="utf-8")
    return load_reconciler_options(conf, {PREFIX + name: value for name, value in environment.items()})


def refusal(conf: Path, text: str, **environment: str) -> str:
    """Return why options are refused; never with a value of the file."""
    with pytest.raises(ConfigurationError) as refused:
        options(conf, text, **environment)
    assert "s3cr3t" not in str(refused.value)
    return str(refused.value)


def test_the_defaults_are_those_of_the_guide() -> None:
    found = load_reconciler_options(None, {})
    assert found.enabled
    assert (found.interval, found.retry_delay, found.cache_ttl) == (
        timedelta(hours=1),
        timedelta(seconds=10),
        timedelta(minutes=5),
    )
    assert (found.max_concurrency, found.batch_size, found.retry_attempts) == (5, 10, 3)
    assert found.backup == BackupOptions(enabled=True, retention=10, cleanup=True, path="backups")
    assert set(found.sources.values()) == {"default"}


def test_the_example_of_the_guide_is_read(conf: Path) -> None:
    found = options(conf, EXAMPLE)
    assert (found.interval, found.retry_delay, found.cache_ttl) == (
        timedelta(minutes=30),
        timedelta(seconds=15),
        timedelta(minutes=10),
    )
    assert (found.max_concurrency, found.batch_size, found.retry_attempts) == (10, 20, 5)
    assert found.backup == BackupOptions(retention=20, path="reconciler-backups")
    assert found.sources["backup.path"] == f"{conf}: reconciler.backup.path"
    assert found.sources["debug"] == "default"
    assert found.unknown == ()


def test_each_option_has_its_own_precedence(conf: Path) -> None:
    found = options(conf, EXAMPLE, INTERVAL="1h30m", BACKUP_RETENTION="0", BATCH_SIZE="  ", RETRY_DELAY="")
    assert found.interval == timedelta(hours=1, minutes=30)
    assert found.backup.retention == 0
    assert (found.batch_size, found.retry_delay) == (20, timedelta(seconds=15)), "an empty variable is none"
    assert found.sources["interval"] == variable_of("interval") == "BLACKSMITH_RECONCILER_INTERVAL"
    assert variable_of("backup.retention") == "BLACKSMITH_RECONCILER_BACKUP_RETENTION"


@pytest.mark.parametrize(
    ("option", "file", "variable", "from_file", "from_environment"),
    [
        ("enabled", "true", "false", True, False),
        ("interval", "30m", "0", timedelta(minutes=30), timedelta()),
        ("max_concurrency", "10", "2", 10, 2),
        ("batch_size", "20", "5", 20, 5),
        ("retry_attempts", "5", "0", 5, 0),
        ("retry_delay", "15s", "500ms", timedelta(seconds=15), timedelta(milliseconds=500)),
        ("cache_ttl", "10m", "0s", timedelta(minutes=10), timedelta()),
        ("debug", "true", "0", True, False),
        ("backup.enabled", "true", "no", True, False),
        ("backup.retention", "20", "0", 20, 0),
        ("backup.cleanup", "true", "0", True, False),
        ("backup.path", "old", "new/backups", "old", "new/backups"),
    ],
)
def test_each_option_is_read_from_the_file_and_its_variable_goes_before(
    conf: Path, option: str, file: str, variable: str, from_file: object, from_environment: object
) -> None:
    block, _, name = option.rpartition(".")
    text = f"reconciler: {{{block}: {{{name}: {file}}}}}" if block else f"reconciler: {{{name}: {file}}}"
    value = attrgetter(option)
    assert value(options(conf, text)) == from_file
    assert value(options(conf, text, **{option.replace(".", "_").upper(): variable})) == from_environment


def test_false_and_zero_in_the_file_are_values(conf: Path) -> None:
    text = """
reconciler:
  enabled: false
  interval: 0
  retry_attempts: 0
  retry_delay: 0
  cache_ttl: "0"
  backup: {enabled: no, retention: 0, cleanup: false}
"""
    found = options(conf, text)
    assert not found.enabled
    assert (found.interval, found.retry_delay, found.cache_ttl, found.retry_attempts) == (
        timedelta(),
        timedelta(),
        timedelta(),
        0,
    )
    assert found.backup == BackupOptions(enabled=False, retention=0, cleanup=False)


def test_the_environment_may_switch_on_what_the_file_switches_off(conf: Path) -> None:
    found = options(conf, "reconciler: {enabled: false}", ENABLED="YES")
    assert found.enabled


@pytest.mark.parametrize("text", ["", "reconciler:", "reconciler: {interval: , backup: }", "other: 1"])
def test_nothing_given_means_the_default(conf: Path, text: str) -> None:
    assert options(conf, text).interval == timedelta(hours=1)


@pytest.mark.parametrize("value", ["true", "1", "yes", "TRUE", "Yes"])
def test_yes_in_every_case(conf: Path, value: str) -> None:
    assert options(conf, "reconciler: {debug: false}", DEBUG=value).debug


@pytest.mark.parametrize("value", ["false", "0", "no", "False", "NO"])
def test_no_in_every_case(conf: Path, value: str) -> None:
    assert not options(conf, "", ENABLED=value).enabled


@pytest.mark.parametrize(
    ("environment", "debug", "source"),
    [
        ({"DEBUG": "true"}, True, "DEBUG"),
        ({"DEBUG": "app:*"}, False, "default"),
        ({"BLACKSMITH_DEBUG": "1", "DEBUG": "0"}, True, "BLACKSMITH_DEBUG"),
    ],
)
def test_debugging_has_its_older_names_too(environment: dict[str, str], debug: bool, source: str) -> None:
    found = load_reconciler_options(None, environment)
    assert (found.debug, found.sources["debug"]) == (debug, source)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ENABLED", "on", "must be true, 1 or yes, or else false, 0 or no"),
        ("ENABLED", "s3cr3t", "must be true, 1 or yes"),
        ("INTERVAL", "30", "must be a duration with units"),
        ("INTERVAL", "-5m", "must not be negative"),
        ("MAX_CONCURRENCY", "0", "must be at least 1"),
        ("BATCH_SIZE", "1_0", "must be a whole number"),
        ("RETRY_ATTEMPTS", "-1", "must be at least 0"),
        ("BACKUP_RETENTION", "ten", "must be a whole number"),
        ("BACKUP_PATH", "../db", "must be a path below the instance"),
        ("BACKUP_PATH", "/backups", "must be a path below the instance"),
        ("BACKUP_PATH", "credentials/x", "must not be where the instance's own documents are"),
    ],
)
def test_a_wrong_variable_is_named(conf: Path, name: str, value: str, told: str) -> None:
    assert refusal(conf, "", **{name: value}).startswith(f"{PREFIX}{name}: {told}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reconciler: {enabled: s3cr3t}", ": reconciler.enabled: must be true"),
        ("reconciler: {interval: 30}", ": reconciler.interval: must be a duration"),
        ("reconciler: {interval: true}", ": reconciler.interval: must be a duration"),
        ("reconciler: {batch_size: true}", ": reconciler.batch_size: must be a whole number"),
        ("reconciler: {backup: {path: 7}}", ": reconciler.backup.path: must be a path"),
        ("reconciler: s3cr3t", ": reconciler: must be a mapping of options"),
        ("reconciler: {backup: s3cr3t}", ": reconciler.backup: must be a mapping of options"),
        ("- s3cr3t", ": must be a mapping with the block 'reconciler:'"),
        ("a: s3cr3t\nb: ]", ", line 2, column 4: is not valid YAML in UTF-8"),
        ("a: *s3cr3t", ", line 1, column 4: is not valid YAML in UTF-8"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(conf: Path, text: str, told: str) -> None:
    assert refusal(conf, text).startswith(f"{conf}{told}")


def test_all_mistakes_are_told_at_once(conf: Path) -> None:
    assert len(refusal(conf, "reconciler: {interval: 5, backup: {retention: x}}", DEBUG="x").splitlines()) == 3


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.conf: cannot be read"):
        load_reconciler_options(tmp_path / "none.conf", {})


def test_a_negative_retention_keeps_all(conf: Path) -> None:
    assert options(conf, "", BACKUP_RETENTION="-1").backup.retention == 0


def test_unknown_options_are_reported(conf: Path) -> None:
    text = "reconciler: {intervall: 5m, backup: {retention_count: 5}}\nvault: {x: 1}"
    assert options(conf, text, BACKUP_RETENTION_COUNT="5").unknown == (
        "BLACKSMITH_RECONCILER_BACKUP_RETENTION_COUNT",
        f"{conf}: reconciler.backup.retention_count",
        f"{conf}: reconciler.intervall",
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("0", 0),
        ("-0", 0),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("+5s", 5),
        ("-1m30s", -90),
        ("2µs", 0.000002),
        ("2μs3us", 0.000005),
        ("1500ns", 0.000001),
        ("1s1s", 2),
    ],
)
def test_durations_of_go(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "1d", "s", "1h 30m", " 5s", "5S", "--5s", "1e3s", "٣s", "5s\n", "9999999h", "1" * 50 + "s"]
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a duration|is out of range"):
        parse_duration(text)
