"""The services and plans that deployments are instances of, from a file or from a broker's ``/v2/catalog``. Pure.

The shape is the one of the Open Service Broker API; keys that nobody needs here are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sync_pipelines.core.errors import ConfigurationError


class Plan(BaseModel):
    """One plan. Its id is unique in the whole catalog; Blacksmith's broker makes it ``<service id>-<plan name>``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1)
    name: str = Field(min_length=1)


class Service(BaseModel):
    """One service with its plans."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    plans: tuple[Plan, ...] = Field(min_length=1)


class Offer(BaseModel):
    """A plan together with the service that it belongs to."""

    model_config = ConfigDict(frozen=True)

    service: Service
    plan: Plan

    @cached_property
    def long_id(self) -> str:
        """``<service id>-<plan id>``: the deployment's prefix where a broker's plan ids do not name the service."""
        return f"{self.service.id}-{self.plan.id}"


class Catalog(BaseModel):
    """All services on offer, at least one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    services: tuple[Service, ...] = Field(min_length=1)

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """Every plan with its service, in the catalog's order."""
        return tuple(Offer(service=service, plan=plan) for service in self.services for plan in service.plans)

    @cached_property
    def by_plan_id(self) -> Mapping[str, Offer]:
        """Plan id -> the plan with its service."""
        return {offer.plan.id: offer for offer in self.offers}


def parse_catalog(document: object, place: str) -> Catalog:
    """Return a catalog, as it is in a file or in the answer to ``GET /v2/catalog``.

    Arguments:
        place: where it comes from (a path, a URL without credentials), for messages.

    Raises:
        ConfigurationError: it has no services or plans, a plan id stands twice, or a part is of the wrong shape.
    """
    if isinstance(document, dict) and document.get("services") == []:
        raise ConfigurationError(f"{place}: the catalog has no services, so no deployment could be matched")
    try:
        catalog = Catalog.model_validate(document)
    except ValidationError as errors:
        raise ConfigurationError("\n".join(f"{place}: {reason}" for reason in map(_reason, errors.errors()))) from None
    problem = _doubles(catalog)
    if problem:
        raise ConfigurationError(f"{place}: {problem}")
    return catalog


def load_catalog(path: Path) -> Catalog:
    """Return the catalog of a JSON file, or of a YAML file when its name does not end in ``.json``.

    Raises:
        ConfigurationError: the file cannot be read or is no valid catalog.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: the catalog cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: the catalog is not UTF-8 text (byte {error.start})") from None
    return parse_catalog(_document(path, text), str(path))


def _document(path: Path, text: str) -> Any:
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            place = f"{path}, line {error.lineno}, column {error.colno}"
            raise ConfigurationError(f"{place}: the catalog is not valid JSON: {error.msg}") from None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        raise ConfigurationError(f"{place}: the catalog is not valid YAML") from None


def _reason(error: Any) -> str:
    place = ""
    for part in error["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    match error["type"]:
        case "missing":
            return f"{place or 'the catalog'}: is missing; add it"
        case "too_short":
            return f"{place}: is empty; a service needs at least one plan"
        case "model_type":
            return f"{place or 'the catalog'}: must be a mapping" + ("" if place else " with the key 'services'")
        case _:
            return f"{place or 'the catalog'}: {error['msg']}"


def _doubles(catalog: Catalog) -> str | None:
    seen: dict[tuple[str, str], str] = {}
    for kind, name, place in _ids(catalog):
        if (kind, name) in seen:
            return f"{place}: {kind} id {name!r} stands at {seen[kind, name]} already; ids must differ"
        seen[kind, name] = place
    return None


def _ids(catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    for number, service in enumerate(catalog.services):
        yield "service", service.id, f"services[{number}]"
        for index, plan in enumerate(service.plans):
            yield "plan", plan.id, f"services[{number}].plans[{index}]"
