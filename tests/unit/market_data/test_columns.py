"""CSV and Parquet through a column map: the same events however they are written; bad maps and cells in one line."""

import gzip
import random
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import FormatError, UsageError
from data_contracts.market_event import NO_LOTS, EventFlag
from market_data.reading import read_recordings

MAP = """
[instrument]
symbol = "VENUE:ABC"
tick_size = "0.01"
lot_size = "1"
currency = "EUR"

[time]
columns = "time"
format = "ns"

[columns]
bid = "bid"
ask = "ask"
bid_size = "bid_size"
ask_size = "ask_size"
"""
SECOND = 1_000_000_000
HEADER = "time,bid,bid_size,ask,ask_size"


def write(folder: Path, text: str, columns: str = MAP, *, name: str = "day.csv") -> Path:
    path = folder / name
    path.write_text(text)
    (folder / f"{name}.columns.toml").write_text(columns)
    return path


def clock(columns: str, format_name: str, **more: str) -> str:
    lines = [
        f"columns = {columns}",
        f'format = "{format_name}"',
        *(f'{key} = "{value}"' for key, value in more.items()),
    ]
    return MAP.replace('columns = "time"\nformat = "ns"', "\n".join(lines))


def test_columns_become_the_touch_in_exact_ticks(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER}\n5,9.769999999999999,3,9.78,4\n6,,,9.79,1\n4,1,1,2,2\n7,9.77,3,0,0\n")
    (day,) = read_recordings(path)
    touch = day.events[["event_ns", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]].tolist()
    assert touch == [(5, 977, 3, 978, 4), (6, 0, 0, 979, 1), (7, 977, 3, 0, 0)]
    assert day.events["flags"].tolist() == [0, int(EventFlag.ONE_SIDED), int(EventFlag.ONE_SIDED)]
    assert day.skipped == {"out_of_order": 1}
    assert (day.instrument.symbol, day.instrument.currency) == ("VENUE:ABC", "EUR")


@pytest.mark.parametrize(
    ("columns", "cell", "expected"),
    [
        (clock('"time"', "s"), "1704067200.123456789", "2024-01-01T00:00:00.123456789"),
        (clock('"time"', "ms"), "1704067200123.5", "2024-01-01T00:00:00.1235"),
        (clock('"time"', "us", origin="2024-01-01", zone="Europe/Berlin"), "1000001", "2023-12-31T23:00:01.000001"),
        (clock('"time"', "s", origin="name", zone="America/New_York"), "34200.5", "2024-07-01T13:30:00.5"),
        (clock('"time"', "iso"), "2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00.5"),
        (clock('"time"', "iso"), "2024-01-01 01:00:00+01:00", "2024-01-01T00:00:00"),
        (clock('"time"', "iso", zone="Asia/Shanghai"), "2024-01-01T08:00:00", "2024-01-01T00:00:00"),
        (clock('"time"', "%Y%m%d %H:%M", zone="Etc/GMT+5"), "20240101 07:30", "2024-01-01T12:30:00"),
    ],
)
def test_times_are_told_in_units_zones_and_texts(tmp_path: Path, columns: str, cell: str, expected: str) -> None:
    path = write(tmp_path, f"{HEADER}\n{cell},1,1,2,1\n", columns, name="abc_20240701.csv")
    (day,) = read_recordings(path)
    assert np.datetime64(int(day.events["event_ns"][0]), "ns") == np.datetime64(expected)


