"""A connection of the offerings pipeline: one provider on a chain, and the Waldur customer that sells for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from sync_pipelines.core.retry import RetryPolicy
from sync_pipelines.pipelines.connection_fields import Guard, HttpUrl, Limits, Whole, different_limits, path_of
from sync_pipelines.settings import NamedConnection, OptionalSecretReference, Secret, SecretReference, Strict

ENVIRONMENT = {
    "enabled": "VIRTENGINE_WALDUR_OFFERING_SYNC_ENABLED",
    "interval": "VIRTENGINE_WALDUR_OFFERING_SYNC_INTERVAL",
    "max_retries": "VIRTENGINE_WALDUR_OFFERING_SYNC_MAX_RETRIES",
    "waldur.customer_uuid": "VIRTENGINE_WALDUR_CUSTOMER_UUID",
    "category_map": "VIRTENGINE_WALDUR_CATEGORY_MAP",
    "offering_map": "VIRTENGINE_WALDUR_OFFERING_MAP",
}
"""The guide's variables: each is the default of a field that a connection leaves out."""

STATE_FILE_VARIABLE = "VIRTENGINE_WALDUR_OFFERING_SYNC_STATE_FILE"
"""The guide's state file: its links are taken over where neither the file nor a variable names an offering map."""

LARGEST_DENOMINATOR = 10**18
"""Tokens with more decimals do not exist; Waldur itself keeps ten."""


def _uuid_hex(value: object) -> str:
    # YAML reads a uuid without letters, or with one "e", as a number.
    hint = "" if isinstance(value, str) else "; put it in quotes"
    try:
        return uuid.UUID(str(value)).hex
    except ValueError:
        raise ValueError(f"{value!r} is not a UUID{hint}") from None


def _hex_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return bytes.fromhex(value if isinstance(value, str) else "not text")
    except ValueError:
        raise ValueError(f"{value!r} is not a text of hex digits, such as '01' (in quotes)") from None


UuidHex = Annotated[str, BeforeValidator(_uuid_hex)]


class Chain(Strict):
    """The chain's node.

    Attributes:
        rpc_url: CometBFT RPC, e.g. ``http://localhost:26657``.
        chain_id: network the node must be on.
        store, key_prefix, event_type: where offerings lie and what their events are called.
        events_from: ``block_results`` reads every block; ``tx_search`` asks the node's index, quicker over long, quiet
            ranges, on nodes that keep one.
        window: blocks in one partition of chain events.
        timeout_seconds: how long each step of a request may take.
        wake_up_seconds: when nothing changed, the sensor waits this long for a hint over the node's websocket and looks
            once more. 0: it looks every 5 seconds and needs no websocket.
    """

    rpc_url: HttpUrl
    chain_id: str = Field(pattern=r"^[^:\s]+$")
    store: str = "mktplace"
    key_prefix: Annotated[bytes, BeforeValidator(_hex_bytes)] = b"\x01"
    event_type: str = "marketplace_event"
    events_from: Literal["block_results", "tx_search"] = "block_results"
    window: Whole = Field(default=100, ge=1, le=10_000)
    timeout_seconds: float = Field(default=30, gt=0)
    wake_up_seconds: float = Field(default=0, ge=0, le=20)
    limits: Limits = Limits()


class Waldur(Strict):
    """The Waldur server.

    Attributes:
        url: server root, e.g. ``https://waldur.example``; a trailing ``/api`` is accepted.
        token: of an owner of the customer.
        staff_token: publishes offerings and edits published names; without it these wait for a person.
        owner_may_publish: the owner's role may publish by itself (Waldur 8 with such a role).
        customer_uuid: the organization that sells the offerings.
        timeout_seconds: how long each step of a request may take.
    """

    url: HttpUrl
    token: SecretReference
    staff_token: OptionalSecretReference = None
    owner_may_publish: bool = False
    customer_uuid: UuidHex
    offering_type: str = "Marketplace.Basic"
    timeout_seconds: float = Field(default=30, gt=0)
    limits: Limits = Limits()

    @field_validator("url")
    @classmethod
    def _without_api(cls, value: str) -> str:
        return value.removesuffix("/api")

    @field_validator("token", "staff_token")
    @classmethod
    def _fits_a_header(cls, value: Secret | None) -> Secret | None:
        # The HTTP library would quote a token that it cannot send in its error.
        if value is not None and not all("!" <= character <= "~" for character in value.reveal()):
            raise ValueError("has blanks, line breaks or letters that no token has; check where it comes from")
        return value


