"""Binance's streams as recorded: the book that follows is the venue's own, or says that it is not."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.errors import FormatError, UsageError
from data_contracts.market_event import EventFlag
from data_contracts.recording import Recording
from market_data.reading import read_recordings
from market_data.replay import book_table
from tests.support.binance_venue import START_NS, Venue, lines, session, stream

REAL = "binance-ws-20240808"
LOST = int(EventFlag.GAP | EventFlag.RESYNC)
TOUCH = ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")


def write(folder: Path, told: list[tuple[int, dict[str, Any]]], name: str = "ring.jsonl") -> Path:
    path = folder / name
    path.write_bytes(lines(told))
    return path


def only(path: Path, **options: Any) -> Recording:
    (day,) = read_recordings(path, **options)
    return day


def is_diff(body: dict[str, Any]) -> bool:
    return body.get("data", {}).get("e") == "depthUpdate"


def assert_true_touches(day: Recording, venue: Venue) -> None:
    """Every event that may be acted on shows the venue's own touch at its update id."""
    for event in day.events[(day.events["flags"] & LOST) == 0]:
        assert tuple(int(event[name]) for name in TOUCH) == venue.touches[int(event["sequence"])]


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_touch_and_levels_are_the_venues_at_every_update_id(tmp_path: Path, market: str) -> None:
    venue = Venue(market=market)
    told = session(venue, 60)
    day = only(write(tmp_path, told), depth=True)
    assert (day.instrument.tick_size, day.instrument.lot_size) == ("0.01", "0.001")
    assert day.instrument.symbol == {"spot": "BINANCE:RINGUSDT", "futures": "BINANCE_USDM:RINGUSDT"}[market]
    assert day.by_type == {"bookTicker": 180, "trade": 60, "depthUpdate": 60, "snapshot": 1}
    assert (day.gaps, day.skipped) == (0, {})
    sound = (day.events["flags"] & LOST) == 0
    assert np.flatnonzero(sound)[0] <= 16  # the snapshot comes after the fourth diff, before which 15 others were told
    assert sound[16:].all()
    assert_true_touches(day, venue)
    assert day.depth is not None
    last_diff = max(u for u in venue.books if u == venue.told_id)
    bids, asks = venue.books[last_diff]
    best = [sorted(bids, reverse=True)[:10], sorted(asks)[:10]]
    assert day.depth[-1, 0].tolist() == best[0]
    assert day.depth[-1, 1].tolist() == [bids[ticks] for ticks in best[0]]
    assert day.depth[-1, 2].tolist() == best[1]
    assert day.depth[-1, 3].tolist() == [asks[ticks] for ticks in best[1]]


def test_trades_are_signed_by_their_aggressor_and_times_never_go_back(tmp_path: Path) -> None:
    day = only(write(tmp_path, session(Venue(), 20)))
    traded = day.events[day.events["trade_lots"] != 0]
    assert np.sign(traded["trade_lots"]).tolist() == [1, -1] * 10
    assert set(np.abs(traded["trade_lots"])) == {7}
    assert np.all(np.diff(day.events["event_ns"]) >= 0)
    assert np.all(day.events["event_ns"] - day.events["receive_ns"] <= 40_000_000)  # the venue's clock is ahead


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_missed_diff_is_a_gap_until_the_next_snapshot(tmp_path: Path, market: str) -> None:
    venue = Venue(market=market)
    told = session(venue, 60, snapshot_after=(3, 40))
    diffs = [position for position, (_, body) in enumerate(told) if is_diff(body)]
    del told[diffs[20]]
    day = only(write(tmp_path, told))
    assert day.gaps == 1
    assert_true_touches(day, venue)
    lost = (day.events["flags"] & int(EventFlag.GAP)) != 0
    start, end = np.flatnonzero(lost)[[0, -1]]
    assert lost[start : end + 1].all()
    from_s, to_s = (day.events["receive_ns"][[start, end]] - START_NS) / 1e9
    assert round(from_s, 2) == 2.19  # when the next diff came
    assert 4.0 < to_s < 4.095  # the last word before the snapshot


