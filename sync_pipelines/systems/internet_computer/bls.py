"""Verifying the threshold signatures of subnets: BLS12-381 with signatures on G1 and keys on G2.

In pure Python, at 0.3 to 0.8 s a signature: certificates are needed once for a subnet, not for each query. The fast
library that others use, ``blst``, is not on PyPI.
"""

from __future__ import annotations

import hashlib

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.core.recursion import recursion_limit_kept

DST = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
SIGNATURE_BYTES, KEY_BYTES = 48, 96


def require() -> None:
    """Raise ``ConfigurationError`` unless the library is installed."""
    try:
        with recursion_limit_kept():
            import py_ecc.bls  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "verification of Internet Computer answers is on, but py_ecc is not installed: "
            "install the extra (pip install 'sync-pipelines[ic-verify]'), or leave the root key out"
        ) from None


def is_signed(message: bytes, signature: bytes, public_key: bytes) -> bool:
    """Whether the signature was made over the message with the key.

    Arguments:
        signature: 48 bytes, a compressed point of G1.
        public_key: 96 bytes, a compressed point of G2.
    """
    # The import takes half a second, and who does not verify does not have the library.
    with recursion_limit_kept():
        from py_ecc.bls.g2_primitives import pubkey_to_G1, signature_to_G2, subgroup_check
        from py_ecc.bls.hash_to_curve import hash_to_G1
        from py_ecc.optimized_bls12_381 import FQ12, G2, final_exponentiate, is_inf, neg, pairing

    if len(signature) != SIGNATURE_BYTES or len(public_key) != KEY_BYTES:
        return False
    try:
        # The library's names are for signatures on G2: what it calls a key is our signature, and the other way round.
        point, key = pubkey_to_G1(signature), signature_to_G2(public_key)
    except ValueError:
        return False
    if is_inf(point) or is_inf(key) or not subgroup_check(point) or not subgroup_check(key):
        return False
    hashed = hash_to_G1(message, DST, hashlib.sha256)
    product = pairing(neg(G2), point, final_exponentiate=False) * pairing(key, hashed, final_exponentiate=False)
    return bool(final_exponentiate(product) == FQ12.one())
