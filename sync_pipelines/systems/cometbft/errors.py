"""What a node's refusals mean.

A node answers a failing GET with HTTP 500 and a failing POST with HTTP 200; in both the useful text is the ``data`` of
the JSON-RPC error, and only the text tells a pruned height from a wrong parameter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor

PEER = "chain"

LONGEST_TEXT = 300
"""Characters of a node's own text in an error."""

_PRUNED = re.compile(r"height \d+ is not available, lowest height is (\d+)")
_NOT_YET = re.compile(r"must be less than or equal to the current blockchain height (\d+)")
_LOST_RESULTS = re.compile(r"could not find results for height #(\d+)")
_PASSING = ("max_subscription_clients", "subscription was canceled", "timed out")
_MENDS = {
    "transaction indexing is disabled": "set tx_index to kv on the node, or read events by block_results",
    "node is not persisting": "set discard_abci_responses to false on the node, or read events by tx_search",
    "Method not found": "is the URL that of a CometBFT RPC (port 26657)?",
}


class HeightPruned(PeerError):
    """The node has forgotten a height. Read the present state instead.

    Attributes:
        lowest: lowest height that the node still has; ``None`` when it does not say.
    """

    def __init__(self, message: str, *, lowest: int | None = None, operation: str | None = None) -> None:
        self.lowest = lowest
        super().__init__(PEER, FailureKind.GONE, message, operation=operation)


def failure(kind: FailureKind, message: str, *, operation: str | None = None, status: int | None = None) -> PeerError:
    """Return an error of this peer."""
    return PeerError(PEER, kind, message, operation=operation, status=status)


def result_of(response: httpx.Response, operation: str, *, call_id: int, redactor: Redactor) -> Any:
    """Return the ``result`` of a JSON-RPC answer, whatever its HTTP status.

    Arguments:
        operation: what errors call the request.
        call_id: id of the call.
        redactor: masks the key of a hosted node, which an error may repeat.

    Raises:
        HeightPruned: the height asked for is gone.
        PeerError: any other JSON-RPC error; an answer that is no JSON-RPC (a proxy's page, half an answer), or one to
            another call.
    """
    status = response.status_code
    if status in (401, 403):
        text = "the gateway before the node refuses us; check the key in the address of the node"
        raise failure(FailureKind.AUTH, text, operation=operation, status=status)
    if status == 404:
        text = "no such path; is the URL that of a CometBFT RPC (port 26657)?"
        raise failure(FailureKind.PERMANENT, text, operation=operation, status=status)
    try:
        answer = json.loads(response.content)
    except ValueError:
        kind = response.headers.get("Content-Type", "no content type")
        text = f"the answer is not JSON but {len(response.content)} bytes of {kind}"
        raise failure(FailureKind.TRANSIENT, text, operation=operation, status=status) from None
    if isinstance(answer, dict) and answer.get("id") not in (call_id, None):
        text = f"the answer is to call {answer['id']!r:.20}, not to {call_id}; a proxy mixes up answers"
        raise failure(FailureKind.TRANSIENT, redactor.text(text), operation=operation, status=status)
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise classify_rpc_error(answer["error"], operation, status, redactor)
    if status >= 500:
        raise failure(FailureKind.TRANSIENT, "the node is out of order", operation=operation, status=status)
    if status >= 400 or not isinstance(answer, dict) or "result" not in answer:
        raise failure(FailureKind.PERMANENT, "the answer is no JSON-RPC result", operation=operation, status=status)
    return answer["result"]


def classify_rpc_error(
    error: Mapping[str, Any], operation: str, status: int | None = None, redactor: Redactor | None = None
) -> PeerError:
    """Return what a JSON-RPC error object means.

    Arguments:
        error: ``{code, message, data}``.
        operation: method and its main argument, for the message.
        status: HTTP status it came with.
        redactor: masks secrets in its text.
    """
    told = str(error.get("data") or error.get("message") or "error without a text")
    # Masked before it is cut: half a secret would not be recognised.
    text = (redactor or Redactor()).text(told)[:LONGEST_TEXT]
    if pruned := _PRUNED.search(text):
        return HeightPruned(text, lowest=int(pruned[1]), operation=operation)
    if _LOST_RESULTS.search(text):
        return HeightPruned(text, operation=operation)
    if _NOT_YET.search(text) or any(part in text for part in _PASSING):
        return failure(FailureKind.TRANSIENT, text, operation=operation, status=status)
    mend = next((mend for part, mend in _MENDS.items() if part in text), None)
    return failure(FailureKind.PERMANENT, f"{text}: {mend}" if mend else text, operation=operation, status=status)
