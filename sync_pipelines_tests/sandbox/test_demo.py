"""The demo's stand-ins remember what happened."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from sync_pipelines.sandbox.demo import DemoUrls, demo_connections, demo_stand_ins, demo_tokens
from sync_pipelines.sandbox.keeping import StateUnreadable

OFFERING = "virtengine1rk28937hz050m2lm46skdlvvx39csat7pjvyv3/1"
ROWS = "/api/marketplace-provider-offerings/"


def _height(urls: DemoUrls) -> int:
    return int(httpx.get(f"{urls.chain}/_sandbox/chain").json()["height"])


def test_changes_on_both_sides_outlast_a_kill(tmp_path: Path) -> None:
    authorization = {"Authorization": f"Token {demo_tokens()['DEMO_STAFF_TOKEN']}"}
    with demo_stand_ins(tmp_path, waldur_port=0, chain_port=0, block_seconds=60) as urls:
        row = httpx.get(urls.waldur + ROWS, params={"page_size": 1}, headers=authorization).json()[0]
        httpx.post(f"{urls.waldur}{ROWS}{row['uuid']}/archive/", headers=authorization).raise_for_status()
        changes = {"id": OFFERING, "changes": {"name": "renamed"}}
        httpx.post(f"{urls.chain}/_sandbox/chain/update", json=changes).raise_for_status()
        before = _height(urls)
        # What a killed process would leave behind: the files as they are now.
        for name in ("waldur.pickle", "chain.pickle"):
            (tmp_path / "killed").mkdir(exist_ok=True)
            (tmp_path / "killed" / name).write_bytes((tmp_path / name).read_bytes())

    with demo_stand_ins(tmp_path / "killed", waldur_port=0, chain_port=0, block_seconds=60) as urls:
        again = httpx.get(f"{urls.waldur}{ROWS}{row['uuid']}/", headers=authorization).json()
        assert again["state"] == "Archived"
        assert _height(urls) > before


def test_a_taken_port_is_replaced(tmp_path: Path) -> None:
    with (
        demo_stand_ins(tmp_path / "one", waldur_port=0, chain_port=0) as first,
        demo_stand_ins(
            tmp_path / "two",
            waldur_port=int(first.waldur.rpartition(":")[2]),
            chain_port=int(first.chain.rpartition(":")[2]),
        ) as second,
    ):
        assert {first.waldur, first.chain}.isdisjoint({second.waldur, second.chain})
        assert _height(second) > 0


def test_state_of_another_release_is_refused_with_a_mend(tmp_path: Path) -> None:
    (tmp_path / "chain.pickle").write_bytes(b"not a world")
    with pytest.raises(StateUnreadable, match="--fresh"), demo_stand_ins(tmp_path, waldur_port=0, chain_port=0):
        pass


def test_the_connections_refer_to_tokens_and_do_not_hold_them() -> None:
    document = str(demo_connections(DemoUrls("http://127.0.0.1:1", "http://127.0.0.1:2")))
    assert all(f"env:{name}" in document for name in demo_tokens())
    assert not any(token in document for token in demo_tokens().values())
