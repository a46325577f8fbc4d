"""The service in this process, asked without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
from sqlalchemy import Engine, text

from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.service.application import NOTHING, create_app
from sync_pipelines.service.settings import ServiceSettings, load_service_settings
from sync_pipelines.settings import NamedConnection
from sync_pipelines.store.marketplaces import connections
from sync_pipelines.store.marketplaces.connections import Described
from sync_pipelines_tests.service.google import ACCOUNT, AUDIENCE, Google, token

T = TypeVar("T")
SECRET = "a-secret-of-the-scheduler"
ADMIN = {"Authorization": "Bearer an-admin-token-of-the-tests"}
READER = {"Authorization": "Bearer a-reader-token-of-the-tests"}
KNOWN = ("cape-town", "oslo")
SCHEDULER = "/api/sync/scheduler"


def environment(google: Google | None = None, /, **changes: str) -> dict[str, str]:
    """Return the variables of a service that wants token and secret."""
    return {
        "SCHEDULER_AUDIENCE": AUDIENCE,
        "SCHEDULER_SERVICE_ACCOUNTS": f"other@project.iam.gserviceaccount.com, {ACCOUNT}",
        "SCHEDULER_SECRET": SECRET,
        "SCHEDULER_KEYS_URL": google.url if google is not None else "https://127.0.0.1:1/certs",
        "SYNC_ADMIN_TOKEN": ADMIN["Authorization"].removeprefix("Bearer "),
        "SYNC_READ_TOKEN": READER["Authorization"].removeprefix("Bearer "),
        **changes,
    }


def only_secret(**changes: str) -> ServiceSettings:
    """Return the settings of a service that wants the secret alone."""
    return load_service_settings(environment(SCHEDULER_AUTH="secret", **changes))


@asynccontextmanager
async def serving(
    settings: ServiceSettings,
    engine: Engine,
    *,
    follows: bool = False,
    shops: Sequence[ShopConnection] = (),
    pairs: Mapping[str, Sequence[NamedConnection]] = NOTHING,
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service until the block ends, and give a client to it."""
    app = create_app(settings, engine, follows=follows, shops=shops, pairs=pairs)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service", verify=False) as client,
    ):
        yield client


def connect_known(engine: Engine) -> None:
    """Let the marketplaces have connections: two active ones, and one that is not."""
    shops = [Described(name, "acme", "woocommerce", name, name in KNOWN) for name in (*KNOWN, "closed")]
    with engine.begin() as connection:
        connections.register(connection, shops)


def called(
    time: str | None = None,
    *,
    job: str | None = "marketplace-sync-scheduler",
    secret: str | None = SECRET,
    bearer: str | None = None,
) -> dict[str, str]:
    """Return the headers of a call of the scheduler."""
    headers = {
        "User-Agent": "Google-Cloud-Scheduler",
        "X-CloudScheduler": "true",
        "X-CloudScheduler-JobName": job,
        "X-CloudScheduler-ScheduleTime": time,
        "x-scheduler-secret": secret,
        "Authorization": None if bearer is None else f"Bearer {bearer}",
        "Content-Type": "application/octet-stream",
    }
    return {name: value for name, value in headers.items() if value is not None}


def good_call(time: str | None = None) -> dict[str, str]:
    """Return the headers of a call that shows everything."""
    return called(time, bearer=token())


def rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def end_cycle(engine: Engine) -> None:
    """Let the cycle under way succeed."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE sync.sync_cycle SET status = 'succeeded', run_id = cycle_id, ended_at = now() "
                "WHERE status IN ('accepted', 'launched')"
            )
        )


def asking(engine: Engine, work: Callable[[httpx.AsyncClient], Awaitable[T]], **variables: str) -> T:
    """Do something with a service that wants the secret alone and starts no runs."""

    async def run() -> T:
        async with serving(only_secret(**variables), engine) as client:
            return await work(client)

    return asyncio.run(run())


def call(engine: Engine, google: Google, headers: dict[str, str], **variables: str) -> tuple[int, dict[str, Any]]:
    """Call a new service once and return what it answers."""

    async def ask() -> tuple[int, dict[str, Any]]:
        async with serving(load_service_settings(environment(google, **variables)), engine) as client:
            answer = await client.post(SCHEDULER, headers=headers, content=b"anything")
            return answer.status_code, answer.json()

    return asyncio.run(ask())
