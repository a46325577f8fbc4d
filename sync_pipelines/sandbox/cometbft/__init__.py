"""Strict stand-in of a VirtEngine node: CometBFT's RPC and websocket over an in-memory chain with its marketplace."""

from sync_pipelines.sandbox.cometbft.app import create_app, produce_blocks
from sync_pipelines.sandbox.cometbft.blocks import Attribute, Block, Event, Tx
from sync_pipelines.sandbox.cometbft.world import ChainWorld

__all__ = ["Attribute", "Block", "ChainWorld", "Event", "Tx", "create_app", "produce_blocks"]
