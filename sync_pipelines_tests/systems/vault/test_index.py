"""The index on the real server, with others at work on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.openbao import OpenBaoProxy
from sync_pipelines.systems.vault.engines import KvV2, open_kv
from sync_pipelines.systems.vault.index import Changed, Edit, Index
from sync_pipelines.systems.vault.mounts import KvMount
from sync_pipelines.systems.vault.session import StaticToken, VaultSession, vault_transport
from sync_pipelines_tests.vaults import Mounted


def put(entry: Any) -> Edit:
    return lambda _: entry


def removed(_: Any) -> None:
    return None


def counted(entry: Any) -> Any:
    """Add one to the count of an entry, in place."""
    entry = entry if isinstance(entry, dict) else {}
    entry["count"] = int(entry.get("count", 0)) + 1
    return entry


class Refused(Exception):
    """What an edit raises."""


def refuse(entry: Any) -> Any:
    if isinstance(entry, dict):
        entry.clear()
    raise Refused


class Watched:
    """An index through a proxy that knows what was asked."""

    def __init__(self, index: Index, proxy: OpenBaoProxy) -> None:
        self.index = index
        self.proxy = proxy

    @property
    def reads(self) -> int:
        return sum(request.method == "GET" for request in self.proxy.requests)

    @property
    def writes(self) -> int:
        return sum(request.method == "POST" and "/data/" in request.path for request in self.proxy.requests)


def on(target: Mounted, work: Callable[[Watched], Awaitable[None]], **options: Any) -> None:
    """Run work on the mount's index, seen through a proxy."""
    proxy = OpenBaoProxy(target.url)

    async def run(url: str) -> None:
        async with vault_transport(url, read_delay=0.0) as transport:
            kv = await open_kv(VaultSession(transport, StaticToken(target.token)), target.path)
            proxy.requests.clear()
            await work(Watched(Index(kv, **options), proxy))

    with proxy.running() as url:
        asyncio.run(run(url))


@pytest.fixture(params=["kv1", "kv2"])
def either(request: pytest.FixtureRequest) -> Mounted:
    found: Mounted = request.getfixturevalue(request.param)
    return found


def test_given_an_index_when_entries_are_changed_then_all_else_stays_as_it_was(either: Mounted) -> None:
    before = {"a": {"x": 1, "odd": {"f": 2.5}}, "b": '{"cut', "c": {"n": None}}
    either.write("db", before)

    async def work(watched: Watched) -> None:
        assert (await watched.index.change("a", lambda entry: {**entry, "x": 2})).written
        assert (await watched.index.change("new", put({"y": 1}))).entry == {"y": 1}
        assert (await watched.index.change("c", removed)).entry is None
        assert dict((await watched.index.entries()).by_id) == either.read("db")

    on(either, work)
    assert either.read("db") == {"a": {"x": 2, "odd": {"f": 2.5}}, "b": '{"cut', "new": {"y": 1}}


def test_given_edits_that_change_nothing_then_nothing_is_written(either: Mounted) -> None:
    either.write("db", {"a": {"x": 1, "f": 1.5}})

    async def work(watched: Watched) -> None:
        same = await watched.index.change("a", lambda entry: {"f": 1.50, "x": 1.0})
        gone = await watched.index.change("never", removed)
        assert (same.written, gone.written, gone.entry) == (False, False, None)
        assert watched.writes == 0

    on(either, work)


def test_given_no_index_then_the_first_entry_makes_it_and_the_last_one_takes_it_away(either: Mounted) -> None:
    async def work(watched: Watched) -> None:
        for _ in range(2):
            assert dict((await watched.index.entries()).by_id) == {}
            await watched.index.change("a", put({"x": 1}))
            assert either.read("db") == {"a": {"x": 1}}
            await watched.index.change("a", removed)
            assert either.read("db") is None

    on(either, work)


