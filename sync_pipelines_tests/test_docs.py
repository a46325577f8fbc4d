"""The documentation says what the program does."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from pydantic import BaseModel

from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.pipelines.connection_fields import Limits
from sync_pipelines.pipelines.deployments.connection import DeploymentsConnection
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.registry import SECTIONS
from sync_pipelines.settings import load_section

PROJECT = Path(__file__).parents[1]
PAGES = sorted([PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")])


def generator() -> ModuleType:
    """Load ``docs/generate.py``, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("generate", PROJECT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    stale = [path.name for path, text in generator().pages().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"run 'make docs': {stale}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).resolve().exists()]
    assert not missing


def test_the_example_connections_file_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    example = PROJECT / "deploy" / "connections.example.yaml"
    for name in re.findall(r"env:([A-Z_]+)", example.read_text(encoding="utf-8")):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("SYNC_CONNECTIONS_FILE", str(example))
    offerings = load_section("offerings", OfferingsConnection, known=SECTIONS, environment=os.environ)
    deployments = load_section("deployments", DeploymentsConnection, known=SECTIONS, environment=os.environ)
    ledgers = load_section("ledger", LedgerConnection, known=SECTIONS, environment=os.environ)
    shops = load_section("commerce", ShopConnection, known=SECTIONS, environment=os.environ)
    accounts = load_section("marketplaces", MarketplaceConnection, known=SECTIONS, environment=os.environ)
    names = [connection.name for connection in (*offerings, *deployments, *ledgers, *shops, *accounts)]
    marketplaces = [f"nordwind-{kind}" for kind in ("shop", "shopify", "takealot", "amazon-eu")]
    assert names == ["nordlys", "lab", "decent-cloud", "nordwind", *marketplaces]


@pytest.mark.parametrize(
    ("title", "model"),
    [
        ("Offerings", OfferingsConnection),
        ("Deployments", DeploymentsConnection),
        ("Ledger", LedgerConnection),
        ("Commerce", ShopConnection),
        ("Marketplaces", MarketplaceConnection),
    ],
)
def test_every_field_of_a_connection_is_explained(title: str, model: type[BaseModel]) -> None:
    page = (PROJECT / "docs" / "connections.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {title}$(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    explained = set(re.findall(r"`([a-z_.]+)`", section))
    assert sorted(set(fields_of(model)) - explained) == []


def fields_of(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names of all fields, dotted: ``waldur.url``. Both peers have the same limits, explained once."""
    for name, field in model.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, BaseModel) and part is not Limits:
            yield from (f"{name}.{inner}" for inner in fields_of(part))
        else:
            yield name


def test_the_workspace_names_its_working_directory() -> None:
    workspace = yaml.safe_load((PROJECT / "workspace.yaml").read_text(encoding="utf-8"))
    (location,) = workspace["load_from"]
    assert location["python_module"]["working_directory"] == "."
