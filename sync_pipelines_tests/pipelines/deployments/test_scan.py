"""The scan of a Director: what is asked, what is kept, and what is said when something cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError, FailureKind, PeerError
from sync_pipelines.pipelines.deployments import lives
from sync_pipelines.sandbox.bosh import DEMO_USER, DirectorStandIn, DirectorWorld, UaaWorld
from sync_pipelines.sandbox.bosh.faults import deleted_after_listing, empty_error, scopes_lost, short_list
from sync_pipelines.sandbox.bosh.model import Vm
from sync_pipelines.sandbox.faults import FaultKind, Lie
from sync_pipelines.settings import Secret
from sync_pipelines_tests.pipelines.deployments.fleet import Fleet, opened_fleet
from sync_pipelines_tests.vaults import Mounted

ID = "12345678-1234-1234-1234-123456789abc"
DETAILS = 3
"""Requests for one deployment: manifest, VMs, events."""


@pytest.fixture
def fleet(engine: Engine, kv2: Mounted) -> Iterator[Fleet]:
    """A Director with four instances and two VMs each, and an empty Vault."""
    with opened_fleet(engine, DirectorStandIn.many(4, 2), kv2) as fleet:
        yield fleet


@pytest.fixture
def demo(engine: Engine, kv2: Mounted) -> Iterator[Fleet]:
    """The demo's Director."""
    with opened_fleet(engine, DirectorStandIn.demo(), kv2) as fleet:
        yield fleet


def _names(fleet: Fleet) -> list[str]:
    return sorted(fleet.world.deployments)


def test_given_the_demo_then_instances_are_records_and_the_others_are_not(demo: Fleet) -> None:
    records, sweep = demo.scan()

    assert len(records) == 12
    assert all(name.endswith(record.natural_key) for name, record in records.items())
    (held,) = [record for record in records.values() if record.withheld]
    assert held.key.startswith("postgresql-standalone-medium-66080f17")
    assert "needs review (low_confidence_manifest, confidence 0.3)" in (held.withheld or "")
    assert (sweep.seen, sweep.declared, sweep.ignored, sweep.gaps) == (14, 14, 2, [])
    assert any("a change is under way at rabbitmq-cluster-3" in note for note in sweep.notes)
    assert any("78b7d0ac" in note and "no valid YAML" in note for note in sweep.notes)
    assert sweep.identity == f"Director {demo.world.uuid} as user {DEMO_USER}"


def test_given_more_than_200_events_then_the_creation_is_still_found(demo: Fleet) -> None:
    records, _ = demo.scan()
    (busy,) = [record for record in records.values() if "3ceaaf30" in record.key]
    assert busy.content["created_at"] == "2026-09-02T08:14:51Z"


def test_given_nothing_changed_then_a_warm_pass_asks_for_the_list_alone_and_says_the_same(fleet: Fleet) -> None:
    auto = fleet.connection(director={"auth": "auto"})
    cold, _ = fleet.scan(auto)
    assert len(fleet.asked()) == 2 + 4 * DETAILS

    warm, sweep = fleet.scan(auto)

    assert fleet.asked() == ["/deployments"]
    assert warm == cold
    assert sweep.notes == ["details of 4 of 4 deployments were known from an earlier run"]


@pytest.mark.parametrize("how", ["an upgrade", "a lock", "age", "a forced run", "no cache"])
def test_details_are_read_again_when_they_may_be_out_of_date(fleet: Fleet, how: str) -> None:
    fleet.scan()
    fleet.asked()
    name, concerned, connection = _names(fleet)[0], 1, None
    match how:
        case "an upgrade":
            fleet.world.update(name, releases=(("redis", "18.0.0"),))
        case "a lock":
            fleet.world.lock(name)
        case "age":
            fleet.grow_old()
            concerned = 4
        case "a forced run":
            fleet.opened(lambda opened: opened.forget_cached())
            concerned = 4
        case "no cache":
            connection, concerned = fleet.connection(reconciler={"cache_ttl": "0"}), 4

    fleet.scan(connection)

    asked = fleet.asked()
    assert sum(path.endswith("/vms") for path in asked) == concerned
    assert ("/info" in asked) == (concerned == 4)


