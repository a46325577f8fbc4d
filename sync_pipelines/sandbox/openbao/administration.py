"""What an administrator of Vault does: mounts, policies, tokens, quotas, sealing; and looking at what is stored."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx


class VaultAdministration:
    """Access with the root token. Methods raise ``httpx.HTTPStatusError`` when the server refuses.

    Arguments:
        url: base URL without ``/v1``.
        token: root token.
        unseal_key: the one key that unseals the server.
    """

    def __init__(self, url: str, token: str, unseal_key: str) -> None:
        self._client = httpx.Client(
            base_url=f"{url}/v1/", headers={"X-Vault-Token": token}, trust_env=False, timeout=30.0
        )
        self._unseal_key = unseal_key

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send any request below ``/v1/``; return the ``data`` or ``auth`` of its answer, ``None`` without one."""
        answer = self._client.request(method, path, json=body)
        answer.raise_for_status()
        if not answer.content:
            return None
        told = answer.json()
        return told.get("data") or told.get("auth")

    def enable_kv(self, path: str, version: int | None = 2) -> None:
        """Mount a KV engine and wait until it serves; without a version as old servers did, which is version 1."""
        options = {} if version is None else {"options": {"version": str(version)}}
        self.call("POST", f"sys/mounts/{path}", {"type": "kv", **options})
        if version != 2:
            return
        for _ in range(1000):
            # A new mount of version 2 is "upgraded" first, and refuses everything with 400 so long.
            if self._client.get(f"{path}/config").status_code == 200:
                return
            time.sleep(0.01)
        raise RuntimeError(f"the mount {path} does not become ready")

    def disable(self, path: str) -> None:
        """Remove a mount and all in it."""
        self.call("DELETE", f"sys/mounts/{path}")

    def put_policy(self, name: str, rights: Mapping[str, Sequence[str]]) -> None:
        """Set a policy.

        Arguments:
            rights: capabilities by path, e.g. ``{"secret/data/*": ["read"]}``.
        """
        rules = {"path": {path: {"capabilities": list(able)} for path, able in rights.items()}}
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": json.dumps(rules)})

    def create_token(self, *policies: str, ttl: str = "1h", **options: Any) -> str:
        """Issue a token; ``options`` are further fields of the request, such as ``explicit_max_ttl``."""
        auth = self.call("POST", "auth/token/create", {"policies": policies, "ttl": ttl, **options})
        return str(auth["client_token"])

    def revoke(self, token: str) -> None:
        """Revoke a token."""
        self.call("POST", "auth/token/revoke", {"token": token})

    def create_role(self, name: str, *policies: str, ttl: str = "20m", secret_id_uses: int = 0) -> tuple[str, str]:
        """Make an AppRole, with the method enabled if it is not yet; return a role id and a secret id.

        Arguments:
            secret_id_uses: logins that the secret id is good for; 0 for any number.
        """
        if "approle/" not in self.call("GET", "sys/auth"):
            self.call("POST", "sys/auth/approle", {"type": "approle"})
        role = f"auth/approle/role/{name}"
        self.call("POST", role, {"token_policies": policies, "token_ttl": ttl, "secret_id_num_uses": secret_id_uses})
        role_id = self.call("GET", f"{role}/role-id")["role_id"]
        return str(role_id), str(self.call("POST", f"{role}/secret-id", {})["secret_id"])

    def limit_rate(self, path: str, requests: int, seconds: float) -> None:
        """Let so many requests below a path pass in a time; the rest get 429."""
        limit = {"path": path, "rate": requests, "interval": f"{seconds}s"}
        self.call("PUT", "sys/quotas/rate-limit/sandbox", limit)

    def lift_rate_limit(self) -> None:
        """Remove the limit."""
        self.call("DELETE", "sys/quotas/rate-limit/sandbox")

    def seal(self) -> None:
        """Seal the server: nobody can read or write."""
        self.call("PUT", "sys/seal")

    def unseal(self) -> None:
        """Unseal the server and wait until it serves."""
        self.call("PUT", "sys/unseal", {"key": self._unseal_key})
        for _ in range(1000):
            # A server alone is a standby for a moment, and says 429 so long.
            if self._client.get("sys/health").status_code == 200:
                return
            time.sleep(0.01)
        raise RuntimeError("the server is unsealed and does not become active")

    def write(self, mount: str, path: str, data: Mapping[str, Any], version: int = 2) -> None:
        """Write a secret without check-and-set, as foreign writers do."""
        if version == 2:
            self.call("POST", f"{mount}/data/{path}", {"data": data})
        else:
            self.call("POST", f"{mount}/{path}", data)

    def read(self, mount: str, path: str, version: int = 2) -> Any:
        """Return a secret's document, ``None`` when there is none or it is deleted."""
        answer = self._client.get(f"{mount}/data/{path}" if version == 2 else f"{mount}/{path}")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        data = answer.json()["data"]
        return data["data"] if version == 2 else data

    def paths(self, mount: str, version: int = 2) -> list[str]:
        """Return the paths of all secrets of a mount."""
        root = f"{mount}/metadata/" if version == 2 else f"{mount}/"
        return sorted((self.call("SCAN", root) or {}).get("keys", []))

    def versions(self, mount: str) -> dict[str, int]:
        """Return the current version of every secret of a version 2 mount."""
        return {path: self.call("GET", f"{mount}/metadata/{path}")["current_version"] for path in self.paths(mount)}

    def load(self, source: Path | Mapping[str, Any]) -> str:
        """Fill a mount, which is made when it is missing, and return its name.

        Arguments:
            source: a document with ``mount``, ``kv_version`` and ``secrets`` (path to document), or a file of it.
        """
        content = json.loads(source.read_text("utf-8")) if isinstance(source, Path) else source
        mount, version = content["mount"].strip("/"), content.get("kv_version", 2)
        if f"{mount}/" not in self.call("GET", "sys/mounts"):
            self.enable_kv(mount, version)
        for path, data in content["secrets"].items():
            self.write(mount, path, data, version)
        return str(mount)
