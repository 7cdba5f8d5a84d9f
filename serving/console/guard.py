"""Keeps pages of other origins from reading the console or pressing its buttons."""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class BrowserGuard:
    """ASGI middleware: host names that are ours, origins that are ours, headers that forbid the rest.

    The Host check defeats names that an attacker points at this address; the Origin check, forms and scripts of other
    pages. A program that sends no Origin is let through: whoever can open a socket here is trusted as the user is.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = LOOPBACK) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 400 or 403, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if "*" not in self._hosts and host not in self._hosts:
            await _refuse(400, f"host: expected one of {', '.join(self._hosts)}, got {host!r}")(scope, receive, send)
            return
        origin = headers.get("origin")
        if scope["method"] not in _SAFE and origin and urlsplit(origin).netloc != headers.get("host"):
            await _refuse(403, f"origin: expected this console's own, got {origin!r}")(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _refuse(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)
