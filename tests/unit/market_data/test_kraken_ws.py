"""Kraken's books as recorded: believed while their checksums agree."""

import gzip
import json
import random
import zlib
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import FormatError, UsageError
from data_contracts.market_event import EventFlag
from data_contracts.recording import Recording
from market_data.reading import read_recordings

REAL = "crypto-ws-captures-2021/KRAKEN.ws.50.0.gz"
LOST = int(EventFlag.GAP | EventFlag.RESYNC)
PAIRS = [
    "WAVES/EUR",
    "XMR/USD",
    "KSM/XBT",
    "GRT/ETH",
    "SC/EUR",
    "ETH/CHF",
    "OCEAN/XBT",
    "OMG/USD",
    "XBT/CHF",
    "ADA/XBT",
]
START_S = 1_767_603_600


class Venue:
    """One pair's true book of `most` levels a side, and what Kraken would send of it; prices in 0.01."""

    def __init__(self, *, most: int = 10, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.most = most
        self.now_us = START_S * 1_000_000
        self.bids = {9_999 - 3 * step: self.random.randint(1, 10**9) for step in range(most)}
        self.asks = {10_001 + 3 * step: self.random.randint(1, 10**9) for step in range(most)}
        self.touches: list[tuple[int, int, int, int]] = []

    def snapshot(self) -> str:
        asks = [self.level(ticks, lots) for ticks, lots in sorted(self.asks.items())]
        bids = [self.level(ticks, lots) for ticks, lots in sorted(self.bids.items(), reverse=True)]
        return self.say({"as": asks, "bs": bids})

    def update(self) -> str:
        """Change a level of one side, or of each; levels that fall behind the last are told of no more."""
        both = self.random.random() < 0.3
        parts = []
        for key, book, sign in (("a", self.asks, 1), ("b", self.bids, -1)):
            if not both and parts:
                break
            best = min(self.asks) if sign > 0 else max(self.bids)
            ticks = best + sign * self.random.randint(-1, 3 * self.most)
            crosses = ticks <= max(self.bids) if sign > 0 else ticks >= min(self.asks)
            if crosses:
                ticks = best
            lots = (
                0 if ticks in book and len(book) > 5 and self.random.random() < 0.5 else self.random.randint(1, 10**9)
            )
            if lots:
                book[ticks] = lots
            else:
                del book[ticks]
            for far in sorted(book, key=lambda each: sign * each)[self.most :]:
                del book[far]
            parts.append({key: [self.level(ticks, lots)]})
        parts[-1]["c"] = str(self.checksum())
        return self.say(*parts)

    def trade(self, side: str) -> str:
        return self.say([["100.00000", "0.50000000", self.time(), side, "l", ""]], channel="trade")

    def say(self, *parts: object, channel: str = "") -> str:
        self.now_us += 100_000
        bid, ask = max(self.bids), min(self.asks)
        self.touches.append((bid, self.bids[bid], ask, self.asks[ask]))
        body = [336, *parts, channel or f"book-{self.most}", "RING/USD"]
        return f"{self.now_us / 1e6:.6f}: {json.dumps(body, separators=(',', ':'))}"

    def level(self, ticks: int, lots: int) -> list[str]:
        return [f"{ticks // 100}.{ticks % 100:02}000", f"{lots // 10**8}.{lots % 10**8:08}", self.time()]

    def time(self) -> str:
        return f"{(self.now_us - 40_000) / 1e6:.6f}"

    def checksum(self) -> int:
        best = [*sorted(self.asks.items())[:10], *sorted(self.bids.items(), reverse=True)[:10]]
        written = [text.replace(".", "").lstrip("0") for each in best for text in self.level(*each)[:2]]
        return zlib.crc32("".join(written).encode())


def recording(folder: Path, texts: list[str], *, cut: bool = False) -> Path:
    path = folder / "kraken.txt"
    head = ["wss://ws.kraken.com <-> 1767603599.5", 'wss://ws.kraken.com <- 1767603599.6: {"event":"subscribe"}']
    path.write_text("\n".join([*head, '1767603599.7: {"event":"heartbeat"}', *texts]) + "\n" * (not cut))
    return path


def only(path: Path, **options: object) -> Recording:
    (day,) = read_recordings(path, **options)  # type: ignore[arg-type]
    return day


def touches(day: Recording) -> list[tuple[int, ...]]:
    return [
        tuple(int(event[name]) for name in ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")) for event in day.events
    ]


def test_stated_instruments_beside_the_file_set_grid_and_fee(tmp_path: Path) -> None:
    venue = Venue()
    path = recording(tmp_path, [venue.snapshot(), *(venue.update() for _ in range(20))])
    stated = {"symbol": "KRAKEN:RING/USD", "tick_size": "0.005", "lot_size": "0.00000001", "currency": "EUR"}
    beside = path.with_name(f"{path.name}.instrument.json")
    for said in (stated, [{**stated, "symbol": "KRAKEN:OTHER/USD", "tick_size": "9"}, stated]):
        beside.write_text(json.dumps(said))
        day = only(path)
        assert (day.instrument.tick_size, day.instrument.currency, day.instrument.fee_bps) == ("0.005", "EUR", 0)
        assert [tuple(each) for each in touches(day)] == [
            (2 * bid, bids, 2 * ask, asks) for bid, bids, ask, asks in venue.touches
        ]
    beside.write_text('{"symbol": 1}')
    with pytest.raises(FormatError, match="expected an instrument or several"):
        read_recordings(path)


@pytest.mark.parametrize("most", [10, 25])
def test_book_is_the_venues_after_every_update_and_every_checksum_agrees(tmp_path: Path, most: int) -> None:
    venue = Venue(most=most)
    day = only(recording(tmp_path, [venue.snapshot(), *(venue.update() for _ in range(400))]), depth=True)
    assert (day.instrument.symbol, day.instrument.tick_size) == ("KRAKEN:RING/USD", "0.01")
    assert (day.gaps, day.skipped) == (0, {})
    assert not day.events["flags"].any()
    assert touches(day) == venue.touches
    assert day.depth is not None
    assert day.depth[-1, 2].tolist()[: len(venue.asks)] == sorted(venue.asks)[:10]
    assert np.all(day.events["receive_ns"] - day.events["event_ns"] >= 40_000_000)


def test_wrong_checksum_takes_the_book_down_until_the_next_snapshot(tmp_path: Path) -> None:
    venue = Venue()
    texts = [venue.snapshot(), *(venue.update() for _ in range(50))]
    texts[20] = texts[20].partition('"c":')[0] + '"c":"1"},"book-10","RING/USD"]'
    texts += [venue.snapshot(), *(venue.update() for _ in range(10))]
    day = only(recording(tmp_path, texts))
    assert (day.gaps, day.skipped) == (1, {"wrong_checksum": 1, "update_without_book": 30})
    flags = day.events["flags"]
    assert flags[20] == LOST | EventFlag.ONE_SIDED
    assert not flags[:20].any()
    assert not flags[21:].any()
    assert touches(day)[21:] == venue.touches[51:]


def test_lost_update_is_found_by_the_next_checksum(tmp_path: Path) -> None:
    venue = Venue()
    texts = [venue.snapshot(), *(venue.update() for _ in range(50))]
    told = venue.touches  # the one lost changes the touch, and the next does not
    lost = next(i for i in range(20, 50) if told[i] != told[i - 1] and told[i + 1] == told[i])
    del texts[lost]
    day = only(recording(tmp_path, texts))
    assert day.gaps == 1
    assert day.skipped["wrong_checksum"] == 1


def test_new_connection_forgets_the_book(tmp_path: Path) -> None:
    venue = Venue()
    texts = [venue.snapshot(), venue.update(), f"wss://ws.kraken.com <-> {venue.now_us / 1e6}", venue.update()]
    day = only(recording(tmp_path, [*texts, venue.snapshot()]))
    assert (day.gaps, day.skipped) == (1, {"reconnected": 1, "update_without_book": 1})
    assert (day.events["flags"] != 0).tolist() == [False, False, True, False]


def test_trades_are_signed_by_their_aggressor(tmp_path: Path) -> None:
    venue = Venue()
    day = only(recording(tmp_path, [venue.snapshot(), venue.trade("b"), venue.trade("s")]))
    assert day.events["trade_lots"].tolist() == [0, 50_000_000, -50_000_000]
    assert day.events["trade_ticks"].tolist() == [0, 10_000, 10_000]


@pytest.mark.parametrize(
    "body",
    [
        '[336,{"a":[["100.00","1.0","1767603601.1"]',
        '[336,{"a":[["-1.00","1.0","1767603601.1"]]},"book-10","RING/USD"]',
        '[336,{"a":[["100.00","NaN","1767603601.1"]]},"book-10","RING/USD"]',
        '[336,{"a":[[100.00,1.0,1767603601.1]]},"book-10","RING/USD"]',
        '[336,{"a":{}},"book-10","RING/USD"]',
        '[336,{"a":[],"c":12},"book-10","RING/USD"]',
        '[336,{"a":[["100.00","1.0","9999999999.1"]]},"book-10","RING/USD"]',
        "[1]",
    ],
)
def test_bad_messages_take_the_book_down(tmp_path: Path, body: str) -> None:
    venue = Venue()
    day = only(recording(tmp_path, [venue.snapshot(), venue.update(), f"{venue.now_us / 1e6}: {body}"]))
    assert day.gaps == 1
    assert day.events["flags"][-1] == LOST | EventFlag.ONE_SIDED


def test_bad_line_is_refused_by_its_row_and_a_cut_last_one_left_out(tmp_path: Path) -> None:
    venue = Venue()
    texts = [venue.snapshot(), venue.update(), "hello", venue.update()]
    with pytest.raises(FormatError, match="row 6: expected a receive time and a message, got 'hello'"):
        read_recordings(recording(tmp_path, texts))
    assert len(only(recording(tmp_path, texts[:3], cut=True))) == 2


def test_coinbases_and_bitmexs_captures_are_not_taken_for_krakens(test_data: Path) -> None:
    with pytest.raises(UsageError, match="fits none"):
        read_recordings(test_data / "crypto-ws-captures-2021" / "BITMEX.ws.1.0.gz")
    with pytest.raises(UsageError, match="found no recording of format kraken-ws"):
        read_recordings(test_data / "crypto-ws-captures-2021" / "COINBASE.ws.28.0.gz", format="kraken-ws")


def test_every_checksum_of_the_real_capture_agrees(test_data: Path) -> None:
    with pytest.raises(UsageError, match="KRAKEN:ADA/XBT"):
        read_recordings(test_data / REAL)
    messages = 0
    for pair in PAIRS:
        day = only(test_data / REAL, instrument=f"KRAKEN:{pair}")
        assert day.gaps == 0
        assert set(day.skipped) <= {"far_level"}
        assert not day.events["flags"].any()
        messages += day.by_type["book-1000"]
    assert messages == 4_279


def test_a_changed_quantity_in_the_real_capture_is_found(test_data: Path, tmp_path: Path) -> None:
    rows = gzip.decompress((test_data / REAL).read_bytes()).split(b"\n")
    at = next(row for row, text in enumerate(rows) if b'"353.73000000","0.00000000"' in text)
    rows[at] = rows[at].replace(b'"353.73000000","0.00000000"', b'"354.13000000","7.00000000"')
    path = tmp_path / "kraken.txt"
    path.write_bytes(b"\n".join(rows))
    day = only(path, instrument="XMR/USD")
    assert day.skipped["wrong_checksum"] == 1
    assert day.events["flags"][-1] == LOST | EventFlag.ONE_SIDED


def test_garbled_bytes_give_a_recording_or_one_clear_error(tmp_path: Path) -> None:
    venue = Venue()
    whole = recording(tmp_path, [venue.snapshot(), *(venue.update() for _ in range(30))]).read_bytes()
    letters = b'0123456789-."[]{}:,eNn\n\x00\xff '
    chance = random.Random(5)
    told = {tuple(touch) for touch in venue.touches}
    refused = 0
    for _ in range(150):
        data = bytearray(whole[: chance.randint(200, len(whole))])
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.choice(letters)
        path = tmp_path / "garbled.txt"
        path.write_bytes(data)
        try:
            for day in read_recordings(path, format="kraken-ws"):
                if day.instrument.symbol != "KRAKEN:RING/USD" or day.instrument.lot_size != "0.00000001":
                    continue
                checked = [touch for touch, event in zip(touches(day), day.events, strict=True) if not event["flags"]]
                # The snapshot alone comes without a checksum; what follows it is the venue's or flagged.
                assert all(touch in told for touch in checked[1:]) or day.instrument.tick_size != "0.01"
        except (FormatError, UsageError):
            refused += 1
    assert 0 < refused < 150
