"""The command line ``sync-pipelines``."""

from sync_pipelines.cli.program import main

__all__ = ["main"]
