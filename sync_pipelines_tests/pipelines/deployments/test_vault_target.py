"""Instances written to a real Vault: only what differs, one step after the other, beside others who write there too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.deployments.archive import unpack
from sync_pipelines.pipelines.deployments.manifest import read_manifest, uuid_of
from sync_pipelines.pipelines.deployments.reconciler_settings import BackupOptions
from sync_pipelines.pipelines.deployments.vault_target import VaultTarget
from sync_pipelines.sandbox.openbao import OpenBaoProxy
from sync_pipelines.systems.bosh.models import Life
from sync_pipelines.systems.vault.documents import same_json
from sync_pipelines.systems.vault.index import Index
from sync_pipelines.systems.vault.kv import Kv
from sync_pipelines.systems.vault.session import StaticToken
from sync_pipelines_tests.pipelines.deployments.demo_data import DIRECTOR, manifest_text, secrets
from sync_pipelines_tests.pipelines.deployments.instances import ID, MATCH, NOW, wanted
from sync_pipelines_tests.pipelines.deployments.right_side import (
    DirectorTexts,
    Killed,
    MortalKv,
    RightSide,
    converge,
    demo_wanted,
    swept,
)
from sync_pipelines_tests.vaults import Mounted

PLAIN = "3ceaaf30-8142-48ea-91d9-3080f9b439fc"
OTHER_WRITER = "9dfb369b-ab13-4fae-a276-55daa05f1119"
HA = "6301bbfc-a0c5-454e-8ff9-bb510944fe0c"
CLUSTER = "b120a366-f0bb-49cf-82f2-dc05873f9bd0"
CORRUPTED = "2330fcf1-562a-44b8-8866-8d77e827062c"
UPPER_CASE = "9ad9b9a2-5e78-454d-b065-a1c284cc4549"
MISSING = "99356597-6fba-4662-b6a7-30b7b12e9eed"
NEW_ORPHAN = "2eb73728-2fea-475e-b536-5e1458294a90"
OLD_ORPHAN = "ac3e0b5b-c291-4709-8c1e-26038dabf68e"
LOCKED = "c1acc990-6424-450a-a36b-f9b3ddcb369d"
INCOMPLETE = "2f314fdb-43c4-4bc7-a4cc-dcf9ea5ee53c"

OLD_TEXT, TEXT = "properties: {port: 6378, password: s3cr3t-0}", "properties: {port: 6379, password: s3cr3t-1}"
LIFE = Life(NOW - timedelta(days=3), NOW - timedelta(days=1), "4127")


def content(text: str = TEXT, release: str = "17") -> Content:
    releases = [{"name": "bpm", "version": "1"}, {"name": "redis", "version": release}]
    return {**wanted(manifest=read_manifest(text), vms=[], life=LIFE), "releases": releases}


def one_instance(mounted: Mounted, **options: Any) -> RightSide:
    """Return a Director with one deployment, which Vault knows in an older state."""
    side = RightSide(mounted, DirectorTexts({MATCH.deployment: OLD_TEXT}), **options)
    old = {**content(OLD_TEXT, "16"), "plan_name": "old"}
    side.run(lambda target: converge(target, ID, old))
    side.texts.texts[MATCH.deployment] = TEXT
    return side


def put(side: RightSide, instance_id: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit an entry of the index as a foreign writer does."""
    entries = side.entries
    change(entries[instance_id])
    side.mounted.write("db", entries)


def backup_names(side: RightSide, instance_id: str) -> list[str]:
    folder = f"{instance_id}/backups/"
    paths = side.mounted.admin.paths(side.mounted.path, side.mounted.version)
    return [path.removeprefix(folder) for path in paths if path.startswith(folder)]


async def refused(work: Any) -> PeerError:
    with pytest.raises(PeerError) as caught:
        await work
    return caught.value


async def all_converge(target: VaultTarget) -> dict[str, list[str]]:
    contents = demo_wanted()
    written = await asyncio.gather(*(converge(target, key, content) for key, content in contents.items()))
    return dict(zip(contents, written, strict=True))


