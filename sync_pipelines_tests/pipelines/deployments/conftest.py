"""Fixtures: a real server, and mounts on it."""

from sync_pipelines_tests.vaults import kv1, kv2, openbao

__all__ = ["kv1", "kv2", "openbao"]
