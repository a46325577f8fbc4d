"""The Odoo stand-in answers every recorded request as the real Odoo 19 did: status, shape and values.

Ids, times and the texts of errors may differ, and how many requests the proxy lets pass before it refuses one. Nothing
that was recorded is left out.
"""

from __future__ import annotations

import httpx
import pytest

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.odoo import OdooStandIn, fresh_world
from sync_pipelines_tests.contract.odoo_replay import FOLDER, Replay, began_at, steps

FILES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


@pytest.mark.parametrize("file", FILES)
def test_given_a_recording_when_replayed_then_every_answer_agrees(file: str) -> None:
    recorded = steps(file)
    standin = OdooStandIn(fresh_world(Clock(standing_at=began_at(recorded)), invoicing=False))
    found: list[str] = []
    with standin.running() as url, httpx.Client(base_url=url) as client:
        replay = Replay(standin, client)
        for step in recorded:
            found += replay.differences(step)
    assert recorded
    assert not found, f"{len(found)} differences\n" + "\n".join(found)
    assert not replay.disorder()


def test_every_recording_is_there() -> None:
    assert len(FILES) == 11
