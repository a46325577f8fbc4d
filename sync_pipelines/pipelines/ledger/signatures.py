"""Whether entries are signed by whom they name: Ed25519ph (RFC 8032) with the canister's context. Pure.

Neither ``cryptography`` nor PyNaCl verifies Ed25519ph with a context. pycryptodome does, at some 1,000 a second; PyNaCl
has the arithmetic, four times as fast. So what satisfies the equation of RFC 8032 by PyNaCl is valid, and whatever
does not is left to pycryptodome, which alone says that a signature is bad: libsodium refuses keys with a part of small
order, which the canister takes.
"""

from __future__ import annotations

import hashlib
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from sync_pipelines.pipelines.ledger.payloads import (
    CheckIn,
    ContractReply,
    ContractRequest,
    Payload,
    Registration,
    SignedOfferings,
    SignedProfile,
)

CONTEXT: Final = b"decent-cloud"
PUBKEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_DOMAIN: Final = b"SigEd25519 no Ed25519 collisions\x01"


def signature_valid(key: bytes, payload: Payload, parent_hash: bytes, provider_pubkey: bytes | None) -> bool | None:
    """Return whether an entry's signature is good, ``None`` where there is nothing to check or to check it with.

    Arguments:
        key: the entry's key.
        payload: what its value means.
        parent_hash: of the entry's block; empty in the first one.
        provider_pubkey: only for a reply: the provider named by its request, ``None`` without a known request.
    """
    match payload:
        case Registration():
            # Old registrations have keys that are no public keys.
            return verify(key, key, payload.signature) if len(key) == PUBKEY_BYTES else None
        case CheckIn():
            return verify(key, parent_hash, payload.signature)
        case SignedProfile():
            return verify(key, payload.profile_bytes, payload.signature)
        case SignedOfferings():
            return verify(key, payload.csv_bytes, payload.signature)
        case ContractRequest():
            return verify(payload.requester_pubkey, payload.payload, payload.signature)
        case ContractReply():
            return None if provider_pubkey is None else verify(provider_pubkey, payload.payload, payload.signature)
        case _:
            return None


def verify(pubkey: bytes, message: bytes, signature: bytes, context: bytes = CONTEXT) -> bool:
    """Return whether ``signature`` (64 bytes) over ``message`` was made with the secret key of ``pubkey`` (32 bytes).

    Keys and signatures of other lengths, and keys that are no points of the curve, are no error: nothing is valid then.
    """
    if len(pubkey) != PUBKEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    return _satisfies_equation(pubkey, message, signature, context) or _accepted(pubkey, message, signature, context)


def _satisfies_equation(pubkey: bytes, message: bytes, signature: bytes, context: bytes) -> bool:
    point, scalar = signature[:32], signature[32:]
    if int.from_bytes(scalar, "little") >= _ORDER:
        return False
    domain = _DOMAIN + bytes([len(context)]) + context
    hashed = hashlib.sha512(domain + point + pubkey + hashlib.sha512(message).digest()).digest()
    try:
        challenge = bindings.crypto_core_ed25519_scalar_reduce(hashed)
        expected = bindings.crypto_core_ed25519_sub(
            bindings.crypto_scalarmult_ed25519_base_noclamp(scalar),
            bindings.crypto_scalarmult_ed25519_noclamp(challenge, pubkey),
        )
    except CryptoError:
        return False
    return expected == point


def _accepted(pubkey: bytes, message: bytes, signature: bytes, context: bytes) -> bool:
    # Good signatures never get here, and these are a tenth of what the pipeline takes to load.
    from Crypto.Hash import SHA512
    from Crypto.Signature import eddsa

    try:
        key = eddsa.import_public_key(pubkey)
        eddsa.new(key, "rfc8032", context=context).verify(SHA512.new(message), signature)
    except ValueError:
        return False
    return True