@pytest.mark.parametrize("manner", [{"director": {"process_state": True}}, {"manifest_max_bytes": 2048}])
def test_given_another_manner_of_reading_then_everything_is_read_again(fleet: Fleet, manner: dict[str, Any]) -> None:
    fleet.scan()
    fleet.asked()
    fleet.scan(fleet.connection(**manner))
    assert sum(path.endswith("/vms") for path in fleet.asked()) == 4


def test_given_a_catalog_that_changed_then_everything_is_read_again(fleet: Fleet, tmp_path: Any) -> None:
    fleet.scan()
    fleet.asked()
    other = tmp_path / "catalog.yaml"
    other.write_text("services: [{id: redis, name: redis, plans: [{id: redis-cache-small, name: cache-small}]}]")

    records, _ = fleet.scan(fleet.connection(catalog=str(other)))

    assert len(fleet.asked()) == 1 + 4 * DETAILS
    assert sum(record.withheld is None for record in records.values()) == 1
    assert len(records) == 4, "what fits no plan but has an instance id is there all the same"


def test_what_is_kept_holds_no_text_and_no_property(fleet: Fleet) -> None:
    name = _names(fleet)[0]
    fleet.world.update(
        name, f"---\nname: {name}\nproperties:\n  password: hunter2\n  blacksmith: {{service_id: s3cret, plan_id: x}}\n"
    )
    fleet.scan()
    with fleet.engine.begin() as connection:
        kept = connection.exec_driver_sql("SELECT string_agg(document, ' ') FROM sync.peer_cache").scalar_one()
    assert "hunter2" not in kept
    assert "s3cret" not in kept


def test_given_details_that_fail_then_fields_of_the_list_are_told_and_the_rest_is_left_as_it_is(fleet: Fleet) -> None:
    before, _ = fleet.scan()
    name = _names(fleet)[0]
    fleet.grow_old()
    empty_error(fleet.director.faults, name)

    after, sweep = fleet.scan()

    known = after[name].content
    assert after[name].withheld is None
    assert known["releases"] == before[name].content["releases"]
    assert not {"vms", "manifest_sha256", "created_at", "match_confidence"} & known.keys()
    assert {key: row for key, row in after.items() if key != name} == {k: r for k, r in before.items() if k != name}
    assert sweep.gaps == []
    assert any(name in note and "manifest could not be read" in note for note in sweep.notes)


def test_given_details_that_were_never_read_then_nothing_is_concluded(fleet: Fleet) -> None:
    name = _names(fleet)[0]
    empty_error(fleet.director.faults, name)
    records, _ = fleet.scan()
    assert "nothing is written until its details are known" in (records[name].withheld or "")
    assert records[name].natural_key == name[-36:]


@pytest.mark.parametrize(("path", "missing"), [("vms$", "vms"), ("events", "created_at")])
def test_given_one_detail_that_fails_then_the_others_are_told_and_it_is_asked_again(
    fleet: Fleet, path: str, missing: str
) -> None:
    fault = fleet.director.faults.add(FaultKind.STATUS, path=path, status=500, body="")
    records, _ = fleet.scan()
    assert all(missing not in record.content for record in records.values())
    assert all("manifest_sha256" in record.content for record in records.values())

    fleet.director.faults.remove(fault)
    records, _ = fleet.scan()
    assert all(missing in record.content for record in records.values())


def test_given_a_deployment_deleted_after_the_list_then_it_is_left_to_the_next_run(fleet: Fleet) -> None:
    name = _names(fleet)[2]
    deleted_after_listing(fleet.world, name)
    records, sweep = fleet.scan()
    assert "was deleted while it was read" in (records[name].withheld or "")
    assert sweep.gaps == []
    assert name not in fleet.scan()[0]


