"""The Dagster UI of the demo, asked over GraphQL: launches runs that go through the queue and the daemon."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from sync_pipelines.cli.wording import without_class
from sync_pipelines.core.errors import SyncError

ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
LOCATION = "sync_pipelines"
_REPOSITORY = "__repository__"

_LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries {
  name locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
_LAUNCH = """mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on PipelineNotFoundError { message } ... on InvalidSubsetError { message } ... on UnauthorizedError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
_RUNS = """query Runs($ids: [String]!) { runsOrError(filter: {runIds: $ids}) { ... on Runs { results {
  runId status startTime endTime } } } }"""
_FAILURES = """query Failures($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
  __typename ... on ExecutionStepFailureEvent { error { message errorChain { error { message } } } }
  ... on RunFailureEvent { message error { message errorChain { error { message } } } } } } } }"""


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands; ``seconds`` is how long it has run."""

    run_id: str
    status: str
    seconds: float


class DagsterUi:
    """A running Dagster webserver.

    Arguments:
        url: its base URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def answers(self) -> bool:
        """Whether the webserver is up."""
        try:
            return self._client.get("/server_info", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def loaded(self) -> bool:
        """Whether the project's definitions are loaded.

        Raises:
            SyncError: they cannot be.
        """
        workspace = self._ask(_LOCATIONS, {})["workspaceOrError"]
        entries = {entry["name"]: entry["locationOrLoadError"] for entry in workspace.get("locationEntries", [])}
        entry = entries.get(LOCATION)
        if entry and entry["__typename"] == "PythonError":
            raise SyncError(f"Dagster cannot load the definitions: {entry['message'].strip()}")
        return entry is not None

    def launch(self, job: str, partition: str | None, tags: Mapping[str, str]) -> str:
        """Launch one partition of a job through the queue and return the run's id.

        Arguments:
            partition: ``None`` where the tags name a range of them.

        Raises:
            SyncError: Dagster refuses.
        """
        all_tags = {**({"dagster/partition": partition} if partition else {}), **tags}
        params = {
            "selector": {"repositoryLocationName": LOCATION, "repositoryName": _REPOSITORY, "jobName": job},
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in all_tags.items()]},
        }
        answer = self._ask(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            details = [error["message"] for error in answer.get("errors", [])] or [answer.get("message", "")]
            raise SyncError(f"Dagster does not launch {job}: {answer['__typename']} {'; '.join(details)}")
        run_id: str = answer["run"]["runId"]
        return run_id

    def runs(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        """Return where runs stand, by id."""
        rows = self._ask(_RUNS, {"ids": list(run_ids)})["runsOrError"]["results"]
        return {row["runId"]: RunState(row["runId"], row["status"], _seconds(row)) for row in rows}

    def reason(self, run_id: str) -> str:
        """Return why a run failed, in the words of the innermost error."""
        events = self._ask(_FAILURES, {"id": run_id})["logsForRun"].get("events", [])
        for event in events:
            error = event.get("error")
            if error:
                chain = [link["error"]["message"] for link in error.get("errorChain") or []]
                return without_class([error["message"], *chain][-1])
        return f"see {self.url}/runs/{run_id}"

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self._client.post("/graphql", json={"query": query, "variables": variables}).json()
        except (httpx.HTTPError, ValueError) as error:
            raise SyncError(f"the Dagster UI at {self.url} does not answer: {type(error).__name__} {error}") from None
        if answer.get("errors"):
            raise SyncError(f"the Dagster UI refuses a query: {answer['errors'][0]['message']}")
        data: dict[str, Any] = answer["data"]
        return data


def _seconds(row: Mapping[str, Any]) -> float:
    if row["startTime"] is None:
        return 0.0
    return float((row["endTime"] or time.time()) - row["startTime"])
