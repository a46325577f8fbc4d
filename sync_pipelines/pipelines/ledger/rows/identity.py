"""Rows of what providers and users say of themselves, and of their reputation."""

from __future__ import annotations

import hashlib

from sync_pipelines.pipelines.ledger.borsh import PayloadError
from sync_pipelines.pipelines.ledger.offering_csv import CsvNotUtf8, OfferingFile, read_offerings
from sync_pipelines.pipelines.ledger.payloads import (
    CheckIn,
    LinkedPrincipals,
    Registration,
    ReputationAging,
    ReputationChanges,
    SignedOfferings,
    SignedProfile,
)
from sync_pipelines.pipelines.ledger.principals import principal_text, principal_text_of_key
from sync_pipelines.pipelines.ledger.profile import decode_profile
from sync_pipelines.pipelines.ledger.rows.collector import LONGEST_KEY, BlockRows, StoredEntry
from sync_pipelines.pipelines.ledger.signatures import PUBKEY_BYTES, signature_valid

_NO_OFFERINGS = OfferingFile({}, ())


def registration(here: BlockRows, entry: StoredEntry, payload: Registration | None) -> None:
    """Add a registration, or that it was deleted."""
    if len(entry.key) != PUBKEY_BYTES:
        # Old registrations have a text of the user for a key.
        if payload is not None:
            here.error("users", entry, "key_not_pubkey")
        return
    if payload is None:
        here.event("ledger_registrations", entry, entry.operation, entry.label, entry.key, None, None, None)
        return
    valid = signature_valid(entry.key, payload, here.block.parent_hash, None)
    text = principal_text_of_key(entry.key)
    signature = payload.signature
    here.event("ledger_registrations", entry, entry.operation, entry.label, entry.key, text, signature, valid)
    if not valid:
        here.error("users", entry, "signature_invalid")


def check_in(here: BlockRows, entry: StoredEntry, payload: CheckIn | None) -> None:
    """Add a check-in."""
    if payload is None:
        return
    valid = signature_valid(entry.key, payload, here.block.parent_hash, None)
    here.event("check_ins", entry, entry.key, payload.memo, payload.signature, valid)
    if not valid:
        here.error("check_ins", entry, "signature_invalid")


def profile(here: BlockRows, entry: StoredEntry, payload: SignedProfile | None) -> None:
    """Add a profile, or that it was deleted."""
    if payload is None:
        here.event("provider_profile_history", entry, entry.operation, entry.key, None, None, None, None)
        return
    valid = signature_valid(entry.key, payload, here.block.parent_hash, None)
    content = None
    try:
        content = decode_profile(payload.profile_bytes).content
    except PayloadError as error:
        here.error("profiles", entry, "profile_undecodable", error.reason)
    data, signature = payload.profile_bytes, payload.signature
    here.event("provider_profile_history", entry, entry.operation, entry.key, data, content, signature, valid)
    if not valid:
        here.error("profiles", entry, "signature_invalid")


def offerings(here: BlockRows, entry: StoredEntry, payload: SignedOfferings | None) -> None:
    """Add a file of offerings. A Delete is an empty file."""
    valid, signature, file, readable = None, None, _NO_OFFERINGS, True
    if payload is not None:
        signature = payload.signature
        valid = signature_valid(entry.key, payload, here.block.parent_hash, None)
        if not valid:
            here.error("offerings", entry, "signature_invalid")
        try:
            file = read_offerings(payload.csv_bytes)
        except CsvNotUtf8 as error:
            readable = False
            here.error("offerings", entry, "csv_not_utf8", str(error))
    counts = len(file.rows), len(file.invalid)
    here.event("provider_offering_files", entry, entry.operation, entry.key, readable, *counts, signature, valid)
    for bad in file.invalid:
        here.error("offerings", entry, "csv_row_invalid", str(bad))
    block = here.block
    for identifier, row in file.rows.items():
        digest = hashlib.sha256(identifier.encode()).digest()[:16]
        here.add(
            "provider_offering_history",
            (block.canister, block.offset, entry.entry_index, entry.key, digest, identifier, row),
        )


def reputation_changes(here: BlockRows, entry: StoredEntry, payload: ReputationChanges | None) -> None:
    """Add every change of a list."""
    if payload is None:
        return
    for pubkey, _ in payload.changes:
        if len(pubkey) > LONGEST_KEY:
            raise PayloadError(f"a public key of {len(pubkey)} bytes")
    for index, (pubkey, change) in enumerate(payload.changes):
        here.event("reputation_changes", entry, index, entry.key, pubkey, change)


def reputation_aging(here: BlockRows, entry: StoredEntry, payload: ReputationAging | None) -> None:
    """Add an aging of all reputations."""
    if payload is not None:
        here.event("reputation_agings", entry, payload.reductions_ppm)


def linked_ids(here: BlockRows, entry: StoredEntry, payload: LinkedPrincipals | None) -> None:
    """Add a change of linked principals."""
    if payload is not None:
        added, removed = (tuple(map(principal_text, ids)) for ids in (payload.added, payload.removed))
        here.event("linked_ids", entry, principal_text(payload.main), added, removed)