def test_given_nothing_in_vault_then_entry_metadata_and_manifest_are_made_and_need_no_backup(kv2: Mounted) -> None:
    side = RightSide(kv2, DirectorTexts({MATCH.deployment: TEXT}))
    side.run(lambda target: converge(target, ID, content()))
    assert side.versions == {"db": 1, f"{ID}/metadata": 1, f"{ID}/manifest": 1}
    assert kv2.read(f"{ID}/manifest")["manifest"] == TEXT
    assert kv2.read(f"{ID}/metadata")["properties"] == {"properties": {"port": 6379, "password": "s3cr3t-1"}}
    assert side.entries[ID]["director"] == DIRECTOR


def test_given_the_demo_then_a_second_run_changes_no_version_of_any_secret(kv2: Mounted) -> None:
    side = RightSide.demo(kv2)
    assert all(fields for key, fields in side.run(all_converge).items() if key != MISSING)
    before = side.versions
    assert not any(side.run(all_converge).values())

    async def everything_again(target: VaultTarget) -> None:
        records = await swept(target)
        for instance_id, wanted_content in demo_wanted().items():
            await target.write(records[instance_id], wanted_content, sorted(wanted_content))

    side.run(everything_again)
    assert side.versions == before


def test_given_the_demo_then_credentials_and_bindings_stay_in_their_first_version(kv2: Mounted) -> None:
    side = RightSide.demo(kv2)
    side.run(all_converge)
    untouched = [path for path in secrets() if path.endswith(("/credentials", "/bindings"))]
    assert {path: side.versions[path] for path in untouched} == dict.fromkeys(untouched, 1)
    kept = ("dashboard_url", "maintenance_info", "provision_params", "original_request", "binding_ids")
    before, after = secrets()[f"{PLAIN}/metadata"], kv2.read(f"{PLAIN}/metadata")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after["history"][:-1] == before["history"]


@pytest.mark.parametrize(
    ("instance_id", "field", "check"),
    [
        (CORRUPTED, "entry_shape", lambda mount: mount.read("db")[CORRUPTED]["plan_id"] == "rabbitmq-single-node"),
        (
            UPPER_CASE,
            "entry_shape",
            lambda mount: (
                UPPER_CASE.upper() not in mount.read("db")
                and mount.read("db")[UPPER_CASE]["space_id"] == "f3194a3b-381e-43e7-952c-466e473a1797"
            ),
        ),
        (
            OTHER_WRITER,
            "entry_shape",
            lambda mount: (
                mount.read("db")[OTHER_WRITER]["reconciled_at"].startswith("2026-11-22T10:")
                and mount.read("db")[OTHER_WRITER]["created"] == 1788336891
            ),
        ),
        (
            CLUSTER,
            "manifest_sha256",
            lambda mount: (
                mount.read(f"{CLUSTER}/manifest")["manifest"] == manifest_text(f"postgresql-cluster-medium-{CLUSTER}")
            ),
        ),
        (
            HA,
            "metadata_shape",
            lambda mount: mount.read(f"{HA}/metadata")["binding_ids"] == ["9280ba2e-1534-43fd-b357-71b237d047c9"],
        ),
    ],
)
def test_given_a_discrepancy_of_the_demo_then_it_is_seen_and_mended(
    kv2: Mounted, instance_id: str, field: str, check: Callable[[Mounted], bool]
) -> None:
    side = RightSide.demo(kv2)
    fields = side.run(lambda target: converge(target, instance_id, demo_wanted()[instance_id]))
    assert field in fields
    assert check(kv2)


def test_given_a_key_that_is_no_instance_id_then_it_is_withheld_and_nothing_is_asked_below_it(kv2: Mounted) -> None:
    side = RightSide.demo(kv2)
    tricks = ["../../sys", "a/b", "..%2f..", ID + "/x"]
    kv2.write("db", {**side.entries, **{key: {"service_id": "x", "plan_id": "y"} for key in tricks}})
    proxy = OpenBaoProxy(kv2.url)
    with proxy.running() as side.url:
        records = side.run(swept)
        for key in [*tricks, "not-a-uuid"]:
            assert "not an instance id" in (records[key].withheld or "")
            assert [one.withheld for one in side.run(lambda target, key=key: target.find(key))]  # type: ignore[misc]
            error = side.run(lambda target, key=key: refused(target.create(key, content())))  # type: ignore[misc]
            assert error.kind is FailureKind.PERMANENT
    folders = {request.path.split("/")[4] for request in proxy.requests if request.path.startswith(f"/v1/{kv2.path}/")}
    assert folders <= {"", "db", *filter(None, map(uuid_of, side.entries))}
    assert side.versions["db"] == 2


