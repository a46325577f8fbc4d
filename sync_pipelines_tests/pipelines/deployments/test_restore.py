"""An instance put back from a backup, in a real Vault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.deployments.reconciler_settings import BackupOptions
from sync_pipelines.pipelines.deployments.restore import Difference, FieldDifference, Restorer
from sync_pipelines.pipelines.deployments.vault_target import VaultTarget
from sync_pipelines.systems.vault.documents import same_json
from sync_pipelines_tests.pipelines.deployments.demo_data import secrets
from sync_pipelines_tests.pipelines.deployments.right_side import RightSide, converge, demo_wanted, swept
from sync_pipelines_tests.vaults import Mounted

PLAIN = "3ceaaf30-8142-48ea-91d9-3080f9b439fc"
DOCUMENTS = ("metadata", "manifest")


@pytest.fixture(params=["kv1", "kv2"])
def side(request: pytest.FixtureRequest) -> RightSide:
    """The demo, with one instance changed by a run."""
    mounted: Mounted = request.getfixturevalue(request.param)
    side = RightSide.demo(mounted)
    side.run(lambda target: converge(target, PLAIN, demo_wanted()[PLAIN]))
    return side


async def newest(restorer: Restorer) -> int:
    return (await restorer.list_backups(PLAIN))[0].taken_at


def test_given_a_dry_run_then_fields_are_told_without_values_and_nothing_is_written(side: RightSide) -> None:
    before = side.mounted.admin.paths(side.mounted.path, side.mounted.version)
    entry = side.entries[PLAIN]
    told = side.restoring(lambda restorer: restorer.restore(PLAIN, dry_run=True))
    assert not told.written
    assert FieldDifference("index entry", "service_name", Difference.REMOVED) in told.differences
    assert FieldDifference("metadata", "properties", Difference.CHANGED) in told.differences
    assert "maxmemory" not in repr(told)
    assert side.entries[PLAIN] == entry
    assert side.mounted.admin.paths(side.mounted.path, side.mounted.version) == before


def test_given_a_backup_then_the_instance_is_as_it_was_and_can_be_put_forward_again(side: RightSide) -> None:
    after = {name: side.mounted.read(f"{PLAIN}/{name}") for name in DOCUMENTS}
    told = side.restoring(lambda restorer: restorer.restore(PLAIN))
    assert told.written
    assert told.saved_at is not None
    assert told.saved_at > told.taken_at
    for name in DOCUMENTS:
        assert same_json(side.mounted.read(f"{PLAIN}/{name}"), secrets()[f"{PLAIN}/{name}"])
    assert same_json(side.entries[PLAIN], secrets()["db"][PLAIN])
    again = side.restoring(lambda restorer: restorer.restore(PLAIN, told.taken_at))
    assert (again.differences, again.written) == ((), False)
    saved_at = told.saved_at
    side.restoring(lambda restorer: restorer.restore(PLAIN, saved_at))
    assert {name: side.mounted.read(f"{PLAIN}/{name}") for name in DOCUMENTS} == after
    assert not side.run(lambda target: converge(target, PLAIN, demo_wanted()[PLAIN]))


def test_given_an_entry_and_documents_that_are_gone_then_they_come_back(side: RightSide) -> None:
    side.mounted.write("db", {key: entry for key, entry in side.entries.items() if key != PLAIN})
    place = f"{side.mounted.path}/metadata" if side.mounted.version == 2 else side.mounted.path
    for name in DOCUMENTS:
        side.mounted.admin.call("DELETE", f"{place}/{PLAIN}/{name}")
    told = side.restoring(lambda restorer: restorer.restore(PLAIN))
    assert {one.kind for one in told.differences} == {Difference.ADDED}
    assert told.saved_at is None
    assert same_json(side.entries[PLAIN], secrets()["db"][PLAIN])


def test_given_a_retention_of_one_then_the_backup_that_is_restored_is_not_cleaned_away(side: RightSide) -> None:
    side.settings = replace(side.settings, backup=BackupOptions(retention=1))
    first = side.restoring(newest)
    side.restoring(lambda restorer: restorer.restore(PLAIN, first))
    assert first in [backup.taken_at for backup in side.restoring(lambda restorer: restorer.list_backups(PLAIN))]


def test_given_no_such_backup_then_that_is_said(side: RightSide) -> None:
    async def work(restorer: Restorer) -> None:
        for instance_id, taken_at in ((PLAIN, 1), ("00000000-0000-4000-8000-000000000001", None)):
            with pytest.raises(PeerError, match="there is no backup") as caught:
                await restorer.restore(instance_id, taken_at)
            assert caught.value.kind is FailureKind.GONE

    side.restoring(work)


def test_given_a_damaged_backup_then_nothing_is_written(side: RightSide) -> None:
    taken_at = side.restoring(newest)
    document = side.mounted.read(f"{PLAIN}/backups/{taken_at}")
    side.mounted.write(f"{PLAIN}/backups/{taken_at}", {**document, "archive": document["archive"][:-8]})
    entry = side.entries[PLAIN]

    async def work(restorer: Restorer) -> None:
        with pytest.raises(PeerError, match="the backup cannot be used") as caught:
            await restorer.restore(PLAIN)
        assert caught.value.kind is FailureKind.PERMANENT

    side.restoring(work)
    assert side.entries[PLAIN] == entry


def test_a_sample_of_the_backups_is_verified(side: RightSide) -> None:
    [verified] = side.restoring(lambda restorer: restorer.verify_sample(20))
    assert (verified.instance_id, verified.problem) == (PLAIN, None)

    async def as_the_check(target: VaultTarget) -> None:
        await swept(target)
        assert await target.backups.verify_sample(3, sorted(target.reading.backed_up)) == (verified,)

    side.run(as_the_check)
