"""Reading: real recordings give the events they hold; broken ones give one clear line."""

import gzip
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import FormatError, UsageError
from data_contracts.market_event import NO_LOTS, UNUSABLE, EventFlag
from market_data.reading import read_recordings

CFFEX = "cffex-if-ticks-202101"
QUOTES = "fx-gold-ticks-201405"
DAY = "IF2101_20210104.csv.gz"

HEADER = "action_date,action_time,bid_price_1,bid_qty_1,ask_price_1,ask_qty_1,volume,turn_over"


def write_day(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "IF2101_20210104.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def write_quotes(folder: Path, text: str, *, name: str = "oanda_xauusd") -> Path:
    (folder / name).mkdir(exist_ok=True)
    path = folder / name / "20140502_quote.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20140502_xauusd_tick_quote.csv", text)
    return path


def test_folder_with_each_day_in_two_formats_is_read_once(test_data: Path) -> None:
    first, second = read_recordings(test_data / CFFEX)
    assert (len(first), len(second)) == (27_955 - 2, 28_254 - 3)
    assert first.skipped == {"after_close": 2}
    assert first.instrument.symbol == "CFFEX:IF2101"
    assert first.instrument.multiplier == 300.0
    assert first.has_sizes


def test_china_time_becomes_utc_and_the_auction_is_flagged(test_data: Path) -> None:
    day = read_recordings(test_data / CFFEX / DAY)[0].events
    assert np.datetime64(int(day["event_ns"][1]), "ns") == np.datetime64("2021-01-04T01:30:00.400")
    assert day["flags"][0] == EventFlag.AUCTION
    assert not np.any(day["flags"][1:] & int(UNUSABLE))
    assert (day["bid_ticks"][1], day["ask_ticks"][1]) == (26_157, 26_158)  # 5231.4 and 5231.6 by 0.2


def test_volume_is_signed_by_its_average_price_between_the_touch_before(tmp_path: Path) -> None:
    quote = "100.0,5,101.0,5"
    rows = [
        f"20210104,93000000,{quote},0,0",
        f"20210104,93000500,{quote},4,{4 * 300 * 101.0}",  # all at the ask: 4 bought
        f"20210104,93001000,{quote},4,{4 * 300 * 100.0}",  # all at the bid: 4 sold
        f"20210104,93001500,{quote},4,{300 * (3 * 101.0 + 100.0)}",  # 3 bought, 1 sold
    ]
    events = read_recordings(write_day(tmp_path, *rows))[0].events
    assert events["trade_lots"].tolist() == [0, 4, -4, 2]
    assert events["trade_ticks"].tolist() == [0, 505, 500, 504]  # 100.75 is 503.75 ticks


def test_rows_that_go_back_in_time_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [f"20210104,{at},100.0,5,101.0,5,0,0" for at in (93001000, 93000500, 93001500)]
    day = read_recordings(write_day(tmp_path, *rows))[0]
    assert len(day) == 2
    assert day.skipped == {"out_of_order": 1}


def test_empty_side_is_flagged(tmp_path: Path) -> None:
    day = read_recordings(write_day(tmp_path, "20210104,93001000,100.0,5,0.0,0,0,0"))[0]
    assert day.events["flags"].tolist() == [EventFlag.ONE_SIDED]
    assert day.events["ask_ticks"].tolist() == [0]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["20210104,93000000,abc,5,101.0,5,0,0"], HEADER, "row 2, column bid_price_1: expected a finite number"),
        (["20210104,93000000,nan,5,101.0,5,0,0"], HEADER, "row 2, column bid_price_1: expected a finite number"),
        (["20210104,93000000,100.0,5,101.0,,0,0"], HEADER, "row 2, column ask_qty_1"),
        (["20210104,99000000,100.0,5,101.0,5,0,0"], HEADER, "row 2, column action_time: expected HHMMSSmmm"),
        (["20211304,93000000,100.0,5,101.0,5,0,0"], HEADER, "row 2, column action_date: expected YYYYMMDD"),
        (["20210104,93000000,1e300,5,101.0,5,0,0"], HEADER, "row 2, column bid_price_1: expected 0 or a price over it"),
        (["20210104,93000000,-1,5,101.0,5,0,0"], HEADER, "row 2, column bid_price_1: expected 0 or a price over it"),
        (
            ["20210104,93000000,100.1,5,101.0,5,0,0"],
            HEADER,
            "row 2, column bid_price_1: .* a multiple of 0.2, got 100.1",
        ),
        (
            ["20210104,93000000,100.0,5,101.0,-5,0,0"],
            HEADER,
            "row 2, column ask_qty_1: expected lots, 0 or more, got -5",
        ),
        (["20210104,93000000,100.0,5,101.0,5,-1,0"], HEADER, "row 2, column volume: expected 0 to"),
        (["20210104,93000000,100.0,5,101.0,5,1,1e300"], HEADER, "row 2, column turn_over: expected 0 to"),
        (["1,2,3"], "a,b,c", "header: expected column action_date, got a, b, c"),
        (["1,2,3,4,5,6,7,8,9,10"], HEADER, "row 2: expected 8 columns, got 10"),
    ],
)
def test_bad_cell_is_refused_with_its_row_and_column(
    tmp_path: Path, rows: list[str], header: str, message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        read_recordings(write_day(tmp_path, *rows, header=header))


def test_truncated_gzip_is_refused(test_data: Path, tmp_path: Path) -> None:
    whole = (test_data / CFFEX / DAY).read_bytes()
    (tmp_path / DAY).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="gzip stream: expected whole"):
        read_recordings(tmp_path / DAY)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / DAY).write_bytes(gzip.compress(b""))
    with pytest.raises(FormatError, match="file: expected rows, got nothing"):
        read_recordings(tmp_path / DAY)


