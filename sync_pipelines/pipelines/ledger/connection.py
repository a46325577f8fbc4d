"""A connection of the ledger pipeline: one canister whose ledger is replicated into tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sync_pipelines.orchestration.intervals import is_even
from sync_pipelines.pipelines.connection_fields import HttpUrl, Limits, Whole, different_limits
from sync_pipelines.pipelines.ledger.importing import BATCH_SIZE
from sync_pipelines.settings import NamedConnection
from sync_pipelines.systems.internet_computer.principal import principal_bytes

NAME = "ledger"
ENVIRONMENT = {
    "canister_id": "CANISTER_ID",
    "environment": "ENVIRONMENT",
    "poll_seconds": "FLUSH_INTERVAL_SECONDS",
    "max_retries": "MAX_RETRY_ATTEMPTS",
}
"""The guide's variables: each is the default of a field that a connection leaves out."""
URLS = {"production": "https://icp-api.io", "development": "http://localhost:4943"}
"""Where the network of an environment is reached."""
FIRST_DAY = date(2023, 12, 31)
"""UTC day of the ledger's constant time of its first block, 1704063600 s."""


class LedgerConnection(NamedConnection):
    """One canister's ledger.

    Attributes:
        canister_id: text of the canister's principal.
        environment: which network: ``production`` is the Internet Computer, ``development`` a replica on this machine.
        url: of a gateway or replica; by default that of the environment.
        source: ``decent_cloud``: the ledger of the Decent Cloud, read by ``data_fetch``; ``icrc3``: a token ledger that
            follows ICRC-3.
        batch_size: entries that are stored in one transaction, at least.
        poll_seconds: how often the ledger's tip is looked at.
        interval: seconds between imports that are started whatever the tip says; 0 for none.
        max_retries: how often a question that failed for a passing reason is asked again, after the retries of a
            single request.
        live: keep the block that is not committed yet in a table of its own.
        verify_queries: have every answer proved by the signature of a node of the canister's subnet.
        verify_certificates: have the last block proved by the subnet's certificate; only for ``icrc3``, and includes
            ``verify_queries``.
        first_day: first daily partition of what is derived, UTC.
        timeout_seconds: how long each step of a request may take.
    """

    variables: ClassVar[Mapping[str, str]] = ENVIRONMENT
    enabled: bool = True
    canister_id: str
    environment: Literal["production", "development"] = "production"
    url: HttpUrl | None = None
    source: Literal["decent_cloud", "icrc3"] = "decent_cloud"
    batch_size: Whole = Field(default=BATCH_SIZE, ge=1, le=1_000_000)
    poll_seconds: Whole = Field(default=30, ge=1, le=86_400)
    interval: Whole = Field(default=600, ge=0)
    max_retries: Whole = Field(default=3, ge=0, le=100)
    live: bool = False
    verify_queries: bool = False
    verify_certificates: bool = False
    first_day: date = FIRST_DAY
    timeout_seconds: float = Field(default=30, gt=0)
    limits: Limits = Limits()

    @model_validator(mode="before")
    @classmethod
    def _environment(cls, values: Any, info: ValidationInfo) -> Any:
        if not isinstance(values, dict):
            raise ValueError("a connection is a mapping that starts with 'name:'")
        environment: Mapping[str, str] = (info.context or {}).get("environment", {})
        given = {field: environment[variable] for field, variable in ENVIRONMENT.items() if environment.get(variable)}
        return {**given, **values}

    @field_validator("canister_id")
    @classmethod
    def _is_a_principal(cls, value: str) -> str:
        text = value.strip()
        principal_bytes(text)
        return text

    @field_validator("interval")
    @classmethod
    def _is_an_interval_of_cron(cls, value: int) -> int:
        if value and not is_even(value):
            raise ValueError(
                "must be minutes that divide an hour or hours that divide a day, in seconds; or 0 for none"
            )
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.verify_certificates and self.source != "icrc3":
            raise ValueError(
                "verify_certificates needs source: icrc3; the ledger of the Decent Cloud has no certificate of its "
                "last block, its chain of hashes is checked in any case"
            )
        if self.live and self.source == "icrc3":
            raise ValueError("live needs source: decent_cloud; a token's log has no block in the making")
        return self

    @property
    def address(self) -> str:
        """Base URL of the gateway or replica."""
        return self.url or URLS[self.environment]

    @property
    def slug(self) -> str:
        """The name as Dagster takes it for jobs and sensors."""
        return self.name.replace("-", "_")

    @classmethod
    def clash(cls, connections: Sequence[Self]) -> str | None:
        """Refuse what would store one ledger twice, names that Dagster cannot tell apart, and different limits for one
        server.
        """
        enabled = [connection for connection in connections if connection.enabled]
        return (
            _twice(enabled, "name the same canister", lambda one: f"{one.canister_id} at {one.address}")
            or _twice(enabled, "are the same name in Dagster", lambda one: one.slug)
            or different_limits((one.name, NAME, one.address, one.limits) for one in enabled)
        )


def _twice(connections: Sequence[LedgerConnection], what: str, told: Callable[[LedgerConnection], str]) -> str | None:
    first: dict[str, str] = {}
    for connection in connections:
        known = first.setdefault(told(connection), connection.name)
        if known != connection.name:
            return f"{known} and {connection.name} {what} ({told(connection)}); keep one of them or rename it"
    return None
