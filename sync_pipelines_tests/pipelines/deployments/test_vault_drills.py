"""What befalls a real Vault while a run writes: after the mend and a rerun nothing is lost, nothing done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.deployments import scan
from sync_pipelines.pipelines.deployments.pair import NAME
from sync_pipelines.sandbox.bosh import DirectorStandIn
from sync_pipelines.sandbox.openbao import OpenBao
from sync_pipelines.settings import Secret
from sync_pipelines.store import states
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines_tests.pipelines.deployments.fleet import NAME_OF_ONE, Fleet, opened_fleet
from sync_pipelines_tests.pipelines.deployments.subject import RIGHTS
from sync_pipelines_tests.vaults import mounted

INSTANCES = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A server of this module's own, which keeps its data on disk."""
    with OpenBao.durable(tmp_path_factory.mktemp("openbao")) as server:
        server.admin.put_policy("pipeline", RIGHTS)
        yield server


@dataclass
class Login:
    """How the pipeline logs in to Vault.

    Attributes:
        mount: that the pipeline writes to.
        settings: of the connection; changed by a mend.
    """

    server: OpenBao
    mount: str
    settings: dict[str, Any] = field(default_factory=dict)

    def by_token(self) -> None:
        """Log in with a new token."""
        self.settings = {"token": Secret(self.server.admin.create_token("pipeline"))}

    def by_role(self, uses: int = 0) -> None:
        """Log in with an AppRole whose secret id is good for so many logins, 0 for any number."""
        role, secret = self.server.admin.create_role("pipeline", "pipeline", secret_id_uses=uses)
        self.settings = {"token": None, "role_id": Secret(role), "secret_id": Secret(secret)}

    def end_tokens(self) -> None:
        """Let every token that the pipeline holds be as if its time were over."""
        admin = self.server.admin
        for accessor in admin.call("LIST", "auth/token/accessors")["keys"]:
            if "pipeline" in admin.call("POST", "auth/token/lookup-accessor", {"accessor": accessor})["policies"]:
                admin.call("POST", "auth/token/revoke-accessor", {"accessor": accessor})


@dataclass(frozen=True)
class Accident:
    """Something that goes wrong.

    Attributes:
        before: what is done before the run.
        strike: happens while the second instance is written.
        mend: what an operator does afterwards.
        kinds: as what the run may fail; empty when it must not.
    """

    strike: Callable[[Login], object]
    mend: Callable[[Login], object]
    before: Callable[[Login], object] = Login.by_token
    kinds: frozenset[FailureKind] = frozenset()


ACCIDENTS = {
    "sealed": Accident(
        lambda login: login.server.admin.seal(),
        lambda login: login.server.admin.unseal(),
        kinds=frozenset({FailureKind.TRANSIENT}),
    ),
    "killed and started again": Accident(
        lambda login: login.server.kill(),
        lambda login: login.server.restart(),
        kinds=frozenset({FailureKind.TRANSIENT}),
    ),
    "a token that expires": Accident(Login.end_tokens, Login.by_token, kinds=frozenset({FailureKind.AUTH})),
    "a token of a role that expires": Accident(Login.end_tokens, lambda login: None, before=Login.by_role),
    "a role whose uses are exhausted": Accident(
        Login.end_tokens,
        Login.by_role,
        before=lambda login: login.by_role(uses=1),
        kinds=frozenset({FailureKind.AUTH}),
    ),
    "a policy that is narrowed": Accident(
        lambda login: login.server.admin.put_policy("pipeline", {**RIGHTS, "+/data/*": ("read",)}),
        lambda login: login.server.admin.put_policy("pipeline", RIGHTS),
        kinds=frozenset({FailureKind.PERMANENT}),
    ),
    "a quota": Accident(
        lambda login: login.server.admin.limit_rate(f"{login.mount}/", 2, 3600),
        lambda login: login.server.admin.lift_rate_limit(),
        kinds=frozenset({FailureKind.RATE_LIMITED}),
    ),
}


@contextmanager
def _changed_fleet(engine: Engine, server: OpenBao) -> Iterator[Fleet]:
    """Give a fleet in agreement, all of whose instances were then deployed anew, and one more for the first time."""
    with opened_fleet(engine, DirectorStandIn.many(INSTANCES + 1), mounted(server, 2)) as fleet:
        names = sorted(fleet.world.deployments)
        new = fleet.world.deployments.pop(names[-1])
        fleet.reconcile(fleet.connection(in_flight=1))
        fleet.world.add(new)
        for name in names[:-1]:
            manifest = fleet.world.deployments[name].manifest
            fleet.world.update(name, f"{manifest}# anew\n", releases=(("redis", "99"),))
        yield fleet


@pytest.mark.long
@pytest.mark.parametrize("name", ACCIDENTS)
def test_given_an_accident_while_instances_are_written_then_after_the_mend_each_was_changed_once(
    name: str, server: OpenBao, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    accident = ACCIDENTS[name]
    # As with more manifests than there is room for: each is asked for once more when it is written.
    monkeypatch.setattr(scan, "KEPT_TEXTS", 0)
    with _changed_fleet(engine, server) as fleet:
        login = Login(server, fleet.vault.path)
        accident.before(login)
        second = sorted(fleet.world.deployments)[1]
        # Its manifest is asked for twice: when its details are read, and when it is written.
        fleet.world.after(f"/deployments/{second}$", lambda: accident.strike(login), skip=1)
        before = {path: fleet.vault.read(path) for path in fleet.versions()}

        _run(fleet, login, accident)
        accident.mend(login)
        fleet.let_time_pass()
        with engine.begin() as connection:
            states.reprocess(connection, ensure_scope(connection, NAME, NAME_OF_ONE), None, "ada")
        assert set(before) <= set(fleet.versions()), "nothing is lost"
        fleet.reconcile(fleet.connection(vault=login.settings, in_flight=1))

        _assert_changed_once(fleet)
        versions = fleet.versions()
        fleet.reconcile(fleet.connection(vault=login.settings))
        assert fleet.versions() == versions


def _run(fleet: Fleet, login: Login, accident: Accident) -> None:
    kinds: set[FailureKind] = set()
    try:
        done = fleet.reconcile(fleet.connection(vault=login.settings, in_flight=1))
        assert done.applied is not None
        failed = done.applied.failed
    except PeerError as error:
        kinds.add(error.kind)
        failed = 1
    assert kinds <= accident.kinds
    assert (failed > 0) is bool(accident.kinds)


def _assert_changed_once(fleet: Fleet) -> None:
    *old, new = [name[-36:] for name in sorted(fleet.world.deployments)]
    index = fleet.index()
    assert sorted(index) == sorted([*old, new])
    assert not any(entry.get("orphaned") for entry in index.values())
    versions = fleet.versions()
    for instance in old:
        metadata = fleet.vault.read(f"{instance}/metadata")
        assert metadata["releases"] == [{"name": "redis", "version": "99"}]
        assert len(metadata["history"]) == 2, "one entry for the first run, one for the change"
        assert fleet.vault.read(f"{instance}/manifest")["manifest"].endswith("# anew\n")
        assert (versions[f"{instance}/metadata"], versions[f"{instance}/manifest"]) == (2, 2)
        assert len([path for path in versions if path.startswith(f"{instance}/backups/1")]) == 1
    assert len(fleet.vault.read(f"{new}/metadata")["history"]) == 1
    assert (versions[f"{new}/metadata"], versions[f"{new}/manifest"]) == (1, 1)