def test_given_backups_of_no_instance_then_they_are_no_sample_of_the_backups(kv2: Mounted) -> None:
    for folder in (ID, ID.upper(), "team"):
        kv2.write(f"{folder}/backups/1", {"archive": ""})

    async def backed_up(target: VaultTarget) -> frozenset[str]:
        await swept(target)
        return target.reading.backed_up

    assert RightSide(kv2, DirectorTexts({})).run(backed_up) == {ID}


def test_given_two_keys_that_differ_by_case_then_both_are_told_and_neither_is_chosen(kv2: Mounted) -> None:
    side = one_instance(kv2)
    kv2.write("db", {**side.entries, ID.upper(): {"service_id": "redis", "plan_id": "redis-small"}})
    records = side.run(swept)
    assert {record.natural_key for record in records.values()} == {ID}
    assert set(records) == {ID, ID.upper()}
    assert len(side.run(lambda target: target.find(ID))) == 2


def test_given_many_instances_and_a_foreign_writer_then_nobody_loses_an_entry(kv2: Mounted) -> None:
    side = RightSide.demo(kv2)
    written = []

    async def foreign(target: VaultTarget) -> None:
        index: Index = target._index
        for number in range(20):
            key = f"00000000-0000-4000-8000-{number:012d}"
            await Index(index._kv).change(key, lambda _: {"service_id": "s", "plan_id": "p"})
            written.append(key)

    async def together(target: VaultTarget) -> None:
        await asyncio.gather(all_converge(target), foreign(target))

    side.run(together)
    assert written
    assert not set(written) - side.entries.keys()
    for instance_id, one in demo_wanted().items():
        assert side.entries[instance_id]["plan_id"] == one["plan_id"]
        assert side.entries[instance_id]["reconciled_by"] == "deployment_reconciler"


def test_given_an_edit_between_reading_and_writing_then_only_that_record_is_refused(kv2: Mounted) -> None:
    side = one_instance(kv2)

    async def work(target: VaultTarget) -> PeerError:
        current = await target.read(ID)
        assert current is not None
        put(side, ID, lambda entry: entry.update(plan_id="redis-large", note="a person's"))
        return await refused(target.write(current, content(), sorted(content())))

    error = side.run(work)
    assert (error.kind, error.key) == (FailureKind.TRANSIENT, ID)
    assert side.entries[ID]["plan_id"] == "redis-large"


def test_given_an_entry_that_appears_while_it_is_created_then_it_stays_as_it_is(kv2: Mounted) -> None:
    side = RightSide(kv2, DirectorTexts({MATCH.deployment: TEXT}))

    async def work(target: VaultTarget) -> PeerError:
        assert await target.find(ID) == []
        kv2.write("db", {ID: {"service_id": "redis", "plan_id": "other"}})
        return await refused(target.create(ID, content()))

    assert side.run(work).kind is FailureKind.TRANSIENT
    assert side.entries == {ID: {"service_id": "redis", "plan_id": "other"}}


def test_given_a_manifest_that_changed_since_it_was_compared_then_nothing_is_written(kv2: Mounted) -> None:
    side = one_instance(kv2)
    side.texts.texts[MATCH.deployment] = "name: newer"
    before = side.versions
    error = side.run(lambda target: refused(converge(target, ID, content())))
    assert error.kind is FailureKind.TRANSIENT
    assert "s3cr3t" not in str(error)
    assert side.versions == before


def test_given_details_that_are_not_known_then_those_in_vault_stay(kv2: Mounted) -> None:
    side = one_instance(kv2)
    known = ("service_id", "plan_id", "service_name", "plan_name", "deployment_name", "director", "orphaned")
    rest = ("entry_shape", "metadata_shape", "match_confidence", "match_reason")
    partly = {name: content()[name] for name in (*known, *rest)}
    before = kv2.read(f"{ID}/metadata")
    assert side.run(lambda target: converge(target, ID, partly)) == ["plan_name"]
    after = kv2.read(f"{ID}/metadata")
    for name in ("releases", "vms", "properties", "stemcells", "latest_task_id"):
        assert after[name] == before[name]
    assert kv2.read(f"{ID}/manifest")["manifest"] == OLD_TEXT


