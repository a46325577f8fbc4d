"""The last block of an ICRC-3 log, as its canister certifies it."""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipelines.systems.internet_computer import cbor, hash_tree, leb128
from sync_pipelines.systems.internet_computer.certificates import CertificateError, verify
from sync_pipelines.systems.internet_computer.values import LARGEST

_MAX_ITEMS = 1_000


@dataclass(frozen=True, slots=True)
class Icrc3Tip:
    """The end of a log.

    Attributes:
        index, hash: of the last block.
        is_proved: whether the subnet's signature was verified; else one node says so.
    """

    index: int
    hash: bytes
    is_proved: bool


def read_tip(certificate: bytes, tree: bytes, canister: bytes, root_key: bytes | None, now: float) -> Icrc3Tip:
    """Return what ``icrc3_get_tip_certificate`` tells.

    Arguments:
        certificate: of the canister's certified data, which is the root hash of the tree.
        tree: with the leaves ``last_block_index`` (LEB128) and ``last_block_hash``.
        root_key: of the network; without it nothing is verified.
        now: seconds since 1970.

    Raises:
        CertificateError: unreadable, or not proved.
    """
    try:
        shown = cbor.decode(tree, max_items=_MAX_ITEMS)
        index, digest = (hash_tree.lookup(shown, (name,)) for name in (b"last_block_index", b"last_block_hash"))
        if index is None or digest is None or len(digest) != 32:
            raise CertificateError("a tip without index or hash")
        number = leb128.read_unsigned(index)
        if number > LARGEST:
            raise CertificateError(f"block {number}, which no ledger reaches")
        certified = hash_tree.root_hash(shown)
        if root_key is None:
            return Icrc3Tip(number, digest, False)
        proved = verify(certificate, root_key, now=now, canister=canister)
        if hash_tree.lookup(proved.tree, (b"canister", canister, b"certified_data")) != certified:
            raise CertificateError("a tip that is not what the canister certifies")
    except (cbor.CborError, hash_tree.HashTreeError, ValueError) as error:
        raise CertificateError(f"the tip of the log is not proved: {error}") from None
    return Icrc3Tip(number, digest, True)
