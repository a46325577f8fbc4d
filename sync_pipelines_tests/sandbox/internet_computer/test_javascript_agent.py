"""The official JavaScript agent accepts the stand-in's answers, with the signature of each verified.

It comes from npm: ``npm install --prefix .npm @icp-sdk/core`` in the project's folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, LedgerWorld, TokenLedger
from sync_pipelines.sandbox.internet_computer.threshold_key import can_sign
from sync_pipelines_tests.ledgers import small_world

PACKAGE = "@icp-sdk/core"
SCRIPT = Path(__file__).with_name("agent.cjs")
PREPARED = Path(__file__).resolve().parents[3] / ".npm" / "node_modules"


@cache
def _missing() -> str | None:
    """Return what is missing for these tests, ``None`` when nothing is."""
    if shutil.which("node") is None:
        return "needs node with the npm package @icp-sdk/core"
    if not can_sign():
        return "certificates need the package py_ecc"
    look = f"require.resolve('{PACKAGE}/agent')"
    found = subprocess.run(["node", "-e", look], env=_environment(), capture_output=True, timeout=60, check=False)
    return None if found.returncode == 0 else f"needs the npm package: npm install --prefix .npm {PACKAGE}"


def _environment() -> dict[str, str]:
    folders = [str(PREPARED), os.environ.get("NODE_PATH", "")]
    return {**os.environ, "NODE_PATH": os.pathsep.join(filter(None, folders))}


def _asked(standin: InternetComputerStandIn) -> dict[str, Any]:
    assert standin.token is not None
    assert standin.archive is not None
    with standin.running() as url:
        ids = [standin.world.canister_id, standin.token.id, standin.archive.id]
        told = subprocess.run(
            ["node", str(SCRIPT), url, *ids],
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert told.returncode == 0, told.stderr
    answers: dict[str, Any] = json.loads(told.stdout)
    return answers


def _standin(world: LedgerWorld, *, delegated: bool) -> InternetComputerStandIn:
    return InternetComputerStandIn(world, delegated=delegated).with_token(TokenLedger.grown(8), archived=3)


@pytest.mark.parametrize(
    "delegated",
    [pytest.param(True, id="delegated subnet"), pytest.param(False, id="root subnet", marks=pytest.mark.long)],
)
def test_given_verification_of_every_reply_when_the_agent_asks_then_it_accepts_and_understands(
    delegated: bool,
) -> None:
    if (missing := _missing()) is not None:
        pytest.skip(missing)
    standin = _standin(small_world(), delegated=delegated)
    told = _asked(standin)

    chain = standin.world.chain
    cursor, data = told["fetched"]["Ok"]
    size = chain.end - chain.data_start
    assert cursor == f"position={chain.data_start}&response_bytes={size}&direction=forward&more=false"
    assert bytes.fromhex(data) == chain.read(chain.data_start, size)
    assert told["refused"] == {"Err": "Provided position start is after the end of the ledger"}
    assert dict(told["metadata"])["ledger:num_blocks"] == {"Nat": "40"}
    assert told["pending"]["total_count"] == 6
    assert told["pending"]["entries"][5] == {"label": "FutureLabel", "key": "70", "value": "0001"}
    assert "IC0536" in told["rejected"]
    assert standin.token is not None
    assert standin.archive is not None
    assert [one["id"] for one in told["token"]["blocks"]] == ["3", "4"]
    (pointer,) = told["token"]["archived_blocks"]
    assert pointer["callback"] == [{"__principal__": standin.archive.id}, "icrc3_get_blocks"]
    assert [one["id"] for one in told["archive"]["blocks"]] == ["0", "1", "2"]
    read_states = {entry.path.split("/")[3] for entry in standin.replica.requests if "read_state" in entry.path}
    assert read_states <= {"canister", "subnet"}
    assert read_states, "the agent has to look for the nodes' keys, else it verified nothing"


def test_given_a_reply_that_another_key_signed_when_the_agent_asks_then_it_does_not_accept_it() -> None:
    if (missing := _missing()) is not None:
        pytest.skip(missing)
    standin = _standin(LedgerWorld.grown(1), delegated=False)
    honest = standin.replica.subnet.signature

    def forged(answer: Any, now_ns: int, *, behind: bool) -> dict[str, Any]:
        return {**honest(answer, now_ns, behind=behind), "signature": bytes(64)}

    standin.replica.subnet.signature = forged  # type: ignore[method-assign] # the one thing that no switch offers
    with pytest.raises(AssertionError, match=r"(?i)signature"):
        _asked(standin)
