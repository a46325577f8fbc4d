"""What the service is told by its environment, refused as a whole when a part of it cannot be meant."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.orchestration.dagster_ui import LOCATION
from sync_pipelines.settings import Secret

GOOGLE_ISSUERS = ("https://accounts.google.com", "accounts.google.com")
GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs"
CYCLE_JOB, CYCLE_STEP = "marketplaces_cycle", "marketplaces__cycle"
"""The job of a cycle and its only step, as the pipeline has them; importing them from there would load Dagster."""
DEVELOPMENT = "development"
LEAST_SECRET = 16
"""Characters of a secret."""
MOST_LEEWAY = 60
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_T = TypeVar("_T")


class Policy(StrEnum):
    """What a call of the scheduler has to show."""

    OIDC = "oidc"
    OIDC_AND_SECRET = "oidc_and_secret"
    SECRET = "secret"

    @property
    def wants_token(self) -> bool:
        """Whether a token of Google's has to be shown."""
        return self is not Policy.SECRET

    @property
    def wants_secret(self) -> bool:
        """Whether the shared secret has to be shown."""
        return self is not Policy.OIDC


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable of the service, for the documentation."""

    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable("ENVIRONMENT", "production", "`development` allows `SKIP_SCHEDULER_AUTH`"),
    Variable("SCHEDULER_AUTH", "oidc_and_secret", "what a call must show: `oidc`, `oidc_and_secret` or `secret`"),
    Variable("SCHEDULER_AUDIENCE", "", "audience of the token: the endpoint's URL, exactly as in the scheduler"),
    Variable("SCHEDULER_SERVICE_ACCOUNTS", "", "e-mail addresses that tokens may be for, separated by commas"),
    Variable("SCHEDULER_SECRET", "", "what the header `x-scheduler-secret` must hold, 16 characters or more"),
    Variable("SCHEDULER_LEEWAY_SECONDS", "10", "how far the clocks may differ, 0 to 60"),
    Variable("SCHEDULER_KEYS_URL", GOOGLE_KEYS, "where the keys of the tokens' issuer are"),
    Variable("SKIP_SCHEDULER_AUTH", "false", "`true` lets every caller in; refused outside of development"),
    Variable("SYNC_ADMIN_TOKEN", "", "bearer token for all routes and organizations, beside `sync-pipelines tokens`"),
    Variable("SYNC_READ_TOKEN", "", "the same for the routes that change nothing"),
    Variable("SYNC_DAGSTER_URL", "http://127.0.0.1:3000", "the Dagster webserver, which starts the runs"),
    Variable("SYNC_DAGSTER_LOCATION", LOCATION, "code location of the job"),
    Variable("SYNC_CYCLE_GIVE_UP_SECONDS", "600", "how long a cycle waits for Dagster before it counts as failed"),
    Variable("SYNC_METRICS_OPEN", "false", "`true` shows `/metrics` without a token, to whoever reaches the service"),
    Variable("SYNC_SERVICE_MAX_BODY", "1048576", "bytes of a request's body that are read"),
)
"""Every variable of the service; its address is given on the command line."""


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """How a call of the scheduler is told from any other.

    Attributes:
        skip: let everybody in; only ever true in development.
        leeway: seconds.
    """

    policy: Policy
    audience: str
    accounts: frozenset[str]
    secret: Secret | None
    leeway: int = 10
    keys_url: str = GOOGLE_KEYS
    issuers: tuple[str, ...] = GOOGLE_ISSUERS
    skip: bool = False


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Everything that the service is told.

    Attributes:
        scheduler: ``None`` when nothing was set for it: the scheduler's route lets nobody in.
        give_up_seconds: how long the run of a cycle may fail to start.
        cycle_job, cycle_step: what is launched, and whose options say which connections are pulled.
        max_body: bytes.
        metrics_open: whether metrics are shown without a token.
        look_seconds: pause between two looks at what became of the runs.
    """

    scheduler: SchedulerSettings | None = None
    admin_token: Secret | None = None
    read_token: Secret | None = None
    dagster_url: str = "http://127.0.0.1:3000"
    dagster_location: str = LOCATION
    cycle_job: str = CYCLE_JOB
    cycle_step: str = CYCLE_STEP
    give_up_seconds: int = 600
    max_body: int = 1 << 20
    metrics_open: bool = False
    look_seconds: float = 1.0


