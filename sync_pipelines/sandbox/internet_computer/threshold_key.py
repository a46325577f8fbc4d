"""A subnet's key: BLS12-381 with short signatures. It needs ``py_ecc``, which only comes with the development tools."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cached_property, lru_cache

from sync_pipelines.core.recursion import recursion_limit_kept
from sync_pipelines.sandbox.internet_computer.identities import secret_number
from sync_pipelines.sandbox.internet_computer.principals import self_authenticating

_DER = bytes.fromhex("308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100")
_DOMAIN = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"


def can_sign() -> bool:
    """Tell whether there is what signing needs."""
    return importlib.util.find_spec("py_ecc") is not None


class ThresholdKey:
    """A key of which there is one secret, not shares of one. Two of the same seed are the same."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    @cached_property
    def der_key(self) -> bytes:
        """The public key as it stands in certificates, 133 bytes."""
        return _DER + _public_key(self._seed)

    @property
    def principal(self) -> bytes:
        """The id of the subnet that has the key."""
        return self_authenticating(self.der_key)

    def sign(self, message: bytes) -> bytes:
        """Return a signature, 48 bytes. It takes some 15 ms."""
        # Importing takes more than a second, and most users of a stand-in never ask for a certificate.
        with recursion_limit_kept():
            from py_ecc.bls.hash_to_curve import hash_to_G1
            from py_ecc.bls.point_compression import compress_G1
            from py_ecc.optimized_bls12_381 import curve_order, multiply

        point = multiply(hash_to_G1(message, _DOMAIN, hashlib.sha256), secret_number(self._seed, curve_order))
        return int(compress_G1(point)).to_bytes(48, "big")


@lru_cache(maxsize=16)
def _public_key(seed: str) -> bytes:
    with recursion_limit_kept():
        from py_ecc.bls.point_compression import compress_G2
        from py_ecc.optimized_bls12_381 import G2, curve_order, multiply

    upper, lower = compress_G2(multiply(G2, secret_number(seed, curve_order)))
    return int(upper).to_bytes(48, "big") + int(lower).to_bytes(48, "big")
