"""The Vault client understands every recorded answer, and the real server still answers as it was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.sandbox.openbao import OpenBao
from sync_pipelines.systems.vault.documents import read_json, write_json
from sync_pipelines.systems.vault.errors import CasMismatch, DeletedVersion, Forbidden, Sealed, read_answer
from sync_pipelines_tests.contract.replay import Step, read_scenarios

RECORDINGS = sorted((Path(__file__).parent / "recordings" / "vault").glob("*.jsonl"))
REPLAYED = ("kv1.jsonl", "kv2.jsonl")
"""Recordings that need nothing but a mount and the root token."""

FINE = None
PERMANENT, GONE, TRANSIENT = FailureKind.PERMANENT, FailureKind.GONE, FailureKind.TRANSIENT
MEANING = {
    (200, "json"): FINE,
    (204, "empty"): FINE,
    (307, "html"): PERMANENT,
    (307, "empty"): PERMANENT,
    (400, "json"): PERMANENT,
    (403, "json"): PERMANENT,
    (405, "json"): PERMANENT,
    (413, "json"): PERMANENT,
    (415, "json"): PERMANENT,
    (503, "json"): TRANSIENT,
}
"""What each kind of recorded answer means. A kind that is not here fails the test: it has to be thought about.

404 has meanings of its own, and 429 is the transport's.
"""


def _stem(path: Path) -> str:
    return path.stem


def steps_of(path: Path) -> list[Step]:
    return [step for steps in read_scenarios(path).values() for step in steps]


def answer_of(step: Step) -> httpx.Response:
    body = step.response["body"]
    text = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
    return httpx.Response(step.response["status"], headers=step.response["headers"], content=text)


def is_write(step: Step) -> bool:
    return step.request["method"] not in ("GET", "LIST")


def refusal(answer: httpx.Response, *, write: bool) -> PeerError | None:
    try:
        read_answer("asked", answer, write=write, redactor=Redactor())
    except PeerError as error:
        return error
    return None


def expected_kind(step: Step) -> FailureKind | None:
    status, body = step.response["status"], step.response["body"]
    if status == 404:
        if body is None:
            # Only a patch is answered so, which the client never sends.
            return FailureKind.AMBIGUOUS
        return GONE if body.get("errors") == [] or (body.get("data") or {}).get("metadata") else PERMANENT
    if step.request["path"] == "/v1/sys/health" and status == 503:
        # It says how it is in a form of its own, and nobody here asks.
        return TRANSIENT
    kind = "empty" if body is None else "html" if isinstance(body, str) else "json"
    return MEANING[status, kind]


@pytest.mark.parametrize("path", RECORDINGS, ids=_stem)
def test_every_recorded_answer_has_its_meaning(path: Path) -> None:
    steps = [step for step in steps_of(path) if step.response["status"] != 429]
    assert steps
    for step in steps:
        error = refusal(answer_of(step), write=is_write(step))
        assert (error.kind if error else FINE) is expected_kind(step), f"{step.title}: {error}"
        body = json.dumps(step.response["body"])
        assert isinstance(error, CasMismatch) == ("did not match the current version" in body), step.title
        assert isinstance(error, Forbidden) == (step.response["status"] == 403), step.title
        assert isinstance(error, Sealed) == ("Vault is sealed" in body), step.title
        assert isinstance(error, DeletedVersion) == (step.response["status"] == 404 and '"metadata"' in body)
        assert error is None or 0 < len(error.message) < 500, step.title


def test_every_recorded_document_is_written_as_it_was_read() -> None:
    documents = [step.response["body"] for path in RECORDINGS for step in steps_of(path)]
    compared = [body for body in documents if isinstance(body, dict)]
    assert len(compared) > 50
    for body in compared:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        assert write_json(read_json(text)) == text


@pytest.mark.parametrize("name", REPLAYED)
def test_the_real_server_answers_as_recorded(name: str) -> None:
    [path] = [path for path in RECORDINGS if path.name == name]
    with OpenBao.in_memory() as server:
        server.admin.enable_kv("kv1", 1)
        for path_before in ("redis/sub/x", "top"):
            server.admin.write("kv1", path_before, {"v": 1}, 1)
        headers = {"X-Vault-Token": server.token}
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
            differing = [found for step in steps_of(path) for found in _differences(client, step)]
    assert differing == []


def _differences(client: httpx.Client, step: Step) -> list[str]:
    body = step.request["body"]
    headers = {"Content-Type": step.request["headers"].get("Content-Type", "application/json")}
    content = None if body is None else json.dumps(body).encode()
    path, query = step.request["path"], step.request["query"]
    answer = client.request(step.request["method"], path, params=query or None, headers=headers, content=content)
    if answer.status_code != step.response["status"]:
        return [f"{step.title}: status {answer.status_code}, recorded {step.response['status']}"]
    seen, recorded = read_json(answer.content) if answer.content else None, step.response["body"]
    found = [] if _shape(seen) == _shape(recorded) else [f"{step.title}: {seen}, recorded {recorded}"]
    if isinstance(recorded, dict) and recorded.get("errors") != (seen or {}).get("errors"):
        found.append(f"{step.title}: {seen}, recorded {recorded}")
    return found


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return "number" if isinstance(value, int | float) or hasattr(value, "as_tuple") else type(value).__name__
