"""Binance's messages into one instrument's market events; recorded or live, it is this code.

The touch is the newer of bookTicker and book, by update id: bookTicker comes at once, diffs in batches. Where both
stand at one id they must agree. Levels behind the touch are the book's.
"""

from collections import Counter
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from data_contracts.market_event import MARKET_EVENT, EventFlag, MarketEvents
from market_data.crypto.binance_messages import Depth, Message, Note, Other, Snapshot, Ticker, Trade, decode
from market_data.crypto.grid import Grid, level_feed, refuse_if_guess
from market_data.crypto.synchroniser import Diff, Step, Synchroniser, SyncState

_NS_PER_MS: Final = 1_000_000
_RESYNC, _GAP, _STALE = int(EventFlag.RESYNC), int(EventFlag.GAP), int(EventFlag.STALE)
_WIDEST_SKEW_NS: Final = 3_600_000_000_000
_CUT_SNAPSHOT_LEVELS: Final = 1000
"""A snapshot with as many levels on a side may have been cut: what lies behind the last one is not known."""

_Levels = Depth | Snapshot


class BinanceDecoder:
    """One instrument's book, touch and trades.

    Args:
        grid: its units; where they are only guessed, FinerGridError asks to start again.
        stale_after_ns: silence, on our clock, after which the touch is stale.
        expects_book: whether diffs are part of the feed, so that events before a sound book are flagged.
        depth: whether to keep the levels at each event.
    """

    def __init__(self, grid: Grid, *, stale_after_ns: int, expects_book: bool, depth: bool) -> None:
        self.by_type: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.gaps = 0
        self.agreed = 0
        """Times that bookTicker and book stood at one update id and said the same."""
        self.outrun = False
        """Whether the market went beyond what the snapshot showed: then the touch is bookTicker's alone, and there are
        no levels behind it."""
        self._grid, self._stale_after_ns, self._expects_book = grid, stale_after_ns, expects_book
        self._feed = level_feed(grid, depth=depth)
        self._sync: Synchroniser[_Levels] = Synchroniser()
        self._after_gap = False
        self._quote_id = -1
        self._shows_quote = False
        self._trades = ""  # trade or aggTrade, whichever came first: both tell of the same trades
        self._clock_ns = 0  # the venue's, as far as it is known
        self._ahead_ns = 0  # the venue's clock less ours, at the last message that had both
        self._heard_ns = 0
        self._stale = False
        self._shown: tuple[tuple[int, int, int, int], int] = ((0, 0, 0, 0), -1)  # of the last event
        self._edges = (0, 2**62)  # bids at or below and asks at or above lie where the snapshot was cut

    @property
    def state(self) -> SyncState:
        """How far the book is to be trusted."""
        return self._sync.state

    @property
    def wants_snapshot(self) -> bool:
        """Whether diffs wait for a snapshot."""
        return self._sync.wants_snapshot

    def feed(self, receive_ns: int, payload: bytes) -> None:
        """Take a message.

        Raises:
            FinerGridError: a guessed grid is too coarse.
        """
        self.silence(receive_ns)
        try:
            kind, message = decode(payload)
        except msgspec.DecodeError:
            self._bad("bad_message", receive_ns)
            return
        self.by_type[kind] += 1
        if isinstance(message, Note):
            if message.e in ("connected", "disconnected"):
                self._forget(receive_ns)
            elif message.e == "resync":
                self._lose(receive_ns)
            return
        if not self._tell_time(receive_ns, message):
            self._bad("bad_time", receive_ns)
            return
        self._heard_ns, self._stale = max(self._heard_ns, receive_ns), False
        if isinstance(message, Ticker):
            self._take_ticker(receive_ns, message)
        elif isinstance(message, Depth):
            self._take_diff(receive_ns, message)
        elif isinstance(message, Trade):
            self._take_trade(receive_ns, message, kind)
        elif isinstance(message, Snapshot):
            self._follow(receive_ns, self._sync.snapshot(message.lastUpdateId, message))

    def is_overdue(self, now_ns: int) -> bool:
        """Whether silence() would mark the touch as stale."""
        return self._heard_ns != 0 and not self._stale and now_ns - self._heard_ns > self._stale_after_ns

    def silence(self, now_ns: int) -> None:
        """Mark the touch as stale where nothing was heard for too long before `now_ns`, on our clock."""
        if not self.is_overdue(now_ns):
            return
        self._stale = True
        self._clock_ns += self._stale_after_ns
        self._record(self._heard_ns + self._stale_after_ns)

    def take(self) -> tuple[MarketEvents, NDArray[np.int64]]:
        """Return the events since the last call, and their levels, shape (n, 4, 10), of length 0 where not kept."""
        raw, levels = self._feed.take()
        self.skipped["far_level"] = self._feed.far_levels
        events: Any = raw.view(MARKET_EVENT)
        return events, levels.reshape(-1, 4, 10)

    def transitions(self) -> tuple[list[int], list[int]]:
        """Return how often each state was entered and left, by the flag's bit."""
        return self._feed.transitions()

    def _take_diff(self, receive_ns: int, message: Depth) -> None:
        previous = message.U - 1 if message.pu is None else message.pu
        if not previous < message.u or message.u < message.U:
            self._bad("bad_update_id", receive_ns)
            return
        self._follow(receive_ns, self._sync.diff(Diff(previous, message.u, message)))

    def _follow(self, receive_ns: int, step: Step[_Levels]) -> None:
        if step.dropped:
            self.skipped[step.dropped] += 1
        if step.lost:
            self._mark_gap(receive_ns)
            return
        texts = [] if step.load is None else [step.load]
        for position, levels in enumerate([*texts, *step.apply]):
            if not self._apply(levels, first=step.load is not None and position == 0):
                self._bad("bad_level", receive_ns)
                return
        if step.apply:
            self._settle(receive_ns)

    def _apply(self, levels: _Levels, *, first: bool) -> bool:
        if isinstance(levels, Snapshot):
            fault = self._feed.load(bytes(levels.bids), bytes(levels.asks))
        else:
            fault = self._feed.change(bytes(levels.b), bytes(levels.a))
        if fault is not None:
            refuse_if_guess(self._grid, fault)
            return False
        if first:
            self._edges = self._snapshot_edges()
            self._feed.set_edges(*self._edges)
        return True

    def _snapshot_edges(self) -> tuple[int, int]:
        bids, asks = (self._feed.levels(side, 2 * _CUT_SNAPSHOT_LEVELS) for side in "BS")
        low = bids[-1][0] if len(bids) >= _CUT_SNAPSHOT_LEVELS else 0
        high = asks[-1][0] if len(asks) >= _CUT_SNAPSHOT_LEVELS else 2**62
        return low, high

    def _settle(self, receive_ns: int) -> None:
        """The book is sound as of the last diff: hold it against the quote and keep an event."""
        bid, _, ask, _ = self._feed.book_touch()
        low, high = self._edges
        self.outrun = bid <= low or ask >= high
        if self.outrun:
            self.skipped["outran_snapshot"] += 1
        if (self.outrun and self._quote_id < 0) or not self._agrees():
            self._lose(receive_ns)
            return
        self._after_gap = False
        self._prefer_quote(self.outrun or self._quote_id > self._sync.last_id)
        self._record(receive_ns)

    def _take_ticker(self, receive_ns: int, message: Ticker) -> None:
        fault = self._feed.quote(message.b, message.B, message.a, message.A)
        if fault is not None:
            refuse_if_guess(self._grid, fault)
            self._bad("bad_level", receive_ns)
            return
        self._quote_id = message.u
        self._after_gap = self._after_gap and self._expects_book  # without a book a quote says all there is
        sound = self._sync.state is SyncState.SOUND
        if sound and not self._agrees():
            self._lose(receive_ns)
            return
        newer = not sound or self.outrun or message.u > self._sync.last_id
        self._prefer_quote(newer)
        if not newer:
            self.skipped["quote_before_book"] += message.u < self._sync.last_id
        elif (self._feed.touch(), self._flags()) != self._shown:
            self._record(receive_ns)

    def _agrees(self) -> bool:
        if self._quote_id != self._sync.last_id or self.outrun:
            return True
        if self._feed.quoted_touch() != self._feed.book_touch():
            self.skipped["quote_contradicts_book"] += 1
            return False
        self.agreed += 1
        return True

    def _take_trade(self, receive_ns: int, message: Trade, kind: str) -> None:
        self._trades = self._trades or kind
        if kind != self._trades:
            self.skipped["trade_told_twice"] += 1
            return
        ticks, lots = self._feed.ticks_of(message.p), self._feed.lots_of(message.q)
        if isinstance(ticks, tuple) or isinstance(lots, tuple):
            for number in (ticks, lots):
                if isinstance(number, tuple):
                    refuse_if_guess(self._grid, number)
            self.skipped["bad_trade"] += 1
        elif ticks == 0 or lots == 0:
            self.skipped["empty_trade"] += 1
        else:
            self._record(receive_ns, trade_ticks=ticks, trade_lots=-lots if message.m else lots)

    def _tell_time(self, receive_ns: int, message: Message) -> bool:
        """Set the venue's clock: the matching time where it is told, else the sending time, else as it has run on.

        It never goes back: what comes late happens, for us, when it comes.
        """
        stamp_ns = 0 if isinstance(message, (Other, Note)) else (message.T or message.E) * _NS_PER_MS
        if stamp_ns:
            if abs(stamp_ns - receive_ns) > _WIDEST_SKEW_NS:
                return False
            self._ahead_ns = stamp_ns - receive_ns
        elif self._clock_ns:
            stamp_ns = receive_ns + self._ahead_ns
        self._clock_ns = max(self._clock_ns, stamp_ns)
        return True

    def _bad(self, reason: str, receive_ns: int) -> None:
        # It may have been a diff: the book may lack it.
        self.skipped[reason] += 1
        self._lose(receive_ns)

    def _forget(self, receive_ns: int) -> None:
        """Trust nothing any more: what the venue sends between two connections is lost."""
        knew = self._sync.state is SyncState.SOUND or self._quote_id >= 0
        self._sync.reset()
        self._quote_id = -1
        if knew:
            self._mark_gap(receive_ns)

    def _lose(self, receive_ns: int) -> None:
        was_sound = self._sync.state is SyncState.SOUND
        if self._sync.state is not SyncState.WAITING:
            self._sync.reset()
        if was_sound:
            self._mark_gap(receive_ns)

    def _mark_gap(self, receive_ns: int) -> None:
        self.gaps += 1
        self._after_gap, self.outrun = True, False
        self._feed.clear()
        self._prefer_quote(self._quote_id >= 0)
        self._record(receive_ns)

    def _record(self, receive_ns: int, *, trade_ticks: int = 0, trade_lots: int = 0) -> None:
        flags = self._flags()
        self._shown = (self._feed.touch(), flags)
        # Of what is shown: where the book has outrun its snapshot that is the quote, which may be older than the book.
        sequence = max(self._quote_id if self._shows_quote else self._sync.last_id, 0)
        self._feed.record(self._clock_ns or receive_ns, receive_ns, sequence, flags, trade_ticks, trade_lots)

    def _prefer_quote(self, shown: bool) -> None:
        self._shows_quote = shown
        self._feed.prefer_quote(shown)

    def _flags(self) -> int:
        flags = 0
        if self._expects_book and self._sync.state is not SyncState.SOUND:
            flags |= _RESYNC
        if self._after_gap:
            flags |= _GAP
        if self._stale:
            flags |= _STALE
        return flags
