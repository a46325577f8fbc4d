"""The keys of made-up persons and nodes; all derive from text seeds."""

from __future__ import annotations

import hashlib
import hmac
from functools import cached_property, lru_cache

from Crypto.Hash import SHA512
from Crypto.PublicKey.ECC import EccKey
from Crypto.Signature import eddsa

from sync_pipelines.sandbox.internet_computer.principals import ed25519_der, principal_text, self_authenticating

CONTEXT = b"decent-cloud"
"""The ledger's signatures are Ed25519ph with this context: plain Ed25519 does not verify them."""


class Identity:
    """A holder of an Ed25519 key. Two of the same seed are the same."""

    def __init__(self, seed: str) -> None:
        self.seed = seed

    def __reduce__(self) -> tuple[type[Identity], tuple[str]]:
        return Identity, (self.seed,)

    @cached_property
    def _key(self) -> EccKey:
        return eddsa.import_private_key(hmac.digest(b"ed25519 seed", self.seed.encode(), "sha512")[:32])

    @cached_property
    def public_key(self) -> bytes:
        """The raw key, 32 bytes."""
        exported = self._key.public_key().export_key(format="raw")
        assert isinstance(exported, bytes)
        return exported

    @cached_property
    def der_key(self) -> bytes:
        """The key as it stands in certificates, 44 bytes."""
        return ed25519_der(self.public_key)

    @cached_property
    def principal(self) -> bytes:
        """The self-authenticating principal, 29 bytes."""
        return self_authenticating(self.der_key)

    @property
    def principal_group(self) -> str:
        """The first group of the principal's text, which the canister puts into memos."""
        return principal_text(self.principal).split("-")[0]

    def sign(self, message: bytes) -> bytes:
        """Return a plain Ed25519 signature, as nodes make them."""
        return eddsa.new(self._key, "rfc8032").sign(message)

    def sign_entry(self, message: bytes) -> bytes:
        """Return an Ed25519ph signature with the ledger's context."""
        return eddsa.new(self._key, "rfc8032", context=CONTEXT).sign(SHA512.new(message))


@lru_cache(maxsize=1024)
def identity(seed: str) -> Identity:
    """Return the identity of a seed; its key is derived once in a process."""
    return Identity(seed)


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a plain Ed25519 signature is right."""
    try:
        eddsa.new(eddsa.import_public_key(public_key), "rfc8032").verify(message, signature)
    except ValueError:
        return False
    return True


def secret_number(seed: str, order: int) -> int:
    """Return a number between 1 and ``order`` - 1, to be used as a secret key."""
    return int.from_bytes(hashlib.sha512(seed.encode()).digest(), "big") % (order - 1) + 1
