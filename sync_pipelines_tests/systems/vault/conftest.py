"""Fixtures: real servers, and mounts on them."""

from sync_pipelines_tests.vaults import durable_openbao, kv1, kv2, openbao, own_openbao

__all__ = ["durable_openbao", "kv1", "kv2", "openbao", "own_openbao"]