@pytest.mark.parametrize(
    ("instrument", "first_utc", "days"),
    [
        ("OANDA:XAUUSD", "2014-05-01T00:00:00.043142", 8),
        ("XAUUSD", "2014-05-01T00:00:00.043142", 8),
        ("FXCM:EURUSD", "2014-05-01T05:00:01.787", 8),  # their midnight is 05:00 UTC
    ],
)
def test_parent_folder_gives_the_instrument_that_is_named(
    test_data: Path, instrument: str, first_utc: str, days: int
) -> None:
    recordings = read_recordings(test_data / QUOTES, instrument=instrument)
    assert len(recordings) == days
    assert np.datetime64(int(recordings[0].events["event_ns"][0]), "ns") == np.datetime64(first_utc)
    assert not recordings[0].has_sizes
    assert set(recordings[0].events["bid_lots"]) == {NO_LOTS}


def test_crossed_and_locked_quotes_are_flagged(test_data: Path) -> None:
    day = read_recordings(test_data / QUOTES / "fxcm_eurusd" / "20140502_quote.zip")[0].events
    assert np.array_equal(day["flags"] == EventFlag.CROSSED, day["bid_ticks"] > day["ask_ticks"])
    assert np.array_equal(day["flags"] == EventFlag.LOCKED, day["bid_ticks"] == day["ask_ticks"])
    assert 0.05 < np.mean(day["flags"] == EventFlag.CROSSED) < 0.2


def test_two_venues_agree_only_because_their_clocks_are_told_apart(test_data: Path) -> None:
    def returns(venue: str) -> np.ndarray:
        day = read_recordings(test_data / QUOTES / f"{venue}_eurusd" / "20140502_quote.zip")[0].events
        grid = np.datetime64("2014-05-02T12:00", "ns").astype("int64") + np.arange(360) * 10 * 10**9
        mids = 0.5 * (day["bid_ticks"] + day["ask_ticks"])
        return np.diff(mids[np.searchsorted(day["event_ns"], grid, side="right") - 1])

    assert np.corrcoef(returns("oanda"), returns("fxcm"))[0, 1] > 0.9


def test_ambiguous_instrument_is_refused_with_the_choices(test_data: Path) -> None:
    with pytest.raises(UsageError, match="expected one of FXCM:EURUSD, OANDA:EURUSD, OANDA:XAUUSD; got 'EURUSD'"):
        read_recordings(test_data / QUOTES, instrument="EURUSD")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n", "row 1: expected 3 columns, got 2"),
        ("1,1300.1,1300.2\n2,x,1300.2\n", "row 2, column bid: expected a finite number, got 'x'"),
        ("99999999,1300.1,1300.2\n", "row 1, column milliseconds: expected 0 to 86400000"),
    ],
)
def test_bad_quote_is_refused_with_its_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_recordings(write_quotes(tmp_path, text))


def test_truncated_zip_is_refused(test_data: Path, tmp_path: Path) -> None:
    path = write_quotes(tmp_path, "1,1300.1,1300.2\n" * 100)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FormatError, match=r"zip, byte \d+: expected whole"):
        read_recordings(path)


def test_zip_in_a_folder_without_a_venue_is_refused(tmp_path: Path) -> None:
    path = write_quotes(tmp_path, "1,1300.1,1300.2\n")
    shutil.move(path, tmp_path / path.name)
    with pytest.raises(UsageError):
        read_recordings(tmp_path / path.name)


@pytest.mark.parametrize(
    ("path", "format_name", "message"),
    [
        ("absent", None, "no such file or folder"),
        (".", None, "fits none of the formats archive, "),
        (".", "quotes", "found no recording of format quotes"),
        (".", "pdf", "format: expected one of archive, .* got 'pdf'"),
    ],
)
def test_wrong_use_is_refused(tmp_path: Path, path: str, format_name: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_recordings(tmp_path / path, format=format_name)


def test_a_day_of_gold_is_read_in_about_a_second_at_worst(test_data: Path) -> None:
    started = time.perf_counter()
    day = read_recordings(test_data / QUOTES / "oanda_xauusd" / "20140502_quote.zip")[0]
    assert len(day) == 265_015
    assert time.perf_counter() - started < 1.5  # 0.13 s where nothing else runs


@pytest.mark.parametrize("bid", ["1e300", "-5", "1280.50049"])
def test_quote_that_is_no_price_on_the_grid_is_refused(tmp_path: Path, bid: str) -> None:
    folder = tmp_path / "oanda_xauusd"
    folder.mkdir()
    with zipfile.ZipFile(folder / "20140502_quote.zip", "w") as archive:
        archive.writestr("20140502_quote.csv", f"1000,{bid},1280.9\n")
    with pytest.raises(FormatError, match=r"row 1, column bid: expected 0 or a price over it, a multiple of 0.001"):
        read_recordings(folder)
