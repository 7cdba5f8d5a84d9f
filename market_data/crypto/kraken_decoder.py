"""Kraken's messages into one pair's market events: the book is believed as long as its checksums agree.

Source of the checksum: Kraken, "Book checksum" of websocket API version 1: CRC-32 of the ten best asks, then the ten
best bids, best first, each price and quantity as written, without its point and the zeros before its first digit.
"""

import re
import zlib
from collections import Counter
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from data_contracts.market_event import MARKET_EVENT, EventFlag, MarketEvents
from market_data.crypto.grid import Grid, level_feed, refuse_if_guess
from market_data.crypto.kraken_messages import Book, Data, Event, Trade, decode

CONNECTED: Final = b'{"event":"connected"}'
"""Stands for the recorder's own note of a new connection."""

_CHECKED_LEVELS: Final = 10
_WRITTEN: Final = re.compile(rb'^\[\s*\[\s*"\d+(?:\.(\d+))?"\s*,\s*"\d+(?:\.(\d+))?"')
_OF_A_PAIR: Final = re.compile(rb',"[a-z0-9-]+","[A-Z0-9.]+/[A-Z0-9.]+"\]$')
_CHANNEL: Final = re.compile(r"^book-(\d{1,5})$")
_RESYNC, _GAP, _STALE = int(EventFlag.RESYNC), int(EventFlag.GAP), int(EventFlag.STALE)
_WIDEST_SKEW_NS: Final = 3_600_000_000_000


