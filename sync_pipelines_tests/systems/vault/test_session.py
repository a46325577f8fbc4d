"""Tokens and logins on the real server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.openbao import OpenBao, OpenBaoProxy
from sync_pipelines.systems.vault.engines import KvV2
from sync_pipelines.systems.vault.errors import Forbidden
from sync_pipelines.systems.vault.kv import Secret
from sync_pipelines.systems.vault.mounts import KvMount
from sync_pipelines.systems.vault.session import AppRole, Credentials, StaticToken, VaultSession, vault_transport
from sync_pipelines_tests.systems.scripted_peer import answer, scripted_peer
from sync_pipelines_tests.vaults import Mounted

ALL = ("create", "read", "update", "delete", "list", "scan")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A session on a mount through a proxy that knows what was asked."""

    def __init__(self, target: Mounted, session: VaultSession, proxy: OpenBaoProxy, clock: Clock) -> None:
        self.kv = KvV2(session, KvMount(target.path, 2))
        self.clock = clock
        self._proxy = proxy

    def asked(self) -> list[str]:
        """Return what was asked since the last time, by the last parts of the paths."""
        found = [request.path.rpartition("/")[2] for request in self._proxy.requests]
        self._proxy.requests.clear()
        return found


def watch(target: Mounted, credentials: Credentials, work: Any) -> None:
    """Run ``work(watched)`` with a session on the mount."""
    proxy, clock = OpenBaoProxy(target.url), Clock()

    async def run(url: str) -> None:
        async with vault_transport(url, read_delay=0.0) as transport:
            await work(Watched(target, VaultSession(transport, credentials, clock=clock), proxy, clock))

    with proxy.running() as url:
        asyncio.run(run(url))


@pytest.fixture
def writer(kv2: Mounted) -> str:
    """Name of a policy that allows everything on the mount."""
    kv2.admin.put_policy(f"writes-{kv2.path}", {f"{kv2.path}/*": ALL})
    kv2.write("a", {"n": 1})
    return f"writes-{kv2.path}"


def test_given_a_token_when_many_read_at_once_then_it_is_looked_up_once(kv2: Mounted, writer: str) -> None:
    async def work(watched: Watched) -> None:
        await asyncio.gather(*(watched.kv.read("a") for _ in range(10)))
        assert watched.asked() == ["lookup-self", *["a"] * 10]

    watch(kv2, StaticToken(kv2.admin.create_token(writer)), work)


def test_given_a_token_when_most_of_its_time_is_over_then_it_is_renewed(kv2: Mounted, writer: str) -> None:
    async def work(watched: Watched) -> None:
        await watched.kv.read("a")
        watched.clock.now += 2300
        await watched.kv.read("a")
        assert watched.asked() == ["lookup-self", "a", "a"]
        watched.clock.now += 200
        await asyncio.gather(watched.kv.read("a"), watched.kv.read("a"))
        assert watched.asked() == ["renew-self", "a", "a"]
        await watched.kv.read("a")
        assert watched.asked() == ["a"]

    watch(kv2, StaticToken(kv2.admin.create_token(writer, ttl="1h")), work)


def test_given_a_token_that_cannot_be_renewed_then_it_is_used_to_its_end(kv2: Mounted, writer: str) -> None:
    async def work(watched: Watched) -> None:
        await watched.kv.read("a")
        watched.clock.now += 3000
        await watched.kv.read("a")
        await watched.kv.read("a")
        assert watched.asked() == ["lookup-self", "a", "a", "a"]

    watch(kv2, StaticToken(kv2.admin.create_token(writer, ttl="1h", renewable=False)), work)


@pytest.mark.parametrize("how", ["wrong", "revoked"])
def test_given_a_dead_token_then_the_run_is_told_to_stop(kv2: Mounted, writer: str, how: str) -> None:
    token = kv2.admin.create_token(writer) if how == "revoked" else "s.never-was"

    async def work(watched: Watched) -> None:
        if how == "revoked":
            assert await watched.kv.read("a") == Secret({"n": 1}, 1)
            kv2.admin.revoke(token)
        with pytest.raises(PeerError, match="issue a new one") as caught:
            await watched.kv.write("a", {"n": 2})
        assert caught.value.kind is FailureKind.AUTH
        assert token not in str(caught.value)

    watch(kv2, StaticToken(token), work)
    assert kv2.read("a") == {"n": 1}


