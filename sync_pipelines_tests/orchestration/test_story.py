"""A run's log reaches Dagster as few messages, each a row of its event log."""

from __future__ import annotations

import logging
import threading

import pytest

from sync_pipelines.orchestration.story import Story


class Told(logging.Handler):
    """Keeps what it is told, as ``LEVEL text``."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.levelname} {record.getMessage()}")
        self.came.set()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def target(told: Told) -> logging.Logger:
    logger = logging.Logger("target", logging.INFO)
    logger.addHandler(told)
    return logger


def test_given_a_block_that_ends_well_then_what_was_said_is_left_for_the_caller(
    target: logging.Logger, told: Told
) -> None:
    story = Story(target)
    with story as log:
        log.info("read %d records", 3)
        log.info("100 % done")

    assert told.messages == []
    assert story.rest() == "read 3 records\n100 % done"
    story.flush()
    assert told.messages == []


def test_given_a_warning_then_it_is_told_at_once_after_what_was_said_before(target: logging.Logger, told: Told) -> None:
    story = Story(target)
    with story as log:
        log.info("one")
        log.info("two")
        log.warning("held: %s", "too much")
        log.info("three")

        assert told.messages == ["INFO one\ntwo", "WARNING held: too much"]
    assert story.rest() == "three"


def test_given_an_error_then_nothing_that_was_said_is_lost(target: logging.Logger, told: Told) -> None:
    def work() -> None:
        with Story(target) as log:
            log.info("half way")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert told.messages == ["INFO half way"]


def test_given_a_long_pause_then_what_was_said_does_not_wait_for_more(target: logging.Logger, told: Told) -> None:
    story = Story(target, pause=0.01)
    with story as log:
        log.info("waiting for its turn")
        assert told.came.wait(10)
    assert told.messages == ["INFO waiting for its turn"]
    assert story.rest() == ""
