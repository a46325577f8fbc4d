"""Typed, read-only client of a BOSH Director: its deployments, their VMs and their history."""

from sync_pipelines.systems.bosh.client import BoshClient
from sync_pipelines.systems.bosh.errors import (
    DeploymentGone,
    Forbidden,
    InvalidName,
    TaskCancelled,
    TaskFailed,
    TaskGone,
    TaskTimedOut,
)
from sync_pipelines.systems.bosh.logins import ClientLogin, UserLogin
from sync_pipelines.systems.bosh.models import (
    Deployments,
    Event,
    Info,
    Life,
    ListedDeployment,
    NamedVersion,
    Process,
    Task,
    Vm,
    VmFull,
)
from sync_pipelines.systems.bosh.scopes import TokenScope
from sync_pipelines.systems.bosh.session import PEER, BoshSession

__all__ = [
    "PEER",
    "BoshClient",
    "BoshSession",
    "ClientLogin",
    "DeploymentGone",
    "Deployments",
    "Event",
    "Forbidden",
    "Info",
    "InvalidName",
    "Life",
    "ListedDeployment",
    "NamedVersion",
    "Process",
    "Task",
    "TaskCancelled",
    "TaskFailed",
    "TaskGone",
    "TaskTimedOut",
    "TokenScope",
    "UserLogin",
    "Vm",
    "VmFull",
]
