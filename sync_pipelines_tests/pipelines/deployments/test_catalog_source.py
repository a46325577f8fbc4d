"""The catalog of a broker, over real HTTP."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sync_pipelines.core.errors import ConfigurationError, FailureKind, PeerError
from sync_pipelines.pipelines.deployments.catalog import Catalog
from sync_pipelines.pipelines.deployments.catalog_source import BrokerCatalog, FileCatalog
from sync_pipelines.sandbox.server import serve
from sync_pipelines.systems.bosh.logins import basic
from sync_pipelines.systems.transport import Transport
from sync_pipelines_tests.pipelines.deployments.demo_data import DATA

LOGIN = basic("u", "p")


def _asked(answer: Response, login: str = LOGIN) -> Catalog:
    async def catalog(request: Request) -> Response:
        if request.headers.get("Authorization") != LOGIN:
            return Response(status_code=401)
        if not request.headers.get("X-Broker-API-Version"):
            return Response(status_code=412)
        return answer

    async def ask(url: str) -> Catalog:
        headers = {"Authorization": login, "X-Broker-API-Version": "2.16"}
        async with Transport("broker", url, headers=headers, read_delay=0.0) as transport:
            return await BrokerCatalog(transport).catalog()

    with serve(Starlette(routes=[Route("/v2/catalog", catalog)])) as url:
        return asyncio.run(ask(url))


def test_a_broker_tells_the_same_as_a_file() -> None:
    told = _asked(JSONResponse(json.loads((DATA / "catalog.json").read_text())))
    assert told == asyncio.run(FileCatalog(DATA / "catalog.json").catalog())


@pytest.mark.parametrize(
    ("answer", "login", "kind", "told"),
    [
        (Response("{}"), basic("u", "wrong"), FailureKind.AUTH, "check catalog.username"),
        (Response(status_code=412), LOGIN, FailureKind.PERMANENT, "set catalog.api_version"),
        (Response(status_code=404), LOGIN, FailureKind.PERMANENT, "is this the address of a service broker"),
        (Response(status_code=500), LOGIN, FailureKind.TRANSIENT, "gave no catalog"),
        (Response('{"services": ['), LOGIN, FailureKind.TRANSIENT, "was the answer cut"),
    ],
)
def test_a_broker_that_gives_no_catalog_is_told_from_an_empty_one(
    answer: Response, login: str, kind: FailureKind, told: str
) -> None:
    with pytest.raises(PeerError, match=told) as error:
        _asked(answer, login)
    assert error.value.kind is kind


def test_a_catalog_without_services_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the catalog has no services"):
        _asked(JSONResponse({"services": []}))
