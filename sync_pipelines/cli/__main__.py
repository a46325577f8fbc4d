"""``python -m sync_pipelines.cli``: the command line where the package is not installed."""

from sync_pipelines.cli import main

main(prog_name="sync-pipelines")
