"""A small exchange that speaks as Binance does: a true book, and the messages that tell of it."""

import json
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

START_NS = 1_767_603_600_000_000_000  # 2026-01-05 09:00 UTC
SKEW_MS = 40  # the venue's clock is ahead of ours

Touch = tuple[int, int, int, int]


@dataclass
class Venue:
    """One instrument's book in ticks of 0.01 and lots of 0.001, and its update ids.

    Spot counts its diffs' ids without holes and tells no time with bookTicker and snapshots; futures share ids with
    other instruments and name the id before.
    """

    market: str = "spot"
    seed: int = 1
    symbol: str = "RINGUSDT"
    levels: int = 30
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    last_id: int = 1000
    told_id: int = 1000  # up to which id diffs have told
    touches: dict[int, Touch] = field(default_factory=dict)
    """The true touch at each id that a message stood at."""
    books: dict[int, tuple[dict[int, int], dict[int, int]]] = field(default_factory=dict)
    changed: set[tuple[str, int]] = field(default_factory=set)
    trades: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for step in range(self.levels):
            self.bids[10_000 - step] = self.random.randint(1, 9_000)
            self.asks[10_001 + step] = self.random.randint(1, 9_000)

    @property
    def touch(self) -> Touch:
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]

    def move(self, changes: int = 3) -> None:
        """Change some levels, so that the touch wanders; the book stays uncrossed and two-sided."""
        for _ in range(changes):
            side = self.random.choice("ba")
            book = self.bids if side == "b" else self.asks
            bid, _, ask, _ = self.touch
            far = self.random.randint(0, self.levels)
            ticks = min(bid + 1, ask - 1) - far if side == "b" else max(ask - 1, bid + 1) + far
            lots = self.random.choice([0, self.random.randint(1, 9_000)])
            if lots == 0 and (ticks not in book or len(book) < 12):
                continue
            if lots == 0:
                del book[ticks]
            else:
                book[ticks] = lots
            self.last_id += 1 if self.market == "spot" else self.random.randint(1, 5)
            self.changed.add((side, ticks))

    def diff(self, at_ms: int) -> dict[str, Any]:
        """Tell of what changed since the diff before."""
        levels: dict[str, list[list[str]]] = {"b": [], "a": []}
        for side, ticks in sorted(self.changed):
            lots = (self.bids if side == "b" else self.asks).get(ticks, 0)
            levels[side].append([self.price(ticks), self.quantity(lots)])
        first, before = self.told_id + 1, self.told_id
        if self.market == "spot" and not self.changed:
            self.last_id += 1  # spot tells of no change under a number of its own
        elif self.last_id == self.told_id:
            self.last_id += 1
        self.told_id = self.last_id
        self.changed.clear()
        self.note()
        body: dict[str, Any] = {"e": "depthUpdate", "E": at_ms + SKEW_MS, "s": self.symbol}
        if self.market != "spot":
            body |= {"T": at_ms + SKEW_MS - 2, "pu": before}
        return body | {"U": first, "u": self.last_id, **levels}

    def note(self) -> None:
        """Remember the truth at this id."""
        self.touches[self.last_id] = self.touch
        self.books[self.last_id] = (dict(self.bids), dict(self.asks))

    def ticker(self, at_ms: int) -> dict[str, Any]:
        bid, bid_lots, ask, ask_lots = self.touch
        self.note()
        body: dict[str, Any] = {"u": self.last_id, "s": self.symbol}
        body |= {"b": self.price(bid), "B": self.quantity(bid_lots)}
        body |= {"a": self.price(ask), "A": self.quantity(ask_lots)}
        if self.market != "spot":
            body |= {"e": "bookTicker", "T": at_ms + SKEW_MS - 2, "E": at_ms + SKEW_MS}
        return body

    def trade(self, at_ms: int) -> dict[str, Any]:
        """A trade at the touch; every second one sold."""
        self.trades += 1
        bid, _, ask, _ = self.touch
        sold = self.trades % 2 == 0
        body: dict[str, Any] = {"e": "trade", "E": at_ms + SKEW_MS, "s": self.symbol, "t": self.trades}
        body |= {"p": self.price(bid if sold else ask), "q": self.quantity(7), "T": at_ms + SKEW_MS - 2, "m": sold}
        return body

    def snapshot(self, at_ms: int) -> dict[str, Any]:
        """What REST answers: the book as it is, 1000 levels at most."""
        self.note()
        body: dict[str, Any] = {"lastUpdateId": self.last_id}
        if self.market != "spot":
            body |= {"E": at_ms + SKEW_MS, "T": at_ms + SKEW_MS - 2}
        bids = [[self.price(ticks), self.quantity(lots)] for ticks, lots in sorted(self.bids.items(), reverse=True)]
        asks = [[self.price(ticks), self.quantity(lots)] for ticks, lots in sorted(self.asks.items())]
        return body | {"bids": bids[:1000], "asks": asks[:1000]}

    def price(self, ticks: int) -> str:
        return _spelled(Decimal(ticks) / 100, 8 if self.market == "spot" else 2)

    def quantity(self, lots: int) -> str:
        return _spelled(Decimal(lots) / 1000, 8 if self.market == "spot" else 3)


def stream(venue: Venue, body: dict[str, Any]) -> dict[str, Any]:
    """Put a message into the envelope of combined streams."""
    kinds = {"depthUpdate": "depth@100ms", "trade": "trade"}
    return {"stream": f"{venue.symbol.lower()}@{kinds.get(body.get('e', ''), 'bookTicker')}", "data": body}


def session(venue: Venue, diffs: int, *, snapshot_after: tuple[int, ...] = (3,)) -> list[tuple[int, dict[str, Any]]]:
    """Return receive times and messages of some seconds: a diff every 100 ms, tickers and trades between.

    Args:
        venue: whose.
        diffs: how many.
        snapshot_after: after which diffs, counted from 0, a snapshot comes that was taken before the one before.
    """
    told: list[tuple[int, dict[str, Any]]] = []
    kept: dict[str, Any] | None = None
    for number in range(diffs):
        at_ms = START_NS // 1_000_000 + number * 100
        for part in range(4):
            venue.move()
            body = venue.trade(at_ms + 20 * part) if part == 2 else venue.ticker(at_ms + 20 * part)
            told.append(((at_ms + 20 * part) * 1_000_000, stream(venue, body)))
        if number + 1 in snapshot_after:
            kept = venue.snapshot(at_ms + 70)  # in the middle of what the next diff will cover
        venue.move()
        told.append(((at_ms + 90) * 1_000_000, stream(venue, venue.diff(at_ms + 90))))
        if number in snapshot_after and kept is not None:
            told.append(((at_ms + 95) * 1_000_000, kept))
    return told


def lines(told: list[tuple[int, dict[str, Any]]]) -> bytes:
    """Return the messages as a recording."""
    return b"".join(b"%d %s\n" % (at_ns, json.dumps(body, separators=(",", ":")).encode()) for at_ns, body in told)


def _spelled(value: Decimal, decimals: int) -> str:
    return f"{value:.{decimals}f}"