class KrakenDecoder:
    """One pair's book, touch and trades.

    Args:
        pair: as Kraken writes it, such as XBT/USD.
        grid: its units; where they are only guessed, FinerGridError asks to start again.
        stale_after_ns: silence, on our clock, after which the touch is stale.
        depth: whether to keep the levels at each event.
    """

    def __init__(self, pair: str, grid: Grid, *, stale_after_ns: int, depth: bool) -> None:
        self.by_type: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.gaps = 0
        self.checked = 0
        """Checksums that agreed."""
        self.sound = False
        self._ending = f'"{pair}"]'.encode()
        self._grid, self._stale_after_ns = grid, stale_after_ns
        self._feed = level_feed(grid, depth=depth)
        self._written = (0, 0)  # decimals of price and quantity, as the venue writes them
        self._messages = 0
        self._after_gap = self._stale = False
        self._clock_ns = self._heard_ns = 0

    def feed(self, receive_ns: int, payload: bytes) -> None:
        """Take a message; other pairs' are counted and left.

        Raises:
            FinerGridError: a guessed grid is too coarse.
        """
        self._silence(receive_ns)
        if not payload.endswith(self._ending) and _OF_A_PAIR.search(payload[-64:]):
            self.by_type["other_instrument"] += 1
            return
        try:
            message = decode(payload)
        except msgspec.DecodeError:
            self._lose("bad_message", receive_ns)
            return
        if isinstance(message, Event):
            self.by_type[message.event] += 1
            if message.event == "connected" and self.sound:
                self._lose("reconnected", receive_ns)
            return
        self.by_type[message.channel] += 1
        self._messages += 1
        self._heard_ns, self._stale = max(self._heard_ns, receive_ns), False
        if message.trades:
            for trade in message.trades:
                self._take_trade(receive_ns, trade)
        elif message.books:
            self._take_books(receive_ns, message)

    def take(self) -> tuple[MarketEvents, NDArray[np.int64]]:
        """Return the events since the last call, and their levels, shape (n, 4, 10), of length 0 where not kept."""
        raw, levels = self._feed.take()
        self.skipped["far_level"] = self._feed.far_levels
        events: Any = raw.view(MARKET_EVENT)
        return events, levels.reshape(-1, 4, 10)

    def transitions(self) -> tuple[list[int], list[int]]:
        """Return how often each state was entered and left, by the flag's bit."""
        return self._feed.transitions()

    def _silence(self, now_ns: int) -> None:
        if self._heard_ns == 0 or self._stale or now_ns - self._heard_ns <= self._stale_after_ns:
            return
        self._stale = True
        self._clock_ns += self._stale_after_ns
        self._record(self._heard_ns + self._stale_after_ns)

    def _take_books(self, receive_ns: int, message: Data) -> None:
        snapshot = any(book.is_snapshot for book in message.books)
        if not snapshot and not self.sound:
            self.skipped["update_without_book"] += 1
            return
        subscribed = _CHANNEL.match(message.channel)
        for book in message.books:
            fault = self._apply(book, int(subscribed[1]) if subscribed else 0)
            if fault is not None:
                refuse_if_guess(self._grid, fault)
                self._lose("bad_level", receive_ns)
                return
            if not self._tell_time(receive_ns, self._feed.newest_ns):
                self._lose("bad_time", receive_ns)
                return
        if snapshot:
            self.sound, self._after_gap = True, False
        if not self._checksums_agree(message.books):
            self._lose("wrong_checksum", receive_ns)
            return
        self._record(receive_ns)

    def _apply(self, book: Book, most: int) -> tuple[int, bool, int, int] | None:
        if not book.is_snapshot:
            return self._feed.change(bytes(book.b), bytes(book.a), most)
        bids, asks = bytes(book.bs) or b"[]", bytes(book.as_) or b"[]"
        written = _WRITTEN.match(bids) or _WRITTEN.match(asks)
        if written is not None:
            self._written = (len(written[1] or b""), len(written[2] or b""))
        return self._feed.load(bids, asks)

    def _checksums_agree(self, books: tuple[Book, ...]) -> bool:
        told = [book.c for book in books if book.c is not None]
        if not told:
            return True
        if int(told[-1]) != self._checksum():
            return False
        self.checked += 1
        return True

    def _checksum(self) -> int:
        grid, (price_digits, lot_digits) = self._grid, self._written
        text = "".join(
            f"{ticks * grid.price_step * 10**price_digits // 10**grid.price_decimals}"
            f"{lots * grid.lot_step * 10**lot_digits // 10**grid.lot_decimals}"
            for side in "SB"
            for ticks, lots in self._feed.levels(side, _CHECKED_LEVELS)
        )
        return zlib.crc32(text.encode())

    def _take_trade(self, receive_ns: int, trade: Trade) -> None:
        ticks, lots = self._feed.ticks_of(trade.price), self._feed.lots_of(trade.quantity)
        for number in (ticks, lots):
            if isinstance(number, tuple):
                refuse_if_guess(self._grid, number)
        whole, _, part = trade.time.partition(".")
        stamp_ns = int(whole) * 1_000_000_000 + int(part.ljust(9, "0"))
        if isinstance(ticks, tuple) or isinstance(lots, tuple) or not self._tell_time(receive_ns, stamp_ns):
            self.skipped["bad_trade"] += 1
        elif ticks == 0 or lots == 0:
            self.skipped["empty_trade"] += 1
        else:
            self._record(receive_ns, trade_ticks=ticks, trade_lots=lots if trade.side == "b" else -lots)

    def _tell_time(self, receive_ns: int, stamp_ns: int) -> bool:
        """Set the venue's clock to a level's or trade's time; it never goes back."""
        if stamp_ns > receive_ns + _WIDEST_SKEW_NS:
            return False
        self._clock_ns = max(self._clock_ns, stamp_ns)
        return True

    def _lose(self, reason: str, receive_ns: int) -> None:
        self.skipped[reason] += 1
        if not self.sound:
            return
        self.sound = False
        self.gaps += 1
        self._after_gap = True
        self._feed.clear()
        self._record(receive_ns)

    def _record(self, receive_ns: int, *, trade_ticks: int = 0, trade_lots: int = 0) -> None:
        flags = 0
        if not self.sound:
            flags |= _RESYNC
        if self._after_gap:
            flags |= _GAP
        if self._stale:
            flags |= _STALE
        event_ns = self._clock_ns or receive_ns
        self._feed.record(event_ns, receive_ns, self._messages, flags, trade_ticks, trade_lots)
