"""A market with planted edges, published without end.

Mid moves by sigma a step plus edge x (A + B), where A and B are signs that any model may read off the queues and that
flip once in fifty steps, each on its own. Marked ten steps later, following A earns as much as following B, and doing
the opposite of A instead of A costs 0.2 standard deviations of the difference. One event in twenty comes after a longer
gap than the others, which a slow graph takes as its cue.
"""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from data_contracts.errors import RingcraftError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, MarketEvents
from data_contracts.recording import Recording
from market_data.publish import publish

STEP_NS: Final = 100_000_000
HORIZON_STEPS: Final = 10
HORIZON_NS: Final = HORIZON_STEPS * STEP_NS
EDGE_SD: Final = 0.2
"""What doing the opposite of A costs, in standard deviations of the paired difference."""
CUE_EVERY: Final = 20
CUE_GAP_MS: Final = 150.0
_PLANTED_SD: Final = EDGE_SD * 1.26  # a fifth of it is lost to flips within a horizon and to the longer gaps
_SIGMA_TICKS: Final = 20.0
_FLIP: Final = 0.02
_MID_TICKS: Final = 2_000_000.0
_CHUNK: Final = 200_000
_BATCH_EVENTS: Final = 64  # as publish() sends them
_MADE_UP_S: Final = 0.05
"""So much of what is behind its pace is sent at once; the rest stays behind."""
INSTRUMENT: Final = Instrument(symbol="SIM:PLANTED", tick_size="0.01", lot_size="1", currency="USD")


class Market:
    """The events, chunk by chunk; a function of the seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._signs = np.array([1, 1])
        self._mid = _MID_TICKS
        self._event_ns = 1_600_000_000_000_000_000
        self._sequence = 0

    def chunk(self, count: int = _CHUNK) -> MarketEvents:
        """Return the next events."""
        random = self._random
        flips = np.where(random.random((count, 2)) < _FLIP, -1, 1)
        signs = self._signs * np.cumprod(flips, axis=0)
        edge = _PLANTED_SD * _SIGMA_TICKS / np.sqrt(HORIZON_STEPS)
        # What is read at an event moves the steps after it.
        before = np.vstack([self._signs, signs[:-1]])
        moves = random.normal(0, _SIGMA_TICKS, count) + edge * before.sum(axis=1)
        mids = self._mid + np.cumsum(moves)
        gaps = np.full(count, STEP_NS)
        gaps[random.random(count) < 1 / CUE_EVERY] = int(CUE_GAP_MS * 1e6)
        events = np.zeros(count, MARKET_EVENT)
        events["event_ns"] = events["receive_ns"] = self._event_ns + np.cumsum(gaps)
        events["sequence"] = self._sequence + np.arange(1, count + 1)
        middle = np.round(mids).astype(np.int64)
        events["bid_ticks"], events["ask_ticks"] = middle - 1, middle + 1
        # Queue imbalance: its sign is A, its size tells B.
        bid_lots = np.array([20, 40, 60, 80])[(signs[:, 0] + 1) + (signs[:, 0] * signs[:, 1] + 1) // 2]
        events["bid_lots"], events["ask_lots"] = bid_lots, 100 - bid_lots
        self._signs, self._mid = signs[-1], float(mids[-1])
        self._event_ns, self._sequence = int(events["event_ns"][-1]), self._sequence + count
        return events


class Feed:
    """Publishes a market from a thread, at a pace, while it is wanted; a worker that dies is looked for again."""

    def __init__(self, port: int, *, seed: int, events_per_second: float) -> None:
        self._address, self._market = f"127.0.0.1:{port}", Market(seed)
        self._batch_s = _BATCH_EVENTS / events_per_second
        self._due_s = 0.0
        self._wanted, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def go(self) -> None:
        """Publish from now on."""
        self._wanted.set()

    def hold(self) -> None:
        """Publish nothing until told to go; the connection stays."""
        self._wanted.clear()

    def stop(self) -> None:
        """End in order."""
        self._stop.set()
        self._wanted.set()
        self._thread.join(15.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            recording = Recording(
                instrument=INSTRUMENT, events=self._market.chunk(), source=Path("planted"), skipped={}
            )
            with suppress(RingcraftError, OSError):
                publish(recording, self._address, speed=0.0, should_stop=self._pace)
                continue
            time.sleep(0.05)

    def _pace(self) -> bool:
        """Wait until the next batch is due; return whether there is to be one no more."""
        if not self._wanted.is_set():
            self._wanted.wait()
        now_s = time.monotonic()
        self._due_s = max(self._due_s, now_s - _MADE_UP_S) + self._batch_s
        time.sleep(max(0.0, self._due_s - now_s))
        return self._stop.is_set()
