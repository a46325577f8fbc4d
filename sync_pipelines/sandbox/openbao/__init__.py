"""The real OpenBao server, run on loopback. Vault's API is not simulated."""

from sync_pipelines.sandbox.openbao.administration import VaultAdministration
from sync_pipelines.sandbox.openbao.proxy import OpenBaoProxy
from sync_pipelines.sandbox.openbao.server import OpenBao

__all__ = ["OpenBao", "OpenBaoProxy", "VaultAdministration"]