@pytest.mark.parametrize(
    ("columns", "row", "message"),
    [
        (MAP, "x,1,1,2,1", "row 2, column time: expected a whole or decimal number of its unit, got 'x'"),
        (MAP, "99999999999999999999,1,1,2,1", "row 2, column time"),
        (MAP, "1,abc,1,2,1", "row 2, column bid: expected a finite number or nothing, got 'abc'"),
        (MAP, "1,inf,1,2,1", "row 2, column bid: expected a finite number"),
        (MAP, "1,-1,1,2,1", "row 2, column bid: expected a price of 0 or more"),
        (MAP, "1,1.005,1,2,1", "row 2, column bid: expected a multiple of tick_size 0.01, got '1.005'"),
        (MAP, "1,1,0.5,2,1", "row 2, column bid_size: expected a multiple of lot_size 1"),
        (MAP, "1,1,,2,1", "row 2, column bid_size: expected a size of 0 or more beside its price"),
        (MAP, "1,1e300,1,2,1", "row 2, column bid"),
        (MAP, "1,1,1,2,1,9", "row 2: expected 5 columns, got 6"),
        (MAP, "1,1,1,2,1\n2,1,1", "row 3: expected 5 columns, got 3"),
        (MAP, '1,"1",1,2,1\n2,1,1', "row 3: expected 5 columns, got 3"),
        (MAP, "1,1,1,2,1\n\n2,1,1,2,1", "row 3: expected 5 columns, got 0"),
        (
            clock('"time"', "iso", zone="Europe/Berlin"),
            "2024-10-27T02:30:00,1,1,2,1",
            "a time that Europe/Berlin has once",
        ),
        (
            clock('"time"', "iso", zone="Europe/Berlin"),
            "2024-03-31T02:30:00,1,1,2,1",
            "a time that Europe/Berlin has once",
        ),
        (clock('"time"', "%H:%M"), "12:61,1,1,2,1", "row 2, column time: expected a time as '%H:%M'"),
        (clock('"absent"', "ns"), "1,1,1,2,1", "columns: expected column absent, got time, bid"),
        (clock('"time"', "ns", origin="name"), "1,1,1,2,1", "time.origin: expected YYYY-MM-DD or a name with YYYYMMDD"),
    ],
)
def test_bad_cell_is_refused_with_its_row_and_column(tmp_path: Path, columns: str, row: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_recordings(write(tmp_path, f"{HEADER}\n{row}\n", columns))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("found", "replaced", "message"),
    [
        ("[time]", "[time", "file: expected TOML"),
        ('bid = "bid"', "", "map: expected its fields, got Object missing required field `bid`"),
        ('bid = "bid"', 'bid = "bid"\nbids = "x"', "unknown field `bids`"),
        ('tick_size = "0.01"', 'tick_size = "0"', "tick_size: expected a positive decimal"),
        ('format = "ns"', 'zone = "Mars/Olympus"', "time.zone: expected a time zone"),
        ('bid = "bid"', 'bid = ["bid", "bid"]', "columns.bid_size: expected 2 levels, one a price, got 1"),
        ('bid = "bid"', 'bid = "bid"\ntrade_price = "bid"', "expected trade_price and trade_size, or neither"),
        ("[columns]", '[values]\nprice_unit = "-1"\n[columns]', "values.price_unit: expected a decimal over 0"),
    ],
)
def test_bad_map_is_refused_with_its_field(tmp_path: Path, found: str, replaced: str, message: str) -> None:
    path = write(tmp_path, f"{HEADER}\n1,1,1,2,1\n", MAP.replace(found, replaced, 1))
    with pytest.raises(FormatError) as caught:
        read_recordings(path)
    assert message in str(caught.value)
    assert "day.csv.columns.toml" in str(caught.value)


def test_parquet_gives_the_events_of_the_same_csv(tmp_path: Path) -> None:
    rows = 500
    start = datetime(2024, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "time": pl.Series([start] * rows).dt.cast_time_unit("ns") + pl.Series(range(rows)).cast(pl.Duration("ns")),
            "bid": [100 + (row % 7) / 100 for row in range(rows)],
            "bid_size": list(range(rows)),
            "ask": [100.1 + (row % 5) / 100 for row in range(rows)],
            "ask_size": [None if row == 9 else row for row in range(rows)],
        }
    ).with_columns(ask=pl.when(pl.int_range(rows) == 9).then(None).otherwise(pl.col("ask")))
    frame.write_parquet(tmp_path / "day.parquet")
    frame.with_columns(pl.col("time").dt.timestamp("ns")).write_csv(tmp_path / "day.csv")
    iso = clock('"time"', "iso")
    (tmp_path / "day.parquet.columns.toml").write_text(iso)
    (tmp_path / "day.csv.columns.toml").write_text(MAP)
    (first,) = read_recordings(tmp_path / "day.parquet")
    (second,) = read_recordings(tmp_path / "day.csv")
    assert first.fingerprint == second.fingerprint
    assert len(first) == rows
    with pytest.raises(UsageError, match="fits csv, parquet"):
        read_recordings(tmp_path)
    assert len(read_recordings(tmp_path, format="parquet")) == 1


