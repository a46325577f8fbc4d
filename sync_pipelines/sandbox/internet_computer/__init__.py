"""Strict stand-in of an Internet Computer replica with the Decent Cloud ledger canister, and of a plain token."""

from sync_pipelines.sandbox.internet_computer.blocks import Stored
from sync_pipelines.sandbox.internet_computer.bulk import many
from sync_pipelines.sandbox.internet_computer.canister import Reject
from sync_pipelines.sandbox.internet_computer.identities import Identity, identity
from sync_pipelines.sandbox.internet_computer.ledger_canister import LedgerCanister
from sync_pipelines.sandbox.internet_computer.ledger_world import MAINNET_CANISTER, LedgerWorld, PendingEntry
from sync_pipelines.sandbox.internet_computer.replica import Replica
from sync_pipelines.sandbox.internet_computer.standin import InternetComputerStandIn
from sync_pipelines.sandbox.internet_computer.storage import FileStorage
from sync_pipelines.sandbox.internet_computer.subnet import Subnet
from sync_pipelines.sandbox.internet_computer.token_canister import (
    ARCHIVE_CANISTER,
    TOKEN_CANISTER,
    ArchiveCanister,
    TokenCanister,
)
from sync_pipelines.sandbox.internet_computer.token_ledger import TokenLedger

__all__ = [
    "ARCHIVE_CANISTER",
    "MAINNET_CANISTER",
    "TOKEN_CANISTER",
    "ArchiveCanister",
    "FileStorage",
    "Identity",
    "InternetComputerStandIn",
    "LedgerCanister",
    "LedgerWorld",
    "PendingEntry",
    "Reject",
    "Replica",
    "Stored",
    "Subnet",
    "TokenCanister",
    "TokenLedger",
    "identity",
    "many",
]