def test_given_a_token_that_loses_scope_on_the_way_then_the_list_counts_and_details_are_kept(fleet: Fleet) -> None:
    fleet.scan()
    fleet.grow_old()
    scopes_lost(fleet.world, DEMO_USER, "bosh.teams.nobody.admin")
    records, sweep = fleet.scan()
    assert all(record.withheld is None for record in records.values())
    assert all("600000" in note or "scope" in note for note in sweep.notes)


def test_given_an_empty_list_then_nothing_is_concluded_from_it(fleet: Fleet) -> None:
    short_list(fleet.director.faults, Lie.EMPTY)
    records, sweep = fleet.scan()
    assert records == {}
    assert "lists no deployments at all" in sweep.gaps[0]


def test_given_a_director_that_goes_down_then_the_pass_fails_and_what_was_kept_stays(fleet: Fleet) -> None:
    fleet.scan()
    fleet.grow_old()
    fleet.director.faults.add(FaultKind.STATUS, path="/deployments/.+", status=503, body="")
    with pytest.raises(PeerError) as failure:
        fleet.scan()
    assert failure.value.kind is FailureKind.TRANSIENT
    fleet.director.faults.clear()
    fleet.let_time_pass()
    assert len(fleet.scan()[0]) == 4


def test_given_a_refused_login_then_the_pass_fails(fleet: Fleet) -> None:
    fleet.world.add_user(DEMO_USER, "another")
    with pytest.raises(PeerError) as failure:
        fleet.scan()
    assert failure.value.kind is FailureKind.AUTH


def _anchors(name: str) -> str:
    return f"---\nname: {name}\nbase: &b {{a: 1}}\nother: {{<<: *b, 2: x, true: y}}\n"


MANIFESTS: list[tuple[str, Callable[[str], str | None], str]] = [
    ("malformed", lambda name: f"name: {name}\nsecret: 'open\n\tx", "no valid YAML"),
    (
        "5 MB",
        lambda name: f"name: {name}\nproperties:\n" + "  a: '" + "x" * 5_000_000 + "'",
        "",
    ),
    ("too large", lambda name: f"name: {name}\na: '" + "x" * 9_000_000 + "'", "too large"),
    ("anchors and keys that are no text", _anchors, ""),
    (
        "a bomb",
        lambda name: (
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8))
        ),
        "aliases that expand",
    ),
    ("null", lambda name: None, ""),
    ("an integer of 20,000 bits", lambda name: f"name: {name}\nproperties: {{a: 0x{'F' * 5000}}}", ""),
    ("an integer of 3,000 parts", lambda name: f"name: {name}\nproperties: {{a: 1{':59' * 3000}}}", ""),
    ("a fraction of 3,000 parts", lambda name: f"name: {name}\nproperties: {{a: 1{':59' * 3000}.5}}", ""),
    ("a key of 20,000 bits", lambda name: f"name: {name}\nproperties: {{? [0x{'F' * 5000}] : a}}", ""),
    ("a plan of 20,000 bits", lambda name: f"name: {name}\nreleases: [{{name: 0x{'F' * 5000}}}]", ""),
]


@pytest.mark.parametrize(("made", "problem"), [pytest.param(made, told, id=id) for id, made, told in MANIFESTS])
def test_given_an_odd_manifest_then_that_one_is_reported_and_the_others_go_on(
    fleet: Fleet, made: Callable[[str], str | None], problem: str
) -> None:
    name = f"redis-cache-small-{ID}"
    fleet.world.deploy(name, made(name))

    records, sweep = fleet.scan()

    assert len(records) == 5
    assert records[name].withheld is None
    assert ("properties_digest" in records[name].content) == (not problem and made(name) is not None)
    told = [note for note in sweep.notes if name in note]
    assert [problem in note for note in told] == ([True] if problem else [])


def test_given_a_manifest_that_claims_a_path_then_nothing_is_written_for_it(fleet: Fleet) -> None:
    name = f"redis-cache-small-{ID}"
    fleet.world.deploy(name, f"name: {name}\nproperties: {{blacksmith: {{instance_id: ../../sys}}}}\n")
    records, _ = fleet.scan()
    assert "no UUID" in (records[name].withheld or "")


