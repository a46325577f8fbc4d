"""Which connections a word of the command line stands for, with two pipelines that both have a connection ``lab``."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sync_pipelines.cli.accounts import MARKETPLACES
from sync_pipelines.cli.ledgers import LEDGER
from sync_pipelines.cli.pipelines import PIPELINES, Configured
from sync_pipelines.cli.reconcile import split
from sync_pipelines.cli.session import choose, choose_one, labels
from sync_pipelines.cli.shops import COMMERCE
from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.registry import SECTIONS


@dataclass(frozen=True)
class _Provider:
    name: str
    provider: str
    enabled: bool = True


@dataclass(frozen=True)
class _Director:
    name: str
    enabled: bool = True


OFFERINGS, DEPLOYMENTS = PIPELINES["offerings"], PIPELINES["deployments"]
CONFIGURED = (
    Configured(OFFERINGS, _Provider("nordlys", "virtengine1nord")),
    Configured(OFFERINGS, _Provider("lab", "virtengine1lab")),
    Configured(DEPLOYMENTS, _Director("lab")),
    Configured(DEPLOYMENTS, _Director("annex")),
)
INSTANCE = "3ceaaf30-8142-48ea-91d9-3080f9b439fc"


def test_the_table_has_every_section_of_the_connections_file() -> None:
    # A ledger has no pair, and a shop one of two ways: their commands are their own.
    assert (*PIPELINES, LEDGER, COMMERCE, MARKETPLACES) == SECTIONS


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (None, ["offerings/nordlys", "offerings/lab", "deployments/lab", "deployments/annex"]),
        ("offerings", ["offerings/nordlys", "offerings/lab"]),
        ("deployments", ["deployments/lab", "deployments/annex"]),
        ("nordlys", ["offerings/nordlys"]),
        ("virtengine1lab", ["offerings/lab"]),
        ("offerings/lab", ["offerings/lab"]),
        ("deployments/lab", ["deployments/lab"]),
        ("annex", ["deployments/annex"]),
    ],
)
def test_a_word_stands_for_connections(wanted: str | None, chosen: list[str]) -> None:
    assert [one.full_name for one in choose(CONFIGURED, wanted)] == chosen


def test_a_name_that_two_pipelines_have_must_be_given_in_full() -> None:
    with pytest.raises(ConfigurationError, match="write offerings/lab or deployments/lab"):
        choose(CONFIGURED, "lab")
    assert labels(CONFIGURED)["deployments/lab"] == "deployments/lab"
    assert labels(CONFIGURED)["deployments/annex"] == "annex"


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"offerings/nordlys \(virtengine1nord\), .*deployments/annex"):
        choose(CONFIGURED, "nobody")


def test_where_one_connection_is_needed_a_pipeline_is_not_enough() -> None:
    assert choose_one(CONFIGURED, "deployments/lab").full_name == "deployments/lab"
    with pytest.raises(ConfigurationError, match="name one of deployments/lab, deployments/annex"):
        choose_one(CONFIGURED, "deployments")


@pytest.mark.parametrize(
    ("key", "holders"),
    [
        ("virtengine1lab/4", ["offerings/lab"]),
        (INSTANCE, ["deployments/lab", "deployments/annex"]),
        ("plan:redis-cache-small", ["deployments/lab", "deployments/annex"]),
        ("service:redis/6", ["deployments/lab", "deployments/annex"]),
    ],
)
def test_a_key_goes_to_the_connections_that_may_have_the_record(key: str, holders: list[str]) -> None:
    assert [(one.full_name, keys) for one, keys in split(CONFIGURED, [key])] == [(name, [key]) for name in holders]


def test_an_offering_of_an_unknown_provider_is_refused_although_other_pipelines_may_have_any_record() -> None:
    with pytest.raises(ConfigurationError, match="virtengine1other/4 belongs to no connection that was asked for"):
        split(CONFIGURED, ["virtengine1other/4"])


@pytest.mark.parametrize(
    ("key", "told"),
    [("virtengine1other/4", "belongs to no connection that was asked for"), (INSTANCE, "is not an offering id")],
)
def test_a_key_that_no_chosen_connection_can_have_is_refused(key: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        split(choose(CONFIGURED, "offerings"), [key])
