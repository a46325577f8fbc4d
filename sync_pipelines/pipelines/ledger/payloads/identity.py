"""What providers and users say of themselves, from registration to linked principals."""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipelines.pipelines.ledger.borsh import Reader

SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Registration:
    """Of a provider or a user: a signature over the entry's key. The canister takes any bytes for one."""

    signature: bytes


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A provider was there: a signature over the hash of the block before. Old ones have no memo."""

    memo: str | None
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedProfile:
    """``profile_bytes`` are read by :func:`sync_pipelines.pipelines.ledger.profile.decode_profile`."""

    profile_bytes: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedOfferings:
    """``csv_bytes`` are read by :func:`sync_pipelines.pipelines.ledger.offering_csv.read_offerings`."""

    csv_bytes: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class ReputationChanges:
    """Pairs of public key and change, in e9s; a key can occur twice."""

    changes: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True, slots=True)
class ReputationAging:
    """Every reputation loses this share, in millionths."""

    reductions_ppm: int


@dataclass(frozen=True, slots=True)
class LinkedPrincipals:
    """Other principals that a main one takes on or drops."""

    main: bytes
    added: tuple[bytes, ...]
    removed: tuple[bytes, ...]


def decode_registration(value: bytes) -> Registration:
    """Read a registration; no bytes are wrong here, a signature of the wrong length is an invalid one."""
    return Registration(value)


def decode_check_in(value: bytes) -> CheckIn:
    """Read a check-in of either form."""
    if len(value) == SIGNATURE_BYTES:
        return CheckIn(None, value)
    reader = Reader(value)
    reader.variant()
    check_in = CheckIn(reader.text(), reader.blob())
    reader.end()
    return check_in


def decode_signed_profile(value: bytes) -> SignedProfile:
    """Read the envelope of a profile."""
    return SignedProfile(*_signed(value))


def decode_signed_offerings(value: bytes) -> SignedOfferings:
    """Read the envelope of a provider's offerings."""
    return SignedOfferings(*_signed(value))


def decode_reputation_changes(value: bytes) -> ReputationChanges:
    """Read changes of reputation."""
    reader = Reader(value)
    reader.variant()
    changes = ReputationChanges(reader.several(lambda: (reader.blob(), reader.i64())))
    reader.end()
    return changes


def decode_reputation_aging(value: bytes) -> ReputationAging:
    """Read an aging of all reputations."""
    reader = Reader(value)
    reader.variant()
    aging = ReputationAging(reader.u64())
    reader.end()
    return aging


def decode_linked_principals(value: bytes) -> LinkedPrincipals:
    """Read a change of linked principals."""
    reader = Reader(value)
    reader.variant()
    linked = LinkedPrincipals(reader.principal(), reader.several(reader.principal), reader.several(reader.principal))
    reader.end()
    return linked


def _signed(value: bytes) -> tuple[bytes, bytes]:
    reader = Reader(value)
    reader.variant()
    content, signature = reader.blob(), reader.blob()
    reader.end()
    return content, signature
