"""The pipelines as the command line knows them: a table, and where the parts of each are found when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.registry import enabled_connections


class Connection(Protocol):
    """What the command line needs to know of a connection of any pipeline."""

    @property
    def name(self) -> str:
        """Its name, unique within its pipeline."""
        ...

    @property
    def enabled(self) -> bool:
        """Whether it is in use."""
        ...


@dataclass(frozen=True)
class Pipeline:
    """One pipeline. Its package has a ``connection`` and a ``pair`` module; neither is imported before it is needed.

    Attributes:
        name: section of the connections file, package below ``pipelines``, and what people type.
        title: what it brings into agreement, for people.
        record: what one of its records is called.
        peers: names of the left and the right system, as tables show them.
        audit_name: field of the audit log that holds a record's key.
        also: attribute of a connection that stands for its name, if there is one.
        owner: gives the value of ``also`` that a record's key names; without it any connection may have any record.
    """

    name: str
    title: str
    record: str
    peers: tuple[str, str]
    audit_name: str
    also: str | None = None
    owner: Callable[[str], str] | None = None

    @property
    def job(self) -> str:
        """Name of the Dagster job that reconciles one connection."""
        return f"{self.name}_reconcile"

    def load(self) -> tuple[Connection, ...]:
        """Return the enabled connections of the connections file.

        Raises:
            ConfigurationError: the file is wrong.
        """
        return enabled_connections(self.name)

    def open(self, *arguments: Any, **options: Any) -> AbstractAsyncContextManager[Any]:
        """Open a connection: the pipeline's own ``open_connection``, with its arguments."""
        opened: AbstractAsyncContextManager[Any] = self._part("pair").open_connection(*arguments, **options)
        return opened

    async def select(self, opened: Any, keys: Sequence[str]) -> Sequence[str]:
        """Return the records that words stand for in an open connection; only where there is no ``owner``.

        Raises:
            SelectsNothing: a word stands for none.
        """
        found: Sequence[str] = await self._part("probes").select(opened, keys)
        return found

    def examiner(self) -> Callable[..., Any]:
        """Return the coroutine function that tries both peers of an open connection for the doctor."""
        examine: Callable[..., Any] = import_module(f"sync_pipelines.cli.doctor_{self.name}").examine
        return examine

    def _part(self, module: str) -> Any:
        return import_module(f"sync_pipelines.pipelines.{self.name}.{module}")


def provider_of(offering_id: str) -> str:
    """Return the provider's address in an offering id.

    Raises:
        ConfigurationError: it is no offering id.
    """
    provider, slash, sequence = offering_id.rpartition("/")
    if not slash or not provider.isalnum() or not sequence.isdecimal():
        raise ConfigurationError(f"{offering_id!r} is not an offering id; it has the form <provider address>/<number>")
    return provider


_TABLE = (
    Pipeline(
        name="offerings",
        title="the chain's offerings and Waldur",
        record="offering",
        peers=("chain", "Waldur"),
        audit_name="offering_id",
        also="provider",
        owner=provider_of,
    ),
    Pipeline(
        name="deployments",
        title="the deployments of BOSH Directors and Vault",
        record="instance",
        peers=("Director", "Vault"),
        audit_name="instance_id",
    ),
)

PIPELINES: Mapping[str, Pipeline] = {pipeline.name: pipeline for pipeline in _TABLE}
"""By name, in the order in which people are told of them."""


@dataclass(frozen=True, eq=False)
class Configured:
    """A connection together with its pipeline."""

    pipeline: Pipeline
    connection: Connection

    @property
    def name(self) -> str:
        """Name within its pipeline; the name of its scope and of its partition."""
        return self.connection.name

    @property
    def full_name(self) -> str:
        """Name that no other connection has: ``deployments/lab``."""
        return f"{self.pipeline.name}/{self.name}"

    @property
    def alias(self) -> str | None:
        """The other word that stands for it, such as a provider's address."""
        return None if self.pipeline.also is None else str(getattr(self.connection, self.pipeline.also))
