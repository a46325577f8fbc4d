"""What a Director says about its deployments, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sync_pipelines.systems.bosh.scopes import TokenScope


@dataclass(frozen=True, slots=True)
class Info:
    """A Director's account of itself.

    Attributes:
        uuid: identity of the Director.
        version: e.g. ``"282.1.17 (00000000)"``.
        auth: ``"basic"`` or ``"uaa"``, as printed.
        uaa_url: address of the token server; ``None`` without one.
    """

    name: str
    uuid: str
    version: str
    auth: str
    uaa_url: str | None


@dataclass(frozen=True, slots=True, order=True)
class NamedVersion:
    """A release or a stemcell in one version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ListedDeployment:
    """A deployment as the list shows it.

    Attributes:
        releases, stemcells: several versions of one are there during an upgrade. ``None`` when not asked for.
        locked: a deploy or a deletion is under way. ``None`` when not asked for.
    """

    name: str
    teams: tuple[str, ...]
    releases: tuple[NamedVersion, ...] | None
    stemcells: tuple[NamedVersion, ...] | None
    locked: bool | None


@dataclass(frozen=True, slots=True)
class Deployments:
    """All deployments that a login is shown.

    Attributes:
        entries: each name once.
        scope: what the login is shown; without ``sees_everything`` the list was filtered.
    """

    entries: tuple[ListedDeployment, ...]
    scope: TokenScope


@dataclass(frozen=True, slots=True)
class Vm:
    """A VM as the Director's database knows it; no agent was asked.

    Attributes:
        id: of the instance; it stays when the VM is made anew.
        cid: of the VM at the IaaS.
        job: instance group.
        index: number within the group.
        created_at: aware.
    """

    id: str
    job: str
    index: int | None
    cid: str | None
    agent_id: str | None
    az: str | None
    ips: tuple[str, ...]
    created_at: datetime | None
    active: bool | None


@dataclass(frozen=True, slots=True)
class Process:
    """A process that an agent watches, e.g. ``redis`` that is ``running``."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class VmFull(Vm):
    """A VM as its agent describes it.

    Attributes:
        job_state: ``"running"``, ``"failing"``, ``"unresponsive agent"`` and others; ``None`` when not known.
        state: what it should be: ``"started"``, ``"stopped"``, ``"detached"``.
        vitals: nested as told, numbers mostly as text; ``None`` when the agent told none.
    """

    job_state: str | None
    state: str | None
    vm_type: str | None
    vitals: Mapping[str, Any] | None
    processes: tuple[Process, ...]
    disk_cids: tuple[str, ...]
    stemcell: NamedVersion | None


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the Director's log of what was done.

    Attributes:
        id: grows with time; text on the wire.
        timestamp: aware, whole seconds.
        task: id of the task that did it.
        error: why it failed; ``None`` when it did not.
    """

    id: int
    timestamp: datetime
    action: str
    object_type: str
    object_name: str
    user: str | None
    deployment: str | None
    instance: str | None
    task: str | None
    parent_id: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Life:
    """When a deployment was made and last changed, as far as the events still tell. They are pruned after a while.

    Attributes:
        created_at: of the earliest creation; ``None`` when no event of it is left.
        updated_at: of the latest creation or update; ``None`` when no event of one is left.
        latest_task_id: task of the latest of these events that names one.
    """

    created_at: datetime | None = None
    updated_at: datetime | None = None
    latest_task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Work that the Director does in its own time.

    Attributes:
        state: ``queued``, ``processing``, ``cancelling``, ``done``, ``error``, ``cancelled`` or ``timeout``.
        result: of a failed one, the reason in words.
    """

    id: int
    state: str
    description: str
    result: str | None
    deployment: str | None