class OfferingsConnection(NamedConnection):
    """One provider's offerings.

    Attributes:
        provider: address of the provider on the chain.
        category_map: chain category -> Waldur category uuid, or the path of a JSON file with that.
        currency_denominator: smallest units in one unit of currency; a number, or one per denomination.
        interval: seconds between full reconciles, at least 60.
        max_retries: retries before a record is dead-lettered.
        retire: archive offerings in Waldur that are gone from the chain (``false``: only report them).
        offering_map: a hand-made map, offering id -> Waldur uuid, taken over once.
    """

    variables: ClassVar[Mapping[str, str]] = ENVIRONMENT
    enabled: bool = True
    provider: str = Field(pattern=r"^[A-Za-z0-9]+$")
    chain: Chain
    waldur: Waldur
    category_map: Mapping[str, UuidHex]
    currency_denominator: int | Mapping[str, int] = 1_000_000
    interval: Whole = Field(default=300, ge=60)
    max_retries: Whole = Field(default=5, ge=0)
    retry_base_seconds: float = Field(default=30, gt=0)
    retry_cap_seconds: float = Field(default=3600, gt=0)
    guard: Guard = Guard()
    retire: bool = True
    in_flight: Whole = Field(default=4, ge=1, le=8)
    offering_map: Mapping[str, UuidHex] = Field(default_factory=dict)

    @classmethod
    def clash(cls, connections: Sequence[Self]) -> str | None:
        """Refuse two connections for the same offerings, and two with different limits for one server.

        Each of the former would create what the other has not linked.
        """
        enabled = [connection for connection in connections if connection.enabled]
        return cls._same_target(enabled) or different_limits(
            (one.name, peer, url, limits)
            for one in enabled
            for peer, url, limits in (
                ("chain", one.chain.rpc_url, one.chain.limits),
                ("waldur", one.waldur.url, one.waldur.limits),
            )
        )

    @staticmethod
    def _same_target(connections: Sequence[OfferingsConnection]) -> str | None:
        names: dict[tuple[str, str, str], list[str]] = {}
        for connection in connections:
            target = (connection.provider, connection.waldur.url, connection.waldur.customer_uuid)
            names.setdefault(target, []).append(connection.name)
        for (provider, _, customer), together in names.items():
            if len(together) > 1:
                return (
                    f"{' and '.join(together)} bring offerings of provider {provider} to the same Waldur customer "
                    f"{customer}; they would work against each other: remove or disable one"
                )
        return None

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_guide(cls, values: Any, info: ValidationInfo) -> Any:
        if not isinstance(values, dict):
            raise ValueError("a connection is a mapping that starts with 'name:'")
        context = info.context or {}
        environment: Mapping[str, str] = context.get("environment", {})
        values = dict(values)
        for place, variable in ENVIRONMENT.items():
            group, _, field = place.rpartition(".")
            into = values.get(group) if group else values
            if not environment.get(variable) or not isinstance(into, dict) or field in into:
                continue
            if group:
                values[group] = into | {field: environment[variable]}
            else:
                values[field] = environment[variable]
        state_file = environment.get(STATE_FILE_VARIABLE)
        if state_file and path_of(state_file, info).is_file():
            values.setdefault("offering_map", state_file)
        return values

    @field_validator("category_map", "offering_map", mode="before")
    @classmethod
    def _from_file(cls, value: object, info: ValidationInfo) -> object:
        return _map_of_file(path_of(value, info)) if isinstance(value, str) else value

    @field_validator("category_map")
    @classmethod
    def _lower_case(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if not value:
            raise ValueError("is empty; it maps chain categories (compute, storage, ...) to Waldur category UUIDs")
        lowered = {category.lower(): category_uuid for category, category_uuid in value.items()}
        if len(lowered) < len(value):
            raise ValueError("names a category twice, in upper and in lower case; remove one")
        return lowered

    @field_validator("currency_denominator", mode="before")
    @classmethod
    def _divides_prices(cls, value: object) -> object:
        if isinstance(value, Mapping) and not value:
            raise ValueError("is empty; it maps denominations (uvirt, ...) to how many make one of the currency")
        for number in value.values() if isinstance(value, Mapping) else [value]:
            if isinstance(number, bool) or not isinstance(number, int):
                raise ValueError(f"{number!r} is not a whole number; use 1000000 for a currency with six decimals")
            if number < 1:
                raise ValueError(f"{number} cannot divide a price; use 1000000 for a currency with six decimals")
            if not _is_decimal(number) or number > LARGEST_DENOMINATOR:
                raise ValueError(f"{number} gives prices with too many decimals; use a power of ten up to 10^18")
        return value

    @property
    def retry(self) -> RetryPolicy:
        """Return the retry policy as the core knows it."""
        return RetryPolicy(self.retry_base_seconds, self.retry_cap_seconds, self.max_retries)

    def denominator(self, denomination: str) -> int:
        """Return how many of the smallest units make one of the currency.

        Raises:
            ValueError: the connection does not say.
        """
        if isinstance(self.currency_denominator, int):
            return self.currency_denominator
        try:
            return self.currency_denominator[denomination]
        except KeyError:
            raise ValueError(
                f"no currency_denominator for {denomination!r}; add it to the connection {self.name!r}"
            ) from None


def _is_decimal(number: int) -> bool:
    for factor in (2, 5):
        while number % factor == 0:
            number //= factor
    return number == 1


def _map_of_file(path: Path) -> dict[str, str]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} must hold a JSON object that maps names to UUIDs")
    uuids = {}
    for name, value in _links_of(document).items():
        try:
            uuids[name] = _uuid_hex(value)
        except ValueError as error:
            raise ValueError(f"{path}: {name}: {error}") from None
    return uuids


def _links_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Accept the guide's state file where a plain map is expected: its records carry the same links."""
    records = document.get("records")
    if not isinstance(records, dict):
        return document
    return {
        name: row["waldur_uuid"] for name, row in records.items() if isinstance(row, dict) and row.get("waldur_uuid")
    }
