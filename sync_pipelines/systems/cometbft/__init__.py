"""Typed client of a CometBFT node that carries a VirtEngine marketplace: state, events, and hints that it moved."""

from sync_pipelines.systems.cometbft.errors import HeightPruned
from sync_pipelines.systems.cometbft.events import EventsRead, MalformedEvent, OfferingEvent
from sync_pipelines.systems.cometbft.source import ChainSource, ChainTip
from sync_pipelines.systems.cometbft.subscription import WakeUp, wake_ups

__all__ = [
    "ChainSource",
    "ChainTip",
    "EventsRead",
    "HeightPruned",
    "MalformedEvent",
    "OfferingEvent",
    "WakeUp",
    "wake_ups",
]