def test_without_a_snapshot_nothing_may_be_acted_on(tmp_path: Path) -> None:
    day = only(write(tmp_path, session(Venue(), 20, snapshot_after=())))
    assert ((day.events["flags"] & int(EventFlag.RESYNC)) != 0).all()


def test_tickers_alone_need_no_book(tmp_path: Path) -> None:
    venue = Venue()
    told = [each for each in session(venue, 20) if each[1].get("data", {}).get("B")]
    day = only(write(tmp_path, told))
    assert not day.events["flags"].any()
    assert_true_touches(day, venue)
    seen = [venue.touches[body["data"]["u"]] for _, body in told]
    changes = [touch for before, touch in zip([None, *seen], seen, strict=False) if touch != before]
    assert [tuple(int(event[name]) for name in TOUCH) for event in day.events] == changes


def test_every_change_of_the_touch_that_is_told_is_an_event(tmp_path: Path) -> None:
    venue = Venue()
    told = session(venue, 60)
    day = only(write(tmp_path, told))
    start = int(day.events["sequence"][day.events["flags"] == 0][0])
    ids = [body["data"]["u"] for _, body in told if body.get("data", {}).get("u", 0) >= start]
    seen = [venue.touches[each] for each in ids]
    changes = [touch for before, touch in zip([None, *seen], seen, strict=False) if touch != before]
    touches = [tuple(int(event[name]) for name in TOUCH) for event in day.events[day.events["flags"] == 0]]
    assert [touch for before, touch in zip([None, *touches], touches, strict=False) if touch != before] == changes


