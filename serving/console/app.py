"""The console's HTTP face: page, snapshot, stream of changes, /metrics, health and commands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from serving.console.admin import admin_routes
from serving.console.commands import Commands
from serving.console.guard import LOOPBACK, BrowserGuard
from serving.console.metrics import SnapshotCollector
from serving.console.snapshot import Snapshot

STATIC: Final = Path(__file__).parent / "static"
STREAM_PERIOD_S: Final = 0.3
"""A person's eye follows three changes a second; more is only load."""
_QUIET_PERIODS: Final = 30
"""After so many without a change a comment is sent, so that a dead connection is noticed."""
_RETRY: Final = b"retry: 1000\n\n"
"""Milliseconds after which a browser that lost the connection tries again."""


def console_app(
    snapshot: Callable[[], Snapshot],
    commands: Commands,
    *,
    hosts: Sequence[str] = LOOPBACK,
    routes: Sequence[BaseRoute] = (),
    collectors: Sequence[Collector] = (),
) -> Starlette:
    """Return the console as an ASGI application.

    Args:
        snapshot: what is known now; called on the event loop several times a second, so it must be quick.
        commands: what the buttons do.
        hosts: names a browser may call this server by, without port; ("*",) for any, behind a proxy that checks.
        routes: further routes of the same server, for example POST /v1/outcomes.
        collectors: further metrics, beside the snapshot's.
    """
    metrics = CollectorRegistry(auto_describe=False)
    for collector in (SnapshotCollector(snapshot), *collectors):
        metrics.register(collector)
    own: list[BaseRoute] = [
        Route("/", _page),
        Mount("/static", StaticFiles(directory=STATIC)),
        Route("/api/snapshot", lambda _: _json(snapshot())),
        Route("/api/stream", lambda request: _stream(snapshot, request)),
        Route("/metrics", lambda _: Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)),
        Route("/health/live", lambda _: JSONResponse({"live": True})),
        Route("/health/ready", lambda _: _ready(snapshot())),
        *admin_routes(snapshot, commands),
    ]
    return Starlette(
        routes=[*own, *routes],
        middleware=[Middleware(BrowserGuard, hosts=tuple(hosts))],
        exception_handlers={HTTPException: _http_error, Exception: _server_error},
    )


async def changes(
    snapshot: Callable[[], Snapshot], period_s: float = STREAM_PERIOD_S, ended: Callable[[], bool] = lambda: False
) -> AsyncIterator[bytes]:
    """Yield the snapshot as a server-sent event at once, and again whenever more than its clock has changed.

    Args:
        snapshot: what is known now.
        period_s: between two looks.
        ended: asked at each look; the stream ends once it says so, because a server cannot stop before its streams.
    """
    last: Snapshot | None = None
    quiet = 0
    yield _RETRY
    while not ended():
        now = snapshot()
        timeless = msgspec.structs.replace(now, wall_ns=0)
        if timeless != last:
            last, quiet = timeless, 0
            yield b"data: " + msgspec.json.encode(now) + b"\n\n"
        elif (quiet := quiet + 1) % _QUIET_PERIODS == 0:
            yield b": still here\n\n"
        await asyncio.sleep(period_s)


def _page(_: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


def _json(value: Snapshot) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers={"Cache-Control": "no-store"})


def _stream(snapshot: Callable[[], Snapshot], request: Request) -> Response:
    state = request.app.state
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = changes(snapshot, ended=lambda: getattr(state, "stopping", False))
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _ready(now: Snapshot) -> Response:
    return JSONResponse({"ready": now.ready}, status_code=200 if now.ready else 503)


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette calls by type
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def _server_error(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=500)
