"""What a Director knows: deployments with their VMs, locks, tasks, and who may ask."""

from __future__ import annotations

from dataclasses import dataclass, field

Versions = tuple[tuple[str, str], ...]
"""Releases or stemcells as pairs of name and version. One release may be there twice while an upgrade is running."""

ADMIN = "bosh.admin"
READ = "bosh.read"


@dataclass(frozen=True, slots=True)
class Vm:
    """One instance with its VM.

    Attributes:
        created_at: ISO 8601 text, e.g. ``2026-10-12T19:02:18Z``.
        job_state: what its agent says of the processes, e.g. ``running``, ``failing`` or ``starting``.
        has_vitals: whether the agent reports vitals and processes; a starting one does not.
        processes: names and states.
        is_dead: the agent never answers: tasks that ask it take long and tell ``unresponsive agent``.
        expects_vm: as told by ``/instances``.
    """

    job: str
    index: int
    id: str
    agent_id: str
    cid: str
    az: str = "z1"
    ips: tuple[str, ...] = ()
    created_at: str = "2026-10-12T19:02:18Z"
    active: bool = True
    expects_vm: bool = True
    vm_type: str = "small"
    state: str = "started"
    bootstrap: bool = True
    job_state: str = "running"
    has_vitals: bool = True
    processes: tuple[tuple[str, str], ...] = ()
    is_dead: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment.

    Attributes:
        manifest: text of the last successful deploy; ``None`` when none ever succeeded.
        cloud_config: ``none``, ``latest`` or ``outdated``.
    """

    name: str
    manifest: str | None = None
    releases: Versions = ()
    stemcells: Versions = ()
    teams: tuple[str, ...] = ()
    vms: tuple[Vm, ...] = ()
    cloud_config: str = "latest"


@dataclass(frozen=True, slots=True)
class Lock:
    """A deployment that is being changed: the task that does so, and when its hold ends (Unix seconds)."""

    task: int
    ends_at: float


@dataclass(slots=True)
class User:
    """Somebody with a password.

    Attributes:
        scopes: what is granted, e.g. ``bosh.admin``, ``bosh.read``, ``bosh.teams.dba.admin``.
    """

    name: str
    password: str
    scopes: tuple[str, ...] = (ADMIN,)


@dataclass(slots=True)
class Task:
    """Something that a worker of the Director does or did.

    Attributes:
        type: e.g. ``vms`` or ``update_deployment``.
        queued_at, ends_at: Unix seconds; the end is known as soon as a worker starts.
        started_at, timestamp: whole Unix seconds as told; ``timestamp`` is that of the last change of state.
        checkpoint_at: last sign of life of its worker; ``None`` is taken for a lively one.
        outputs: text by type of output; ``None`` when nothing was kept, which is answered with 204.
        lost_logs: the files are gone from the disk, which is answered with an empty 500.
        manifest: what is to be deployed.
    """

    id: int
    type: str
    description: str
    user: str
    deployment: str | None
    queued_at: float
    state: str = "queued"
    started_at: int | None = None
    timestamp: int | None = None
    ends_at: float = 0.0
    checkpoint_at: float | None = None
    result: str | None = None
    context_id: str = ""
    outputs: dict[str, str] | None = field(default_factory=dict)
    lost_logs: bool = False
    manifest: str = ""
