"""What the recordings do not show: other scopes, switches, timed-out tasks, proxies, and the routes of the sandbox."""

from __future__ import annotations

import base64
import socket

import httpx
import pytest

from sync_pipelines.sandbox.bosh import DirectorStandIn
from sync_pipelines.sandbox.bosh.admin import ADMIN_PATH
from sync_pipelines_tests.sandbox.bosh.conftest import ADMIN


def names(client: httpx.Client) -> list[str]:
    return [row["name"] for row in client.get("/deployments").json()]


def test_given_a_team_when_it_lists_then_the_deployments_of_others_are_left_out(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    assert names(client) == ["of-dba", "plain"]
    standin.world.set_scopes("admin", "bosh.teams.dba.admin")
    assert names(client) == ["of-dba"]
    assert client.get("/deployments/of-dba").status_code == 200
    refused = client.get("/deployments/plain/vms")
    assert (refused.status_code, refused.json()["code"]) == (401, 600000)


@pytest.mark.parametrize("scopes", [(), ("openid",), ("bosh.another-uuid.read",), ("bosh.teams.x",)], ids=str)
def test_given_no_scope_of_this_director_when_listed_then_the_refusal_names_what_is_missing(
    standin: DirectorStandIn, client: httpx.Client, scopes: tuple[str, ...]
) -> None:
    standin.world.set_scopes("admin", *scopes)
    refused = client.get("/deployments")
    assert (refused.status_code, refused.json()["code"]) == (401, 600000)
    assert f"bosh.{standin.world.uuid}.read" in refused.json()["description"]


def test_given_a_change_between_two_lists_then_the_second_shows_it(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    before = client.get("/deployments").content
    assert client.get("/deployments").content == before
    standin.world.lock("plain")
    standin.world.deploy("new", "name: new")
    after = {row["name"]: row["locked"] for row in client.get("/deployments").json()}
    assert after == {"new": False, "of-dba": False, "plain": True}


def test_given_a_broken_deployment_when_read_then_the_answer_is_an_empty_500(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    standin.world.broken.add("plain")
    for path in ("/deployments/plain", "/deployments/plain/vms", "/deployments/plain/vms?format=full"):
        answer = client.get(path)
        assert (answer.status_code, answer.content) == (500, b"")
    assert client.get("/deployments/of-dba").status_code == 200


def test_given_a_silent_task_when_looked_at_then_it_is_timed_out_and_still_listed_as_processing(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    task = standin.world.board.tasks[standin.world.lock("plain")]
    task.checkpoint_at = standin.world.clock.now() - 181
    listed = client.get("/tasks?state=processing").json()
    assert [(row["id"], row["state"]) for row in listed] == [(task.id, "timeout")]
    assert client.get("/tasks?state=processing").json() == []


@pytest.mark.parametrize(
    ("path", "wanted", "status", "text"),
    [
        ("/deployments/plain/variables", "", 404, "Endpoint '/deployments/plain/variables' not found."),
        ("/deployments/plain/", "", 404, "Endpoint '/deployments/plain/' not found."),
        ("/nope/x", "", 404, "Not Found: /nope/x"),
    ],
)
def test_given_a_path_that_nobody_serves_then_the_refusal_is_text(
    client: httpx.Client, path: str, wanted: str, status: int, text: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (status, text)


@pytest.mark.parametrize("value", ["bytes=5", "lines=0-3", "bytes=-4"])
def test_given_a_range_that_cannot_be_read_then_the_whole_output_comes(
    standin: DirectorStandIn, client: httpx.Client, value: str
) -> None:
    task = standin.world.board.tasks[standin.world.lock("plain")]
    task.outputs = {"event": "0123456789"}
    answer = client.get(f"/tasks/{task.id}/output?type=event", headers={"Range": value})
    assert (answer.status_code, answer.text) == (200, "0123456789")


def test_given_a_proxy_in_front_when_a_task_starts_then_its_address_is_that_of_the_proxy(client: httpx.Client) -> None:
    headers = {"Host": "bosh.example.test", "X-Forwarded-Proto": "https"}
    answer = client.get("/deployments/plain/vms?format=full", headers=headers)
    assert answer.headers["Location"].startswith("https://bosh.example.test/tasks/")


@pytest.mark.parametrize(("version", "status"), [("1.0", b" 302 "), ("1.1", b" 303 ")])
def test_given_a_version_of_http_when_a_deletion_starts_then_the_redirect_has_its_status(
    client: httpx.Client, version: str, status: bytes
) -> None:
    credentials = f"Basic {base64.b64encode(':'.join(ADMIN).encode()).decode()}"
    head = f"DELETE /deployments/plain HTTP/{version}\r\nHost: bosh.test\r\nConnection: close\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.sendall(f"{head}Authorization: {credentials}\r\n\r\n".encode())
        assert status in connection.recv(100)


def test_given_a_deploy_over_http_when_its_task_ended_then_the_deployment_is_there(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    manifest = "name: made\ninstance_groups:\n- name: a\n  networks: [{name: services}]\n"
    started = client.post("/deployments", content=manifest, headers={"Content-Type": "text/yaml"})
    assert started.status_code == 303
    assert client.get("/deployments/made").status_code == 404
    standin.world.clock.advance(5)
    assert client.get(httpx.URL(started.headers["Location"]).path).json()["state"] == "done"
    assert client.get("/deployments/made").json() == {"manifest": manifest}


def test_given_an_event_filter_of_a_written_time_then_it_is_understood(
    standin: DirectorStandIn, client: httpx.Client
) -> None:
    standin.world.add_events(1, "old", at=1_700_000_000)
    for text in ("2023-11-14 22:13:21 UTC", "2023-11-14T22:13:21Z", "Tue, 14 Nov 2023 22:13:21 +0000", "1700000001"):
        assert [row["deployment"] for row in client.get("/events", params={"before_time": text}).json()] == ["old"]
    answer = client.get("/events", params={"after_time": "soon"})
    assert (answer.status_code, answer.text) == (400, "Invalid after parameter: 'soon' ")


def test_given_another_process_when_it_changes_the_director_then_the_list_shows_it(client: httpx.Client) -> None:
    body = {"name": "by-hand", "manifest": "name: by-hand", "releases": [["redis", "1"]], "teams": ["dba"]}
    assert client.post(f"{ADMIN_PATH}/deploy", json=body).status_code == 200
    assert client.post(f"{ADMIN_PATH}/delete", json={"name": "plain"}).status_code == 200
    assert names(client) == ["by-hand", "of-dba"]
    assert client.get(ADMIN_PATH).json()["deployments"] == ["by-hand", "of-dba"]
    assert client.post(f"{ADMIN_PATH}/delete", json={"name": "plain"}).status_code == 404
    assert client.post(f"{ADMIN_PATH}/nonsense").status_code == 404
    assert client.post(f"{ADMIN_PATH}/delete", content="{").status_code == 400
