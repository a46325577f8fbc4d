"""Google as the scheduler's route meets it: signs tokens, and serves its keys over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.sandbox.server import serve

AUDIENCE = "https://sync.example.com/api/sync/scheduler"
ACCOUNT = "scheduler@project.iam.gserviceaccount.com"
ISSUER = "https://accounts.google.com"


@cache
def private_key(name: str) -> RSAPrivateKey:
    """Return the key of a name; made once in a test process, because that takes a moment."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def claims(**changes: Any) -> dict[str, Any]:
    """Return what a good token says; a change to ``None`` leaves a claim out."""
    now = int(time.time())
    said: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "azp": "1048576",
        "sub": "1048576",
        "email": ACCOUNT,
        "email_verified": True,
        "iat": now,
        "exp": now + 3600,
    }
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def token(
    said: Mapping[str, Any] | None = None, *, key: str = "first", kid: str | None = "first", alg: str = "RS256"
) -> str:
    """Return a signed token."""
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(dict(claims() if said is None else said), private_key(key), algorithm=alg, headers=headers)


@dataclass
class Google:
    """The server of the keys, and what is wrong with it.

    Attributes:
        kids: names of the keys that it publishes.
        max_age: seconds, as it says.
        fault: "", or what it answers instead of the keys.
        reads: how often it was asked.
    """

    kids: list[str] = field(default_factory=lambda: ["first"])
    max_age: int | None = 3600
    fault: str = ""
    reads: int = 0
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[Google]:
        """Serve until the block ends."""
        with serve(Starlette(routes=[Route("/certs", self._certs)])) as url:
            self.url = f"{url}/certs"
            yield self

    async def _certs(self, request: Request) -> Response:
        self.reads += 1
        match self.fault:
            case "500":
                return Response("no", 500)
            case "html":
                return Response("<html>Sign in</html>", media_type="text/html")
            case "huge":
                return Response(b" " * 1_000_000)
            case "redirect":
                return Response(status_code=302, headers={"Location": str(request.url)})
            case "hangs":
                await asyncio.sleep(5)
        # So that those who ask at the same time meet.
        await asyncio.sleep(0.02)
        keys = [self._jwk(kid) for kid in self.kids]
        headers = {} if self.max_age is None else {"Cache-Control": f"public, max-age={self.max_age}, must-revalidate"}
        return Response(json.dumps({"keys": keys}), media_type="application/json", headers=headers)

    def _jwk(self, kid: str) -> dict[str, Any]:
        public: dict[str, Any] = RSAAlgorithm.to_jwk(private_key(kid).public_key(), as_dict=True)
        return {**public, "kid": kid, "use": "sig", "alg": "RS256"}
