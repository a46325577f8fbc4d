"""What a Director's workers do: read VMs by asking their agents, deploy, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from sync_pipelines.sandbox.bosh.model import Task
from sync_pipelines.sandbox.bosh.rendering import deletion_log, error_log, full_lines

if TYPE_CHECKING:
    from sync_pipelines.sandbox.bosh.world import DirectorWorld

_NO_NETWORKS = 190008
_DEPLOYMENT_NOT_FOUND = 70000


class DirectorWork:
    """The jobs behind the tasks of one world."""

    def __init__(self, world: DirectorWorld) -> None:
        self._world = world

    def seconds(self, task: Task) -> float:
        """Return how long a task takes that starts now."""
        if task.type != "vms":
            return self._world.change_seconds
        deployment = self._world.deployments.get(task.deployment or "")
        has_dead_agent = deployment is not None and any(vm.is_dead for vm in deployment.vms)
        return self._world.dead_agent_seconds if has_dead_agent else self._world.vms_seconds

    def finish(self, task: Task, at: float) -> None:
        """Do what the task is for. One that reads VMs ends as done even when it was told to cancel."""
        task.state, task.timestamp, task.result = "done", int(at), ""
        name = task.deployment or ""
        if task.type == "update_deployment":
            self._deploy(task, name)
        elif name not in self._world.deployments:
            self._fail(task, _DEPLOYMENT_NOT_FOUND, f"Deployment '{name}' doesn't exist")
        elif task.type == "vms":
            task.outputs = {"result": full_lines(self._world.deployments[name]), "event": ""}
        else:
            self._world.erase(name, task)
            task.result = f"/deployments/{name}"
            task.outputs = {"result": "", "event": deletion_log(int(at))}

    def _deploy(self, task: Task, name: str) -> None:
        manifest: dict[str, Any] = yaml.safe_load(task.manifest)
        is_new = name not in self._world.deployments
        groups = manifest.get("instance_groups") or []
        if not any(group.get("networks") for group in groups):
            self._world.record_deploy(name, task, is_new=is_new, error="No networks specified")
            self._fail(task, _NO_NETWORKS, "No networks specified")
            return
        self._world.set_manifest(name, task.manifest)
        self._world.record_deploy(name, task, is_new=is_new)
        task.result = f"/deployments/{name}"

    @staticmethod
    def _fail(task: Task, code: int, message: str) -> None:
        task.state, task.result = "error", message
        task.outputs = {"result": "", "event": error_log(task.timestamp or 0, code, message)}