@pytest.mark.parametrize(("step", "afterwards"), [*((step, False) for step in range(5)), (4, True)])
def test_given_a_kill_at_any_step_of_a_change_then_the_next_run_ends_like_an_undisturbed_one(
    kv2: Mounted, step: int, afterwards: bool
) -> None:
    side = one_instance(kv2)
    original = {name: kv2.read(f"{ID}/{name}") for name in ("metadata", "manifest")}
    entry = side.entries[ID]
    kvs: list[MortalKv] = []

    def mortal(kv: Kv) -> Kv:
        kvs.append(MortalKv(kv, step, afterwards=afterwards))
        return kvs[-1]

    with pytest.raises(Killed):
        side.run(lambda target: converge(target, ID, content()), through=mortal)
    assert len(kvs[0].writes) == step + 1
    side.run(lambda target: converge(target, ID, content()))
    assert side.run(lambda target: converge(target, ID, content())) == []
    assert [row["action"] for row in kv2.read(f"{ID}/metadata")["history"]] == ["reconciliation"] * 2
    [stamp, name] = backup_names(side, ID)
    assert name == "index"
    assert kv2.read(f"{ID}/backups/index")["backups"] == [int(stamp)]
    backup = kv2.read(f"{ID}/backups/{stamp}")
    documents = unpack(backup["archive"], backup["sha256"])
    saved = {f"db/{ID}": entry, **{f"{ID}/{name}": document for name, document in original.items()}}
    assert same_json(documents, saved)
    undisturbed = {"db": 2, f"{ID}/metadata": 2, f"{ID}/manifest": 2, f"{ID}/backups/{stamp}": 1}
    assert {path: side.versions[path] for path in undisturbed} == undisturbed


def test_the_steps_of_a_change_go_from_the_backup_to_the_index(kv2: Mounted) -> None:
    side = one_instance(kv2)
    kvs: list[MortalKv] = []

    def watched(kv: Kv) -> Kv:
        kvs.append(MortalKv(kv))
        return kvs[-1]

    side.run(lambda target: converge(target, ID, content()), through=watched)
    backup, *rest = kvs[0].writes
    assert backup.startswith(f"{ID}/backups/")
    assert rest == [f"{ID}/backups/index", f"{ID}/manifest", f"{ID}/metadata", "db"]


def test_given_a_server_that_fails_for_one_instance_then_it_is_seen_as_there_and_the_others_are_written(
    kv2: Mounted,
) -> None:
    side = RightSide.demo(kv2)
    proxy = OpenBaoProxy(kv2.url)
    with proxy.running() as side.url:
        proxy.faults.add("status", status=500, method="POST|GET", path=f"{HA}/m")
        sweep = Sweep()
        records = side.run(lambda target: swept(target, sweep))
        assert "cannot be read" in (records[HA].invalid or "")
        assert not sweep.gaps
        assert [key for key, record in records.items() if record.invalid] == [HA]
        error = side.run(lambda target: refused(converge(target, HA, demo_wanted()[HA])))
        assert error.kind is FailureKind.TRANSIENT
        side.run(lambda target: converge(target, PLAIN, demo_wanted()[PLAIN]))
    assert "orphaned" not in side.entries[HA]
    assert side.entries[PLAIN]["service_name"] == "redis"


@pytest.mark.parametrize("kind", ["status", "error_after_commit"])
@pytest.mark.parametrize("path", [f"{ID}/metadata", f"{ID}/manifest", f"{ID}/backups", "/db"])
def test_given_a_write_that_fails_then_the_next_run_ends_as_if_it_had_not(kv2: Mounted, kind: str, path: str) -> None:
    side = one_instance(kv2)
    proxy = OpenBaoProxy(kv2.url)
    with proxy.running() as side.url:
        proxy.faults.add(kind, status=500, method="POST", path=f"data/{path.lstrip('/')}", times=1)
        side.run(lambda target: refused(converge(target, ID, content())))
        side.run(lambda target: converge(target, ID, content()))
    assert len(kv2.read(f"{ID}/metadata")["history"]) == 2
    assert len(backup_names(side, ID)) == 2


def test_given_a_policy_that_hides_one_instance_then_it_is_withheld_and_not_missing(kv2: Mounted) -> None:
    side = RightSide.demo(kv2)
    every = ["create", "read", "update", "delete", "list", "scan"]
    rights = {f"{kv2.path}/*": every, f"{kv2.path}/data/{HA}/*": ["deny"]}
    kv2.admin.put_policy(f"hides-{kv2.path}", rights)
    token = StaticToken(kv2.admin.create_token(f"hides-{kv2.path}"))
    records = side.run(swept, credentials=token)
    assert "policy" in (records[HA].withheld or "")
    assert [key for key, record in records.items() if record.withheld] == [HA, "not-a-uuid"]
    [found] = side.run(lambda target: target.find(HA), credentials=token)
    assert found.withheld is not None


