"""What an entry's value means, by its label. Pure.

Labels that are not known are no mistake: a newer canister writes them, and their entries are kept as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from sync_pipelines.pipelines.ledger.borsh import PayloadError
from sync_pipelines.pipelines.ledger.payloads.contracts import (
    ContractReply,
    ContractRequest,
    PaymentEntry,
    decode_contract_reply,
    decode_contract_request,
)
from sync_pipelines.pipelines.ledger.payloads.identity import (
    CheckIn,
    LinkedPrincipals,
    Registration,
    ReputationAging,
    ReputationChanges,
    SignedOfferings,
    SignedProfile,
    decode_check_in,
    decode_linked_principals,
    decode_registration,
    decode_reputation_aging,
    decode_reputation_changes,
    decode_signed_offerings,
    decode_signed_profile,
)
from sync_pipelines.pipelines.ledger.payloads.token_log import LoggedTransaction, decode_token_block
from sync_pipelines.pipelines.ledger.payloads.tokens import (
    Account,
    Approval,
    Reward,
    Transfer,
    TransferKind,
    decode_approval,
    decode_reward,
    decode_transfer,
)

__all__ = [
    "LEGACY_LABELS",
    "MOVEMENTS",
    "Account",
    "Approval",
    "CheckIn",
    "ContractReply",
    "ContractRequest",
    "Label",
    "LinkedPrincipals",
    "LoggedTransaction",
    "Payload",
    "PayloadError",
    "PaymentEntry",
    "Registration",
    "ReputationAging",
    "ReputationChanges",
    "Reward",
    "SignedOfferings",
    "SignedProfile",
    "Transfer",
    "TransferKind",
    "decode_payload",
    "known_label",
]


class Label(StrEnum):
    """The labels whose values are understood; the last ones are the types of blocks of a token's log."""

    PROV_REGISTER = "ProvRegister"
    USER_REGISTER = "UserRegister"
    PROV_CHECK_IN = "ProvCheckIn"
    PROV_PROFILE = "ProvProfile"
    PROV_OFFERING = "ProvOffering"
    CONTRACT_SIGN_REQUEST = "ContractSignReq"
    CONTRACT_SIGN_REPLY = "ContractSignReply"
    REWARD_DISTRIBUTION = "RewardDistr"
    TOKEN_TRANSFER = "DCTokenTransfer"
    TOKEN_APPROVAL = "DCTokenApproval"
    REPUTATION_CHANGE = "RepChange"
    REPUTATION_AGE = "RepAge"
    LINKED_IC_IDS = "LinkedIcIds"
    MINT_1 = "1mint"
    MINT_2 = "2mint"
    BURN_1 = "1burn"
    BURN_2 = "2burn"
    TRANSFER_1 = "1xfer"
    TRANSFER_2 = "2xfer"
    APPROVE_2 = "2approve"


MOVEMENTS: Final = (Label.MINT_1, Label.MINT_2, Label.BURN_1, Label.BURN_2, Label.TRANSFER_1, Label.TRANSFER_2)
"""Types of blocks that move tokens."""

LEGACY_LABELS: Final = {
    "NPRegister": Label.PROV_REGISTER,
    "NPCheckIn": Label.PROV_CHECK_IN,
    "NPProfile": Label.PROV_PROFILE,
    "NPOffering": Label.PROV_OFFERING,
}
"""Names that the oldest blocks of the main ledger use."""

Payload = (
    Registration
    | CheckIn
    | SignedProfile
    | SignedOfferings
    | ContractRequest
    | ContractReply
    | Reward
    | Transfer
    | Approval
    | ReputationChanges
    | ReputationAging
    | LinkedPrincipals
    | LoggedTransaction
)

_DECODERS: Final[dict[Label, Callable[[bytes], Payload]]] = {
    Label.PROV_REGISTER: decode_registration,
    Label.USER_REGISTER: decode_registration,
    Label.PROV_CHECK_IN: decode_check_in,
    Label.PROV_PROFILE: decode_signed_profile,
    Label.PROV_OFFERING: decode_signed_offerings,
    Label.CONTRACT_SIGN_REQUEST: decode_contract_request,
    Label.CONTRACT_SIGN_REPLY: decode_contract_reply,
    Label.REWARD_DISTRIBUTION: decode_reward,
    Label.TOKEN_TRANSFER: decode_transfer,
    Label.TOKEN_APPROVAL: decode_approval,
    Label.REPUTATION_CHANGE: decode_reputation_changes,
    Label.REPUTATION_AGE: decode_reputation_aging,
    Label.LINKED_IC_IDS: decode_linked_principals,
    **dict.fromkeys((*MOVEMENTS, Label.APPROVE_2), decode_token_block),
}

_KNOWN: Final[dict[str, Label]] = {label.value: label for label in Label} | LEGACY_LABELS


def known_label(label: str) -> Label | None:
    """Return what ``label`` stands for, a legacy name for its successor; ``None`` when it is not known."""
    return _KNOWN.get(label)


def decode_payload(label: str, value: bytes) -> Payload | None:
    """Return what the value of an upsert means, ``None`` when the label is not known.

    Raises:
        PayloadError: the value is none of this label, or has bytes left over.
    """
    known = _KNOWN.get(label)
    return None if known is None else _DECODERS[known](value)
