"""Both versions of the KV engine on the real server."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.openbao import OpenBao, OpenBaoProxy
from sync_pipelines.systems.vault.engines import open_kv
from sync_pipelines.systems.vault.errors import CasMismatch, Forbidden
from sync_pipelines.systems.vault.kv import Kv, Secret, Versions
from sync_pipelines.systems.vault.mounts import KvMount, detect_mount
from sync_pipelines.systems.vault.paths import InvalidPath
from sync_pipelines.systems.vault.session import StaticToken, VaultSession
from sync_pipelines_tests.vaults import Mounted, mounted

PLAIN = {"n": 9007199254740991, "f": Decimal("2.5"), "u": "Größe ☃", "l": [1, None, True, {}], "o": {"a": ""}}


@pytest.fixture(params=["kv1", "kv2"])
def either(request: pytest.FixtureRequest) -> Mounted:
    found: Mounted = request.getfixturevalue(request.param)
    return found


def test_given_either_version_when_a_document_is_written_then_it_is_read_exactly(either: Mounted) -> None:
    async def work(kv: Kv) -> tuple[Secret | None, Secret | None]:
        missing = await kv.read("a/b c")
        await kv.write("a/b c", PLAIN)
        return missing, await kv.read("a/b c")

    missing, found = either.with_kv(work)
    assert missing is None
    assert found is not None
    assert found.data == PLAIN


def test_given_numbers_beyond_a_float_then_version_1_keeps_them_and_version_2_does_not(
    kv1: Mounted, kv2: Mounted
) -> None:
    numbers = {"n": 9007199254740993, "big": 12345678901234567890, "f": Decimal("1.0")}

    async def work(kv: Kv) -> str:
        await kv.write("a", numbers)
        found = await kv.read("a")
        return str(found and found.data)

    assert kv1.with_kv(work) == "{'big': 12345678901234567890, 'f': Decimal('1.0'), 'n': 9007199254740993}"
    assert kv2.with_kv(work) == "{'big': 12345678901234567000, 'f': 1, 'n': 9007199254740992}"


def test_given_either_version_when_listing_then_folders_and_secrets_come(either: Mounted) -> None:
    async def work(kv: Kv) -> None:
        assert await kv.list() == await kv.list_all() == await kv.list("none") == await kv.list_all("none") == []
        for path in ("db", "x", "x/one", "x/y/z", "x/y/é"):
            await kv.write(path, {"v": 1})
        assert await kv.list() == ["db", "x", "x/"]
        assert await kv.list("x/") == await kv.list("x") == ["one", "y/"]
        assert await kv.list_all() == ["db", "x", "x/one", "x/y/z", "x/y/é"]
        assert await kv.list_all("x") == await kv.list_all("x/") == ["x/one", "x/y/z", "x/y/é"]
        await kv.delete_all("x/one")
        await kv.delete_all("x/one")
        assert await kv.read("x/one") is None
        assert await kv.list("x") == ["y/"]

    either.with_kv(work)


@pytest.mark.parametrize("path", ["../sys/seal", "a//b", "a%2Fb", "", "a\nb"])
def test_given_a_path_trick_then_nothing_is_sent(either: Mounted, path: str) -> None:
    async def work(kv: Kv) -> None:
        for call in (kv.read(path), kv.write(path, {"v": 1}), kv.delete_all(path), kv.versions(path)):
            with pytest.raises(InvalidPath):
                await call

    either.with_kv(work)


def test_given_version_2_when_two_write_then_the_late_one_is_told(kv2: Mounted) -> None:
    async def work(kv: Kv) -> None:
        assert kv.has_cas
        assert await kv.write("c", {"n": 1}, cas=0) == 1
        for stale in (0, 7):
            with pytest.raises(CasMismatch):
                await kv.write("c", {"n": 2}, cas=stale)
        assert await kv.write("c", {"n": 2}, cas=1) == 2
        assert await kv.write("c", {}) == 3
        assert await kv.read("c") == Secret({}, 3)
        assert await kv.versions("c") == Versions(3, frozenset({1, 2, 3}), cas_required=False)
        assert await kv.versions("never") is None

    kv2.with_kv(work)


def test_given_a_deleted_secret_then_it_is_not_taken_for_one_that_never_was(kv2: Mounted) -> None:
    async def work(kv: Kv) -> None:
        await kv.write("d", {"n": 1})
        await kv.write("d", {"n": 2})
        await kv.delete_version("d", 1)
        assert await kv.read("d") == Secret({"n": 2}, 2)
        await kv.delete_version("d", 2)
        assert await kv.read("d") == Secret(None, 2, deleted=True)
        assert await kv.list() == ["d"]
        with pytest.raises(CasMismatch):
            await kv.write("d", {"n": 3}, cas=0)
        assert await kv.write("d", {"n": 3}, cas=2) == 3
        await kv.delete_all("d")
        assert await kv.read("d") is None
        assert await kv.write("d", {"n": 1}, cas=0) == 1

    kv2.with_kv(work)
    kv2.admin.call("POST", f"{kv2.path}/data/null", {"data": None})
    assert kv2.with_kv(lambda kv: kv.read("null")) == Secret(None, 1)


def test_given_version_1_then_the_caller_is_told_what_it_cannot_do(kv1: Mounted) -> None:
    async def work(kv: Kv) -> None:
        assert not kv.has_cas
        assert await kv.write("a", {"n": 1}) is None
        assert await kv.read("a") == Secret({"n": 1})
        assert await kv.versions("a") is None
        with pytest.raises(ValueError, match="no check-and-set"):
            await kv.write("a", {"n": 2}, cas=1)
        with pytest.raises(ValueError, match="no versions"):
            await kv.delete_version("a", 1)
        with pytest.raises(PeerError, match="delete the secret instead") as caught:
            await kv.write("a", {})
        assert caught.value.kind is FailureKind.PERMANENT

    kv1.with_kv(work)


def test_given_a_mount_taken_for_version_1_then_nothing_looks_absent(kv2: Mounted) -> None:
    kv2.write("a", {"n": 1})

    async def work(session: VaultSession) -> None:
        kv = await open_kv(session, kv2.path, version=1)
        with pytest.raises(PeerError, match="KV version 2") as caught:
            await kv.read("a")
        assert caught.value.kind is FailureKind.PERMANENT

    kv2.with_session(work)


def test_given_mounts_of_all_kinds_then_their_version_is_detected(openbao: OpenBao, kv1: Mounted, kv2: Mounted) -> None:
    openbao.admin.enable_kv("kv-of-old", None)
    reader = openbao.admin
    reader.put_policy("reads-one", {f"{kv2.path}/data/*": ["read"]})
    narrow = StaticToken(reader.create_token("reads-one"))

    async def mount(session: VaultSession, path: str) -> KvMount:
        return await detect_mount(session, path)

    assert kv2.with_session(lambda session: mount(session, f"/{kv2.path}/")) == KvMount(kv2.path, 2)
    assert kv2.with_session(lambda session: mount(session, kv2.path), narrow) == KvMount(kv2.path, 2)
    assert kv1.with_session(lambda session: mount(session, kv1.path)) == KvMount(kv1.path, 1)
    assert kv1.with_session(lambda session: mount(session, "kv-of-old")) == KvMount("kv-of-old", 1)
    with pytest.raises(Forbidden, match="state the version"):
        kv2.with_session(lambda session: mount(session, "nomount"))
    with pytest.raises(Forbidden, match="state the version"):
        kv1.with_session(lambda session: mount(session, kv1.path), narrow)
    with pytest.raises(PeerError, match="name the mount itself"):
        kv2.with_session(lambda session: mount(session, f"{kv2.path}/sub"))
    with pytest.raises(PeerError, match="keeps no plain secrets"):
        kv2.with_session(lambda session: mount(session, "sys"))


def test_given_a_server_without_scan_then_folders_are_walked_and_it_is_asked_once(openbao: OpenBao) -> None:
    target = mounted(openbao, 2)
    paths = sorted(f"{number}/{name}" for number in range(100) for name in ("manifest", "metadata"))
    for path in paths:
        target.write(path, {"v": 1})
    proxy = OpenBaoProxy(openbao.url)
    proxy.faults.add("status", method="SCAN", status=405, body='{"errors": []}', content_type="application/json")

    async def work(kv: Kv) -> None:
        assert await kv.list_all() == paths
        assert await kv.list_all("7") == ["7/manifest", "7/metadata"]

    with proxy.running() as url:
        Mounted(url, openbao.token, target.path, 2, openbao.admin).with_kv(work)
    assert [request.method for request in proxy.requests].count("SCAN") == 1
    assert target.with_kv(lambda kv: kv.list_all()) == paths


def test_given_a_token_that_may_list_but_not_scan_then_folders_are_walked(kv2: Mounted) -> None:
    kv2.write("x/y", {"v": 1})
    kv2.admin.put_policy("lists", {f"{kv2.path}/metadata/*": ["list"]})
    lister = StaticToken(kv2.admin.create_token("lists"))
    assert kv2.with_kv(lambda kv: kv.list_all(), lister) == ["x/y"]


def test_given_an_index_larger_than_the_server_takes_then_the_setting_is_named() -> None:
    with OpenBao.in_memory(json_strings=1000) as server:
        target = Mounted(server.url, server.token, "secret", 2, server.admin)
        with pytest.raises(PeerError, match="max_request_json_strings") as caught:
            target.with_kv(lambda kv: kv.write("db", {str(number): "text" for number in range(2000)}))
    assert caught.value.kind is FailureKind.PERMANENT


def test_given_many_reads_at_once_then_each_gets_its_own(kv2: Mounted) -> None:
    async def work(kv: Kv) -> None:
        for number in range(20):
            await kv.write(f"s/{number}", {"n": number})
        found = await asyncio.gather(*(kv.read(f"s/{number}") for number in range(20)))
        assert [secret.data for secret in found if secret] == [{"n": number} for number in range(20)]

    kv2.with_kv(work)
