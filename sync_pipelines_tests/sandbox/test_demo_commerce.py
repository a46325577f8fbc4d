"""The demo's shop and its Odoo: they remember what was written to them, and their connections hold no secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from sync_pipelines.sandbox.demo_commerce import CommercePeers, commerce_connections, commerce_peers, commerce_secrets
from sync_pipelines.sandbox.odoo import SYNC_KEY


@contextmanager
def _running(folder: Path) -> Iterator[CommercePeers]:
    with commerce_peers(folder, shop_port=0, odoo_port=0) as peers:
        yield peers


def _partners(peers: CommercePeers, method: str, **arguments: object) -> Any:
    headers = {"Authorization": f"bearer {SYNC_KEY}"}
    url = f"{peers.odoo}/json/2/res.partner/{method}"
    return httpx.post(url, json=arguments, headers=headers, trust_env=False).raise_for_status().json()


def test_given_a_restart_then_what_was_written_to_either_peer_is_remembered(tmp_path: Path) -> None:
    with _running(tmp_path) as peers:
        before = httpx.get(f"{peers.shop}/_sandbox/shop", trust_env=False).json()
        email = {"email": "new@example.test"}
        httpx.post(f"{peers.shop}/_sandbox/shop/add_customer", json=email, trust_env=False).raise_for_status()
        (created,) = _partners(peers, "create", vals_list=[{"name": "Ada Bloom"}])
        saved = {name: (tmp_path / name).read_bytes() for name in ("shop.pickle", "odoo.pickle")}

    # As after a kill: what is done at the end may be missing.
    for name, state in saved.items():
        (tmp_path / name).write_bytes(state)
    with _running(tmp_path) as again:
        after = httpx.get(f"{again.shop}/_sandbox/shop", trust_env=False).json()
        assert after["customers"] == before["customers"] + 1
        assert _partners(again, "read", ids=[created], fields=["name"]) == [{"id": created, "name": "Ada Bloom"}]


def test_the_connection_refers_to_secrets_and_does_not_hold_them() -> None:
    document = str(commerce_connections(CommercePeers("http://127.0.0.1:1", "http://127.0.0.1:2")))
    assert all(f"env:{name}" in document for name in commerce_secrets())
    assert not any(value in document for value in commerce_secrets().values())
