"""A connection of the deployments pipeline: one BOSH Director, and the Vault that keeps its service instances."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    InstanceOf,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sync_pipelines.core.errors import PeerError, SyncError
from sync_pipelines.core.retry import RetryPolicy
from sync_pipelines.pipelines.connection_fields import Guard, HttpUrl, Limits, Whole, different_limits, path_of
from sync_pipelines.pipelines.deployments.catalog import load_catalog
from sync_pipelines.pipelines.deployments.matcher import THRESHOLD
from sync_pipelines.pipelines.deployments.reconciler_settings import (
    CONNECTION,
    ReconcilerOptions,
    load_reconciler_options,
)
from sync_pipelines.pipelines.deployments.rules import MatchingRule
from sync_pipelines.settings import NamedConnection, OptionalSecretReference, Secret, SecretReference, Strict
from sync_pipelines.systems.bosh import ClientLogin, UserLogin
from sync_pipelines.systems.private_ca import trusting
from sync_pipelines.systems.vault.paths import secret_path
from sync_pipelines.systems.vault.session import AppRole, Credentials, StaticToken

LEAST_INTERVAL = timedelta(minutes=1)
"""A schedule looks once a minute whether a run is due."""


def _ca(value: str, info: ValidationInfo) -> str:
    ca = value if "-----BEGIN" in value else str(path_of(value, info))
    try:
        trusting(ca)
    except SyncError as error:
        raise ValueError(str(error)) from None
    return ca


def _vault_path(value: str) -> str:
    path = value.strip("/")
    try:
        secret_path(path)
    except PeerError as error:
        raise ValueError(error.message) from None
    return path


def _header(value: Secret | None) -> Secret | None:
    # The HTTP library would quote a token that it cannot send in its error.
    if isinstance(value, Secret) and not all("!" <= character <= "~" for character in value.reveal()):
        raise ValueError("has blanks, line breaks or letters that no token has; check where it comes from")
    return value


def _options(block: object, info: ValidationInfo) -> ReconcilerOptions:
    if isinstance(block, ReconcilerOptions):
        return block
    # The file may have been refused itself; that is told already.
    path = info.data.get("blacksmith_conf")
    environment = (info.context or {}).get("environment", os.environ)
    try:
        options = load_reconciler_options(path, environment, block)
    except SyncError as error:
        raise ValueError(str(error)) from None
    if own := [place for place in options.unknown if place.startswith(f"{CONNECTION}:")]:
        raise ValueError(f"{own[0]}: unknown option; remove it or correct its spelling")
    if timedelta() < options.interval < LEAST_INTERVAL:
        raise ValueError(f"{options.sources['interval']}: must be at least 1m, or 0 for no schedule")
    return options


CaFile = Annotated[str, AfterValidator(_ca)]
VaultPath = Annotated[str, AfterValidator(_vault_path)]
Token = Annotated[SecretReference, AfterValidator(_header)]
OptionalToken = Annotated[OptionalSecretReference, AfterValidator(_header)]


class Director(Strict):
    """The Director, and how to log in.

    Attributes:
        url: e.g. ``https://10.0.0.6:25555``.
        user, password: of a basic login, or of a person at the UAA.
        client, client_secret: of a UAA client; beside a user, the client that the user logs in through.
        auth: what the Director wants; ``auto`` asks it.
        uaa_url: address of the UAA, when the one that the Director tells cannot be reached from here.
        ca_cert: PEM file of the authority that signed its certificate; none for the public ones.
        timeout_seconds: how long each step of a request may take.
        process_state: ask the agents of all VMs for the state of processes, too. That makes each deployment a task of
            the Director that competes with deploys.
    """

    url: HttpUrl
    user: str | None = None
    password: OptionalSecretReference = None
    client: str | None = None
    client_secret: OptionalSecretReference = None
    auth: Literal["auto", "basic", "uaa"] = "auto"
    uaa_url: HttpUrl | None = None
    ca_cert: CaFile | None = None
    timeout_seconds: float = Field(default=30, gt=0)
    limits: Limits = Limits()
    process_state: bool = False

    @model_validator(mode="after")
    def _has_a_login(self) -> Self:
        if self.user is None and self.client is None:
            raise ValueError("has no login; give user and password, or client and client_secret")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together; one of them is missing")
        if self.user is None and self.client_secret is None:
            raise ValueError("client_secret is missing; add it")
        if self.client is None and self.client_secret is not None:
            raise ValueError("client_secret is there without its client; add the client")
        if self.auth == "basic" and self.uaa_url is not None:
            raise ValueError("uaa_url is of no use with auth: basic; remove one of the two")
        return self

    @property
    def login(self) -> ClientLogin | UserLogin:
        """What to log in with."""
        secret = "" if self.client_secret is None else self.client_secret.reveal()
        if self.user is None:
            return ClientLogin(self.client or "", secret)
        return UserLogin(self.user, self.password.reveal(), *((self.client, secret) if self.client else ()))


class Vault(Strict):
    """The Vault or OpenBao server, and where instances lie in it.

    Attributes:
        url: e.g. ``https://vault.example:8200``; a trailing ``/v1`` is accepted.
        mount: of the KV engine.
        kv_version: of the mount; ``auto`` asks the server.
        token: a token, or
        role_id, secret_id: an AppRole, enabled at ``approle_mount``.
        index: path of the index below the mount.
    """

    url: HttpUrl
    mount: VaultPath = "secret"
    kv_version: Literal["auto", 1, 2] = "auto"
    token: OptionalToken = None
    role_id: OptionalSecretReference = None
    secret_id: OptionalSecretReference = None
    approle_mount: VaultPath = "approle"
    namespace: str | None = Field(default=None, pattern=r"^[\x21-\x7e]+$")
    ca_cert: CaFile | None = None
    index: VaultPath = "db"
    timeout_seconds: float = Field(default=30, gt=0)
    limits: Limits = Limits()

    @field_validator("url")
    @classmethod
    def _without_version(cls, value: str) -> str:
        return value.removesuffix("/v1")

    @model_validator(mode="after")
    def _has_a_login(self) -> Self:
        if (self.role_id is None) != (self.secret_id is None):
            raise ValueError("role_id and secret_id belong together; one of them is missing")
        if (self.token is None) == (self.role_id is None):
            raise ValueError("needs one login: either token, or role_id and secret_id")
        return self

    @property
    def credentials(self) -> Credentials:
        """What to log in with."""
        if self.token is not None:
            return StaticToken(self.token.reveal())
        return AppRole(self.role_id.reveal(), self.secret_id.reveal(), self.approle_mount)

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where the index is; equal for connections that share it."""
        return self.url, self.namespace or "", self.mount, self.index


