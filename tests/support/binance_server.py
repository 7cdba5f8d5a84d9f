"""A real websocket and HTTP server that plays the small exchange under Binance's rules, with its accidents."""

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from market_data.crypto.binance_markets import MARKETS, Market
from tests.support.binance_venue import Venue, stream

_STEP_S = 0.004


class BinanceServer:
    """Streams and snapshots of one venue on loopback; a diff every second step, a ticker or a trade in the others.

    `plan` maps how many diffs were sent to what happens then: "drop" loses one, "cut" breaks the connection off
    without a word, "close" closes it, "garbage" sends broken JSON, "quiet" is silent for `quiet_s`. REST answers 429
    to the first `refuse` snapshots, and takes `slow_s` for each. What is planned waits until `may_happen` says so: two
    faults that a slow client meets at once are one.
    """

    def __init__(
        self, venue: Venue, plan: dict[int, str], *, refuse: int = 0, slow_s: float = 0.0, quiet_s: float = 1.0
    ) -> None:
        self.venue, self.plan, self.refuse, self.slow_s, self.quiet_s = venue, dict(plan), refuse, slow_s, quiet_s
        self.happened: Counter[str] = Counter()
        self.diffs = 0
        self.may_happen: Callable[[], bool] = lambda: True
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._threads = [
            threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True),
            threading.Thread(target=self._http.serve_forever, daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._http.shutdown()
        self._http.server_close()
        for thread in self._threads:
            thread.join(10)
        self._loop.close()

    @property
    def market(self) -> Market:
        """The market, with this server's addresses."""
        usual = MARKETS["spot" if self.venue.market == "spot" else "usdm"]
        rest = f"http://127.0.0.1:{self._http.server_port}"
        return Market(**{name: getattr(usual, name) for name in usual.__struct_fields__} | self._addresses(rest))

    def _addresses(self, rest: str) -> dict[str, str]:
        return {"websocket": f"ws://127.0.0.1:{self.port}", "rest": rest}

    async def _serve(self) -> None:
        async with serve(self._play, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()

    async def _play(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._tell(socket)

    async def _tell(self, socket: ServerConnection) -> None:
        self.happened["connected"] += 1
        assert socket.request is not None
        name = self.venue.symbol.lower()
        assert socket.request.path.startswith(f"/stream?streams={name}@depth@")
        assert socket.request.path.endswith(f"/{name}@bookTicker/{name}@trade")
        while not self._stop.is_set():
            for part in range(4):
                with self._lock:
                    self.venue.move()
                    body = self._trade_or_ticker(part)
                await socket.send(json.dumps(stream(self.venue, body)))
                await asyncio.sleep(_STEP_S)
            with self._lock:
                self.venue.move()
                diff = json.dumps(stream(self.venue, self.venue.diff(_now_ms())))
            self.diffs += 1
            due = min(self.plan, default=self.diffs + 1)
            what = self.plan.pop(due) if due <= self.diffs and self.may_happen() else ""
            self.happened[what] += bool(what)
            if what == "cut":
                socket.transport.abort()
                return
            if what == "close":
                await socket.close(1001, "24 hours")
                return
            if what == "quiet":
                await asyncio.sleep(self.quiet_s)
            if what == "garbage":
                await socket.send('{"stream":"ringusdt@depth@100ms","data":{"e":')
            if what != "drop":
                await socket.send(diff)

    def _trade_or_ticker(self, part: int) -> dict[str, Any]:
        return self.venue.trade(_now_ms()) if part == 2 else self.venue.ticker(_now_ms())

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805  `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                if path.endswith("/exchangeInfo"):
                    self.answer(200, server._symbols())
                elif path.endswith("/depth") and f"symbol={server.venue.symbol}&limit=" in query:
                    time.sleep(server.slow_s)
                    if server.refuse > 0:
                        server.refuse -= 1
                        self.answer(429, {"code": -1003, "msg": "Too many requests"})
                    else:
                        with server._lock:
                            server.happened["snapshot"] += 1
                            self.answer(200, server.venue.snapshot(_now_ms()))
                else:
                    self.answer(404, {"code": -1121, "msg": "Invalid symbol."})

            def answer(self, status: int, body: object) -> None:
                text = json.dumps(body, indent=1).encode()  # with line breaks, which a recording's lines cannot hold
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler

    def _symbols(self) -> dict[str, Any]:
        filters = [{"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}, {"filterType": "LOT_SIZE"}]
        known = {"symbol": self.venue.symbol, "quoteAsset": "USDT", "baseAssetPrecision": 3, "filters": filters}
        return {"timezone": "UTC", "symbols": [known | {"symbol": "OTHERUSDT"}, known]}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