@pytest.mark.parametrize("options", [{}, {"no_default_policy": True}], ids=["default", "may not look at itself"])
def test_given_a_policy_that_says_no_then_the_path_is_named_and_the_session_lives(
    kv2: Mounted, options: dict[str, Any]
) -> None:
    kv2.write("a", {"n": 1})
    kv2.admin.put_policy("narrow", {f"{kv2.path}/data/a": ["read"]})

    async def work(watched: Watched) -> None:
        for attempt in (watched.kv.write("a", {"n": 2}), watched.kv.read("b"), watched.kv.list()):
            with pytest.raises(Forbidden, match=kv2.path) as caught:
                await attempt
            assert caught.value.kind is FailureKind.PERMANENT
        assert await watched.kv.read("a") == Secret({"n": 1}, 1)

    watch(kv2, StaticToken(kv2.admin.create_token("narrow", **options)), work)


def test_given_a_policy_narrowed_in_the_middle_then_only_what_it_forbids_fails(kv2: Mounted, writer: str) -> None:
    async def work(watched: Watched) -> None:
        assert await watched.kv.write("a", {"n": 2}) == 2
        kv2.admin.put_policy(writer, {f"{kv2.path}/data/*": ["read"]})
        with pytest.raises(Forbidden):
            await watched.kv.write("a", {"n": 3})
        assert await watched.kv.read("a") == Secret({"n": 2}, 2)

    watch(kv2, StaticToken(kv2.admin.create_token(writer)), work)


def test_given_an_approle_when_its_token_dies_then_one_login_serves_all(kv2: Mounted, writer: str) -> None:
    role_id, secret_id = kv2.admin.create_role(f"role-{kv2.path}", writer)

    async def work(watched: Watched) -> None:
        await asyncio.gather(*(watched.kv.read("a") for _ in range(5)))
        assert watched.asked() == ["login", *["a"] * 5]
        for accessor in kv2.admin.call("LIST", "auth/token/accessors")["keys"]:
            if kv2.admin.call("POST", "auth/token/lookup-accessor", {"accessor": accessor})["path"].endswith("login"):
                kv2.admin.call("POST", "auth/token/revoke-accessor", {"accessor": accessor})
        assert await asyncio.gather(*(watched.kv.write(f"w/{n}", {"n": n}) for n in range(5))) == [1] * 5
        assert watched.asked().count("login") == 1

    watch(kv2, AppRole(role_id, secret_id), work)


def test_given_an_error_that_repeats_what_was_sent_then_no_credential_is_in_it(kv2: Mounted, writer: str) -> None:
    role = AppRole(*kv2.admin.create_role(f"role-{kv2.path}", writer))
    proxy = OpenBaoProxy(kv2.url)
    sent: list[str] = []

    async def run(url: str) -> None:
        async with vault_transport(url, read_delay=0.0) as transport:
            session = VaultSession(transport, role)
            answer = await session.request("GET", "auth/token/lookup-self", write=False)
            sent.append((answer or {})["data"]["id"])
            body = json.dumps(
                {"errors": [f"bad header X-Vault-Token: {sent[0]} {sent[0].swapcase()} {role.secret_id}"]}
            )
            proxy.faults.add("status", status=400, body=body, content_type="application/json")
            await session.request("GET", f"{kv2.path}/data/a", write=False)

    with proxy.running() as url, pytest.raises(PeerError) as caught:
        asyncio.run(run(url))
    assert str(caught.value).endswith("bad header X-Vault-Token: *** *** ***")


def test_given_an_approle_when_its_lease_runs_out_then_it_is_renewed_ahead(kv2: Mounted, writer: str) -> None:
    role_id, secret_id = kv2.admin.create_role(f"role-{kv2.path}", writer, ttl="20m")

    async def work(watched: Watched) -> None:
        await watched.kv.read("a")
        watched.clock.now += 900
        await watched.kv.read("a")
        assert watched.asked() == ["login", "a", "renew-self", "a"]
        # By the session's clock the lease is over: there is nothing left to renew.
        watched.clock.now += 1300
        await watched.kv.read("a")
        assert watched.asked() == ["login", "a"]

    watch(kv2, AppRole(role_id, secret_id), work)


def test_given_an_approle_that_is_used_up_then_the_old_token_serves_to_its_end(kv2: Mounted, writer: str) -> None:
    role_id, secret_id = kv2.admin.create_role(f"role-{kv2.path}", writer, secret_id_uses=1)
    kv2.admin.call("POST", f"auth/approle/role/role-{kv2.path}", {"token_max_ttl": "20m"})

    async def work(watched: Watched) -> None:
        await watched.kv.read("a")
        watched.clock.now += 1300
        with pytest.raises(PeerError, match="used up") as caught:
            await watched.kv.read("a")
        assert caught.value.kind is FailureKind.AUTH
        assert secret_id not in str(caught.value)
        assert role_id not in str(caught.value)

    watch(kv2, AppRole(role_id, secret_id), work)


