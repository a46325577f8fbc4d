"""The option ``debug``: what is too much for the log of a run, told to the process's error stream.

In Dagster that is the *stderr* tab of a run: its event log would take minutes for what a thousand deployments say.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("sync_pipelines.deployments")
"""What the pipeline's modules say at level DEBUG. Names, paths and digests, never what is written there."""


@contextmanager
def debugging(name: str, *, wanted: bool) -> Iterator[None]:
    """Tell what :data:`LOG` is told, while a connection is open.

    Arguments:
        name: of the connection; begins each line.
    """
    if not wanted:
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s deployments/{name}: %(message)s"))
    before, LOG.propagate = LOG.level, False
    LOG.setLevel(logging.DEBUG)
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(before)
        LOG.propagate = True
