"""Mistakes in the connections file: each is told with the file, the place and the mend, before anything starts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.settings import connections_path, load_section

UUID = "7c5a1f3e9b2d4c6f8a0b1c2d3e4f5a6b"
USUAL: dict[str, Any] = {
    "name": "nordlys",
    "provider": "virtengine1abc",
    "chain": {"rpc_url": "http://node.example:26657", "chain_id": "virtengine-1"},
    "waldur": {"url": "https://waldur.example/api/", "token": "env:OWNER", "customer_uuid": UUID},
    "category_map": {"Compute": UUID},
}
ENVIRONMENT = {"OWNER": "0123456789abcdef", "PASSWORD": "hunter2 hunter2"}

Load = Callable[..., tuple[OfferingsConnection, ...]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the section of a file with this text, or of one with these connections."""

    def load(
        *connections: Mapping[str, Any], text: str | None = None, environment: Mapping[str, str] = {}
    ) -> tuple[OfferingsConnection, ...]:
        file = tmp_path / "connections.yaml"
        file.write_text(yaml.safe_dump({"offerings": list(connections)}) if text is None else text)
        return load_section(
            "offerings",
            OfferingsConnection,
            known=("offerings", "ledger"),
            environment={**ENVIRONMENT, "SYNC_CONNECTIONS_FILE": str(file), **environment},
        )

    return load


def changed(place: str, value: object) -> dict[str, Any]:
    """Return the usual connection with one value set, or removed when it is ``...``."""
    connection: dict[str, Any] = copy.deepcopy(USUAL)
    *groups, name = place.split(".")
    into = connection
    for group in groups:
        into = into[group]
    if value is ...:
        del into[name]
    else:
        into[name] = value
    return connection