@pytest.mark.parametrize(
    ("credentials", "told"),
    [
        (AppRole("wrong", "wrong"), "issue a new secret id"),
        (AppRole("wrong", ""), "issue a new secret id"),
        (AppRole("wrong", "wrong", mount="nowhere"), "enabled at auth/nowhere"),
    ],
)
def test_given_a_login_that_is_refused_then_the_reason_is_told(
    kv2: Mounted, writer: str, credentials: AppRole, told: str
) -> None:
    kv2.admin.create_role(f"role-{kv2.path}", writer)
    with pytest.raises(PeerError, match=told) as caught:
        kv2.with_session(lambda session: session.request("GET", f"{kv2.path}/data/a", write=False), credentials)
    assert caught.value.kind is FailureKind.AUTH


def test_given_a_namespace_that_is_not_there_then_nothing_looks_absent(openbao: OpenBao) -> None:
    async def run() -> None:
        async with vault_transport(openbao.url + "/v1/", namespace="team-x") as transport:
            await KvV2(VaultSession(transport, StaticToken(openbao.token)), KvMount("secret", 2)).read("db")

    with pytest.raises(PeerError, match="namespace not found") as caught:
        asyncio.run(run())
    assert caught.value.kind is FailureKind.PERMANENT


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(503, {"errors": ["Vault is sealed"]}), FailureKind.TRANSIENT),
        (answer(200, {"auth": {"client_token": ""}}), FailureKind.TRANSIENT),
        (answer(200, "<html>Please sign in</html>"), FailureKind.TRANSIENT),
        (answer(429, {"errors": ["rate limit quota exceeded"]}), FailureKind.RATE_LIMITED),
        (b"", FailureKind.TRANSIENT),
    ],
    ids=["sealed", "no token", "login page", "rate limit", "no answer"],
)
def test_given_a_login_that_fails_then_no_record_is_left_in_doubt(reply: bytes, kind: FailureKind) -> None:
    async def run() -> None:
        async with scripted_peer([reply]) as peer, vault_transport(peer.url, read_delay=0.0) as transport:
            kv = KvV2(VaultSession(transport, AppRole("role", "secret")), KvMount("secret", 2))
            await kv.write("a", {"n": 1})

    with pytest.raises(PeerError) as caught:
        asyncio.run(run())
    assert caught.value.kind is kind


def test_given_a_redirect_then_it_is_not_followed() -> None:
    elsewhere = answer(307, b"", {"Location": "/v1/secret/data/b"})
    lookup = answer(200, {"data": {"ttl": 0}})

    async def run() -> list[str]:
        async with scripted_peer([lookup, elsewhere]) as peer, vault_transport(peer.url) as transport:
            kv = KvV2(VaultSession(transport, StaticToken("s.token")), KvMount("secret", 2))
            for attempt in (kv.read("a"), kv.write("a", {"n": 1})):
                with pytest.raises(PeerError, match="redirected") as caught:
                    await attempt
                assert caught.value.kind is FailureKind.PERMANENT
            return peer.request_lines[1:]

    assert asyncio.run(run()) == ["GET /v1/secret/data/a HTTP/1.1", "POST /v1/secret/data/a HTTP/1.1"]


def test_given_a_server_that_fails_while_a_lease_is_renewed_then_the_token_serves_on(kv2: Mounted, writer: str) -> None:
    proxy, clock = OpenBaoProxy(kv2.url), Clock()

    async def run(url: str) -> None:
        async with vault_transport(url, read_delay=0.0) as transport:
            token = StaticToken(kv2.admin.create_token(writer))
            kv = KvV2(VaultSession(transport, token, clock=clock), KvMount(kv2.path, 2))
            await kv.read("a")
            sealed = '{"errors": ["Vault is sealed"]}'
            proxy.faults.add("status", path="renew-self", status=503, body=sealed, content_type="application/json")
            clock.now += 3000
            assert await kv.read("a") == Secret({"n": 1}, 1)
            proxy.faults.clear()
            proxy.requests.clear()
            await kv.read("a")
            await kv.read("a")
            assert [request.path.rpartition("/")[2] for request in proxy.requests] == ["renew-self", "a", "a"]

    with proxy.running() as url:
        asyncio.run(run(url))
