"""How a Director writes what it knows: key order, nulls and kinds of numbers as recorded."""

from __future__ import annotations

import json
from typing import Any

from sync_pipelines.sandbox.bosh.model import Deployment, Task, Versions, Vm


def compact(value: Any) -> str:
    """Return JSON as Ruby writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def list_row(deployment: Deployment, *, is_locked: bool, left_out: frozenset[str]) -> dict[str, Any]:
    """Return a row of ``GET /deployments``; ``left_out`` are ``configs``, ``stemcells``, ``releases`` and ``lock``."""
    row: dict[str, Any] = {"name": deployment.name, "teams": list(deployment.teams)}
    if "configs" not in left_out:
        row["cloud_config"] = deployment.cloud_config
    if "stemcells" not in left_out:
        row["stemcells"] = versions(deployment.stemcells)
    if "releases" not in left_out:
        row["releases"] = versions(deployment.releases)
    if "lock" not in left_out:
        row["locked"] = is_locked
    return row


def versions(pairs: Versions) -> list[dict[str, str]]:
    """Return releases or stemcells."""
    return [{"name": name, "version": version} for name, version in pairs]


def vm_row(vm: Vm) -> dict[str, Any]:
    """Return a row of ``/vms``, which comes from the database: no agent is asked."""
    return {**_database_row(vm), "active": vm.active, "permanent_nats_credentials": False}


def instance_row(vm: Vm) -> dict[str, Any]:
    """Return a row of ``/instances``."""
    return {**_database_row(vm), "expects_vm": vm.expects_vm}


def _database_row(vm: Vm) -> dict[str, Any]:
    return {
        "agent_id": vm.agent_id,
        "cid": vm.cid,
        "job": vm.job,
        "index": vm.index,
        "id": vm.id,
        "az": vm.az,
        "ips": list(vm.ips),
        "vm_created_at": vm.created_at,
    }


def full_lines(deployment: Deployment) -> str:
    """Return the result of a task that asked the agents: an object a line, in the order in which they answered."""
    answered = sorted(deployment.vms, key=lambda vm: (vm.is_dead, vm.agent_id))
    return "".join(f"{compact(_full(vm, deployment))}\n" for vm in answered)


def _full(vm: Vm, deployment: Deployment) -> dict[str, Any]:
    is_told = vm.has_vitals and not vm.is_dead
    stemcell = deployment.stemcells[0] if deployment.stemcells else ("", "")
    return {
        "vm_cid": vm.cid,
        "active": vm.active,
        "vm_created_at": vm.created_at,
        "cloud_properties": {},
        "disk_cid": None,
        "disk_cids": [],
        "ips": list(vm.ips),
        "agent_id": vm.agent_id,
        "job_name": vm.job,
        "index": vm.index,
        "job_state": "unresponsive agent" if vm.is_dead else vm.job_state,
        "state": vm.state,
        "vm_type": vm.vm_type,
        "vitals": _vitals() if is_told else None,
        "processes": [_process(*process) for process in vm.processes] if is_told else [],
        "az": vm.az,
        "id": vm.id,
        "bootstrap": vm.bootstrap,
        "ignore": False,
        "stemcell": {"name": stemcell[0], "version": stemcell[1], "api_version": 3},
    }


def _vitals() -> dict[str, Any]:
    # Agents report numbers as text, except for the uptime.
    return {
        "cpu": {"sys": "1.3", "user": "4.9", "wait": "0.1"},
        "disk": {
            "system": {"inode_percent": "34", "percent": "48"},
            "ephemeral": {"inode_percent": "1", "percent": "9"},
            "persistent": {"inode_percent": "0", "percent": "12"},
        },
        "load": ["0.00", "0.03", "0.05"],
        "mem": {"kb": "227028", "percent": "11"},
        "swap": {"kb": "0", "percent": "0"},
        "uptime": {"secs": 482113},
    }


def _process(name: str, state: str) -> dict[str, Any]:
    return {
        "name": name,
        "state": state,
        "uptime": {"secs": 482000},
        "mem": {"kb": 10240, "percent": 0.6},
        "cpu": {"total": 0.2},
    }


def task_body(task: Task) -> dict[str, Any]:
    """Return a task. Until its state changed for the last time but for a start, ``timestamp`` is null."""
    return {
        "id": task.id,
        "state": task.state,
        "description": task.description,
        "timestamp": task.timestamp,
        "started_at": task.started_at,
        "result": task.result,
        "user": task.user,
        "deployment": task.deployment,
        "context_id": task.context_id,
    }


def deletion_log(at: int) -> str:
    """Return the event output of a successful deletion."""
    stages = (
        ("Removing deployment artifacts", 3, ("Detaching stemcells", "Detaching releases")),
        ("Deleting properties", 0, ("Deleting dynamic disks", "Destroying deployment")),
    )
    lines = []
    for stage, total, tasks in stages:
        for index, task in enumerate(tasks, start=1):
            for state, progress in (("started", 0), ("finished", 100)):
                entry = {"time": at, "stage": stage, "tags": [], "total": total, "task": task}
                lines.append(compact({**entry, "index": index, "state": state, "progress": progress}))
    return "\n".join(lines) + "\n"


def error_log(at: int, code: int, message: str) -> str:
    """Return the event output of a failed task: its last line is the reason."""
    return compact({"time": at, "error": {"code": code, "message": message}}) + "\n"