def test_a_right_file_loads(load: Load) -> None:
    (connection,) = load(USUAL)

    assert connection.waldur.url == "https://waldur.example"
    assert connection.waldur.token.reveal() == "0123456789abcdef"
    assert connection.waldur.staff_token is None
    assert connection.category_map == {"compute": UUID}
    assert (connection.interval, connection.max_retries, connection.enabled) == (300, 5, True)
    assert "0123456789abcdef" not in repr(connection) + str(connection.model_dump())


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("retries", 3, "nordlys).retries: unknown key; remove it or correct its spelling"),
        ("waldur.staff", "env:X", "nordlys).waldur.staff: unknown key"),
        ("provider", ..., "nordlys).provider: is missing; add it"),
        ("waldur.customer_uuid", ..., "is missing; add it or set VIRTENGINE_WALDUR_CUSTOMER_UUID"),
        ("name", "North Lys", "name: String should match pattern"),
        ("enabled", "perhaps", "enabled: Input should be a valid boolean"),
        ("provider", "a/b", "provider: String should match pattern"),
        ("chain.rpc_url", "tcp://localhost:26657", "'tcp://localhost:26657' is not an http(s) URL, such as https://"),
        ("chain.rpc_url", "http://", "is not an http(s) URL"),
        ("chain.rpc_url", "http://node:99999", "Port out of range"),
        ("chain.rpc_url", "http://[::1", "Invalid IPv6 URL"),
        ("chain.rpc_url", "http://node/?x=1", "has a query"),
        ("chain.rpc_url", 26657, "chain.rpc_url: Input should be a valid string"),
        ("chain.chain_id", "", "chain.chain_id: String should match pattern"),
        ("chain.key_prefix", 1, "1 is not a text of hex digits, such as '01' (in quotes)"),
        ("chain.window", 0, "chain.window: Input should be greater than or equal to 1"),
        ("waldur.url", "https://user:hunter2@waldur.example", "credentials do not belong into a URL"),
        ("waldur.url", "user:hunter2@waldur.example", "credentials do not belong into a URL"),
        ("waldur.customer_uuid", "nordlys", "'nordlys' is not a UUID"),
        ("waldur.customer_uuid", 12, "12 is not a UUID; put it in quotes"),
        ("waldur.token", "hunter2", "a secret is given as a reference, env:NAME or file:PATH, never as the value"),
        ("waldur.token", "env:NOWHERE", "the environment variable NOWHERE is not set; set it to the secret"),
        ("waldur.token", "env:PASSWORD", "waldur.token: has blanks, line breaks or letters that no token has"),
        ("waldur.token", "file:nowhere", "nowhere cannot be read: No such file or directory"),
        ("waldur.staff_token", False, "waldur.staff_token: a secret is given as a reference"),
        ("waldur.staff_token", "", "waldur.staff_token: a secret is given as a reference"),
        ("category_map", {}, "category_map: is empty; it maps chain categories"),
        ("category_map", {"gpu": "x"}, "category_map.gpu: 'x' is not a UUID"),
        ("category_map", {"gpu": UUID, "GPU": UUID}, "names a category twice"),
        ("category_map", "nowhere.json", "nowhere.json cannot be read: No such file or directory"),
        ("category_map", [UUID], "category_map: Input should be a valid dictionary"),
        ("currency_denominator", 0, "0 cannot divide a price; use 1000000"),
        ("currency_denominator", -5, "-5 cannot divide a price"),
        ("currency_denominator", 3, "3 gives prices with too many decimals; use a power of ten"),
        ("currency_denominator", False, "False is not a whole number; use 1000000"),
        ("currency_denominator", {"uvirt": 0}, "0 cannot divide a price"),
        ("currency_denominator", {}, "currency_denominator: is empty"),
        ("currency_denominator", "1e6", "'1e6' is not a whole number"),
        ("interval", 59, "interval: Input should be greater than or equal to 60"),
        ("interval", True, "interval: true is not a number"),
        ("max_retries", -1, "max_retries: Input should be greater than or equal to 0"),
        ("max_retries", False, "max_retries: false is not a number"),
        ("guard.max_fraction", 20, "guard.max_fraction: Input should be less than or equal to 1"),
        ("in_flight", 100, "in_flight: Input should be less than or equal to 8"),
    ],
)
def test_a_mistake_is_told_with_file_place_and_mend(
    load: Load, tmp_path: Path, place: str, value: object, told: str
) -> None:
    connection = changed(place, value) if not place.startswith("guard.") else {**USUAL, "guard": {place[6:]: value}}

    with pytest.raises(ConfigurationError) as refused:
        load(connection)

    message = str(refused.value)
    assert message.startswith(f"{tmp_path / 'connections.yaml'}: offerings[0] (")
    assert told in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("offerings:\n  - name: [", "line 2, column"),
        ("offerings:\n\t- name: x", "is not valid YAML: found character '\\t' that cannot start any token"),
        ("- offerings", "must be a mapping of sections (offerings: ...)"),
        ("offerngs: []", "unknown section 'offerngs'; the sections are offerings, ledger"),
        ("1: []", "unknown section '1'"),
        ("offerings: {}", "offerings must be a list of connections, each starting with '- name:'"),
        ("offerings: false", "offerings must be a list of connections"),
        ("offerings: [nordlys]", "offerings[0]: a connection is a mapping that starts with 'name:'"),
        (
            "offerings:\n  - name: a\n    name: b",
            "line 3, column 5: is not valid YAML: the key 'name' stands here twice",
        ),
        ("offerings: !!python/object/apply:os.getcwd []", "is not valid YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_connections_file_is_told(load: Load, tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(text=text)

    assert str(refused.value).startswith(str(tmp_path / "connections.yaml"))
    assert told in str(refused.value)


def test_all_mistakes_of_a_connection_are_told_at_once(load: Load) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(changed("provider", ...) | {"interval": 7})

    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "offerings:\n", "offerings: []\n", "ledger: []\n"])
def test_a_file_without_offerings_connects_nothing(load: Load, text: str) -> None:
    assert load(text=text) == ()


def test_double_names_are_refused(load: Load) -> None:
    other = changed("provider", "virtengine1other")

    with pytest.raises(ConfigurationError, match="two connections are named 'nordlys'; names must differ"):
        load(USUAL, other)


