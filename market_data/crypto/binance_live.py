"""Binance's live feed: connects, asks for snapshots, records what comes and turns it into events.

What is received goes through the recorder's lines into the same decoder that reads recordings, the connection's ups
and downs as notes of our own among them; so a recording gives the events that its live run gave, to the bit.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from data_contracts.errors import MarketDataError, MissingDependencyError
from data_contracts.instrument import Instrument
from data_contracts.market_event import BookDepths, MarketEvents
from market_data.crypto.backoff import Backoff
from market_data.crypto.binance_decoder import BinanceDecoder
from market_data.crypto.binance_markets import Market, instrument_from
from market_data.crypto.binance_messages import NOTES
from market_data.crypto.grid import grid_of
from market_data.crypto.recorder import Recorder

_TICK_S: Final = 0.1
_OPEN_TIMEOUT_S: Final = 10.0
_PING_S: Final = 20.0
_REST_TIMEOUT_S: Final = 10.0
_MOST_BYTES: Final = 1 << 24
_SETTLED_S: Final = 30.0  # a connection that held so long ends the doubling of waits
_SNAPSHOT_EVERY_S: Final = 1.0  # a snapshot costs up to 250 of the 6,000 weights that spot allows a minute
_REFRESH_EVERY_S: Final = 30.0


class Waits(Struct, kw_only=True):
    """Waits between attempts; tests shorten them."""

    reconnect: Backoff
    snapshot: Backoff
    snapshot_every_s: float = _SNAPSHOT_EVERY_S
    refresh_every_s: float = _REFRESH_EVERY_S


def usual_waits() -> Waits:
    """Return the waits that are kept with the venue itself."""
    return Waits(reconnect=Backoff(), snapshot=Backoff(first_s=1.0))


def fetch_instrument(market: Market, symbol: str, *, stale_after_s: float) -> Instrument:
    """Ask the venue for the symbol's grid.

    Raises:
        MarketDataError: no answer, or not of this symbol.
        MissingDependencyError: urllib3 is not there.
    """
    return instrument_from(market, symbol, get(market.symbol_url(symbol)), stale_after_s=stale_after_s)


def get(url: str) -> bytes:
    """Return the body of a GET.

    Raises:
        MarketDataError: no answer, or another than 200; names it.
        MissingDependencyError: urllib3 is not there.
    """
    try:
        import urllib3
    except ImportError:
        raise MissingDependencyError("live feeds need urllib3: pip install 'ringcraft[live]'") from None
    try:
        reply = urllib3.request("GET", url, timeout=_REST_TIMEOUT_S, retries=False, preload_content=False)
        body = reply.read(_MOST_BYTES)
        reply.close()
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise MarketDataError(f"{url}: no answer: {error}") from None
    if reply.status != 200:
        raise MarketDataError(f"{url}: expected 200, got {reply.status} {body[:200].decode('utf-8', 'replace')}")
    return bytes(body)


class BinanceLive:
    """One symbol's live feed.

    Args:
        market: where.
        instrument: as fetch_instrument() returns it.
        recorder: takes what is received.
        on_events: takes the market events that follow, as soon as they do, and the levels at each, shape (n, 4, 10),
            where kept; from the event loop.
        waits: between attempts.
        seed: of the waits' random part.
        depth: whether to keep the levels.
    """

    def __init__(
        self,
        market: Market,
        instrument: Instrument,
        recorder: Recorder,
        on_events: Callable[[MarketEvents, BookDepths | None], None],
        *,
        waits: Waits | None = None,
        seed: int | None = None,
        depth: bool = False,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """connections, disconnects, snapshots, snapshot_failures, messages."""
        self.last_error = ""
        self.decoder = BinanceDecoder(
            grid_of(instrument), stale_after_ns=instrument.stale_after_ns, expects_book=True, depth=depth
        )
        self._market, self._symbol = market, instrument.symbol.partition(":")[2]
        self._recorder, self._on_events, self._depth = recorder, on_events, depth
        self._waits = usual_waits() if waits is None else waits
        self._chance = random.Random(seed)
        self._asking: asyncio.Task[None] | None = None
        self._asked_s = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the feed until `stop` is set, whatever the connection does.

        Raises:
            UsageError: the recording cannot be written any more.
            MissingDependencyError: websockets is not there.
        """
        ticking = asyncio.create_task(self._tick(stop))
        following = asyncio.create_task(self._follow())
        stopping = asyncio.create_task(stop.wait())
        tasks = (ticking, following, stopping)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, *([self._asking] if self._asking else [])):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            self._recorder.close()

    async def _follow(self) -> None:
        """Connect, receive, and connect again."""
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import WebSocketException
        except ImportError:
            raise MissingDependencyError("live feeds need websockets: pip install 'ringcraft[live]'") from None
        options: dict[str, Any] = {
            "open_timeout": _OPEN_TIMEOUT_S,
            "ping_interval": _PING_S,  # the venue's own pings are answered by the library
            "ping_timeout": _PING_S,
            "close_timeout": 1.0,
            "max_size": _MOST_BYTES,
            "proxy": None,
        }
        while True:
            started_s = time.monotonic()
            connected = False
            try:
                async with connect(self._market.stream_url(self._symbol), **options) as socket:
                    connected = True
                    self.counts["connections"] += 1
                    self._note("connected")
                    async for message in socket:
                        self.counts["messages"] += 1
                        self._take(message.encode() if isinstance(message, str) else message)
                self.last_error = "closed by the venue"
            except (OSError, WebSocketException, TimeoutError) as error:
                self.last_error = str(error) or type(error).__name__
            if connected:
                self.counts["disconnects"] += 1
                self._note("disconnected")
                if time.monotonic() - started_s > _SETTLED_S:
                    self._waits.reconnect.reset()
            await asyncio.sleep(self._waits.reconnect.next_s(self._chance))

    async def _tick(self, stop: asyncio.Event) -> None:
        """Look after silence, snapshots that are due, and the disk."""
        while not stop.is_set():
            await asyncio.sleep(_TICK_S)
            if self.decoder.is_overdue(time.time_ns()):
                self._note("silent")
            self._ask_if_due()
            self._recorder.flush()

    def _take(self, payload: bytes) -> None:
        """Record a message of the venue and decode it."""
        self._put(payload)
        self._ask_if_due()

    def _note(self, what: str) -> None:
        self._put(b'{"stream":"%s","data":{"e":"%s"}}' % (NOTES.encode(), what.encode()))

    def _put(self, payload: bytes) -> None:
        payload = payload.replace(b"\n", b" ").replace(b"\r", b" ")  # JSON has no other use for them
        receive_ns = time.time_ns()
        self._recorder.write(receive_ns, payload)
        self.decoder.feed(receive_ns, payload)
        events, levels = self.decoder.take()
        if len(events):
            self._on_events(events, levels if self._depth else None)

    def _ask_if_due(self) -> None:
        if self._asking is not None:
            return
        since_s = time.monotonic() - self._asked_s
        if self.decoder.outrun and since_s >= self._waits.refresh_every_s:
            self._note("resync")
        if self.decoder.wants_snapshot and since_s >= self._waits.snapshot_every_s:
            self._asked_s = time.monotonic()
            self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        try:
            body = await asyncio.to_thread(get, self._market.snapshot_url(self._symbol))
        except MarketDataError as error:
            self.counts["snapshot_failures"] += 1
            self.last_error = str(error)
            await asyncio.sleep(self._waits.snapshot.next_s(self._chance))
        else:
            self.counts["snapshots"] += 1
            self._waits.snapshot.reset()
            self._put(b'{"stream":"%s@depthSnapshot","data":%s}' % (self._symbol.lower().encode(), body))
        finally:
            self._asking = None
