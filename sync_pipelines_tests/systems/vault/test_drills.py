"""What befalls a Vault in operation, done to a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.openbao import OpenBao
from sync_pipelines.systems.vault.engines import KvV2
from sync_pipelines.systems.vault.errors import Forbidden, Sealed
from sync_pipelines.systems.vault.index import Edit, Index
from sync_pipelines.systems.vault.kv import Kv, Secret
from sync_pipelines.systems.vault.mounts import KvMount
from sync_pipelines.systems.vault.session import AppRole, Credentials, StaticToken, VaultSession, vault_transport

ALL = ("create", "read", "update", "delete", "list", "scan")


def on(server: OpenBao, work: Callable[[Kv], Awaitable[None]], credentials: Credentials | None = None) -> None:
    """Run work on the mount ``secret``, by default with the root token."""

    async def run() -> None:
        async with vault_transport(server.url, read_delay=0.0) as transport:
            session = VaultSession(transport, credentials or StaticToken(server.token))
            await work(KvV2(session, KvMount("secret", 2)))

    asyncio.run(run())


async def refusal(write: Awaitable[object]) -> PeerError | None:
    """Return why a write failed, ``None`` when it was acknowledged."""
    try:
        await write
    except PeerError as error:
        return error
    return None


def test_given_a_seal_during_a_run_of_writes_then_what_was_refused_was_not_done_and_all_goes_on_after_it(
    own_openbao: OpenBao,
) -> None:
    async def work(kv: Kv) -> None:
        index = Index(kv)

        def writes() -> list[Awaitable[object]]:
            return [kv.write("a", {"n": 1}), index.change("a", lambda _: {"n": 1})]

        await asyncio.gather(*writes())
        own_openbao.admin.seal()
        for error in [await refusal(write) for write in writes()]:
            assert isinstance(error, Sealed)
            assert error.kind is FailureKind.TRANSIENT
        own_openbao.admin.unseal()
        assert await kv.read("a") == Secret({"n": 1}, 1)
        assert await asyncio.gather(*(refusal(write) for write in writes())) == [None, None]

    on(own_openbao, work)
    assert own_openbao.admin.versions("secret") == {"a": 2, "db": 1}


def test_given_a_token_that_expires_between_two_calls_then_a_role_logs_in_again_and_a_token_is_told(
    own_openbao: OpenBao,
) -> None:
    admin = own_openbao.admin
    admin.put_policy("writes", {"secret/*": ALL})
    role = AppRole(*admin.create_role("reconciler", "writes", ttl="1s"))

    async def as_role(kv: Kv) -> None:
        await kv.write("a", {"n": 1})
        await asyncio.sleep(1.2)
        await kv.write("a", {"n": 2})

    async def as_token(kv: Kv) -> None:
        await kv.read("a")
        await asyncio.sleep(1.2)
        error = await refusal(kv.write("a", {"n": 3}))
        assert error is not None
        assert error.kind is FailureKind.AUTH
        assert "expired" in str(error)

    on(own_openbao, as_role, role)
    on(own_openbao, as_token, StaticToken(admin.create_token("writes", ttl="1s")))
    assert admin.read("secret", "a") == {"n": 2}


def test_given_a_role_whose_uses_are_exhausted_when_its_token_dies_then_the_run_is_told_to_stop(
    own_openbao: OpenBao,
) -> None:
    admin = own_openbao.admin
    admin.put_policy("writes", {"secret/*": ALL})
    role_id, secret_id = admin.create_role("reconciler", "writes", ttl="1s", secret_id_uses=1)

    async def work(kv: Kv) -> None:
        await kv.write("a", {"n": 1})
        await asyncio.sleep(1.1)
        error = await refusal(kv.write("a", {"n": 2}))
        assert error is not None
        assert error.kind is FailureKind.AUTH
        assert "used up" in str(error)

    on(own_openbao, work, AppRole(role_id, secret_id))
    assert admin.read("secret", "a") == {"n": 1}


def test_given_a_policy_narrowed_in_the_middle_of_a_run_then_the_index_change_is_refused_for_good(
    own_openbao: OpenBao,
) -> None:
    admin = own_openbao.admin
    admin.put_policy("writes", {"secret/*": ALL})

    async def work(kv: Kv) -> None:
        index = Index(kv)
        await index.change("a", lambda _: {"n": 1})
        admin.put_policy("writes", {"secret/*": ["read", "list"]})
        changes = [index.change(id, lambda _: {"n": 2}) for id in ("a", "b")]
        for error in await asyncio.gather(*map(refusal, changes)):
            assert isinstance(error, Forbidden)
            assert "secret/data/db" in str(error)
        assert dict((await index.entries()).by_id) == {"a": {"n": 1}}

    on(own_openbao, work, StaticToken(admin.create_token("writes")))


def test_given_a_rate_limit_then_writes_are_told_to_wait_and_nothing_is_half_done(own_openbao: OpenBao) -> None:
    admin = own_openbao.admin
    admin.limit_rate("secret/", 3, 2)

    async def work(kv: Kv) -> None:
        errors = [await refusal(kv.write(f"run/{number}", {"n": number})) for number in range(6)]
        assert [error and error.kind for error in errors] == [None] * 3 + [FailureKind.RATE_LIMITED] * 3
        # The server does not say for how long.
        assert errors[-1] is not None
        assert errors[-1].retry_after is None

    on(own_openbao, work)
    admin.lift_rate_limit()
    assert admin.paths("secret") == ["run/0", "run/1", "run/2"]


def test_given_a_kill_in_the_middle_of_many_writes_when_it_comes_back_then_nothing_acknowledged_is_lost(
    durable_openbao: OpenBao,
) -> None:
    acknowledged: list[str] = []
    sent: list[str] = []

    async def work(kv: Kv) -> None:
        index = Index(kv)

        def put(number: int) -> Edit:
            return lambda _: {"n": number}

        async def write(writer: int) -> None:
            for number in range(200):
                id = f"{writer}-{number}"
                sent.append(id)
                error = await refusal(kv.write(f"run/{id}", {"n": number}, cas=0))
                error = error or await refusal(index.change(id, put(number)))
                if error is not None:
                    assert error.kind in (FailureKind.AMBIGUOUS, FailureKind.TRANSIENT)
                    return
                acknowledged.append(id)
                if len(acknowledged) == 60:
                    durable_openbao.kill()

        await asyncio.gather(*map(write, range(6)))
        await asyncio.to_thread(durable_openbao.restart)
        entries = (await index.entries()).by_id
        paths = await kv.list_all("run")
        assert set(acknowledged) <= entries.keys() <= set(sent)
        assert {f"run/{id}" for id in acknowledged} <= set(paths) <= {f"run/{id}" for id in sent}
        # The same client goes on.
        assert (await index.change("after", lambda _: {})).written

    on(durable_openbao, work)
    assert 60 <= len(acknowledged) < 70