class Broker(Strict):
    """A service broker whose ``/v2/catalog`` tells the services and plans.

    Attributes:
        api_version: of the Open Service Broker API; brokers refuse requests that name none.
    """

    url: HttpUrl
    username: str
    password: SecretReference
    api_version: str = Field(default="2.16", pattern=r"^2\.\d{1,3}$")
    ca_cert: CaFile | None = None
    timeout_seconds: float = Field(default=30, gt=0)
    limits: Limits = Limits()


def _kind(value: object) -> str:
    return "file" if isinstance(value, Path) else "broker"


Catalogs = Annotated[
    Annotated[InstanceOf[Path], Tag("file")] | Annotated[Broker, Tag("broker")],
    Discriminator(_kind, custom_error_type="catalog", custom_error_message="must be a path, or a broker"),
]


class Matching(Strict):
    """What decides which deployments are instances.

    Attributes:
        threshold: least confidence that is written; what is below waits for a person.
        rules: tried before the built-in strategies, in this order.
    """

    threshold: Decimal = Field(default=THRESHOLD, ge=0, le=1)
    rules: tuple[MatchingRule, ...] = ()


class Orphans(Strict):
    """What becomes of instances whose deployment is gone.

    Attributes:
        stale_after_days: an orphan is marked as stale after this time.
        remove: take orphans out of the index, and their metadata and manifest, after ``remove_after_days``. That waits
            for an approval. Credentials, bindings and backups stay.
    """

    stale_after_days: Whole = Field(default=30, ge=1)
    remove: bool = False
    remove_after_days: Whole = Field(default=90, ge=1)

    @model_validator(mode="after")
    def _stale_comes_first(self) -> Self:
        if self.remove and self.remove_after_days < self.stale_after_days:
            raise ValueError("remove_after_days must not be less than stale_after_days: an orphan is stale first")
        return self


