"""Every touch of the real recordings against a plain book of dictionaries and decimals."""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data_contracts.instrument import Instrument
from market_data.reading import read_recordings
from market_data.replay import book_table

REAL = "binance-ws-20240808"
FILES = ["spot_btcusdt_20240808.gz", "usdm_btcusdt_20240808.gz", "cm_btcusd_perp_20240808.gz"]
Touch = tuple[int, int, int, int]


class PlainBook:
    """The newer of bookTicker and book by update id; beyond the snapshot's last level, bookTicker."""

    def __init__(self, instrument: Instrument) -> None:
        self.tick, self.lot = Decimal(instrument.tick_size), Decimal(instrument.lot_size)
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.waiting: list[dict[str, Any]] = []
        self.last = self.quote_id = -1
        self.quote: Touch = (0, 0, 0, 0)

    def take(self, body: dict[str, Any]) -> None:
        if "lastUpdateId" in body:
            self.apply(body["bids"], body["asks"])
            self.edges = (min(self.bids), max(self.asks))
            self.last = body["lastUpdateId"]
            for diff in self.waiting:
                self.take(diff)
        elif body.get("e") == "depthUpdate":
            if self.last < 0:
                self.waiting.append(body)
            elif body["u"] > self.last:
                self.apply(body["b"], body["a"])
                self.last = body["u"]
        elif "B" in body:
            bid, ask = self.level(body["b"], body["B"]), self.level(body["a"], body["A"])
            self.quote, self.quote_id = (*bid, *ask), body["u"]

    def apply(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        for book, levels in ((self.bids, bids), (self.asks, asks)):
            for ticks, lots in (self.level(*level) for level in levels):
                book.pop(ticks, None)
                if lots:
                    book[ticks] = lots

    def level(self, price: str, quantity: str) -> tuple[int, int]:
        return int(Decimal(price) / self.tick), int(Decimal(quantity) / self.lot)

    @property
    def touch(self) -> Touch:
        bid, ask = max(self.bids), min(self.asks)
        outrun = bid <= self.edges[0] or ask >= self.edges[1]
        return self.quote if outrun or self.quote_id > self.last else (bid, self.bids[bid], ask, self.asks[ask])


def changes(path: Path, instrument: Instrument) -> Iterator[Touch]:
    book, shown = PlainBook(instrument), None
    for text in path.read_bytes().splitlines():
        body = json.loads(text.partition(b" ")[2])
        book.take(body.get("data", body))
        if book.last >= 0 and book.touch != shown:
            shown = book.touch
            yield shown


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rows", [3_000, pytest.param(10**9, marks=pytest.mark.long)])
def test_every_touch_is_the_plain_books(test_data: Path, tmp_path: Path, name: str, rows: int) -> None:
    path = tmp_path / "real.jsonl"
    path.write_bytes(b"\n".join(gzip.decompress((test_data / REAL / name).read_bytes()).split(b"\n")[:rows]))
    days = read_recordings(path)
    theirs = list(changes(path, days[0].instrument))
    table = book_table(days).to_pydict()
    ours = list(zip(*(table[side] for side in ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")), strict=True))
    assert len(theirs) > 300
    assert ours[-len(theirs) :] == theirs
    assert len(ours) - len(theirs) < 60  # what bookTicker said before the snapshot, flagged RESYNC
