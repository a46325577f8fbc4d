"""What a sweep of Vault uses again of an earlier one: all of it, and nothing that anybody wrote since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.canonical import canonical_json
from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.deployments.manifest import read_manifest
from sync_pipelines.pipelines.deployments.orphans import Step
from sync_pipelines.pipelines.deployments.vault_cache import VaultCache
from sync_pipelines.pipelines.deployments.vault_target import VaultTarget
from sync_pipelines.sandbox.openbao import OpenBaoProxy
from sync_pipelines.store import peer_cache
from sync_pipelines.store.scopes import Scope, ensure_scope
from sync_pipelines.systems.vault.session import Credentials, StaticToken
from sync_pipelines_tests.pipelines.deployments.instances import ID, MATCH, wanted
from sync_pipelines_tests.pipelines.deployments.right_side import DirectorTexts, RightSide, converge, swept
from sync_pipelines_tests.vaults import Mounted

PLAIN = "3ceaaf30-8142-48ea-91d9-3080f9b439fc"
NEW_ORPHAN = "2eb73728-2fea-475e-b536-5e1458294a90"
TEXT = "properties: {port: 6379, password: CANARY-in-a-manifest}"


def scope_of(engine: Engine) -> Scope:
    with engine.begin() as connection:
        return ensure_scope(connection, "deployments", "lab")


@pytest.fixture
def side(engine: Engine, kv2: Mounted) -> RightSide:
    """The demo in Vault, swept once."""
    side = RightSide.demo(kv2, cache=VaultCache(engine, scope_of(engine)))
    side.run(swept)
    return side


def asked(side: RightSide, credentials: Credentials | None = None) -> tuple[dict[str, Record], list[str]]:
    """Sweep, and return what was read of instances."""
    proxy = OpenBaoProxy(side.mounted.url)
    with proxy.running() as side.url:
        records = side.run(swept, credentials=credentials)
    side.url = None
    data = f"/v1/{side.mounted.path}/data/"
    paths = [request.path.removeprefix(data) for request in proxy.requests if request.path.startswith(data)]
    return records, sorted(path for path in paths if path != "db")


def notes(side: RightSide, credentials: Credentials | None = None) -> str:
    sweep = Sweep()
    side.run(lambda target: swept(target, sweep), credentials=credentials)
    return "; ".join(sweep.notes)


def uncached(side: RightSide) -> dict[str, Record]:
    return replace(side, cache=None).run(swept)


def shown(records: dict[str, Record]) -> str:
    """Return records as text, in which 1 and 1.0 and true differ."""
    return canonical_json({key: [one.natural_key, one.content, one.meta, one.withheld] for key, one in records.items()})


def entry_changed(mounted: Mounted) -> None:
    entries = mounted.read("db")
    entries[PLAIN]["deployment_name"] = "another"
    mounted.write("db", entries)


def made_anew(mounted: Mounted) -> None:
    mounted.admin.call("DELETE", f"{mounted.path}/metadata/{PLAIN}/metadata")
    mounted.write(f"{PLAIN}/metadata", {"plan_name": "another"})


def deleted_and_back(mounted: Mounted) -> None:
    mounted.write(f"{PLAIN}/metadata", {"plan_name": "another"})
    mounted.admin.call("DELETE", f"{mounted.path}/data/{PLAIN}/metadata")
    mounted.admin.call("POST", f"{mounted.path}/undelete/{PLAIN}/metadata", {"versions": [2]})


WRITERS: dict[str, Callable[[Mounted], Any]] = {
    "metadata": lambda mounted: mounted.write(f"{PLAIN}/metadata", {"plan_name": "another"}),
    "manifest": lambda mounted: mounted.write(f"{PLAIN}/manifest", {"manifest": "a: b"}),
    "bindings": lambda mounted: mounted.write(f"{PLAIN}/bindings", {"b": {}, "c": {}, "d": {}}),
    "entry": entry_changed,
    "metadata made anew as version 1": made_anew,
    "metadata deleted": lambda mounted: mounted.admin.call("DELETE", f"{mounted.path}/data/{PLAIN}/metadata"),
    "metadata deleted and brought back": deleted_and_back,
    "metadata removed": lambda mounted: mounted.admin.call("DELETE", f"{mounted.path}/metadata/{PLAIN}/metadata"),
    "credentials removed": lambda mounted: mounted.admin.call("DELETE", f"{mounted.path}/metadata/{PLAIN}/credentials"),
}


def test_given_nothing_was_written_then_nothing_is_read_and_the_records_are_the_same(side: RightSide) -> None:
    records, read = asked(side)
    assert read == []
    assert shown(records) == shown(uncached(side))
    assert notes(side) == ""


@pytest.mark.parametrize("writer", WRITERS)
def test_given_somebody_wrote_since_then_it_is_seen_and_only_that_instance_is_read(
    side: RightSide, writer: str
) -> None:
    before = side.run(swept)
    WRITERS[writer](side.mounted)
    records, read = asked(side)
    assert shown(records) == shown(uncached(side))
    assert records[PLAIN].content != before[PLAIN].content
    assert {path.partition("/")[0] for path in read} == {PLAIN}
    assert {key: one for key, one in records.items() if key != PLAIN} == {
        key: one for key, one in before.items() if key != PLAIN
    }


def test_what_a_change_led_to_need_not_be_read_by_the_next_sweep(engine: Engine, kv2: Mounted) -> None:
    side = RightSide(kv2, DirectorTexts({MATCH.deployment: TEXT}), cache=VaultCache(engine, scope_of(engine)))

    async def swept_and_changed(target: VaultTarget) -> None:
        await swept(target)
        await converge(target, ID, wanted(manifest=read_manifest(TEXT), vms=[]))

    side.run(swept_and_changed)
    records, read = asked(side)
    assert read == []
    assert shown(records) == shown(uncached(side))


def test_given_documents_that_came_after_the_sweep_then_they_are_not_overwritten(engine: Engine, kv2: Mounted) -> None:
    side = RightSide(kv2, DirectorTexts({MATCH.deployment: TEXT}), cache=VaultCache(engine, scope_of(engine)))
    content = wanted(manifest=read_manifest(TEXT), vms=[])

    async def overtaken(target: VaultTarget) -> None:
        await swept(target)
        kv2.write(f"{ID}/metadata", {"owner": "somebody"})
        with pytest.raises(PeerError) as caught:
            await converge(target, ID, content)
        assert caught.value.kind is FailureKind.TRANSIENT
        await converge(target, ID, content)

    side.run(overtaken)
    assert kv2.read(f"{ID}/metadata")["owner"] == "somebody"


def test_given_time_goes_by_or_settings_change_then_what_is_due_does_not_come_from_the_cache(side: RightSide) -> None:
    WAS_ORPHANED = {"orphaned": True, "orphaned_at": "2026-11-01T00:00:00Z"}
    entries = side.mounted.read("db")
    entries[NEW_ORPHAN] |= WAS_ORPHANED
    side.mounted.write("db", entries)

    async def due(target: VaultTarget) -> Step | None:
        return target.orphans.due((await swept(target))[NEW_ORPHAN].content)

    assert side.run(due) is None
    assert asked(side)[1] == []
    side.clock.now += timedelta(days=40)
    assert side.run(due) is Step.STALE
    side.settings = replace(side.settings, director="another", other_directors=frozenset({"third"}))
    assert shown(side.run(swept)) == shown(uncached(side))


def test_given_what_is_kept_is_forgotten_then_everything_is_read_again(engine: Engine, side: RightSide) -> None:
    with engine.begin() as connection:
        peer_cache.forget(connection, scope_of(engine))
    assert f"{PLAIN}/metadata" in asked(side)[1]
    assert asked(side)[1] == []


def test_given_instances_that_are_gone_then_they_are_forgotten_and_details_of_deployments_are_not(
    engine: Engine, side: RightSide
) -> None:
    with engine.begin() as connection:
        peer_cache.put(connection, scope_of(engine), {"deployment": ("1", {}), "/info": ("1", {})})
    side.mounted.write("db", {PLAIN: side.mounted.read("db")[PLAIN]})
    side.run(swept)
    with engine.begin() as connection:
        keys = set(connection.execute(text("SELECT key FROM sync.peer_cache")).scalars())
    assert keys == {"deployment", "/info", f"/vault/{PLAIN}"}


def test_given_a_token_that_may_not_scan_then_everything_is_read_each_time(engine: Engine, kv2: Mounted) -> None:
    side = RightSide.demo(kv2, cache=VaultCache(engine, scope_of(engine)))
    rights = {f"{kv2.path}/data/*": ["read"], f"{kv2.path}/metadata/*": ["read", "list"]}
    rights[f"{kv2.path}/metadata/"] = ["list"]
    kv2.admin.put_policy("no-scan", rights)
    reader = StaticToken(kv2.admin.create_token("no-scan"))
    assert shown(side.run(swept, credentials=reader)) == shown(uncached(side))
    assert "'scan'" in notes(side, reader)
    made_anew(kv2)
    records, read = asked(side, reader)
    assert shown(records) == shown(uncached(side))
    assert f"{PLAIN}/metadata" in read
    assert documents_kept(engine) == []


def test_given_a_mount_of_version_1_then_everything_is_read_each_time(engine: Engine, kv1: Mounted) -> None:
    side = RightSide.demo(kv1, cache=VaultCache(engine, scope_of(engine)))
    side.run(swept)
    kv1.write(f"{PLAIN}/metadata", {"plan_name": "another"})
    assert shown(side.run(swept)) == shown(uncached(side))
    assert "KV version 1" in notes(side)
    assert documents_kept(engine) == []


def test_given_bindings_that_a_policy_hides_then_the_instance_is_read_each_time(side: RightSide) -> None:
    mounted = side.mounted
    rights = {f"{mounted.path}/data/*": ["read"], f"{mounted.path}/data/{PLAIN}/bindings": ["deny"]}
    rights |= {f"{mounted.path}/{name}/*": ["read", "list", "scan"] for name in ("metadata", "detailed-metadata")}
    mounted.admin.put_policy("no-bindings", rights)
    reader = StaticToken(mounted.admin.create_token("no-bindings"))
    mounted.write(f"{PLAIN}/bindings", {"b": {}, "c": {}})
    for _ in range(2):
        hidden, read = asked(side, reader)
        assert f"{PLAIN}/metadata" in read
    assert shown(side.run(swept)) == shown(uncached(side)) != shown(hidden)


def test_given_a_version_that_goes_by_itself_then_the_instance_is_read_each_time(side: RightSide) -> None:
    mounted = side.mounted
    mounted.admin.call("POST", f"{mounted.path}/metadata/{PLAIN}/manifest", {"delete_version_after": "1h"})
    mounted.write(f"{PLAIN}/manifest", {"manifest": "a: b"})
    for _ in range(2):
        assert {path.partition("/")[0] for path in asked(side)[1]} == {PLAIN}


def test_given_secrets_everywhere_then_none_is_kept(engine: Engine, kv2: Mounted) -> None:
    side = RightSide(kv2, DirectorTexts({MATCH.deployment: TEXT}), cache=VaultCache(engine, scope_of(engine)))
    side.run(lambda target: converge(target, ID, wanted(manifest=read_manifest(TEXT), vms=[])))
    kv2.write(f"{ID}/credentials", {"password": "CANARY-in-credentials"})
    kv2.write(f"{ID}/bindings", {"b-1": {"password": "CANARY-in-bindings"}})
    entries = side.entries
    entries[ID] |= {"note": "CANARY-in-the-entry", "created_at": {"CANARY": "CANARY-in-a-time"}}
    kv2.write("db", entries)
    side.run(swept)
    (document,) = documents_kept(engine)
    assert MATCH.deployment in document
    assert "CANARY" not in document


def documents_kept(engine: Engine) -> list[str]:
    with engine.begin() as connection:
        query = text("SELECT document FROM sync.peer_cache WHERE key LIKE '/vault/%'")
        return list(connection.execute(query).scalars())