def test_given_a_policy_that_hides_bindings_then_their_counters_stay_and_the_rest_is_written(kv2: Mounted) -> None:
    side = RightSide.demo(kv2)
    every = ["create", "read", "update", "delete", "list", "scan"]
    rights = {f"{kv2.path}/*": every, f"{kv2.path}/data/+/bindings": ["deny"]}
    kv2.admin.put_policy(f"blind-{kv2.path}", rights)
    token = StaticToken(kv2.admin.create_token(f"blind-{kv2.path}"))
    side.run(lambda target: converge(target, HA, demo_wanted()[HA]), credentials=token)
    assert kv2.read(f"{HA}/metadata")["binding_ids"] == []
    assert kv2.read(f"{HA}/manifest") is not None


def test_given_a_token_that_may_not_list_the_mount_then_every_instance_is_listed_by_itself(kv2: Mounted) -> None:
    side = RightSide.demo(kv2)
    ids = [instance_id for instance_id in map(uuid_of, side.entries) if instance_id]
    lists = {f"{kv2.path}/metadata/{instance_id}/": ["list"] for instance_id in ids}
    kv2.admin.put_policy(f"narrow-{kv2.path}", {f"{kv2.path}/data/*": ["read"], **lists})
    token = StaticToken(kv2.admin.create_token(f"narrow-{kv2.path}"))
    sweep = Sweep()
    narrow = side.run(lambda target: swept(target, sweep), credentials=token)
    assert sweep.notes
    assert narrow == side.run(swept)


def test_given_an_entry_of_another_director_then_it_is_ignored_and_a_conflict_for_who_asks(kv2: Mounted) -> None:
    side = one_instance(kv2)
    put(side, ID, lambda entry: entry.update(director="bosh-other"))
    side.settings = replace(side.settings, other_directors=frozenset({"bosh-other"}))
    sweep = Sweep()
    assert side.run(lambda target: swept(target, sweep)) == {}
    assert (sweep.seen, sweep.ignored, sweep.declared) == (1, 1, 1)
    [found] = side.run(lambda target: target.find(ID))
    assert "belongs to director bosh-other" in (found.withheld or "")
    before = side.versions
    assert side.run(lambda target: refused(target.create(ID, content()))).kind is FailureKind.TRANSIENT
    assert side.versions == before


def test_given_an_orphan_of_another_director_then_who_has_the_deployment_adopts_it_and_nobody_else_retires_it(
    kv2: Mounted,
) -> None:
    side = one_instance(kv2)
    orphan = {"director": "bosh-other", "orphaned": True, "orphaned_at": "2026-01-01T00:00:00Z", "stale": True}
    put(side, ID, lambda entry: entry.update(orphan))
    side.settings = replace(side.settings, other_directors=frozenset({"bosh-other"}), remove=True)
    side.texts.present.clear()
    assert side.run(swept) == {}

    async def retired(target: VaultTarget) -> PeerError:
        [record] = await target.find(ID)
        assert target.orphans.untracked(record.content) is None
        return await refused(target.retire(record))

    assert "another director, which takes care of it" in str(side.run(retired))
    assert side.run(lambda target: converge(target, ID, content()))
    assert side.entries[ID]["director"] == DIRECTOR
    assert not {"orphaned", "orphaned_at", "stale"} & side.entries[ID].keys()


def test_given_several_directors_and_an_entry_without_one_then_it_is_adopted_but_never_orphaned(kv2: Mounted) -> None:
    side = one_instance(kv2)
    side.settings = replace(side.settings, other_directors=frozenset({"bosh-other"}))
    put(side, ID, lambda entry: entry.pop("director"))
    side.texts.present.clear()

    async def retired(target: VaultTarget) -> PeerError:
        [record] = (await swept(target)).values()
        assert target.orphans.untracked(record.content) is None
        return await refused(target.retire(record))

    assert "several share this Vault" in str(side.run(retired))
    side.run(lambda target: converge(target, ID, content()))
    assert side.entries[ID]["director"] == DIRECTOR


