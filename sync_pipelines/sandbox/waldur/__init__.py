"""Strict stand-in of the Waldur marketplace API, as a 7.0.7 server was recorded to behave."""

from sync_pipelines.sandbox.waldur.seeds import DEMO_STAFF_TOKEN, demo_owner_token, demo_world, recorded_world
from sync_pipelines.sandbox.waldur.standin import WaldurStandIn
from sync_pipelines.sandbox.waldur.world import Mutation, WaldurWorld

__all__ = [
    "DEMO_STAFF_TOKEN",
    "Mutation",
    "WaldurStandIn",
    "WaldurWorld",
    "demo_owner_token",
    "demo_world",
    "recorded_world",
]
