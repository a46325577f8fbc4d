"""Marked secrets in every credential, peers that repeat them, and runs through Dagster: no mark is kept anywhere."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine

from sync_pipelines.settings import Secret
from sync_pipelines_tests.faults.marks import Marks, leaks_in_database, leaks_in_files, listening
from sync_pipelines_tests.pipelines.offerings.dagster_runs import run
from sync_pipelines_tests.pipelines.offerings.subject import (
    NODE_KEY,
    OFFERINGS,
    OWNER_MARK,
    STAFF_MARK,
    OfferingsSubject,
)

CREDENTIALS = {"waldur": {"token": Secret(OWNER_MARK), "staff_token": Secret(STAFF_MARK)}}


def test_given_peers_that_repeat_credentials_then_dagster_keeps_none_of_them(
    engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    marks = Marks((OWNER_MARK, STAFF_MARK, NODE_KEY))
    with (
        OFFERINGS.opened(engine) as subject,
        listening(marks) as ear,
        DagsterInstance.local_temp(str(tmp_path)) as instance,
    ):
        assert isinstance(subject, OfferingsSubject)
        market = subject.market
        subject.add(2)
        chain, waldur, creates = market.chain_faults, market.waldur.faults, {"method": "POST", "path": "offerings/$"}
        for peer, faults in (
            (chain, [{"path": "^/$", "status": 400}]),
            (waldur, [{"method": "GET", "path": "provider-offerings", "status": 302}]),
            (waldur, [{**creates, "status": 500}, {**creates, "status": 400}]),
        ):
            armed = [peer.add("echo", times=1, **options) for options in faults]
            run(market, instance, connection=CREDENTIALS)
            assert [one.fired for one in armed] == [1] * len(armed)
            market.let_time_pass()

        assert instance.get_runs_count() == 3
        stored = leaks_in_files(tmp_path, marks)

    assert ear.heard
    assert ear.leaks == []
    assert stored == []
    assert leaks_in_database(engine, marks) == []
    assert marks.found_in("".join(capfd.readouterr())) == []


@pytest.mark.parametrize(
    "spelled",
    [
        OWNER_MARK,
        OWNER_MARK.upper(),
        OWNER_MARK[::-1],
        base64.b64encode(f"user:{OWNER_MARK}".encode()).decode(),
        "".join(f"%{ord(character):02X}" for character in OWNER_MARK),
    ],
)
def test_a_mark_is_found_in_every_spelling(spelled: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(f"before {spelled} after")

    assert leaks_in_files(tmp_path, Marks((OWNER_MARK,)))