def orphan_side(mounted: Mounted, **options: Any) -> RightSide:
    side = one_instance(mounted)
    side.settings = replace(side.settings, **options)
    side.texts.present.clear()
    return side


async def retire(target: VaultTarget) -> str | None:
    """Retire the one instance if the pair would, and return the reason."""
    [record] = (await swept(target)).values()
    reason = target.orphans.untracked(record.content)
    if reason is not None:
        await target.retire(record)
        after = await target.read(record.key)
        assert after is None or target.orphans.retired(after.content)
    return reason


def test_given_an_instance_that_is_gone_then_it_is_orphaned_once_and_un_orphaned_when_it_is_back(kv2: Mounted) -> None:
    side = orphan_side(kv2)
    assert side.run(retire) == "its deployment is gone"
    marked = side.entries[ID]
    assert (marked["orphaned"], marked["orphaned_reason"]) == (True, "no_bosh_deployment")
    assert side.run(retire) is None
    [record] = side.run(swept).values()
    side.run(lambda target: target.retire(record))
    assert side.entries[ID] == marked
    side.run(lambda target: converge(target, ID, content()))
    assert "orphaned" not in side.entries[ID]
    assert "unorphaned_at" in side.entries[ID]


def test_given_a_deployment_that_is_there_after_all_then_its_instance_is_not_orphaned(kv2: Mounted) -> None:
    side = orphan_side(kv2)
    side.texts.present.add(MATCH.deployment)
    before = side.versions
    assert side.run(lambda target: refused(retire(target))).kind is FailureKind.TRANSIENT
    assert side.versions == before


def test_given_an_old_orphan_then_it_is_stale_and_stays_unless_removal_is_switched_on(kv2: Mounted) -> None:
    side = orphan_side(kv2)
    side.run(retire)
    since = side.entries[ID]["orphaned_at"]
    side.clock.now += timedelta(days=31)
    assert side.run(retire) == "it has been an orphan for so long that it is stale"
    assert (side.entries[ID]["stale"], side.entries[ID]["orphaned_at"]) == (True, since)
    side.clock.now += timedelta(days=1000)
    assert side.run(retire) is None
    kv2.write(f"{ID}/credentials", {"password": "x"})
    side.settings = replace(side.settings, remove=True, backup=BackupOptions(enabled=False))
    assert side.run(retire) == "it has been an orphan for so long that it is removed"
    assert side.entries == {}
    left = set(side.mounted.admin.paths(kv2.path))
    assert {f"{ID}/manifest", f"{ID}/metadata"}.isdisjoint(left)
    assert f"{ID}/credentials" in left
    newest = max(int(name) for name in backup_names(side, ID) if name != "index")
    side.restoring(lambda restorer: restorer.restore(ID, newest))
    assert side.entries[ID]["stale"] is True
    assert kv2.read(f"{ID}/manifest")["manifest"] == OLD_TEXT


class Interfering(MortalKv):
    """A mount to which somebody else writes right after a certain path is written."""

    def __init__(self, kv: Kv, path: str, interfere: Callable[[], None]) -> None:
        super().__init__(kv)
        self._path = path
        self._interfere = interfere

    async def write(self, path: str, data: Mapping[str, Any], *, cas: int | None = None) -> int | None:
        version = await super().write(path, data, cas=cas)
        if path == self._path:
            self._interfere()
        return version


def removable(mounted: Mounted) -> tuple[RightSide, Record]:
    """Return an instance that has been an orphan for so long that it is to be removed."""
    side = orphan_side(mounted)
    side.run(retire)
    side.clock.now += timedelta(days=31)
    side.run(retire)
    side.clock.now += timedelta(days=60)
    side.settings = replace(side.settings, remove=True)
    [record] = side.run(swept).values()
    return side, record


def documents_left(side: RightSide) -> set[str]:
    return {name for name in ("metadata", "manifest") if f"{ID}/{name}" in side.mounted.admin.paths(side.mounted.path)}


@pytest.mark.parametrize("changed", ["entry", "metadata", "manifest"])
def test_given_a_change_between_backup_and_removal_then_nothing_is_removed(kv2: Mounted, changed: str) -> None:
    side, record = removable(kv2)

    def interfere() -> None:
        if changed == "entry":
            put(side, ID, lambda entry: entry.pop("orphaned"))
        else:
            kv2.write(f"{ID}/{changed}", {"note": "a person's"})

    error = side.run(
        lambda target: refused(target.retire(record)),
        through=lambda kv: Interfering(kv, f"{ID}/backups/index", interfere),
    )
    assert error.kind is FailureKind.TRANSIENT
    assert set(side.entries) == {ID}
    assert documents_left(side) == {"metadata", "manifest"}


