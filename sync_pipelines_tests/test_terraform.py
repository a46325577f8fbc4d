"""The Terraform module says what the service expects."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from sync_pipelines.service.scheduler_gate import SECRET_HEADER
from sync_pipelines.service.settings import LEAST_SECRET, VARIABLES, Policy, load_service_settings
from sync_pipelines.service.sync_routes import router

TERRAFORM = Path(__file__).parents[1] / "deploy" / "terraform"
MODULE = TERRAFORM / "modules" / "marketplace_sync_scheduler"
EXAMPLE = TERRAFORM / "environments" / "example"
needs_terraform = pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no terraform on this machine")


def parsed(folder: Path) -> dict[str, list[Any]]:
    """Return the blocks of all files of a folder, by kind."""
    found: dict[str, list[Any]] = {}
    for path in sorted(folder.glob("*.tf")):
        with path.open(encoding="utf-8") as file:
            for kind, blocks in hcl2.load(file).items():
                if isinstance(blocks, list):
                    found.setdefault(kind, []).extend(plain(blocks))
    return found


def plain(value: Any) -> Any:
    """Return a value without the quotes around its texts."""
    if isinstance(value, dict):
        return {plain(name): plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value.strip('"') if isinstance(value, str) else value


def named(blocks: list[Any]) -> dict[str, Any]:
    """Return blocks by their label; a label that stands twice is a mistake."""
    pairs = [(name, body) for block in blocks for name, body in block.items()]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@pytest.fixture(scope="module")
def variables() -> dict[str, Any]:
    """The module's variables."""
    return named(parsed(MODULE)["variable"])


@pytest.fixture(scope="module")
def target() -> dict[str, Any]:
    """What the scheduler calls, and how."""
    (target,) = job()["http_target"]
    assert isinstance(target, dict)
    return target


def job() -> dict[str, Any]:
    """The scheduler's job."""
    resources = named(parsed(MODULE)["resource"])
    found: dict[str, Any] = resources["google_cloud_scheduler_job"]["marketplace_sync"]
    return found


def test_the_module_has_the_documented_variables_and_defaults(variables: dict[str, Any]) -> None:
    assert {"schedule_cron", "service_account_email", "sync_endpoint_url", "retry_config"} <= variables.keys()
    assert variables["schedule_cron"]["default"] == "*/15 * * * *"
    required = {name for name, body in variables.items() if "default" not in body}
    assert required == {"project_id", "region", "service_account_email", "sync_endpoint_url", "scheduler_secret"}


def test_the_secret_is_a_sensitive_variable_and_stands_nowhere(
    variables: dict[str, Any], target: dict[str, Any]
) -> None:
    secret = variables["scheduler_secret"]
    assert secret["sensitive"] is True
    (rule,) = secret["validation"]
    assert str(LEAST_SECRET) in rule["condition"]
    assert target["headers"][SECRET_HEADER] == "${var.scheduler_secret}"
    assert sensitive_outputs(parsed(MODULE)) == sensitive_outputs(parsed(EXAMPLE)) == []


def sensitive_outputs(blocks: dict[str, list[Any]]) -> list[str]:
    """Return the outputs in which the secret stands."""
    return [name for name, body in named(blocks["output"]).items() if "scheduler_secret" in str(body)]


def test_the_job_calls_the_service_s_route_with_a_token_for_that_very_url(
    variables: dict[str, Any], target: dict[str, Any]
) -> None:
    paths = {getattr(route, "path", "") for route in router.routes}
    (rule,) = variables["sync_endpoint_url"]["validation"]
    (pattern,) = re.findall(r'regex\(\\?"(.+?)\\?", var', rule["condition"])
    assert re.search(pattern, "https://sync.example.com/api/sync/scheduler")
    assert "/api/sync/scheduler" in paths
    assert target["http_method"] == "POST"
    (identity,) = target["oidc_token"]
    (names,) = parsed(MODULE)["locals"]
    assert target["uri"] == "${var.sync_endpoint_url}"
    assert identity["audience"] == "${local.audience}"
    assert names["audience"] == "${coalesce(var.audience, var.sync_endpoint_url)}"


def test_what_the_module_puts_out_lets_its_job_in() -> None:
    output = named(parsed(MODULE)["output"])["service_environment"]["value"]
    assert set(output) <= {variable.name for variable in VARIABLES}
    given = {"SCHEDULER_SECRET": "x" * LEAST_SECRET}
    settings = load_service_settings({name: str(value) for name, value in output.items()} | given).scheduler
    assert settings is not None
    assert settings.policy is Policy.OIDC_AND_SECRET


def test_retries_are_what_the_service_can_stand(variables: dict[str, Any]) -> None:
    (retries,) = job()["retry_config"]
    kind = str(variables["retry_config"]["type"])
    for name, default in {"retry_count": "3", "min_backoff_duration": "30s", "max_retry_duration": "600s"}.items():
        assert retries[name] == f"${{var.retry_config.{name}}}"
        assert re.search(rf"{name}.+optional\(\w+, \\?\"?{default}", kind), kind


def test_the_right_to_call_is_given_to_one_member_and_taken_from_nobody() -> None:
    resources = named_kinds(parsed(MODULE)["resource"])
    assert "google_cloud_run_v2_service_iam_member" in resources
    assert not [kind for kind in resources if kind.endswith(("_iam_binding", "_iam_policy"))]


def named_kinds(blocks: list[Any]) -> list[str]:
    """Return the kinds of the resources."""
    return [kind for block in blocks for kind in block]


def test_the_example_gives_what_the_module_asks_for(variables: dict[str, Any]) -> None:
    module = named(parsed(EXAMPLE)["module"])["marketplace_sync_scheduler"]
    given = {name for name in module if not name.startswith("__")} - {"source"}
    assert given <= variables.keys()
    assert {name for name, body in variables.items() if "default" not in body} <= given
    assert (EXAMPLE / module["source"]).resolve() == MODULE
    assert module["sync_endpoint_url"].endswith("/api/sync/scheduler")


@needs_terraform
def test_the_files_are_formatted() -> None:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", "-no-color", str(TERRAFORM)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@needs_terraform
@pytest.mark.parametrize("folder", [MODULE, EXAMPLE], ids=lambda folder: folder.name)
def test_terraform_finds_them_valid(folder: Path, tmp_path: Path) -> None:
    environment = os.environ | {"TF_DATA_DIR": str(tmp_path / "data"), "TF_IN_AUTOMATION": "1"}
    copied = tmp_path / "terraform"
    shutil.copytree(TERRAFORM, copied)
    place = ["terraform", f"-chdir={copied / folder.relative_to(TERRAFORM)}"]
    ready = subprocess.run(
        [*place, "init", "-backend=false", "-input=false", "-no-color"], env=environment, capture_output=True, text=True
    )
    if ready.returncode != 0:
        assert "registry.terraform.io" in ready.stderr, ready.stderr
        pytest.skip("the provider cannot be downloaded here, and without it terraform validates nothing")
    done = subprocess.run([*place, "validate", "-no-color"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