def test_map_may_be_named_and_rows_without_header_are_c1_c2(tmp_path: Path) -> None:
    path = tmp_path / "day.txt"
    path.write_text("5;1.00;1.02\n6;1.01;1.02\n")
    named = tmp_path / "my.toml"
    columns = MAP.partition("[columns]")[0].replace('"time"', '"c1"')
    named.write_text(columns + '[columns]\nbid = "c2"\nask = "c3"\n[values]\nheader = false\nseparator = ";"\n')
    (day,) = read_recordings(path, format=f"columns={named}")
    assert day.events["bid_ticks"].tolist() == [100, 101]
    assert set(day.events["ask_lots"]) == {NO_LOTS}
    with pytest.raises(UsageError, match="fits none"):
        read_recordings(path)
    with pytest.raises(UsageError, match="expected a column map beside it, or --columns"):
        read_recordings(path, format="csv")


def test_file_of_several_instruments_with_levels_and_trades(tmp_path: Path) -> None:
    columns = (
        MAP.replace("VENUE:ABC", "VENUE:{}").replace("\n[columns]", "[columns]").partition("[columns]")[0]
        + """
[columns]
bid = ["b1", "b2"]
ask = ["a1", "a2"]
bid_size = ["bs1", "bs2"]
ask_size = ["as1", "as2"]
symbol = "code"
sequence = "number"
trade_price = "price"
trade_size = "size"
trade_side = "side"

[values]
off_grid = "drop"
"""
    )
    header = "code,number,time,b1,bs1,b2,bs2,a1,as1,a2,as2,price,size,side"
    rows = [
        "X.1,10,1,9.98,1,9.97,2,10.00,3,10.01,4,,,",
        "Y,11,2,1,1,,,2,1,,,,,",
        "X.1,12,3,9.98,1,,,10.00,3,10.01,4,10.00,2,B",
        "X.1,13,4,9.98,1,,,10.00,3,10.01,4,9.98,5,S",
        "X.1,14,5,9.98,1,,,10.005,3,10.01,4,9.98,5,S",
    ]
    path = write(tmp_path, "\n".join([header, *rows]) + "\n", columns)
    (day,) = read_recordings(path, instrument="X.1", depth=True)
    assert day.instrument.symbol == "VENUE:X.1"
    assert day.events[["sequence", "trade_ticks", "trade_lots"]].tolist() == [(10, 0, 0), (12, 1000, 2), (13, 998, -5)]
    assert day.skipped == {"off_grid": 1}
    assert day.depth is not None
    assert day.depth[0, :, :2].tolist() == [[998, 997], [1, 2], [1000, 1001], [3, 4]]
    assert day.depth[1, :, 1].tolist() == [0, 0, 1001, 4]
    with pytest.raises(UsageError, match=r"expected one of VENUE:X\.1, VENUE:Y"):
        read_recordings(path)


def test_garbled_parquet_is_refused_or_read_and_never_crashes(tmp_path: Path) -> None:
    frame = pl.DataFrame({"time": range(50), "bid": [1.0] * 50, "bid_size": [1] * 50, "ask": [2.0] * 50, "ask_size": 3})
    path = tmp_path / "day.parquet"
    frame.write_parquet(path)
    (tmp_path / "day.parquet.columns.toml").write_text(MAP)
    whole, chance, refused = path.read_bytes(), random.Random(2), 0
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        try:
            (day,) = read_recordings(path)
            assert np.all(day.events["bid_ticks"] >= 0)
        except FormatError as error:
            refused += 1
            assert str(tmp_path) in str(error)  # noqa: PT017  an error or none, both are right
    assert refused > 50