def test_given_a_document_that_is_written_while_it_is_to_be_removed_then_it_is_left_and_told(kv2: Mounted) -> None:
    side, record = removable(kv2)
    new = {"note": "of an instance made anew"}

    async def work(target: VaultTarget) -> list[str]:
        await target.retire(record)
        return target.backups.remarks

    [remark] = side.run(work, through=lambda kv: Interfering(kv, "db", lambda: kv2.write(f"{ID}/metadata", new)))
    assert f"{ID}/metadata is left" in remark
    assert kv2.read(f"{ID}/metadata") == new
    assert documents_left(side) == {"metadata"}


@pytest.mark.parametrize("step", range(6))
def test_given_a_kill_at_any_step_of_a_removal_then_taking_it_again_finishes_it(kv2: Mounted, step: int) -> None:
    side, record = removable(kv2)
    kvs: list[MortalKv] = []

    def mortal(kv: Kv) -> Kv:
        kvs.append(MortalKv(kv, step))
        return kvs[-1]

    with pytest.raises(Killed):
        side.run(lambda target: target.retire(record), through=mortal)
    stamps = [f"{ID}/backups/{name}" for name in backup_names(side, ID) if name != "index"]
    steps = [*stamps[-1:], f"{ID}/backups/index", "db", f"{ID}/manifest", f"{ID}/metadata", "db"]
    assert kvs[0].writes[1:] == steps[1 : step + 1]
    side.run(lambda target: target.retire(record))
    assert side.entries == {}
    assert documents_left(side) == set()
    side.restoring(lambda restorer: restorer.restore(ID))
    assert side.entries[ID]["stale"] is True
    assert documents_left(side) == {"metadata", "manifest"}


def test_given_a_server_that_fails_once_then_the_documents_of_a_removed_entry_are_removed_all_the_same(
    kv2: Mounted,
) -> None:
    side, record = removable(kv2)
    proxy = OpenBaoProxy(kv2.url)
    with proxy.running() as side.url:
        proxy.faults.add("status", status=500, method="DELETE", path=f"{ID}/m", times=1)
        side.run(lambda target: target.retire(record))
    assert documents_left(side) == set()


def test_given_a_version_1_mount_then_a_removal_is_the_same(kv1: Mounted) -> None:
    side, record = removable(kv1)
    side.run(lambda target: target.retire(record))
    assert side.entries == {}
    assert {path.partition("/")[2].partition("/")[0] for path in kv1.admin.paths(kv1.path, 1)} == {"backups"}


def test_given_the_demo_without_deployments_then_only_sure_instances_are_retired(kv2: Mounted) -> None:
    side = RightSide.demo(kv2)

    async def due(target: VaultTarget) -> dict[str, bool]:
        records = await swept(target)
        return {
            key: target.orphans.untracked(record.content) is not None
            for key, record in records.items()
            if record.withheld is None
        }

    told = side.run(due)
    assert told[NEW_ORPHAN]
    assert {key for key, is_due in told.items() if not is_due} == {CORRUPTED, INCOMPLETE, LOCKED, OLD_ORPHAN}


def test_given_a_version_1_mount_then_the_same_is_written_and_the_second_run_writes_nothing(kv1: Mounted) -> None:
    side = RightSide.demo(kv1)
    proxy = OpenBaoProxy(kv1.url)
    with proxy.running() as side.url:
        side.run(all_converge)
        assert any(request.method == "POST" for request in proxy.requests)
        proxy.requests.clear()
        assert not any(side.run(all_converge).values())
    assert not [request for request in proxy.requests if request.method in ("POST", "PUT", "DELETE")]
    assert kv1.read("db")[CORRUPTED]["plan_id"] == "rabbitmq-single-node"
    assert UPPER_CASE in kv1.read("db")


def test_records_show_no_secret(kv2: Mounted) -> None:
    side = RightSide.demo(kv2)
    side.run(all_converge)
    records: list[Record] = list(side.run(swept).values())
    told = repr(records)
    for secret in ("invented-", "maxmemory", "credential_type", "max_connections"):
        assert secret not in told