def test_given_process_state_then_agents_are_asked_and_a_dead_one_is_told(fleet: Fleet) -> None:
    name = _names(fleet)[0]
    fleet.world.vms_seconds = fleet.world.dead_agent_seconds = 0.0
    fleet.world.set_agents(name, dead=True, index=0)
    connection = fleet.connection(director={"process_state": True})
    records, _ = fleet.scan(connection)
    assert {vm["job_state"] for vm in records[name].content["vms"]} == {"running", "unresponsive agent"}
    assert fleet.scan(connection)[0] == records


def test_a_look_asks_for_the_details_of_what_is_looked_for_only(fleet: Fleet) -> None:
    name = _names(fleet)[1]
    records, sweep = fleet.scan(keys=[name[-36:], ID])
    assert list(records) == [name]
    assert sweep.seen == 1
    assert len(fleet.asked()) == 2 + DETAILS


def test_given_an_id_in_the_manifest_alone_then_a_look_finds_it(fleet: Fleet) -> None:
    manifest = f"properties: {{blacksmith: {{service_id: redis, plan_id: redis-cache-small, instance_id: {ID}}}}}\n"
    fleet.world.deploy("my-cache", manifest)
    assert list(fleet.scan(keys=[ID])[0]) == ["my-cache"]
    fleet.asked()
    assert list(fleet.scan(keys=[ID])[0]) == ["my-cache"]
    assert fleet.asked() == ["/deployments"]