def test_real_snapshots_and_bars_are_read_through_the_maps_of_the_docs(test_data: Path, tmp_path: Path) -> None:
    docs = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
    blocks = [block.partition("```")[0] for block in docs.split("```toml\n")[1:]]
    snapshots, bars = (next(block for block in blocks if mark in block) for mark in ("SZSE:{}", "FXCM:EURUSD"))
    columns = tmp_path / "szse.toml"
    columns.write_text(snapshots)
    source = test_data / "szse-l2-snapshots-20220601" / "tick.zip"
    (day,) = read_recordings(source, format=f"csv={columns}", instrument="300288.SZ", depth=True)
    assert (day.instrument.symbol, len(day), day.skipped) == ("SZSE:300288.SZ", 3_423, {})
    flags = day.events["flags"]
    continuous = (flags & int(EventFlag.AUCTION)) == 0
    assert continuous.sum() > 3_000
    assert not np.any(flags[continuous] & int(EventFlag.CROSSED))
    assert day.depth is not None
    assert np.median(np.count_nonzero(day.depth[continuous, 0], axis=1)) == 10
    columns.write_text(bars)
    (hours,) = read_recordings(test_data / "long-bars" / "fxcm_eurusd_hour.zip", format=f"csv={columns}")
    assert len(hours) == 69_928
    assert np.count_nonzero(hours.events["flags"] & int(EventFlag.CROSSED)) == 2_613


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEADER.encode(), "file: expected rows, got none"),
        (f"{HEADER},bid\n1,1,1,2,1,3\n".encode(), "columns: expected one column bid, got several"),
        (f"{HEADER}\n1,1,1,2,\xff\n".encode("latin-1"), "byte 39: expected UTF-8, got ff"),
    ],
)
def test_file_that_cannot_be_meant_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path, "")
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_recordings(path)
    assert message in str(caught.value)


def test_price_of_size_0_is_a_side_that_is_not_there(tmp_path: Path) -> None:
    (day,) = read_recordings(write(tmp_path, f"{HEADER}\n1,9.77,0,9.78,4\n"))
    assert day.events[["bid_ticks", "bid_lots", "ask_ticks"]].tolist() == [(0, 0, 978)]
    assert day.events["flags"].tolist() == [int(EventFlag.ONE_SIDED)]


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("bid", pl.Series([[1.0]]), "column bid: expected numbers or texts, got List"),
        ("bid", pl.Series([True]), "column bid: expected numbers or texts, got Boolean"),
        ("bid", pl.Series([b"1"]), "column bid: expected numbers or texts, got Binary"),
        ("time", pl.Series([[1]]), "column time: expected texts or numbers, got List"),
        (
            "time",
            pl.Series([2**62]).cast(pl.Datetime("us")),
            "row 1, column time: expected a time as 'iso', got a Date",
        ),
    ],
)
def test_parquet_column_of_a_wrong_type_is_refused(tmp_path: Path, column: str, cells: pl.Series, message: str) -> None:
    columns = MAP if column == "bid" else clock('"time"', "iso")
    path = write(tmp_path, "", columns, name="day.parquet")
    frame = pl.DataFrame({"time": [1], "bid": [1.0], "bid_size": [1], "ask": [2.0], "ask_size": [1]})
    frame.with_columns(cells.alias(column)).write_parquet(path)
    with pytest.raises(FormatError) as caught:
        read_recordings(path)
    assert message in str(caught.value)


def test_parquet_prices_as_categories_are_read_as_their_texts(tmp_path: Path) -> None:
    path = write(tmp_path, "", name="day.parquet")
    frame = pl.DataFrame(
        {"time": [1, 2], "bid": ["1.50", "1.25"], "bid_size": [1, 1], "ask": [2, 2], "ask_size": [1, 1]}
    )
    frame.with_columns(pl.col("bid").cast(pl.Categorical)).write_parquet(path)
    assert read_recordings(path)[0].events["bid_ticks"].tolist() == [150, 125]


def test_day_that_is_there_packed_too_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER}\n1,1,1,2,1\n")
    (tmp_path / "day.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / "columns.toml").write_text(MAP)
    assert [day.source.name for day in read_recordings(tmp_path)] == ["day.csv"]
