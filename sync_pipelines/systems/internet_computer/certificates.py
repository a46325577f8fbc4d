"""Certificates: what a subnet says of its state, signed by the subnet and, through a delegation, by the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sync_pipelines.systems.internet_computer import bls, cbor, hash_tree, leb128
from sync_pipelines.systems.internet_computer.principal import principal_text, self_authenticating

MAINNET_ROOT_KEY = bytes.fromhex(
    "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100814c0e6ec71fab583b08bd81373c255c3c371b2e"
    "84863c98a4f1e08b74235d14fb5d9c0cd546d9685f913a0c0b2cc5341583bf4b4392e467db96d65b9bb4cb717112f8472e0d5a4d14505ffd74"
    "84b01291091c5f87b98883463f98091a0baaae"
)
"""The key of the Internet Computer itself. Networks for tests have their own."""

MAX_AGE_SECONDS = 300
"""How far the time of a certificate may be from ours, as in the agents of others."""

_DER_PREFIX = MAINNET_ROOT_KEY[: -bls.KEY_BYTES]
_STATE_ROOT = b"\x0dic-state-root"
_MAX_CERTIFICATE_ITEMS = 20_000


class CertificateError(ValueError):
    """A certificate that proves nothing: damaged, too old, not signed, or for other canisters."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A verified certificate.

    Attributes:
        tree: see ``hash_tree.py``.
        subnet: principal of the subnet that signed.
        time_ns: when, in nanoseconds since 1970.
    """

    tree: Any
    subnet: bytes
    time_ns: int


def bls_key(der: bytes) -> bytes:
    """Return the 96 bytes of a BLS key in DER. Raises ``CertificateError`` for another key."""
    if len(der) != len(_DER_PREFIX) + bls.KEY_BYTES or not der.startswith(_DER_PREFIX):
        raise CertificateError(f"{len(der)} bytes that are not a BLS12-381 key in DER")
    return der[len(_DER_PREFIX) :]


def verify(data: bytes, root_key: bytes, *, now: float, canister: bytes | None) -> Certificate:
    """Return a certificate, proved.

    Arguments:
        data: as ``read_state`` returns it.
        root_key: of the network, as DER.
        now: seconds since 1970.
        canister: what it has to speak for: a delegation says which canisters the subnet has. ``None`` for what a subnet
            says of itself.

    Raises:
        CertificateError: it proves nothing.
    """
    document = _document(data)
    time_ns = _time(document["tree"])
    if abs(time_ns / 1e9 - now) > MAX_AGE_SECONDS:
        raise CertificateError(
            f"a certificate whose time is {time_ns / 1e9 - now:+.0f} s from ours; is the clock of this machine right?"
        )
    delegation = document.get("delegation")
    if delegation is None:
        # Without delegation the root subnet itself signed, whose canisters nobody lists.
        subnet, key = self_authenticating(root_key), root_key
    else:
        subnet, key = _delegated(delegation, root_key, canister)
    _check_signature(document, key)
    return Certificate(document["tree"], subnet, time_ns)


def _time(tree: Any) -> int:
    time = _lookup(tree, b"time")
    if time is None:
        raise CertificateError("a certificate without its time")
    try:
        return leb128.read_unsigned(time)
    except ValueError as error:
        raise CertificateError(f"a certificate with an unreadable time: {error}") from None


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = cbor.decode(data, max_items=_MAX_CERTIFICATE_ITEMS)
    except cbor.CborError as error:
        raise CertificateError(f"a certificate that is no CBOR: {error}") from None
    if not isinstance(document, dict) or "tree" not in document or not isinstance(document.get("signature"), bytes):
        raise CertificateError("a certificate without tree or signature")
    return document


def _check_signature(document: dict[str, Any], key: bytes) -> None:
    try:
        message = _STATE_ROOT + hash_tree.root_hash(document["tree"])
    except hash_tree.HashTreeError as error:
        raise CertificateError(str(error)) from None
    if not bls.is_signed(message, document["signature"], bls_key(key)):
        raise CertificateError("the signature of a certificate is wrong; is the root key that of this network?")


def _delegated(delegation: Any, root_key: bytes, canister: bytes | None) -> tuple[bytes, bytes]:
    """Return principal and key of the subnet that the root subnet let speak."""
    match delegation:
        case {"subnet_id": bytes(subnet), "certificate": bytes(data)}:
            document = _document(data)
        case _:
            raise CertificateError("a delegation without subnet or certificate")
    if document.get("delegation") is not None:
        raise CertificateError("a delegation that is delegated itself")
    # Its time is not asked for: a delegation is made when a subnet is, and stays as it is.
    _check_signature(document, root_key)
    tree = document["tree"]
    if canister is not None and not any(low <= canister <= high for low, high in _ranges(tree, subnet)):
        raise CertificateError(f"subnet {principal_text(subnet)} may not speak for {principal_text(canister)}")
    key = _lookup(tree, b"subnet", subnet, b"public_key")
    if key is None:
        raise CertificateError(f"a delegation without the key of subnet {principal_text(subnet)}")
    return subnet, key


def _ranges(tree: Any, subnet: bytes) -> list[tuple[bytes, bytes]]:
    """Return the ranges of canisters of a subnet, told in one leaf (up to interface v2) or in several (since v3)."""
    try:
        whole = hash_tree.lookup(tree, (b"subnet", subnet, b"canister_ranges"))
        parts = hash_tree.subtree(tree, (b"canister_ranges", subnet))
        leaves = [whole] + [hash_tree.lookup(part, ()) for _, part in hash_tree.children(parts)]
        ranges = [(low, high) for leaf in leaves if leaf is not None for low, high in cbor.decode(leaf)]
        if not all(isinstance(bound, bytes) for pair in ranges for bound in pair):
            raise TypeError("bounds other than principals")
        return ranges
    except (cbor.CborError, hash_tree.HashTreeError, TypeError, ValueError) as error:
        raise CertificateError(f"unreadable canister ranges: {error}") from None


def _lookup(tree: Any, *path: bytes) -> bytes | None:
    try:
        return hash_tree.lookup(tree, path)
    except hash_tree.HashTreeError as error:
        raise CertificateError(str(error)) from None