def test_given_many_changes_at_once_then_few_writes_carry_them_all(kv2: Mounted) -> None:
    async def work(watched: Watched) -> None:
        outcomes = await asyncio.gather(*(watched.index.change(f"id-{n}", put({"n": n})) for n in range(50)))
        assert [outcome.entry for outcome in outcomes] == [{"n": n} for n in range(50)]
        assert (watched.reads, watched.writes) == (1, 1)

    on(kv2, work)
    assert kv2.read("db") == {f"id-{n}": {"n": n} for n in range(50)}


def test_given_several_edits_of_one_entry_then_each_sees_the_one_before(either: Mounted) -> None:
    async def work(watched: Watched) -> None:
        await asyncio.gather(*(watched.index.change("a", counted) for _ in range(10)))

    on(either, work)
    assert either.read("db") == {"a": {"count": 10}}


def test_given_an_edit_that_refuses_then_only_its_caller_hears_of_it(either: Mounted) -> None:
    either.write("db", {"a": {"x": 1}})

    async def work(watched: Watched) -> None:
        outcomes = await asyncio.gather(
            watched.index.change("b", put({"y": 1})),
            watched.index.change("a", refuse),
            watched.index.change("a", lambda entry: {**entry, "z": 1}),
            watched.index.change("c", put({"bad": object()})),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [Changed, Refused, Changed, ValueError]

    on(either, work)
    assert either.read("db") == {"a": {"x": 1, "z": 1}, "b": {"y": 1}}


def test_given_a_caller_that_gives_up_then_the_others_are_served(kv2: Mounted) -> None:
    async def work(watched: Watched) -> None:
        impatient = asyncio.create_task(watched.index.change("a", put({"x": 1})))
        patient = asyncio.create_task(watched.index.change("b", put({"x": 2})))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).written
        assert impatient.cancelled() or impatient.cancelling()

    on(kv2, work)
    assert kv2.read("db")["b"] == {"x": 2}


def test_given_readers_that_come_one_after_another_then_none_gets_what_was_read_before_it_came(kv2: Mounted) -> None:
    kv2.write("db", {"a": {"n": 0}})

    async def work(watched: Watched) -> None:
        watched.proxy.faults.add("latency", method="GET", seconds=0.05)
        first = asyncio.create_task(watched.index.entries())
        await asyncio.sleep(0.02)
        await asyncio.to_thread(kv2.write, "db", {"a": {"n": 1}})
        later = await asyncio.gather(*(watched.index.entries() for _ in range(5)))
        assert [found.by_id["a"] for found in later] == [{"n": 1}] * 5
        await first
        assert watched.reads == 2

    on(kv2, work)


def test_given_16_writers_and_a_foreign_one_then_no_entry_is_lost(kv2: Mounted) -> None:
    """The foreign writer names versions too, as any that loses nothing must."""
    kv2.write("db", {"old": {"odd": [1, {"f": 2.5}]}})
    proxy = OpenBaoProxy(kv2.url)
    mount, rounds = KvMount(kv2.path, 2), 8

    async def foreign(url: str) -> None:
        async with vault_transport(url) as transport:
            index = Index(KvV2(VaultSession(transport, StaticToken(kv2.token)), mount), attempts=100)
            for number in range(20):
                await index.change(f"foreign-{number}", put({"n": number}))

    async def ours(url: str) -> None:
        async with vault_transport(url) as transport:
            index = Index(KvV2(VaultSession(transport, StaticToken(kv2.token)), mount), attempts=100)

            async def one(writer: int) -> None:
                for number in range(rounds):
                    await index.change(f"{writer}-{number}", put({"n": number}))
                    await index.change("shared", counted)

            await asyncio.gather(*(one(writer) for writer in range(16)))

    with proxy.running() as url:
        other = threading.Thread(target=lambda: asyncio.run(foreign(url)))
        other.start()
        asyncio.run(ours(url))
        other.join()
    assert 400 in {request.status for request in proxy.requests}
    found = kv2.read("db")
    expected = {f"{writer}-{number}": {"n": number} for writer in range(16) for number in range(rounds)}
    expected |= {f"foreign-{number}": {"n": number} for number in range(20)}
    assert found == {**expected, "shared": {"count": 16 * rounds}, "old": {"odd": [1, {"f": 2.5}]}}


