"""Hands live events to a running tier from a thread of its own, so that a slow or absent tier delays no recording."""

import queue
import threading
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import MarketDataError, UsageError
from data_contracts.feed_hello import FeedHello
from data_contracts.instrument import Instrument
from data_contracts.market_event import BookDepths, MarketEvents, packed
from market_data.publish import EVENTS, Feed, host_and_port

_MOST_WAITING: Final = 10_000
_RETRY_S: Final = 1.0
_FRAME_EVENTS: Final = 1000


class LivePublisher:
    """Sends events to a feed door; those that it cannot send at once are dropped and counted.

    Args:
        address: HOST:PORT of the feed door.
        instrument: whose events; several: `instrument` of an event is the position here.
        account: on whose behalf.
        depth: whether each event goes with its levels, which put() then takes.

    Raises:
        UsageError: the address is none; a tier that is away is tried again and again.
    """

    def __init__(
        self,
        address: str,
        instrument: Instrument | Sequence[Instrument],
        *,
        account: str | None = None,
        depth: bool = False,
    ) -> None:
        self.sent = self.dropped = self.connections = 0
        self.last_error = ""
        host_and_port(address)
        self._address = address
        self._hello = FeedHello(
            instruments=(instrument,) if isinstance(instrument, Instrument) else tuple(instrument),
            account=account,
            depth=depth,
        )
        self._waiting: queue.Queue[NDArray[np.uint8] | None] = queue.Queue(maxsize=_MOST_WAITING)
        self._feed: Feed | None = None
        self._tried_s = float("-inf")
        self._thread = threading.Thread(target=self._run, name="live-publisher", daemon=True)
        self._thread.start()

    def put(self, events: MarketEvents, depth: BookDepths | None = None) -> None:
        """Take events to be sent, with their levels, shape (n, 4, 10), where the feed has them; never waits.

        Raises:
            UsageError: levels where the feed was opened without, or none where it was opened with.
        """
        if (depth is not None) != self._hello.depth:
            expected, got = ("levels", "none") if self._hello.depth else ("no levels", "some")
            raise UsageError(f"{self._address}: expected {expected} beside the events, got {got}")
        try:
            self._waiting.put_nowait(packed(events, depth))
        except queue.Full:
            self.dropped += len(events)

    def summary(self) -> dict[str, int | str]:
        """Return what became of the events: sent, dropped, over how many connections, and what went wrong last."""
        return {
            "sent": self.sent,
            "dropped": self.dropped,
            "connections": self.connections,
            "last_error": self.last_error,
        }

    def close(self) -> None:
        """Send what waits and close the feed in order."""
        self._waiting.put(None)
        self._thread.join(15)

    def _run(self) -> None:
        while (events := self._waiting.get()) is not None:
            parts, ended = [events], False
            while len(parts) < _FRAME_EVENTS and not self._waiting.empty():
                more = self._waiting.get()
                if more is None:
                    ended = True
                    break
                parts.append(more)
            self._send(np.concatenate(parts))
            if ended:
                break
        if self._feed is not None:
            try:
                self._feed.end()
            except MarketDataError as error:
                self.last_error = str(error)
            self._feed.close()

    def _send(self, events: NDArray[np.uint8]) -> None:
        for start in range(0, len(events), _FRAME_EVENTS):
            part = events[start : start + _FRAME_EVENTS]
            feed = self._connected()
            if feed is None:
                self.dropped += len(part)
                continue
            try:
                feed.send(EVENTS, part.tobytes())
                self.sent += len(part)
            except MarketDataError as error:
                self.last_error = str(error)
                self.dropped += len(part)
                feed.close()
                self._feed = None

    def _connected(self) -> Feed | None:
        if self._feed is not None or time.monotonic() - self._tried_s < _RETRY_S:
            return self._feed
        self._tried_s = time.monotonic()
        feed: Feed | None = None
        try:
            feed = Feed(self._address)
            feed.hello(self._hello)
        except (MarketDataError, UsageError) as error:
            self.last_error = str(error)
            if feed is not None:
                feed.close()
            return None
        self._feed = feed
        self.connections += 1
        return feed
