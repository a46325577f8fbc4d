"""A running Dagster webserver, asked over GraphQL: launches runs that go through the queue and the daemon."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from sync_pipelines.core.errors import SyncError

ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
LOCATION = "sync_pipelines"
_REPOSITORY = "__repository__"

# "package.module.SomeError: ..." as tracebacks and Dagster print it.
_CLASS = re.compile(r"^(?:[A-Za-z_]\w*\.)+[A-Z]\w*: ")

_LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries {
  name locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
_LAUNCH = """mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on PipelineNotFoundError { message } ... on InvalidSubsetError { message } ... on UnauthorizedError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
_RUNS = """query Runs($filter: RunsFilter!, $limit: Int) { runsOrError(filter: $filter, limit: $limit) {
  __typename ... on PythonError { message }
  ... on Runs { results { runId status startTime endTime tags { key value } } } } }"""
_FAILURES = """query Failures($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
  __typename ... on ExecutionStepFailureEvent { error { message errorChain { error { message } } } }
  ... on RunFailureEvent { message error { message errorChain { error { message } } } } } } } }"""


class LaunchRefused(SyncError):
    """Dagster does not launch a run, and would not if it were asked again."""


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands; ``seconds`` is how long it has run."""

    run_id: str
    status: str
    seconds: float
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will become of it."""
        return self.status in ENDED


class DagsterUi:
    """A running Dagster webserver.

    Arguments:
        url: its base URL.
        location: name of the code location that jobs are looked for in.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, url: str, *, location: str = LOCATION, timeout: float = 60) -> None:
        self.url = url
        self._location = location
        # A context for TLS takes longer to make than many an answer.
        self._client = httpx.Client(base_url=url, timeout=timeout, trust_env=False, verify=url.startswith("https:"))

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
        entry = entries.get(self._location)
        if entry and entry["__typename"] == "PythonError":
            raise SyncError(f"Dagster cannot load the definitions: {entry['message'].strip()}")
        return entry is not None

    def launch(
        self, job: str, partition: str | None, tags: Mapping[str, str], config: Mapping[str, Any] | None = None
    ) -> str:
        """Launch a job, or one partition of it, through the queue and return the run's id.

        Arguments:
            partition: ``None`` where the job has none, or the tags name a range of them.
            config: run config.

        Raises:
            LaunchRefused: Dagster refuses.
            SyncError: it does not answer. The run may have been launched all the same.
        """
        all_tags = {**({} if partition is None else {"dagster/partition": partition}), **tags}
        params = {
            "selector": {"repositoryLocationName": self._location, "repositoryName": _REPOSITORY, "jobName": job},
            "runConfigData": config or {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in all_tags.items()]},
        }
        answer = self._ask(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            details = [error["message"] for error in answer.get("errors", [])] or [answer.get("message", "")]
            raise LaunchRefused(f"Dagster does not launch {job}: {answer['__typename']} {'; '.join(details)}")
        run_id: str = answer["run"]["runId"]
        return run_id

    def runs(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        """Return where runs stand, by id."""
        return {run.run_id: run for run in self._runs({"runIds": list(run_ids)}, None)}

    def runs_of(self, job: str, limit: int) -> list[RunState]:
        """Return the runs of a job that were made last, newest first."""
        return self._runs({"pipelineName": job}, limit)

    def tagged(self, key: str, value: str) -> list[RunState]:
        """Return the runs that carry a tag, newest first."""
        return self._runs({"tags": [{"key": key, "value": value}]}, None)

    def _runs(self, filters: Mapping[str, Any], limit: int | None) -> list[RunState]:
        answer = self._ask(_RUNS, {"filter": filters, "limit": limit})["runsOrError"]
        if answer["__typename"] != "Runs":
            raise SyncError(f"Dagster does not list runs: {answer.get('message') or answer['__typename']}")
        return [
            RunState(
                row["runId"],
                row["status"],
                _seconds(row),
                _moment(row["startTime"]),
                _moment(row["endTime"]),
                {tag["key"]: tag["value"] for tag in row["tags"]},
            )
            for row in answer["results"]
        ]

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


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def without_class(message: str) -> str:
    """Return an error's message without the dotted name of its class in front."""
    return _CLASS.sub("", message.strip(), count=1).strip()