def test_a_quote_that_says_the_same_ends_staleness(tmp_path: Path) -> None:
    venue = Venue()
    told = [each for each in session(venue, 3) if each[1].get("data", {}).get("B")]
    late_ns = told[-1][0] + 90_000_000_000
    told.append((late_ns, stream(venue, venue.ticker(late_ns // 1_000_000))))
    day = only(write(tmp_path, told))
    assert (day.events["flags"][-2:] == [EventFlag.STALE, 0]).all()


def test_diffs_alone_give_the_same_touches(tmp_path: Path) -> None:
    venue = Venue(market="futures")
    told = [each for each in session(venue, 40) if not each[1].get("data", {}).get("B")]
    day = only(write(tmp_path, told))
    assert len(day.events[day.events["flags"] == 0]) >= 36
    sound = day.events[(day.events["flags"] == 0) & (day.events["trade_lots"] == 0)]
    for event in sound:
        assert tuple(int(event[name]) for name in TOUCH) == venue.touches[int(event["sequence"])]


def test_duplicates_and_stale_snapshots_are_left_out_and_counted(tmp_path: Path) -> None:
    venue = Venue()
    told = session(venue, 40, snapshot_after=(3, 20))
    diffs = [position for position, (_, body) in enumerate(told) if is_diff(body)]
    told.insert(diffs[10] + 1, told[diffs[9]])
    told.insert(diffs[10] + 1, told[diffs[10]])
    day = only(write(tmp_path, told))
    assert day.skipped == {"duplicate_diff": 2, "snapshot_not_needed": 1}
    assert day.gaps == 0
    assert_true_touches(day, venue)


def test_quote_that_contradicts_the_book_takes_it_down(tmp_path: Path) -> None:
    venue = Venue()
    told = session(venue, 30)
    bid_lots = venue.touch[1]
    wrong = venue.ticker(0) | {"B": venue.quantity(bid_lots + 1)}
    told.append((told[-1][0] + 1_000_000, stream(venue, wrong)))
    day = only(write(tmp_path, told))
    assert (day.gaps, day.skipped) == (1, {"quote_contradicts_book": 1})
    assert day.events["flags"][-1] == LOST


def test_market_beyond_a_cut_snapshot_shows_the_quote_and_no_levels(tmp_path: Path) -> None:
    venue = Venue(levels=1200)
    told = session(venue, 5)
    for ticks in sorted(venue.bids)[100:]:
        del venue.bids[ticks]
        venue.changed.add(("b", ticks))
    venue.last_id += 1
    at_ms = told[-1][0] // 1_000_000 + 10
    told.append((at_ms * 1_000_000, stream(venue, venue.diff(at_ms))))
    day = only(write(tmp_path, told), depth=True)
    assert day.skipped == {"outran_snapshot": 1}
    assert day.depth is not None
    assert np.count_nonzero(day.depth[-1, 0]) == 1  # the quote's bid; what lies behind the snapshot's last is unknown


def test_silence_longer_than_the_instrument_allows_is_stale_at_its_time(tmp_path: Path) -> None:
    venue = Venue()
    told = session(venue, 10)
    late_ns = told[-1][0] + 90_000_000_000
    told.append((late_ns, stream(venue, venue.diff(late_ns // 1_000_000))))
    day = only(write(tmp_path, told))
    stale = np.flatnonzero(day.events["flags"] & int(EventFlag.STALE))
    assert stale.tolist() == [len(day) - 2]
    assert day.events["receive_ns"][stale[0]] == told[-2][0] + 60_000_000_000


def test_lost_connection_ends_all_that_was_known(tmp_path: Path) -> None:
    venue = Venue()
    told = session(venue, 10)
    told.append((told[-1][0] + 1, {"stream": "ringcraft", "data": {"e": "disconnected"}}))
    day = only(write(tmp_path, told))
    assert day.gaps == 1
    last = day.events[-1]
    assert [int(last[name]) for name in TOUCH] == [0, 0, 0, 0]
    assert last["flags"] == LOST | EventFlag.ONE_SIDED


def test_book_goes_on_from_one_file_into_the_next_and_days_part_at_midnight(tmp_path: Path) -> None:
    venue = Venue()
    told = session(venue, 40)
    shift_ns = 15 * 3_600_000_000_000 - 2_000_000_000  # midnight comes between two messages, two seconds in
    moved = []
    for at_ns, body in told:
        data = body.get("data", body)
        for key in ("E", "T"):
            if key in data:
                data[key] += shift_ns // 1_000_000
        moved.append((at_ns + shift_ns, body))
    write(tmp_path, moved[:100], "a.jsonl")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(moved[100:])))
    first, second = read_recordings(tmp_path, format="binance-ws", instrument="RINGUSDT")
    assert not (second.events["flags"] & LOST).any()
    assert_true_touches(first, venue)
    assert_true_touches(second, venue)
    assert np.datetime64(int(second.events["receive_ns"][0]), "ns") >= np.datetime64("2026-01-06")
    assert np.datetime64(int(first.events["receive_ns"][-1]), "ns") < np.datetime64("2026-01-06")


def test_two_symbols_in_one_file_are_told_apart_and_nameless_snapshots_are_nobodys(tmp_path: Path) -> None:
    ring, gold = Venue(), Venue(symbol="GOLDUSDT", seed=2)
    both = sorted(session(ring, 20) + session(gold, 20), key=lambda each: each[0])
    path = write(tmp_path, both)
    with pytest.raises(UsageError, match="BINANCE:GOLDUSDT, BINANCE:RINGUSDT"):
        read_recordings(path)
    day = only(path, instrument="BINANCE:RINGUSDT")
    assert day.by_type["other_instrument"] == 102
    assert ((day.events["flags"] & int(EventFlag.RESYNC)) != 0).all()


def test_stated_instrument_beside_the_file_sets_grid_and_fee(tmp_path: Path) -> None:
    venue = Venue()
    path = write(tmp_path, session(venue, 10))
    stated = {"symbol": "BINANCE:RINGUSDT", "tick_size": "0.01", "lot_size": "0.001", "currency": "USDT", "fee_bps": 1}
    (tmp_path / "ring.jsonl.instrument.json").write_text(json.dumps(stated))
    day = only(path)
    assert day.instrument.fee_bps == 1
    assert_true_touches(day, venue)
    (tmp_path / "ring.jsonl.instrument.json").write_text("{}")
    with pytest.raises(FormatError, match="expected an instrument"):
        read_recordings(path)


def test_bad_messages_take_the_book_down_and_bad_lines_the_file(tmp_path: Path) -> None:
    told = session(Venue(), 20)
    text = lines(told).split(b"\n")
    for bad, reason in (
        (b'{"stream":"ringusdt@depth@100ms","data":{"e":"depthUpdate"', "bad_message"),
        (
            b'{"stream":"ringusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"U":1.5,"u":2,"b":[],"a":[]}}',
            "bad_message",
        ),
        (b"NaN", "bad_message"),
        (b'{"e":"depthUpdate","E":1,"U":9,"u":8,"b":[],"a":[]}', "bad_time"),
        (b'{"e":"depthUpdate","E":%d,"U":9,"u":8,"b":[],"a":[]}' % (told[0][0] // 10**6), "bad_update_id"),
    ):
        path = tmp_path / "bad.jsonl"
        path.write_bytes(b"\n".join([*text[:60], b"%d %s" % (told[60][0], bad), *text[60:]]))
        day = only(path)
        assert (day.gaps, day.skipped[reason]) == (1, 1)
        assert day.events["flags"][-1] == LOST
    path.write_bytes(b"\n".join([*text[:60], b"yesterday {}", *text[60:]]))
    with pytest.raises(FormatError, match=r"row 61: expected a receive time and a message, got 'yesterday \{\}'"):
        read_recordings(path)
    path.write_bytes(b"\n".join(text[:60]) + b"\n17676")  # the recorder was stopped in the middle of a line
    assert only(path).gaps == 0


@pytest.mark.parametrize(
    "level",
    [
        ["-100.00", "1.000"],
        ["100.00", "-1.000"],
        ["NaN", "1.000"],
        ["1e2", "1.000"],
        ["0.00", "1.000"],
        ["100.00", "9" * 30],
        ["", "1.000"],
        ["100.00"],
        [100.0, 1.0],
        "100.00",
    ],
)
def test_levels_that_are_none_take_the_book_down(tmp_path: Path, level: object) -> None:
    told = session(Venue(), 20)
    where = [position for position, (_, body) in enumerate(told) if is_diff(body)][12]
    told[where][1]["data"]["b"] = [level]
    day = only(write(tmp_path, told))
    assert (day.gaps, day.skipped["bad_level"]) == (1, 1)
    assert day.events["flags"][-1] == LOST


@pytest.mark.parametrize(
    ("name", "instrument", "rows", "agreed"),
    [
        ("spot_btcusdt_20240808.gz", "BINANCE:BTCUSDT", 10_000, 150),
        ("usdm_btcusdt_20240808.gz", "BINANCE_USDM:BTCUSDT", 10_000, 80),
        ("cm_btcusd_perp_20240808.gz", "BINANCE_COINM:BTCUSD_PERP", 10_000, 200),
        pytest.param("spot_btcusdt_20240808.gz", "BINANCE:BTCUSDT", 10**9, 550, marks=pytest.mark.long),
        pytest.param("usdm_btcusdt_20240808.gz", "BINANCE_USDM:BTCUSDT", 10**9, 400, marks=pytest.mark.long),
        pytest.param("cm_btcusd_perp_20240808.gz", "BINANCE_COINM:BTCUSD_PERP", 10**9, 1100, marks=pytest.mark.long),
    ],
)
def test_real_books_agree_with_every_quote_at_the_same_update_id(
    test_data: Path, tmp_path: Path, name: str, instrument: str, rows: int, agreed: int
) -> None:
    path = tmp_path / "real.jsonl"
    path.write_bytes(b"\n".join(gzip.decompress((test_data / REAL / name).read_bytes()).split(b"\n")[:rows]))
    day = only(path)
    quotes, diffs = _quotes_and_diffs(path)
    assert day.instrument.symbol == instrument
    assert day.gaps == 0
    assert "quote_contradicts_book" not in day.skipped  # asked at each id where a diff ends and a quote stands
    assert len(quotes.keys() & diffs) >= agreed
    events = day.events[(day.events["flags"] == 0) & np.isin(day.events["sequence"], list(quotes))]
    assert len(events) > rows / 20 or rows == 10**9
    units = np.array([float(day.instrument.tick_size), float(day.instrument.lot_size)] * 2)
    ours = np.stack([events[field] for field in TOUCH], axis=1) * units
    theirs = np.array([quotes[int(sequence)] for sequence in events["sequence"]])
    assert np.abs(ours / theirs - 1).max() < 1e-9
    assert np.mean(day.events["flags"] == 0) > 0.99


def _quotes_and_diffs(path: Path) -> tuple[dict[int, tuple[float, ...]], set[int]]:
    quotes, diffs = {}, set()
    for text in path.read_bytes().splitlines():
        body = json.loads(text.partition(b" ")[2])
        data = body.get("data", body)
        if "B" in data:
            quotes[data["u"]] = tuple(float(data[key]) for key in "bBaA")
        elif data.get("e") == "depthUpdate":
            diffs.add(data["u"])
    return quotes, diffs


def test_real_folder_needs_a_name(test_data: Path) -> None:
    with pytest.raises(UsageError, match="BINANCE_COINM:BTCUSD_PERP, BINANCE_USDM:BTCUSDT"):
        read_recordings(test_data / REAL)


@pytest.mark.long
def test_real_second_day_goes_on_soundly_from_the_first(test_data: Path) -> None:
    first, second = read_recordings(test_data / REAL, instrument="BINANCE:BTCUSDT")
    assert (first.gaps, second.gaps) == (0, 0)
    assert not second.events["flags"].any()
    table = book_table((first, second))
    assert table.num_rows > 10_000
    assert table.schema.metadata[b"tick_size"] == b"0.01"


@pytest.mark.parametrize("market", ["spot", "futures"])
@pytest.mark.parametrize("seed", range(8))
def test_lost_repeated_cut_and_swapped_lines_never_give_a_silently_wrong_touch(
    tmp_path: Path, market: str, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    venue = Venue(market=market, seed=seed)
    told = session(venue, 80, snapshot_after=(3, 20, 40, 60))
    rows = lines(told).split(b"\n")[:-1]
    for _ in range(6):
        at = int(chance.integers(len(rows)))
        what = int(chance.integers(4))
        if what == 0:
            del rows[at]
        elif what == 1:
            rows.insert(at, rows[int(chance.integers(len(rows)))])
        elif what == 2:
            rows[at] = rows[at][: int(chance.integers(20, len(rows[at])))]
        elif at + 1 < len(rows):
            rows[at], rows[at + 1] = rows[at + 1], rows[at]
    rows = [row if row[19:20] == b" " else row[:19] + b" " for row in rows]
    path = tmp_path / "hurt.jsonl"
    path.write_bytes(b"\n".join(rows) + b"\n")
    day = only(path)
    assert np.count_nonzero((day.events["flags"] & LOST) == 0) > 0
    assert_true_touches(day, venue)


@pytest.mark.parametrize("format_name", ["binance-ws", None])
def test_garbled_bytes_give_a_recording_or_one_clear_error(tmp_path: Path, format_name: str | None) -> None:
    whole = lines(session(Venue(), 12))
    letters = b'0123456789-."[]{}:,eNn\n\x00\xff '
    chance = np.random.default_rng(5)
    refused = 0
    for _ in range(150):
        data = bytearray(whole[: int(chance.integers(200, len(whole)))])
        for at in chance.integers(0, len(data), size=int(chance.integers(1, 12))):
            data[at] = letters[int(chance.integers(len(letters)))]
        path = tmp_path / "garbled.jsonl"
        path.write_bytes(data)
        try:
            for day in read_recordings(path, format=format_name):
                two_sided = day.events[day.events["flags"] == 0]
                assert np.all(two_sided["bid_ticks"] < two_sided["ask_ticks"])
                assert np.all(two_sided["bid_lots"] > 0)
        except (FormatError, UsageError):
            refused += 1
    assert 0 < refused < 150
