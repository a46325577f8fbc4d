"""Typed, read-only client of the Internet Computer: queries to canisters, and what ledger canisters answer."""

from sync_pipelines.systems.internet_computer.agent import IcAgent, ReplicaStatus
from sync_pipelines.systems.internet_computer.certificates import MAINNET_ROOT_KEY
from sync_pipelines.systems.internet_computer.errors import (
    PEER,
    CanisterGone,
    ClockSkew,
    MethodNotOffered,
    NotVerified,
    Rejected,
    ReplyTooLarge,
    UnexpectedReply,
)
from sync_pipelines.systems.internet_computer.icrc3 import ChainBroken, Icrc3Block, Icrc3Ledger, Icrc3Page
from sync_pipelines.systems.internet_computer.icrc3_transactions import (
    Account,
    TokenTransaction,
    block_type,
    token_transaction,
)
from sync_pipelines.systems.internet_computer.ledger_canister import (
    Chunk,
    Diverged,
    LedgerCanister,
    LedgerTip,
    PastTheEnd,
    PendingEntry,
    PendingPage,
)

__all__ = [
    "MAINNET_ROOT_KEY",
    "PEER",
    "Account",
    "CanisterGone",
    "ChainBroken",
    "Chunk",
    "ClockSkew",
    "Diverged",
    "IcAgent",
    "Icrc3Block",
    "Icrc3Ledger",
    "Icrc3Page",
    "LedgerCanister",
    "LedgerTip",
    "MethodNotOffered",
    "NotVerified",
    "PastTheEnd",
    "PendingEntry",
    "PendingPage",
    "Rejected",
    "ReplicaStatus",
    "ReplyTooLarge",
    "TokenTransaction",
    "UnexpectedReply",
    "block_type",
    "token_transaction",
]