def load_service_settings(environment: Mapping[str, str] = os.environ) -> ServiceSettings:
    """Read the settings.

    Raises:
        ConfigurationError: a variable is wrong, what the policy needs is missing, or the scheduler's authentication is
            to be skipped outside of development.
    """
    get = _Reader(environment)
    return ServiceSettings(
        scheduler=_scheduler(get),
        admin_token=get.secret("SYNC_ADMIN_TOKEN"),
        read_token=get.secret("SYNC_READ_TOKEN"),
        dagster_url=get.url("SYNC_DAGSTER_URL"),
        dagster_location=get.text("SYNC_DAGSTER_LOCATION"),
        give_up_seconds=get.number("SYNC_CYCLE_GIVE_UP_SECONDS", 1, 86_400),
        max_body=get.number("SYNC_SERVICE_MAX_BODY", 1, 1 << 30),
        metrics_open=get.choice("SYNC_METRICS_OPEN", {"true": True, "false": False}),
    )


def _scheduler(get: _Reader) -> SchedulerSettings | None:
    skip = get.choice("SKIP_SCHEDULER_AUTH", {"true": True, "false": False})
    if skip and get.text("ENVIRONMENT") != DEVELOPMENT:
        raise ConfigurationError(
            "SKIP_SCHEDULER_AUTH=true would let everybody start syncs. Unset it; it is only for "
            f"ENVIRONMENT={DEVELOPMENT} on a machine that nobody else reaches"
        )
    policy = get.choice("SCHEDULER_AUTH", {policy.value: policy for policy in Policy})
    audience = get.text("SCHEDULER_AUDIENCE")
    accounts = frozenset(part.strip() for part in get.text("SCHEDULER_SERVICE_ACCOUNTS").split(",") if part.strip())
    secret = get.secret("SCHEDULER_SECRET")
    given = bool(audience or accounts or secret or get.is_given("SCHEDULER_AUTH"))
    if not skip:
        if not given:
            return None
        needed = {
            "SCHEDULER_AUDIENCE": policy.wants_token and not audience,
            "SCHEDULER_SERVICE_ACCOUNTS": policy.wants_token and not accounts,
            "SCHEDULER_SECRET": policy.wants_secret and secret is None,
        }
        missing = [name for name, is_missing in needed.items() if is_missing]
        if missing:
            raise ConfigurationError(
                f"SCHEDULER_AUTH={policy} needs {' and '.join(missing)}; set what is missing or choose another policy"
            )
    return SchedulerSettings(
        policy=policy,
        audience=audience,
        accounts=accounts,
        secret=secret,
        leeway=get.number("SCHEDULER_LEEWAY_SECONDS", 0, MOST_LEEWAY),
        keys_url=get.url("SCHEDULER_KEYS_URL", is_encrypted=True),
        skip=skip,
    )


class _Reader:
    """Reads variables. One that is set but empty is as one that is not set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._defaults = {variable.name: variable.default for variable in VARIABLES}

    def is_given(self, name: str) -> bool:
        return bool(self._environment.get(name, "").strip())

    def text(self, name: str) -> str:
        return self._environment.get(name, "").strip() or self._defaults[name]

    def choice(self, name: str, known: Mapping[str, _T]) -> _T:
        value = self.text(name)
        if value not in known:
            raise ConfigurationError(f"{name}={value}: must be one of {', '.join(known)}")
        return known[value]

    def number(self, name: str, least: int, most: int) -> int:
        value = self.text(name)
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            raise ConfigurationError(f"{name}={value}: must be a whole number from {least} to {most}")
        return int(value)

    def secret(self, name: str) -> Secret | None:
        value = self.text(name)
        if not value:
            return None
        if len(value) < LEAST_SECRET:
            raise ConfigurationError(f"{name} is shorter than {LEAST_SECRET} characters; set a longer, random one")
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError(f"{name} holds characters that a header cannot; use letters and digits")
        return Secret(value)

    def url(self, name: str, *, is_encrypted: bool = False) -> str:
        value = self.text(name).rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{name}={value}: must be a URL as in https://host/path")
        if is_encrypted and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise ConfigurationError(f"{name}={value}: must begin with https://, or anybody on the way can sign tokens")
        return value