def test_given_a_foreign_entry_between_read_and_write_then_edits_are_applied_to_what_is_there(kv2: Mounted) -> None:
    kv2.write("db", {"a": {"count": 1}})
    seen: list[Any] = []

    def slow(entry: Any) -> Any:
        seen.append(entry)
        if len(seen) == 1:
            kv2.write("db", {"a": {"count": 7}, "theirs": {}})
        return {"count": entry["count"] + 1}

    async def work(watched: Watched) -> None:
        outcome = await watched.index.change("a", slow)
        assert (outcome.entry, outcome.version) == ({"count": 8}, 3)

    on(kv2, work)
    assert kv2.read("db") == {"a": {"count": 8}, "theirs": {}}


def test_given_an_entry_put_in_while_the_last_one_goes_then_it_stays(kv2: Mounted) -> None:
    kv2.write("db", {"a": {"x": 1}})

    async def work(watched: Watched) -> None:
        put_in = threading.Timer(0.05, lambda: kv2.write("db", {"theirs": {"x": 1}}))
        watched.proxy.faults.add("latency", path="/delete/", seconds=0.2)
        put_in.start()
        await watched.index.change("a", removed)
        put_in.join()

    on(kv2, work)
    assert kv2.read("db") == {"theirs": {"x": 1}}


def test_given_writers_that_never_stop_then_it_is_given_up_with_nothing_written(kv2: Mounted) -> None:
    kv2.write("db", {"a": {"x": 0}})
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def overtaken(entry: Any) -> Any:
        kv2.write("db", {"a": {"x": entry["x"] + 1}})
        return {"mine": True}

    async def work(watched: Watched) -> None:
        with pytest.raises(PeerError, match="other writers") as caught:
            await watched.index.change("a", overtaken)
        assert caught.value.kind is FailureKind.TRANSIENT

    on(kv2, work, attempts=4, sleep=sleep, jitter=lambda: 1.0)
    assert slept == [0.02, 0.04, 0.08]
    assert kv2.read("db") == {"a": {"x": 4}}


def test_given_version_1_when_a_foreign_map_takes_the_place_of_ours_then_the_edits_are_applied_again(
    kv1: Mounted,
) -> None:
    kv1.write("db", {"a": {"x": 1}})

    async def work(watched: Watched) -> None:
        # The second reading is the one that looks whether the write is there.
        watched.proxy.faults.add("latency", method="GET", skip=1, times=1, seconds=0.2)
        overwrite = threading.Timer(0.1, lambda: kv1.write("db", {"a": {"x": 5}, "theirs": {}}))
        overwrite.start()
        await watched.index.change("b", put({"y": 1}))
        overwrite.join()

    on(kv1, work)
    assert kv1.read("db") == {"a": {"x": 5}, "theirs": {}, "b": {"y": 1}}


@pytest.mark.parametrize("kind", ["drop_after_commit", "error_after_commit", "drop"])
def test_given_a_write_with_an_unknown_end_then_its_whole_group_is_told(kv2: Mounted, kind: str) -> None:
    kv2.write("db", {"same": {"x": 1}})

    async def work(watched: Watched) -> None:
        watched.proxy.faults.add(kind, method="POST", path="/data/", times=1)
        outcomes = await asyncio.gather(
            watched.index.change("a", put({"x": 1})),
            watched.index.change("b", put({"x": 2})),
            watched.index.change("same", put({"x": 1})),
            return_exceptions=True,
        )
        first, second, third = outcomes
        assert isinstance(first, PeerError)
        assert isinstance(second, PeerError)
        assert first is not second
        assert (first.kind, second.kind) == (FailureKind.AMBIGUOUS, FailureKind.AMBIGUOUS)
        assert isinstance(third, Changed)
        # Whoever asks again is told what came of it.
        again = await watched.index.change("a", put({"x": 1}))
        assert again.written is (kind == "drop")

    on(kv2, work)


