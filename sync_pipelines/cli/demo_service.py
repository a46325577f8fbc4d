"""The REST service in the demo: what it is told, and what callers show. All of it is invented and opens no door."""

from __future__ import annotations

import httpx

SECRET = "demo-scheduler-secret"
TOKEN = "demo-administration-token"
PORT = 8080


def service_variables() -> dict[str, str]:
    """Return the service's variables. Without Google there is nobody to sign tokens, so the secret has to do."""
    return {"SCHEDULER_AUTH": "secret", "SCHEDULER_SECRET": SECRET, "SYNC_ADMIN_TOKEN": TOKEN}


def is_ready(url: str) -> bool:
    """Whether the service serves."""
    try:
        return httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
