"""Strict stand-in of Takealot's Marketplace API v1, as its description and its clients tell of it."""

from sync_pipelines.sandbox.takealot.seeds import DEMO_KEY, bulk_world, demo_world
from sync_pipelines.sandbox.takealot.standin import TakealotStandIn
from sync_pipelines.sandbox.takealot.world import TakealotWorld

__all__ = ["DEMO_KEY", "TakealotStandIn", "TakealotWorld", "bulk_world", "demo_world"]
