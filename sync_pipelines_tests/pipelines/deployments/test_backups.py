"""Backups in a real Vault: made before something is replaced, not twice, and not more than asked for."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.deployments.archive import ArchiveDamaged
from sync_pipelines.pipelines.deployments.backups import Backups, Contents, Verified, documents_of
from sync_pipelines.pipelines.deployments.held import Held
from sync_pipelines.pipelines.deployments.reconciler_settings import BackupOptions
from sync_pipelines.sandbox.openbao import OpenBaoProxy
from sync_pipelines.systems.vault.engines import open_kv
from sync_pipelines.systems.vault.kv import Kv, Secret
from sync_pipelines.systems.vault.session import StaticToken, VaultSession
from sync_pipelines_tests.pipelines.deployments.instances import ID, NOW
from sync_pipelines_tests.pipelines.deployments.right_side import Clock
from sync_pipelines_tests.vaults import Mounted

SECONDS = int(NOW.timestamp())
INDEX = f"{ID}/backups/index"


def held(number: int, **entry: Any) -> Held:
    return Held(ID, {"plan_id": "p", **entry}, metadata=Secret({"n": number, "history": [number]}, 1))


async def saved(backups: Backups, state: Held) -> int | None:
    return await backups.ensure(state, list(documents_of(state)))


def kept(mounted: Mounted, folder: str = f"{ID}/backups/") -> list[int]:
    paths = mounted.admin.paths(mounted.path, 2 if mounted.version == 2 else 1)
    names = [path.removeprefix(folder) for path in paths if path.startswith(folder)]
    return sorted(int(name) for name in names if name != "index")


@pytest.fixture(params=["kv1", "kv2"])
def mount(request: pytest.FixtureRequest) -> Mounted:
    found: Mounted = request.getfixturevalue(request.param)
    return found


def test_given_states_then_each_is_kept_once_under_a_time_of_its_own(mount: Mounted) -> None:
    async def work(kv: Kv) -> None:
        # A clock that stands still: two states within one second.
        backups = Backups(kv, BackupOptions(), lambda: NOW)
        times = [await saved(backups, held(number)) for number in (1, 1, 2, 3)]
        assert times == [SECONDS, SECONDS, SECONDS + 1, SECONDS + 2]
        assert [backup.taken_at for backup in await backups.of(ID)] == times[:0:-1]
        contents = await backups.read(ID, SECONDS + 1)
        assert contents == Contents({"plan_id": "p"}, {"n": 2, "history": [2]})

    mount.with_kv(work)
    index = mount.read(INDEX)
    assert index["backups"] == [SECONDS + 2, SECONDS + 1, SECONDS]
    assert set(index["digests"]) == {str(SECONDS + number) for number in range(3)}


def test_given_a_history_that_grew_or_nothing_to_replace_then_no_backup_is_made(kv2: Mounted) -> None:
    async def work(kv: Kv) -> None:
        backups = Backups(kv, BackupOptions(), Clock())
        await saved(backups, held(1))
        await saved(backups, Held(ID, {"plan_id": "p"}, metadata=Secret({"n": 1, "history": [1, 2]}, 2)))
        assert await backups.ensure(held(2), [f"{ID}/manifest"]) is None
        assert await Backups(kv, BackupOptions(enabled=False), Clock()).ensure(held(2), [f"{ID}/metadata"]) is None

    kv2.with_kv(work)
    assert len(kept(kv2)) == 1


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (BackupOptions(retention=2), 2),
        (BackupOptions(retention=0), 4),
        (BackupOptions(retention=2, cleanup=False), 4),
        (BackupOptions(retention=1, path="old/backups"), 1),
    ],
)
def test_given_a_retention_then_so_many_are_kept(kv2: Mounted, options: BackupOptions, left: int) -> None:
    async def work(kv: Kv) -> None:
        backups = Backups(kv, options, Clock())
        for number in range(4):
            await saved(backups, held(number))

    kv2.with_kv(work)
    stamps = kept(kv2, f"{ID}/{options.path}/")
    index = kv2.read(f"{ID}/{options.path}/index")
    assert len(stamps) == left
    assert index["backups"] == stamps[::-1]
    assert ("last_cleanup" in index) is (left < 4)


def test_given_an_entry_that_is_no_object_then_it_is_kept_as_it_is(kv2: Mounted) -> None:
    async def work(kv: Kv) -> None:
        backups = Backups(kv, BackupOptions(), lambda: NOW)
        await saved(backups, Held(ID.upper(), '{"cut'))
        assert (await backups.read(ID, SECONDS)).entry == '{"cut'

    kv2.with_kv(work)


def test_given_a_backup_in_blacksmith_s_own_form_then_it_is_read(kv2: Mounted) -> None:
    index, metadata = {"plan_id": "p"}, {"n": 1}
    kv2.write(f"{ID}/backups/5", {"index": index, "metadata": metadata, "manifest": None, "backup_timestamp": 5})

    async def work(kv: Kv) -> None:
        backups = Backups(kv, BackupOptions(), Clock())
        assert await backups.read(ID, 5) == Contents(index, metadata)
        assert [backup.sha256 for backup in await backups.of(ID)] == [None]

    kv2.with_kv(work)


def test_given_damage_then_it_is_told_and_another_backup_is_made(kv2: Mounted) -> None:
    async def damaged(kv: Kv) -> None:
        backups = Backups(kv, BackupOptions(), Clock())
        taken_at = await saved(backups, held(1))
        document = kv2.read(f"{ID}/backups/{taken_at}")
        kv2.write(f"{ID}/backups/{taken_at}", {**document, "sha256": "0" * 64})
        with pytest.raises(ArchiveDamaged, match="digest"):
            await backups.read(ID, taken_at or 0)
        [verified] = await backups.verify_sample(3, [ID], chance=random.Random(1))
        assert "digest" in (verified.problem or "")
        again = await saved(backups, held(1))
        assert await backups.verify_sample(3, [ID]) == (Verified(ID, again or 0, None),)

    kv2.with_kv(damaged)
    assert len(kept(kv2)) == 2


def test_given_a_backup_of_something_else_then_it_is_not_restored_from(kv2: Mounted) -> None:
    other = "00000000-0000-4000-8000-000000000001"

    async def work(kv: Kv) -> None:
        backups = Backups(kv, BackupOptions(), lambda: NOW)
        await saved(backups, held(1))
        await kv.write(f"{other}/backups/{SECONDS}", kv2.read(f"{ID}/backups/{SECONDS}"))
        assert "something else" in ((await backups.verify(other, SECONDS)).problem or "")

    kv2.with_kv(work)


@pytest.mark.parametrize("instance_id", ["../x", ID.upper(), "not-a-uuid", ""])
def test_given_no_instance_id_then_no_backup_is_looked_for(kv2: Mounted, instance_id: str) -> None:
    async def work(kv: Kv) -> None:
        with pytest.raises(PeerError, match="no instance id") as caught:
            await Backups(kv, BackupOptions(), Clock()).of(instance_id)
        assert caught.value.kind is FailureKind.PERMANENT

    kv2.with_kv(work)


@pytest.mark.parametrize("method", ["POST", "LIST"])
def test_given_a_server_that_keeps_no_backup_then_the_change_is_refused_with_the_reason(
    kv2: Mounted, method: str
) -> None:
    proxy = OpenBaoProxy(kv2.url)
    with proxy.running() as url:
        proxy.faults.add("status", status=500, method=method, path="backups")
        through = Mounted(url, kv2.token, kv2.path, 2, kv2.admin)

        async def work(kv: Kv) -> None:
            with pytest.raises(PeerError, match="no backup could be made, so that nothing was changed"):
                await saved(Backups(kv, BackupOptions(), Clock()), held(1))

        through.with_kv(work)


def test_given_a_token_that_may_not_delete_then_the_backup_is_made_and_the_rest_is_remarked(kv2: Mounted) -> None:
    rights = {f"{kv2.path}/data/*": ["create", "update", "read"], f"{kv2.path}/metadata/*": ["list"]}
    kv2.admin.put_policy(f"keeps-{kv2.path}", rights)

    async def work(session: VaultSession) -> None:
        backups = Backups(await open_kv(session, kv2.path, version=2), BackupOptions(retention=1), Clock())
        for number in range(2):
            await saved(backups, held(number))
        assert len(backups.remarks) == 1

    kv2.with_session(work, StaticToken(kv2.admin.create_token(f"keeps-{kv2.path}")))
    assert len(kept(kv2)) == 2