class DeploymentsConnection(NamedConnection):
    """One Director's service instances. Its name is the partition, and what entries in Vault name as their director.

    Attributes:
        catalog: path of a catalog file, or the broker to ask.
        manifest_max_bytes: longer manifests are not read; the instance is reported.
        blacksmith_conf: a ``blacksmith.conf`` whose block ``reconciler:`` holds options.
        reconciler: options in the connection itself. Each option is taken from the first that has it: environment,
            ``blacksmith_conf``, this block, default.
        in_flight: instances written at the same time. Changes of the index that wait go together in one write, so many
            cost little.
        others_on_same_vault: names of other Directors' connections with the same index: their entries are left to
            them. Those of the same file are added by themselves.
    """

    director: Director
    vault: Vault
    catalog: Catalogs
    match: Matching = Matching()
    manifest_max_bytes: Whole = Field(default=8 * 1024 * 1024, ge=1024)
    blacksmith_conf: InstanceOf[Path] | None = None
    reconciler: Annotated[InstanceOf[ReconcilerOptions], BeforeValidator(_options)] = Field(
        default=None, validate_default=True
    )
    enabled: bool = Field(default=True, validate_default=True)
    guard: Guard = Guard()
    in_flight: Whole = Field(default=32, ge=1, le=64)
    orphans: Orphans = Orphans()
    others_on_same_vault: frozenset[str] = frozenset()

    @field_validator("catalog", mode="before")
    @classmethod
    def _from_file(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        path = path_of(value, info)
        try:
            load_catalog(path)
        except SyncError as error:
            raise ValueError(str(error)) from None
        return path

    @field_validator("blacksmith_conf", mode="before")
    @classmethod
    def _is_a_path(cls, value: object, info: ValidationInfo) -> object:
        return path_of(value, info) if isinstance(value, str) else value

    @field_validator("enabled")
    @classmethod
    def _unless_switched_off(cls, value: bool, info: ValidationInfo) -> bool:
        options: ReconcilerOptions | None = info.data.get("reconciler")
        return value and (options is None or options.enabled)

    @property
    def retry(self) -> RetryPolicy:
        """Return the retry policy as the core knows it."""
        base = max(self.reconciler.retry_delay.total_seconds(), 0.001)
        return RetryPolicy(base, max(base, RetryPolicy().cap), self.reconciler.retry_attempts)

    @classmethod
    def clash(cls, connections: Sequence[Self]) -> str | None:
        """Refuse two connections for one Director, and two with different limits for one server.

        Each of the former would take the other's entries for its own.
        """
        enabled = [connection for connection in connections if connection.enabled]
        return _same_director(enabled) or different_limits(
            (one.name, peer, url, limits)
            for one in enabled
            for peer, url, limits in (
                ("director", one.director.url, one.director.limits),
                ("vault", one.vault.url, one.vault.limits),
            )
        )

    @classmethod
    def together(cls, connections: Sequence[Self]) -> Sequence[Self]:
        """Tell each connection which others share its index, those included that are switched off."""
        return [
            one.model_copy(
                update={
                    "others_on_same_vault": one.others_on_same_vault
                    | {other.name for other in connections if other is not one and other.vault.place == one.vault.place}
                }
            )
            for one in connections
        ]


def _same_director(connections: Sequence[DeploymentsConnection]) -> str | None:
    first: dict[str, str] = {}
    for connection in connections:
        known = first.setdefault(connection.director.url, connection.name)
        if known != connection.name:
            return f"{known} and {connection.name} name the same Director {connection.director.url}; keep one of them"
    return None