def test_given_an_id_in_the_manifest_alone_that_cannot_be_read_now_then_it_is_still_the_same_instance(
    fleet: Fleet,
) -> None:
    manifest = f"properties: {{blacksmith: {{service_id: redis, plan_id: redis-cache-small, instance_id: {ID}}}}}\n"
    fleet.world.deploy("my-cache", manifest)
    fleet.scan()
    fleet.grow_old()
    empty_error(fleet.director.faults, "my-cache")
    assert fleet.scan()[0]["my-cache"].natural_key == ID


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["service:redis"], 2),
        (["plan:redis-cache-large"], 1),
        (["plan:cache-large", "service:redis"], 2),
        ([ID.upper()], 1),
        ([f"instance:{ID}"], 1),
    ],
)
def test_people_select_by_service_plan_or_id(fleet: Fleet, words: list[str], count: int) -> None:
    assert len(fleet.opened(lambda opened: opened.scan.select(words))) == count


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("service:mysql", "the catalog has no service 'mysql'; there are redis"),
        ("plan:huge", "the catalog has no plan 'huge'"),
        ("plan:rabbitmq-cluster-3", "selects nothing"),
        ("nothing", "the Director lists no such deployment; give an instance id"),
    ],
)
def test_given_words_that_select_nothing_then_that_is_an_error(fleet: Fleet, word: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        fleet.opened(lambda opened: opened.scan.select([word]))


def test_what_is_no_longer_listed_is_not_kept(fleet: Fleet) -> None:
    fleet.scan()
    for name in _names(fleet)[1:]:
        fleet.world.delete(name)
    fleet.scan()
    with fleet.engine.begin() as connection:
        keys = connection.exec_driver_sql("SELECT key FROM sync.peer_cache ORDER BY key").scalars().all()
    assert keys == ["/info", *_names(fleet)]


def test_given_more_deployments_than_a_batch_then_all_come_in_order(engine: Engine, kv2: Mounted) -> None:
    with opened_fleet(engine, DirectorStandIn.many(30), kv2) as fleet:
        connection = fleet.connection(reconciler={"batch_size": 4, "max_concurrency": 3})
        assert list(fleet.scan(connection)[0]) == _names(fleet)
        assert len(fleet.asked()) == 2 + 30 * DETAILS


@pytest.mark.parametrize("concurrency", [1, 3, 12])
def test_given_a_concurrency_then_no_more_is_asked_of_the_director_at_a_time_also_when_instances_are_written(
    engine: Engine, kv2: Mounted, concurrency: int
) -> None:
    with opened_fleet(engine, DirectorStandIn.many(16), kv2) as fleet:
        fleet.world.latency_seconds = 0.02
        connection = fleet.connection(reconciler={"max_concurrency": concurrency})
        fleet.scan(connection)
        in_scan, fleet.world.most_in_flight = fleet.world.most_in_flight, 0
        fleet.reconcile(connection)
        in_apply = fleet.world.most_in_flight
    assert max(in_scan, in_apply) <= concurrency
    assert min(in_scan, in_apply) > (1 if concurrency > 1 else 0)


def test_given_team_scopes_then_absence_is_not_believed(engine: Engine, kv2: Mounted) -> None:
    uaa = UaaWorld()
    uaa.add_client("team", "team-secret", "bosh.teams.dba.admin")
    world = DirectorWorld(uaa=uaa)
    world.deploy(f"redis-cache-small-{ID}", "name: x\n", teams=("dba",), vms=(Vm("redis", 0, "i", "a", "c"),))
    with opened_fleet(engine, DirectorStandIn(world), kv2) as fleet:
        login = {"user": None, "password": None, "client": "team", "client_secret": Secret("team-secret")}
        connection = fleet.connection(director={**login, "auth": "auto"})
        _, sweep = fleet.scan(connection)
        assert "the deployments of its teams only" in sweep.gaps[0]
        assert sweep.identity.endswith("as bosh.teams.dba.admin")
        fleet.asked()
        fleet.scan(connection)
        assert fleet.asked() == ["/deployments"], "the token server's address is known as well"


def test_the_clock_of_the_cache_is_the_database_s(fleet: Fleet) -> None:
    fleet.scan()
    fleet.ahead = timedelta(days=1)
    fleet.asked()
    fleet.scan()
    assert fleet.asked() == ["/deployments"]


def test_given_debug_then_every_match_and_cache_hit_is_told_on_stderr_and_else_nothing(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.scan()
    assert capsys.readouterr().err == ""

    fleet.scan(fleet.connection(reconciler={"debug": True}))

    told = capsys.readouterr().err
    assert "the Director lists 4 deployments" in told
    for name in _names(fleet):
        assert f"{name}: is instance" in told
    assert told.count("confidence 1") == told.count("details as kept") == 4
    fleet.scan()
    assert capsys.readouterr().err == ""


def test_given_many_deployments_then_their_lives_are_read_together_and_are_the_same(
    engine: Engine, kv2: Mounted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened_fleet(engine, DirectorStandIn.many(120, 1), kv2) as fleet:
        fleet.world.update(_names(fleet)[-1], releases=(("redis", "18.0.0"),))
        together, _ = fleet.scan()
        few = fleet.asked().count("/events")
        monkeypatch.setattr(lives, "SAVING", 10**6)
        fleet.opened(lambda opened: opened.forget_cached())
        one_by_one, _ = fleet.scan()

        assert fleet.asked().count("/events") == len(one_by_one) == 120
        assert few < 30
    assert together == one_by_one
    assert all(record.content["created_at"] for record in together.values())
    assert len({record.content["latest_task_id"] for record in together.values()}) == 120


@pytest.mark.parametrize("why", ["more events than it is worth", "a server that ignores the filter"])
def test_given_lives_that_cannot_be_read_together_then_they_are_read_one_by_one(
    engine: Engine, kv2: Mounted, why: str
) -> None:
    with opened_fleet(engine, DirectorStandIn.many(60, 1), kv2) as fleet:
        if why.startswith("more"):
            for _ in range(3):
                for name in _names(fleet):
                    fleet.world.update(name)
        else:
            fleet.director.faults.add(FaultKind.STATUS, path="/events$", query="^object_type=deployment$", status=400)
        records, sweep = fleet.scan()

    assert len(records) == 60
    assert all(record.content["created_at"] for record in records.values())
    assert sweep.gaps == []
