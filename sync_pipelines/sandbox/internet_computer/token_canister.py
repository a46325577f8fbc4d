"""The canisters of a plain token: the ledger with the newer blocks, and its archive with the older ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cbor2

from sync_pipelines.sandbox.internet_computer import leb128
from sync_pipelines.sandbox.internet_computer import token_types as types
from sync_pipelines.sandbox.internet_computer.candid_decoding import CandidError, decode
from sync_pipelines.sandbox.internet_computer.candid_encoding import encode
from sync_pipelines.sandbox.internet_computer.candid_types import NAT, TEXT, Type
from sync_pipelines.sandbox.internet_computer.canister import Reply, no_such_method, trap
from sync_pipelines.sandbox.internet_computer.hash_tree import Tree, reveal, root_hash
from sync_pipelines.sandbox.internet_computer.payloads import Account
from sync_pipelines.sandbox.internet_computer.principals import canister_principal, principal_bytes, principal_text
from sync_pipelines.sandbox.internet_computer.token_ledger import TokenLedger

TOKEN_CANISTER = principal_text(canister_principal(0x0180_0A01))
ARCHIVE_CANISTER = principal_text(canister_principal(0x0180_0A02))
_STANDARDS = ("ICRC-1", "ICRC-3")
_URL = "https://github.com/dfinity/ICRC-1"

Certify = Callable[[Sequence[Sequence[bytes]]], bytes | None]
Ranges = list[dict[str, int]]


class ArchiveCanister:
    """Serves the first blocks of a log.

    Attributes:
        holds: how many blocks were moved here.
        page: most blocks of one answer.
    """

    certified_data = b""

    def __init__(self, ledger: TokenLedger, holds: int, *, id_: str = ARCHIVE_CANISTER, page: int = 100) -> None:
        self.ledger = ledger
        self.holds = holds
        self.id = id_
        self.page = page

    def query(self, method: str, arg: bytes) -> Reply:
        """Answer ``icrc3_get_blocks``.

        Raises:
            Reject: another method, or arguments of other types.
        """
        if method != "icrc3_get_blocks":
            raise no_such_method(self.id, method)
        (ranges,) = _decoded(self.id, arg, [types.GET_BLOCKS_ARGUMENTS])
        blocks = _blocks(self.ledger, ranges, 0, self.holds, self.page)
        told = {"log_length": len(self.ledger.blocks), "blocks": blocks, "archived_blocks": []}
        return Reply(encode([types.GET_BLOCKS_RESULT], [told]))


class TokenCanister:
    """Serves a token's ledger; what its archives hold it only points at.

    Attributes:
        ledger: the token.
        archives: with the first blocks.
        page: most blocks of one answer.
        has_icrc3: without it the canister answers ICRC-1 only, as most did for years.
        certify: gives the certificate that goes with the tip.
    """

    def __init__(
        self,
        ledger: TokenLedger,
        archives: Sequence[ArchiveCanister] = (),
        *,
        id_: str = TOKEN_CANISTER,
        page: int = 100,
    ) -> None:
        self.ledger = ledger
        self.archives = list(archives)
        self.id = id_
        self.page = page
        self.has_icrc3 = True
        self.certify: Certify = lambda paths: None
        self._icrc1: Mapping[str, Callable[[bytes], bytes]] = {
            "icrc1_name": self._plain(TEXT, lambda: self.ledger.facts.name),
            "icrc1_symbol": self._plain(TEXT, lambda: self.ledger.facts.symbol),
            "icrc1_decimals": self._plain(types.DECIMALS_RESULT, lambda: self.ledger.facts.decimals),
            "icrc1_fee": self._plain(NAT, lambda: self.ledger.facts.fee),
            "icrc1_total_supply": self._plain(NAT, lambda: self.ledger.supply),
            "icrc1_metadata": self._plain(types.METADATA_RESULT, self._metadata),
            "icrc1_supported_standards": self._plain(types.STANDARDS_RESULT, self._standards),
            "icrc1_balance_of": self._balance_of,
        }
        self._icrc3: Mapping[str, Callable[[bytes], bytes]] = {
            "icrc3_get_blocks": self._get_blocks,
            "icrc3_get_archives": self._get_archives,
            "icrc3_get_tip_certificate": self._plain(types.TIP_CERTIFICATE_RESULT, self._tip_certificate),
            "icrc3_supported_block_types": self._plain(types.BLOCK_TYPES_RESULT, _block_types),
        }

    @property
    def certified_data(self) -> bytes:
        """The root hash of what is told of the tip."""
        return root_hash(self._tip()) if self.ledger.blocks and self.has_icrc3 else b""

    @property
    def first(self) -> int:
        """Number of the first block that is not in an archive."""
        return sum(archive.holds for archive in self.archives)

    def query(self, method: str, arg: bytes) -> Reply:
        """Answer a query.

        Raises:
            Reject: no such method, or arguments of other types.
        """
        answer = self._icrc1.get(method) or (self._icrc3.get(method) if self.has_icrc3 else None)
        if answer is None:
            raise no_such_method(self.id, method)
        return Reply(answer(arg))

    def _plain(self, result: Type, value: Callable[[], Any]) -> Callable[[bytes], bytes]:
        def answer(arg: bytes) -> bytes:
            _decoded(self.id, arg, [])
            return encode([result], [value()])

        return answer

    def _metadata(self) -> list[tuple[str, dict[str, Any]]]:
        facts = self.ledger.facts
        texts = {"icrc1:name": facts.name, "icrc1:symbol": facts.symbol}
        numbers = {"icrc1:decimals": facts.decimals, "icrc1:fee": facts.fee}
        told: dict[str, dict[str, Any]] = {name: {"Text": text} for name, text in texts.items()}
        told |= {name: {"Nat": number} for name, number in numbers.items()}
        return list(told.items())

    def _standards(self) -> list[dict[str, str]]:
        return [{"name": name, "url": _URL} for name in (_STANDARDS if self.has_icrc3 else _STANDARDS[:1])]

    def _balance_of(self, arg: bytes) -> bytes:
        (account,) = _decoded(self.id, arg, [types.ACCOUNT])
        subaccount = account["subaccount"]
        # In ICRC-1 the default subaccount and 32 zero bytes are the same.
        key = Account(account["owner"], subaccount if subaccount and any(subaccount) else None)
        return encode([NAT], [self.ledger.balances.get(key, 0)])

    def _get_blocks(self, arg: bytes) -> bytes:
        (ranges,) = _decoded(self.id, arg, [types.GET_BLOCKS_ARGUMENTS])
        length = len(self.ledger.blocks)
        archived, start = [], 0
        for archive in self.archives:
            inside = [one for one in (_clipped(asked, start, start + archive.holds) for asked in ranges) if one]
            if inside:
                callback = (principal_bytes(archive.id), "icrc3_get_blocks")
                archived.append({"args": inside, "callback": callback})
            start += archive.holds
        blocks = _blocks(self.ledger, ranges, self.first, length, self.page)
        told = {"log_length": length, "blocks": blocks, "archived_blocks": archived}
        return encode([types.GET_BLOCKS_RESULT], [told])

    def _get_archives(self, arg: bytes) -> bytes:
        _decoded(self.id, arg, [types.GET_ARCHIVES_ARGUMENTS])
        told, start = [], 0
        for archive in self.archives:
            end = start + archive.holds - 1
            told.append({"canister_id": principal_bytes(archive.id), "start": start, "end": end})
            start += archive.holds
        return encode([types.GET_ARCHIVES_RESULT], [told])

    def _tip(self) -> Tree:
        return {
            b"last_block_index": leb128.unsigned(len(self.ledger.blocks) - 1),
            b"last_block_hash": self.ledger.hashes[-1],
        }

    def _tip_certificate(self) -> dict[str, bytes] | None:
        if not self.ledger.blocks:
            return None
        certificate = self.certify([(b"canister", principal_bytes(self.id), b"certified_data")])
        if certificate is None:
            return None
        tree = cbor2.dumps(cbor2.CBORTag(55799, reveal(self._tip(), [()])))
        return {"certificate": certificate, "hash_tree": tree}


def _blocks(ledger: TokenLedger, ranges: Ranges, first: int, end: int, page: int) -> list[dict[str, Any]]:
    """Return the asked for blocks from ``first`` to before ``end``, as many as go on a page."""
    clipped = [one for one in (_clipped(asked, first, end) for asked in ranges) if one]
    numbers = [one["start"] + step for one in clipped for step in range(min(one["length"], page))]
    return [{"id": number, "block": ledger.blocks[number]} for number in numbers[:page]]


def _clipped(asked: Mapping[str, int], first: int, end: int) -> dict[str, int] | None:
    """Return the part of a range that lies from ``first`` to before ``end``."""
    start, stop = max(asked["start"], first), min(asked["start"] + asked["length"], end)
    return {"start": start, "length": stop - start} if start < stop else None


def _block_types() -> list[dict[str, str]]:
    return [{"block_type": kind, "url": _URL} for kind in ("1mint", "1burn", "1xfer", "2approve", "2xfer")]


def _decoded(canister_id: str, arg: bytes, expected: Sequence[Type]) -> list[Any]:
    try:
        return decode(arg, expected)
    except CandidError as error:
        raise trap(canister_id, f"failed to decode call arguments: Custom({error})") from None
