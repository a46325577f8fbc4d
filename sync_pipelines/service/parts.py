"""What the routes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy import Engine

from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.service.access import Tokens
from sync_pipelines.service.follower import Follower
from sync_pipelines.service.intake import Intake
from sync_pipelines.service.owners import Owners
from sync_pipelines.service.scheduler_gate import SchedulerGate
from sync_pipelines.service.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Parts:
    """The service, taken apart; made anew for each application.

    Attributes:
        shops: those whose webhooks are taken, by name.
        owners: whose each scope of the store is.
    """

    settings: ServiceSettings
    engine: Engine
    tokens: Tokens
    gate: SchedulerGate
    intake: Intake
    follower: Follower
    shops: Mapping[str, ShopConnection]
    owners: Owners


async def parts_of(request: Request) -> Parts:
    """Return the parts of the application that a request came to."""
    parts: Parts = request.app.state.service
    return parts
