"""SIGKILL at every write of a change in Vault, its backup included, while a broker writes into the same index."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.kills import child
from sync_pipelines_tests.kills.points import Point, Reply
from sync_pipelines_tests.kills.watch import About
from sync_pipelines_tests.kills.worlds import World, opened
from sync_pipelines_tests.pipelines.deployments.subject import DEPLOYMENTS, DeploymentsSubject

pytestmark = pytest.mark.long

WRITES = {
    "create": ("index", "manifest", "metadata"),
    "update": ("backup", "index of backups", "manifest", "metadata", "index"),
    "retire": ("backup", "index of backups", "index"),
}
"""What each kind of change writes, in this order."""


class Broker:
    """Adds a field to the entry of an instance that nothing is done to, again and again, as a good neighbor does.

    Attributes:
        acknowledged: names of the fields that Vault took.
    """

    def __init__(self, subject: DeploymentsSubject, instance: str) -> None:
        self.acknowledged: list[str] = []
        self._subject = subject
        self._instance = instance
        self._ended = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Write until the block is left."""
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _work(self) -> None:
        vault = self._subject.vault
        path = f"{vault.url}/v1/{vault.path}/data/db"
        with httpx.Client(headers={"X-Vault-Token": vault.token}, trust_env=False) as client:
            while not self._ended.wait(0.02):
                held = client.get(path).json()["data"]
                name = f"note_{len(self.acknowledged)}"
                index = {**held["data"], self._instance: {**held["data"][self._instance], name: True}}
                body = {"data": index, "options": {"cas": held["metadata"]["version"]}}
                if client.post(path, json=body).is_success:
                    self.acknowledged.append(name)


@pytest.fixture(scope="module")
def undisturbed_documents(postgres_server: EmbeddedServer, migrated_template: str) -> Any:
    """Returns all documents in Vault after a change that nobody disturbed."""

    @cache
    def run(action: str) -> Any:
        with (
            fresh_engine(postgres_server, migrated_template) as engine,
            opened(DEPLOYMENTS, engine, action) as world,
        ):
            world.reconcile()
            return documents(world)

    return run


def documents(world: World) -> Any:
    """Return every document but the index with its version, and what is shown of the index."""
    return world.subject.shown(), world.subject.traces()


@pytest.mark.parametrize(
    ("action", "number"),
    [
        pytest.param(action, number, id=f"{action}-after-the-{name.replace(' ', '-')}")
        for action, names in WRITES.items()
        for number, name in enumerate(names, start=1)
    ],
)
def test_given_a_kill_after_a_write_while_a_broker_changes_the_index_then_the_rerun_ends_as_without_both(
    action: str, number: int, engine: Engine, undisturbed_documents: Any
) -> None:
    with opened(DEPLOYMENTS, engine, action) as world:
        subject = world.subject
        assert isinstance(subject, DeploymentsSubject)
        key, other = sorted(key for key in subject.world.deployments | subject.removed if key.startswith("redis"))[:2]
        broker = Broker(subject, subject.natural_key(other))
        with broker.at_work():
            point = Point("a write of the change is answered", Reply(number))
            about = About(key, f"^/v1/{subject.vault.path}/data/")
            child.kill(engine, child.reconciling(subject.opener(world.opening)), point, about)
            world.let_time_pass()
            world.reconcile()

        assert documents(world) == undisturbed_documents(action), "one history entry and one backup each, same versions"
        assert len(broker.acknowledged) > 3
        assert set(broker.acknowledged) <= set(subject.index()[subject.natural_key(other)]), (
            "a neighbor's write is lost"
        )
        before = subject.commits()
        world.reconcile()
        assert subject.commits() == before
