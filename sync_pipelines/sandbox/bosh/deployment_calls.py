"""``/deployments`` and what is below."""

from __future__ import annotations

from typing import Any

import yaml

from sync_pipelines.sandbox.bosh.calls import Answer, Call, json_answer
from sync_pipelines.sandbox.bosh.errors import crash, no_deployment, no_endpoint, refused
from sync_pipelines.sandbox.bosh.model import Deployment
from sync_pipelines.sandbox.bosh.rendering import compact, instance_row, list_row, vm_row

_LEFT_OUT = ("configs", "releases", "stemcells", "lock")
_NOT_A_HASH = 440001
_NO_NAME = 40001


def list_all(call: Call) -> Answer:
    """Return the deployments that the caller may read, by name; the others are left out without a word."""
    call.caller.need_any_read()
    left_out = frozenset(part for part in _LEFT_OUT if call.says(f"exclude_{part}"))
    shown = None if call.caller.reads_all else call.caller.teams
    revision, body = call.listings.get((left_out, shown), (-1, b""))
    if revision != call.world.revision:
        rows = [
            list_row(deployment, is_locked=name in call.world.locks, left_out=left_out)
            for name, deployment in sorted(call.world.deployments.items())
            if call.caller.sees(deployment)
        ]
        body = compact(rows).encode()
        call.listings[left_out, shown] = (call.world.revision, body)
    return Answer(body)


def show(call: Call) -> Answer:
    """Return the manifest of the last successful deploy, null when there was none."""
    return json_answer({"manifest": _deployment(call).manifest})


def vms(call: Call) -> Answer:
    """Return VMs from the database, or start a task that asks their agents."""
    deployment = _deployment(call)
    return _asks_agents(call) or json_answer([vm_row(vm) for vm in deployment.vms])


def instances(call: Call) -> Answer:
    """Return instances from the database, or start a task that asks their agents."""
    deployment = _deployment(call)
    return _asks_agents(call) or json_answer([instance_row(vm) for vm in deployment.vms])


def create(call: Call) -> Answer:
    """Start a deploy."""
    if call.headers.get("content-type", "").partition(";")[0].strip() != "text/yaml":
        raise no_endpoint(call.path)
    call.caller.need_admin()
    manifest = _manifest(call.body)
    if not manifest.get("name"):
        raise refused(400, _NO_NAME, "Required property 'name' was not specified in object")
    task_id = _start(call, "update_deployment", "create deployment", str(manifest["name"]))
    call.world.board.tasks[task_id].manifest = call.body.decode()
    return call.to_task(task_id)


def delete(call: Call) -> Answer:
    """Start a deletion."""
    name = call.names["name"]
    if name not in call.world.deployments:
        raise no_deployment(name)
    call.caller.need_admin()
    return call.to_task(_start(call, "delete_deployment", f"delete deployment {name}", name))


def _deployment(call: Call) -> Deployment:
    name = call.names["name"]
    deployment = call.world.deployments.get(name)
    if deployment is None:
        call.caller.need_any_read()
        raise no_deployment(name)
    call.caller.need_read(deployment)
    if name in call.world.broken:
        raise crash()
    return deployment


def _asks_agents(call: Call) -> Answer | None:
    if call.query.get("format") != "full":
        return None
    # The header that groups tasks is ignored for these.
    return call.to_task(_start(call, "vms", "retrieve vm-stats", call.names["name"], context_id=""))


def _start(call: Call, kind: str, description: str, deployment: str, context_id: str | None = None) -> int:
    group = call.headers.get("x-bosh-context-id", "") if context_id is None else context_id
    task = call.world.board.add(kind, description, call.caller.name, deployment, group)
    call.world.board.enqueue(task)
    return task.id


def _manifest(body: bytes) -> dict[str, Any]:
    try:
        manifest = yaml.safe_load(body)
    except yaml.MarkedYAMLError as error:
        mark = error.context_mark or error.problem_mark
        place = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        problem = f"#<Psych::SyntaxError: (<unknown>): {error.problem} {error.context}{place}>"
        raise refused(400, _NOT_A_HASH, f"Incorrect YAML structure of the uploaded manifest: {problem}") from None
    if not isinstance(manifest, dict):
        raise refused(400, _NOT_A_HASH, "Manifest should be a hash")
    return manifest
