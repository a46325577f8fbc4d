"""The part of Vault's HTTP API (Vault and OpenBao) that keeps secrets: tokens, KV mounts of both versions."""
