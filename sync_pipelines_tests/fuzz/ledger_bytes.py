"""Feeds the ledger's decoders with bytes that atheris makes up, guided by what they execute.

Run ``python -m sync_pipelines_tests.fuzz.ledger_bytes [TARGET] [-runs=N | -max_total_time=SECONDS]``. Every input has
to end in a value or in the decoder's own error, within seconds and little memory. Anything else is a crash; atheris
leaves its input in the current folder. It comes with the development packages where it has wheels, which is Linux on
x86-64; where it is not installed, the script says so and stops.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress

PIECE = 100
LIMITS = ("-timeout=20", "-rss_limit_mb=1024")
"""Seconds for one input, and MiB for the process. What is given later on the command line wins."""


def cut(data: bytes) -> None:
    """Cut bytes into blocks."""
    blocks = importlib.import_module("sync_pipelines.pipelines.ledger.blocks")
    cutter = blocks.BlockCutter(0x800000, b"", None)
    with suppress(blocks.BlockError):
        for start in range(0, len(data), PIECE):
            list(cutter.feed(data[start : start + PIECE]))


def cut_content(data: bytes) -> None:
    """Cut a block whose header and stream are right, so that the fuzzing goes on behind them."""
    body = zlib.compress(data, 0)
    cut((1).to_bytes(4, "little") + bytes(4) + (16 + len(body)).to_bytes(4, "little") + bytes(4) + body)


def decode_payload(data: bytes) -> None:
    """Decode a payload; the first byte picks the label."""
    payloads = importlib.import_module("sync_pipelines.pipelines.ledger.payloads")
    labels = [label.value for label in payloads.Label]
    with suppress(payloads.PayloadError):
        payloads.decode_payload(labels[data[0] % len(labels)] if data else "", data[1:])


def decode_profile(data: bytes) -> None:
    """Decode a profile."""
    profile = importlib.import_module("sync_pipelines.pipelines.ledger.profile")
    borsh = importlib.import_module("sync_pipelines.pipelines.ledger.borsh")
    with suppress(borsh.PayloadError):
        profile.decode_profile(data)


def read_offerings(data: bytes) -> None:
    """Read offerings."""
    offering_csv = importlib.import_module("sync_pipelines.pipelines.ledger.offering_csv")
    with suppress(offering_csv.CsvNotUtf8):
        offering_csv.read_offerings(data)


def read_cbor(data: bytes) -> None:
    """Read CBOR, and what a tree in a certificate shows."""
    cbor = importlib.import_module(f"{CLIENT}.cbor")
    hash_tree = importlib.import_module(f"{CLIENT}.hash_tree")
    with suppress(cbor.CborError, hash_tree.HashTreeError):
        tree = cbor.decode(data)
        hash_tree.lookup(tree, (b"subnet", b"x"))
        hash_tree.root_hash(tree)


def read_answer(data: bytes) -> None:
    """Read the answer of a replica."""
    errors, httpx = importlib.import_module(f"{CLIENT}.errors"), importlib.import_module("httpx")
    core, redaction = (importlib.import_module(f"sync_pipelines.core.{name}") for name in ("errors", "redaction"))
    answer = httpx.Response(200, content=data, headers={"Content-Type": "application/cbor"})
    with suppress(core.PeerError):
        found = errors.read_answer("x", answer, redactor=redaction.Redactor(), now=0.0)
        raise errors.rejection("x", found, redaction.Redactor())


def read_candid(data: bytes) -> None:
    """Decode Candid as all types that replies have, and as none."""
    candid = importlib.import_module(f"{CLIENT}.candid")
    icrc3, ledger = (importlib.import_module(f"{CLIENT}.{name}") for name in ("icrc3", "ledger_canister"))
    replies = (icrc3._BLOCKS, icrc3._TIP, icrc3._BLOCK_TYPES, ledger._METADATA, ledger._FETCHED, ledger._PENDING)
    for types in ((), *((reply,) for reply in replies)):
        for message in (data, b"DIDL" + data):
            with suppress(candid.CandidError):
                candid.decode(message, types)


def read_token_block(data: bytes) -> None:
    """Read a stored block of a token: its value, its hash and what it moves."""
    payloads = importlib.import_module(f"{PIPELINE}.payloads.token_log")
    token_blocks = importlib.import_module(f"{PIPELINE}.token_blocks")
    with suppress(token_blocks.PayloadError):
        payloads.decode_token_block(token_blocks.encoded(("Nat", 1))[:-2] + data)
    token_blocks.hash_of_stored(b"", data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "blocks": cut,
    "content": cut_content,
    "payloads": decode_payload,
    "profile": decode_profile,
    "offerings": read_offerings,
    "cbor": read_cbor,
    "answer": read_answer,
    "candid": read_candid,
    "token-block": read_token_block,
}
PIPELINE, CLIENT = "sync_pipelines.pipelines.ledger", "sync_pipelines.systems.internet_computer"
MODULES = (
    *(f"{CLIENT}.{name}" for name in ("cbor", "candid", "errors", "hash_tree", "icrc3", "ledger_canister")),
    *(f"{PIPELINE}.{name}" for name in ("blocks", "borsh", "offering_csv", "payloads", "profile", "token_blocks")),
)


def every_target(data: bytes) -> None:
    """Give the same bytes to all decoders."""
    for target in TARGETS.values():
        target(data)


def main(arguments: list[str]) -> int:
    """Fuzz until atheris is told to end."""
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: nothing is fuzzed (pip install atheris, on Linux)")
        return 0
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=[PIPELINE, CLIENT]):
        for module in MODULES:
            importlib.import_module(module)
    named = arguments[1:] and arguments[1] in TARGETS
    target = TARGETS[arguments.pop(1)] if named else every_target
    atheris.Setup([arguments[0], *LIMITS, *arguments[1:]], target)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