def test_two_connections_for_the_same_offerings_are_refused(load: Load) -> None:
    with pytest.raises(
        ConfigurationError, match=r"nordlys and again bring offerings of provider .* remove or disable one"
    ):
        load(USUAL, changed("name", "again"))
    assert len(load(USUAL, {**changed("name", "again"), "enabled": False})) == 2


def test_a_named_file_that_does_not_exist_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"SYNC_CONNECTIONS_FILE=nowhere\.yaml: there is no such file"):
        connections_path({"SYNC_CONNECTIONS_FILE": "nowhere.yaml"})


def test_without_a_file_nothing_is_connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert load_section("offerings", OfferingsConnection, known=("offerings",), environment={}) == ()


def test_a_secret_file_is_found_beside_the_connections_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123\n")

    (connection,) = load(changed("waldur.token", "file:token"))

    assert connection.waldur.token.reveal() == "0123"


@pytest.mark.parametrize(("content", "told"), [(b"", "is empty; write the secret into it"), (b"\xff", "is not UTF-8")])
def test_a_secret_file_without_a_secret_is_told(load: Load, tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "token").write_bytes(content)

    with pytest.raises(ConfigurationError, match=told):
        load(changed("waldur.token", "file:token"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"gpu": ', "categories.json is not valid JSON: Expecting value: line 1"),
        ('["gpu"]', "categories.json must hold a JSON object"),
        ('{"gpu": "x"}', "categories.json: gpu: 'x' is not a UUID"),
        ("{}", "category_map: is empty"),
    ],
)
def test_a_broken_category_map_is_told_with_its_own_file(load: Load, tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "categories.json").write_text(content)

    with pytest.raises(ConfigurationError) as refused:
        load(changed("category_map", "categories.json"))

    assert told in str(refused.value)
    assert "offerings[0] (nordlys).category_map" in str(refused.value)


def test_a_category_map_file_of_the_guide_is_read(load: Load, tmp_path: Path) -> None:
    dashed = "7c5a1f3e-9b2d-4c6f-8a0b-1c2d3e4f5a6b"
    (tmp_path / "categories.json").write_text(json.dumps({"compute": dashed, "hpc": dashed}))

    (connection,) = load(changed("category_map", "categories.json"))

    assert connection.category_map == {"compute": UUID, "hpc": UUID}