def test_given_one_entry_that_the_server_refuses_then_the_others_are_written(kv2: Mounted) -> None:
    async def work(watched: Watched) -> None:
        huge = {"text": "x" * 33 * 1024 * 1024}
        outcomes = await asyncio.gather(
            *(watched.index.change(id, put(entry)) for id, entry in (("a", {}), ("huge", huge), ("b", {}))),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [Changed, PeerError, Changed]

    on(kv2, work)
    assert kv2.read("db") == {"a": {}, "b": {}}


def test_given_an_index_that_cannot_be_read_then_every_caller_is_told_and_nothing_is_written(kv2: Mounted) -> None:
    kv2.write("db", {"a": {"x": 1}})

    async def work(watched: Watched) -> None:
        watched.proxy.faults.add("truncated_body", method="GET", path="/data/")
        outcomes = await asyncio.gather(
            watched.index.change("a", removed),
            watched.index.entries(),
            watched.index.change("b", put({})),
            return_exceptions=True,
        )
        assert [getattr(outcome, "kind", None) for outcome in outcomes] == [FailureKind.TRANSIENT] * 3
        assert watched.writes == 0

    on(kv2, work)
    assert kv2.read("db") == {"a": {"x": 1}}


def test_given_an_entry_under_another_key_then_one_write_moves_it(either: Mounted) -> None:
    either.write("db", {"A": {"count": 1}, "b": {"n": 1}, "C": {}, "c": {}})

    async def work(watched: Watched) -> None:
        index = watched.index
        moved, unmoved, made = await asyncio.gather(
            index.change("a", counted, moved_from="A"),
            index.change("b", lambda entry: entry, moved_from="b"),
            index.change("d", counted, moved_from="D"),
        )
        assert (moved.entry, moved.written) == ({"count": 2}, True)
        assert (unmoved.written, made.entry) == (False, {"count": 1})
        assert moved.version == made.version
        with pytest.raises(PeerError, match="both have an entry"):
            await index.change("c", counted, moved_from="C")
        await index.change("b", removed, moved_from="B")

    on(either, work)
    assert either.read("db") == {"a": {"count": 2}, "C": {}, "c": {}, "d": {"count": 1}}


def test_given_the_map_that_was_read_or_written_last_then_only_its_version_is_asked_for(kv2: Mounted) -> None:
    kv2.write("db", {"a": {"n": 1}})

    async def work(watched: Watched) -> None:
        await watched.index.entries()
        await watched.index.change("b", put({"n": 2}))
        assert dict((await watched.index.entries()).by_id) == kv2.read("db") == {"a": {"n": 1}, "b": {"n": 2}}
        whole = [request.path for request in watched.proxy.requests if request.method == "GET"]
        assert [path.split("/")[3] for path in whole] == ["data", "metadata", "metadata"]

    on(kv2, work)


@pytest.mark.parametrize("is_own", [False, True], ids=["read", "written"])
def test_given_an_index_made_anew_with_the_same_version_then_it_is_read_and_not_overwritten(
    kv2: Mounted, is_own: bool
) -> None:
    async def work(watched: Watched) -> None:
        if is_own:
            await watched.index.change("a", put({"n": 1}))
        else:
            kv2.write("db", {"a": {"n": 1}})
            await watched.index.entries()
        kv2.admin.call("DELETE", f"{kv2.path}/metadata/db")
        kv2.write("db", {"foreign": {"n": 2}})
        await watched.index.change("b", put({"n": 3}))
        assert dict((await watched.index.entries()).by_id) == kv2.read("db") == {"foreign": {"n": 2}, "b": {"n": 3}}

    on(kv2, work)


def test_given_a_token_that_may_not_see_versions_then_the_map_is_read_each_time(kv2: Mounted) -> None:
    kv2.write("db", {"a": {"n": 1}})
    kv2.admin.put_policy("data-only", {f"{kv2.path}/data/*": ["read", "update"]})
    token = kv2.admin.create_token("data-only")

    async def work(watched: Watched) -> None:
        await watched.index.entries()
        await watched.index.change("a", counted)
        kv2.write("db", {"a": {"n": 5}})
        assert (await watched.index.entries()).by_id == {"a": {"n": 5}}

    on(replace(kv2, token=token, version=2), work)
