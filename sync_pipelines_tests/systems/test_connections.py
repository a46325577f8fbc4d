"""A connection whose exchange broke off is not used again."""

from __future__ import annotations

import asyncio

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sync_pipelines.sandbox.server import serve
from sync_pipelines.systems.transport import MAX_IN_FLIGHT, Transport


async def _slow(request: Request) -> PlainTextResponse:
    await asyncio.sleep(0.2)
    return PlainTextResponse("at last")


async def _quick(request: Request) -> PlainTextResponse:
    return PlainTextResponse("here")


def test_given_requests_that_were_cancelled_at_any_moment_then_the_next_finds_a_connection() -> None:
    async def ask(url: str) -> list[int]:
        statuses = []
        async with Transport("peer", url, timeout=httpx.Timeout(5.0, pool=0.1)) as transport:
            for moment in range(10):
                begun = [asyncio.create_task(transport.request("GET", "/slow")) for _ in range(MAX_IN_FLIGHT)]
                await asyncio.sleep(moment / 500)
                for task in begun:
                    task.cancel()
                await asyncio.gather(*begun, return_exceptions=True)
                statuses.append((await transport.request("GET", "/quick")).status_code)
        return statuses

    with serve(Starlette(routes=[Route("/slow", _slow), Route("/quick", _quick)])) as url:
        assert asyncio.run(ask(url)) == [200] * 10