def test_the_variables_of_the_guide_are_defaults(load: Load, tmp_path: Path) -> None:
    other = "1" * 32
    (tmp_path / "map.json").write_text(json.dumps({"GPU": other}))
    environment = {
        "VIRTENGINE_WALDUR_OFFERING_SYNC_ENABLED": "false",
        "VIRTENGINE_WALDUR_OFFERING_SYNC_INTERVAL": "600",
        "VIRTENGINE_WALDUR_OFFERING_SYNC_MAX_RETRIES": "0",
        "VIRTENGINE_WALDUR_CUSTOMER_UUID": other,
        "VIRTENGINE_WALDUR_CATEGORY_MAP": "map.json",
    }
    bare = changed("category_map", ...)
    del bare["waldur"]["customer_uuid"]

    (taken,) = load(bare, environment=environment)
    (given,) = load({**USUAL, "enabled": True, "interval": 60, "max_retries": 2}, environment=environment)

    assert (taken.enabled, taken.interval, taken.max_retries) == (False, 600, 0)
    assert (taken.waldur.customer_uuid, taken.category_map) == (other, {"gpu": other})
    assert (given.enabled, given.interval, given.max_retries) == (True, 60, 2)
    assert (given.waldur.customer_uuid, given.category_map) == (UUID, {"compute": UUID})


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("VIRTENGINE_WALDUR_OFFERING_SYNC_INTERVAL", "7", "interval: Input should be greater than or equal to 60"),
        ("VIRTENGINE_WALDUR_OFFERING_SYNC_MAX_RETRIES", "many", "max_retries: Input should be a valid integer"),
        ("VIRTENGINE_WALDUR_OFFERING_SYNC_ENABLED", "perhaps", "enabled: Input should be a valid boolean"),
        ("VIRTENGINE_WALDUR_OFFERING_MAP", "nowhere.json", "nowhere.json cannot be read"),
    ],
)
def test_a_mistake_that_comes_from_a_variable_names_it(load: Load, variable: str, value: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(USUAL, environment={variable: value})

    assert told in str(refused.value)
    assert f"(from the environment variable {variable})" in str(refused.value)


@pytest.mark.parametrize(
    "document",
    [
        {"virtengine1abc/1": UUID},
        {"records": {"virtengine1abc/1": {"waldur_uuid": UUID}, "virtengine1abc/2": {"state": "pending"}}},
    ],
)
def test_links_come_from_a_manual_map_or_a_state_file(load: Load, tmp_path: Path, document: object) -> None:
    (tmp_path / "links.json").write_text(json.dumps(document))

    (by_field,) = load({**USUAL, "offering_map": "links.json"})
    (by_map,) = load(USUAL, environment={"VIRTENGINE_WALDUR_OFFERING_MAP": "links.json"})
    (by_state,) = load(USUAL, environment={"VIRTENGINE_WALDUR_OFFERING_SYNC_STATE_FILE": "links.json"})

    assert by_field.offering_map == by_map.offering_map == by_state.offering_map == {"virtengine1abc/1": UUID}


def test_a_state_file_that_was_never_written_is_no_mistake(load: Load) -> None:
    (connection,) = load(USUAL, environment={"VIRTENGINE_WALDUR_OFFERING_SYNC_STATE_FILE": "data/offering_state.json"})

    assert connection.offering_map == {}


SLOW, QUICK = {"requests_per_second": 2, "burst": 3}, {"requests_per_second": 5.5}


@pytest.mark.parametrize(
    ("place", "others", "told"),
    [
        ("chain.limits", SLOW, "node.example:26657 with different limits (5.5 a second, burst 10 and 2 a second, b"),
        ("chain.limits", {}, "(5.5 a second, burst 10 and no limit, burst 10)"),
        ("waldur.limits", SLOW, "ask the same server waldur.example with different limits"),
        ("waldur.limits", {}, "but it has one limit for all: give both the same waldur.limits"),
    ],
)
def test_two_connections_with_different_limits_for_one_server_are_refused(
    load: Load, place: str, others: Mapping[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match="nordlys and sorlys ask the same server") as caught:
        load(changed(place, QUICK), _another(place, others))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"limits": QUICK}, id="the same limits"),
        pytest.param({"limits": SLOW, "rpc_url": "http://node.example:26658"}, id="another server"),
    ],
)
def test_connections_with_limits_of_their_own_servers_are_right(load: Load, second: Mapping[str, Any]) -> None:
    other = _another("chain.limits", QUICK)
    other["chain"] |= second
    assert len(load(changed("chain.limits", QUICK), other)) == 2


def test_a_disabled_connection_has_no_limits_to_quarrel_about(load: Load) -> None:
    assert len(load(changed("chain.limits", QUICK), _another("chain.limits", SLOW) | {"enabled": False})) == 2


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("HTTP://Node.Example:26657/", "http://node.example:26657"),
        ("http://node.example:80", "http://node.example"),
        ("https://node.example:443/rpc/", "https://node.example/rpc"),
        ("http://[::1]:26657", "http://[::1]:26657"),
        ("https://node.example:80/Rpc", "https://node.example:80/Rpc"),
    ],
)
def test_an_address_is_spelled_in_one_way_so_that_its_server_is_known_again(
    load: Load, written: str, taken: str
) -> None:
    assert load(changed("chain.rpc_url", written))[0].chain.rpc_url == taken


def _another(place: str, value: object) -> dict[str, Any]:
    return changed(place, value) | {"name": "sorlys", "provider": "virtengine1def"}
