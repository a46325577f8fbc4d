"""Strict stand-in of the BOSH Director and of its UAA, as a Director 282 was recorded to behave."""

from sync_pipelines.sandbox.bosh.events import Event
from sync_pipelines.sandbox.bosh.model import Deployment, Task, Vm
from sync_pipelines.sandbox.bosh.seeds import DEMO_PASSWORD, DEMO_USER, demo_world, many
from sync_pipelines.sandbox.bosh.standin import DirectorStandIn, UaaStandIn
from sync_pipelines.sandbox.bosh.uaa_world import UaaWorld
from sync_pipelines.sandbox.bosh.world import DirectorWorld
from sync_pipelines.sandbox.clock import Clock

__all__ = [
    "DEMO_PASSWORD",
    "DEMO_USER",
    "Clock",
    "Deployment",
    "DirectorStandIn",
    "DirectorWorld",
    "Event",
    "Task",
    "UaaStandIn",
    "UaaWorld",
    "Vm",
    "demo_world",
    "many",
]
