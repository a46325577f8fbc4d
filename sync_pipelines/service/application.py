"""Makes the service: its routes, what they share, and the work in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import Engine

from sync_pipelines import __version__
from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.service import (
    audit_routes,
    health_routes,
    metrics_routes,
    orchestrate_routes,
    record_routes,
    sync_routes,
    webhook_routes,
)
from sync_pipelines.service.access import Tokens
from sync_pipelines.service.envelope import Envelope
from sync_pipelines.service.follower import Follower
from sync_pipelines.service.intake import Intake
from sync_pipelines.service.owners import owners
from sync_pipelines.service.parts import Parts
from sync_pipelines.service.problems import add_handlers
from sync_pipelines.service.scheduler_gate import SchedulerGate
from sync_pipelines.service.settings import ServiceSettings
from sync_pipelines.settings import NamedConnection

NOTHING: Mapping[str, Sequence[NamedConnection]] = {}
STOP_SECONDS = 10.0
"""How long what is under way may take when the service is told to end."""


def create_app(
    settings: ServiceSettings,
    engine: Engine,
    *,
    follows: bool = True,
    shops: Sequence[ShopConnection] = (),
    pairs: Mapping[str, Sequence[NamedConnection]] = NOTHING,
) -> FastAPI:
    """Return the service as an ASGI application.

    Arguments:
        engine: the store's database, its schema up to date; the caller closes it.
        follows: whether it starts runs and follows them; one of several services is enough for that.
        shops: those whose webhooks are taken and whose syncs are steered.
        pairs: pipeline -> connections, of those that reconcile one way.
    """

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        follower = Follower(engine, settings)
        intake = Intake(engine, follower.ring)
        gate = SchedulerGate(settings.scheduler)
        application.state.service = Parts(
            settings,
            engine,
            Tokens(settings, engine),
            gate,
            intake,
            follower,
            {shop.name: shop for shop in shops},
            owners(pairs, shops),
        )
        work = asyncio.create_task(follower.run(intake)) if follows else None
        try:
            yield
        finally:
            follower.stop()
            if work is not None:
                await work
            await intake.close()
            await gate.close()

    application = FastAPI(
        title="sync-pipelines",
        version=__version__,
        description="Starts syncs, steers them, and tells how they stand.",
        lifespan=lifespan,
        # Their pages load scripts from elsewhere; the description itself is at /openapi.json.
        docs_url=None,
        redoc_url=None,
    )
    application.include_router(sync_routes.router)
    application.include_router(orchestrate_routes.router)
    application.include_router(record_routes.router)
    application.include_router(audit_routes.router)
    application.include_router(webhook_routes.router)
    application.include_router(health_routes.router)
    application.include_router(metrics_routes.router)
    add_handlers(application)
    application.add_middleware(
        Envelope, max_body=settings.max_body, longer={f"{webhook_routes.PREFIX}/": webhook_routes.LONGEST}
    )
    return application
