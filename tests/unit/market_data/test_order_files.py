"""LOBSTER and Shanghai's order-by-order files: what the recordings say of themselves is what the books show."""

import gzip
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import FormatError, UsageError
from data_contracts.market_event import EventFlag
from market_data.formats import sse_l3
from market_data.reading import read_recordings
from market_data.replay import book_table, summarise
from native import _native

SSE = "sse-l3-20230711"
LOBSTER = "lobster-aapl-l10-head"
MESSAGE = "AAPL_2012-06-21_34200000_57600000_message_1.csv"
NO_PRICE = 9_999_999_999
ORDER_HEADER = "MDDate,MDTime,OrderType,OrderPrice,OrderQty,OrderBSFlag,ApplSeqNum,OrderNO,SecurityID"
TRADE_HEADER = "MDDate,MDTime,TradeBuyNo,TradeSellNo,TradeBSFlag,TradePrice,TradeQty,ApplSeqNum,SecurityID"
GARBLED = [
    ("OrderType=3", "OrderType: expected 2 or 10, got 3"),
    ("OrderType=", "OrderType: expected a whole number, got None"),
    ("OrderBSFlag=7", "OrderBSFlag: expected 1 or 2, got 7"),
    ("OrderPrice=0", "OrderPrice: expected a price over 0 in whole cents, got 0.0"),
    ("OrderPrice=9.995", "OrderPrice: expected a price over 0 in whole cents, got 9.995"),
    ("OrderPrice=1e300", "OrderPrice: expected a price over 0 in whole cents, got 1e+300"),
    ("OrderPrice=1e308", "OrderPrice: expected a price over 0 in whole cents, got 1e+308"),
    ("OrderPrice=nan", "OrderPrice: expected a finite number, got 'nan'"),
    ("OrderQty=-1", "OrderQty: expected 1 to 4294967295, got -1"),
    ("OrderQty=4294967296", "OrderQty: expected 1 to 4294967295, got 4294967296"),
    ("OrderQty=3\x000", "OrderQty: expected a whole number"),
    ("ApplSeqNum=-1", "ApplSeqNum: expected 1 to 9223372036854775807, got -1"),
    ("OrderNO=-1", "OrderNO: expected 1 to 9223372036854775807, got -1"),
    ("MDDate=2023.02.30", "MDDate: expected YYYY.MM.DD, got 2023.02.30"),
    ("MDTime=10h", "MDTime: expected HH:MM:SS.mmm, got 10h"),
    ("MDTime=25:00:00.000", "MDTime: expected HH:MM:SS.mmm, got 25:00:00.000"),
    ("MDTime=-1:00:00.000", "MDTime: expected HH:MM:SS.mmm, got -1:00:00.000"),
    ("MDTime=10:61:00.000", "MDTime: expected HH:MM:SS.mmm, got 10:61:00.000"),
    ("MDTime=10:00:99.0", "MDTime: expected HH:MM:SS.mmm, got 10:00:99.0"),
    ("SecurityID=60\ufffd000.SH", "SecurityID: expected six digits and .SH, got 60"),
    ("TradePrice=-1", "TradePrice: expected a price over 0 in whole cents, got -1.0"),
    ("TradePrice=1e300", "TradePrice: expected a price over 0 in whole cents, got 1e+300"),
    ("TradeQty=0", "TradeQty: expected 1 to 4294967295, got 0"),
    ("TradeBSFlag=9", "TradeBSFlag: expected 0, 1 or 2, got 9"),
    ("TradeBuyNo=-1", "TradeBuyNo: expected 1 to 9223372036854775807, got -1"),
    ("TradeSellNo=-12", "TradeSellNo: expected 1 to 9223372036854775807, got -12"),
    ("TradeSellNo=1e3", "TradeSellNo: expected a whole number, got '1e3'"),
]


def write_lobster(folder: Path, messages: list[str], books: list[str]) -> Path:
    path = folder / MESSAGE
    path.write_text("\n".join(messages) + "\n")
    (folder / MESSAGE.replace("message", "orderbook")).write_text("\n".join(books) + "\n")
    return path


def write_sse(folder: Path, orders: list[str], trades: list[str]) -> Path:
    for name, header, rows in (("SHorders", ORDER_HEADER, orders), ("SHtrans", TRADE_HEADER, trades)):
        (folder / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def order(at: str, kind: int, price: str, lots: int, side: int, sequence: int, number: int) -> str:
    return f"2023.07.11,{at},{kind},{price},{lots},{side},{sequence},{number},600000.SH"


def trade(at: str, buy: int, sell: int, side: int, price: str, lots: int, sequence: int) -> str:
    return f"2023.07.11,{at},{buy},{sell},{side},{price},{lots},{sequence},600000.SH"


def test_lobsters_touch_is_its_books_first_level_row_by_row(test_data: Path) -> None:
    (day,) = read_recordings(test_data / LOBSTER)
    text = next((test_data / LOBSTER).glob("*orderbook*")).read_text().splitlines()
    rows = np.array([[int(cell) for cell in line.split(",")[:4]] for line in text])
    events = day.events
    for name, column, unit in (("ask_ticks", 0, 100), ("ask_lots", 1, 1), ("bid_ticks", 2, 100), ("bid_lots", 3, 1)):
        assert np.array_equal(events[name], rows[:, column] // unit)
    assert day.instrument.symbol == "NASDAQ:AAPL"
    assert np.datetime64(int(events["event_ns"][0]), "ns") == np.datetime64("2012-06-21T13:30:00.004241176")
    assert not events["flags"].any()
    assert sum(day.by_type.values()) == len(rows)
    assert np.count_nonzero(events["trade_lots"]) == day.by_type["execution"] + day.by_type["hidden_execution"]


def test_lobsters_trades_are_signed_by_their_aggressor_and_halts_flagged(tmp_path: Path) -> None:
    book = "1000200,5,1000000,7"
    path = write_lobster(
        tmp_path,
        [
            "34200.1,4,1,3,1000200,-1",  # a resting sale was hit: bought
            "34200.2,5,0,2,1000100,1",
            "34200.3,6,0,9,1000100,-1",
            "34200.4,7,0,0,-1,-1",
            "34200.5,1,2,1,1000000,1",
            "34200.6,7,0,0,0,-1",
            "34200.7,7,0,0,1,-1",
        ],
        [book] * 6 + [f"{NO_PRICE},0,1000000,7"],
    )
    (day,) = read_recordings(path)
    assert day.events["trade_lots"].tolist() == [3, -2, 0, 0, 0, 0, 0]
    assert day.events["trade_ticks"].tolist() == [10_002, 10_001, 10_001, 0, 0, 0, 0]
    halted, auction = int(EventFlag.HALTED), int(EventFlag.AUCTION)
    assert day.events["flags"].tolist() == [0, 0, 0, halted, halted, auction, int(EventFlag.ONE_SIDED)]
    assert day.events["ask_ticks"][-1] == 0


@pytest.mark.parametrize(
    ("message", "books", "expected"),
    [
        ("34200.1,8,1,3,1000200,-1", 1, "row 1, column type: expected 1 to 7, got 8"),
        ("90000.1,4,1,3,1000200,-1", 1, "row 1, column time_s: expected 0 to 86400"),
        ("34200.1,4,1,x,1000200,-1", 1, "row 1, column size: expected a whole number, got 'x'"),
        ("34200.1,4,1,3,1000200,-1", 2, "table: expected a row a message, 1, got 2"),
    ],
)
def test_broken_lobster_files_are_refused_with_row_and_column(
    tmp_path: Path, message: str, books: int, expected: str
) -> None:
    path = write_lobster(tmp_path, [message], ["1000200,5,1000000,7"] * books)
    with pytest.raises(FormatError, match=expected):
        read_recordings(path)


def test_lobsters_day_of_several_files_is_read_once_from_the_deepest(tmp_path: Path) -> None:
    path = write_lobster(tmp_path, ["34200.1,4,1,3,1000200,-1"], ["1000200,5,1000000,7"])
    book = path.with_name(MESSAGE.replace("message", "orderbook"))
    for each in (path, book):
        each.with_name(f"{each.name}.gz").write_bytes(gzip.compress(each.read_bytes()))
        each.with_name(each.name.replace("_1.csv", "_2.csv")).write_bytes(each.read_bytes())
    deep = book.with_name(book.name.replace("_1.csv", "_2.csv"))
    deep.write_text("1000200,5,1000000,7,1000300,5,999900,7\n")
    (day,) = read_recordings(tmp_path)
    assert day.source.name == MESSAGE.replace("_1.csv", "_2.csv")


def test_lobsters_order_book_may_be_packed_otherwise_than_its_messages(tmp_path: Path) -> None:
    path = write_lobster(tmp_path, ["34200.1,4,1,3,1000200,-1"], ["1000200,5,1000000,7"])
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert len(read_recordings(tmp_path)[0]) == 1


@pytest.mark.parametrize(
    ("message", "book", "expected"),
    [
        ("34200.1,4,1,-3,1000200,-1", "1000200,5,1000000,7", "row 1, column size: expected shares, 0 or more, got -3"),
        ("34200.1,4,1,3,-1,-1", "1000200,5,1000000,7", "row 1, column price: expected 1/10000 dollars, 0 or more"),
        ("34200.1,4,1,3,1000200,2", "1000200,5,1000000,7", "row 1, column direction: expected 1 or -1, got 2"),
        ("34200.1,4,1,3,1000200,-1", "1000200,-5,1000000,7", "row 1, column ask_size_1: expected shares, over 0"),
    ],
)
def test_lobsters_numbers_that_cannot_be_are_refused(tmp_path: Path, message: str, book: str, expected: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_recordings(write_lobster(tmp_path, [message], [book]))
    assert expected in str(caught.value)


def test_lobster_without_its_order_book_is_refused(tmp_path: Path) -> None:
    path = write_lobster(tmp_path, ["34200.1,4,1,3,1000200,-1"], ["1000200,5,1000000,7"])
    (tmp_path / MESSAGE.replace("message", "orderbook")).unlink()
    with pytest.raises(UsageError, match="No such file"):
        read_recordings(path)


@pytest.mark.parametrize(("stock", "orders", "trades"), [("601825", 7_283, 5_370), ("605580", 25_537, 16_996)])
def test_shanghais_real_day_applies_whole_and_every_trade_meets_the_order_that_is_next(
    test_data: Path, stock: str, orders: int, trades: int
) -> None:
    messages, symbol, repeated = sse_l3.read_messages(test_data / SSE, f"{stock}.SH")
    assert (symbol, repeated) == (f"SSE:{stock}", 0)
    book, skipped = _native.Books(1), {"unknown_order": 0, "duplicate_order": 0, "over_executed": 0}
    met = 0
    for message in messages:
        if message.kind == "trade" and message.side:
            # The order that rested stands first in its queue, at the price of the trade: price, then time.
            passive = book.order(message.sell if message.side == "B" else message.buy)
            assert passive is not None
            assert (passive[2], passive[4]) == (message.ticks, 0)
            assert passive[2] == (book.best(0)[2] if message.side == "B" else book.best(0)[0])
            met += 1
        sse_l3.apply(book, message, skipped)
    assert skipped == {"unknown_order": 0, "duplicate_order": 0, "over_executed": 0}
    assert met > 0.9 * trades
    kinds = [message.kind for message in messages]
    assert (kinds.count("add") + kinds.count("delete"), kinds.count("trade")) == (orders, trades)
    sequences = np.array([message.sequence for message in messages])
    assert np.all(np.diff(sequences) > 0)


def test_shanghais_book_is_never_crossed_between_its_auctions(test_data: Path) -> None:
    (day,) = read_recordings(test_data / SSE, instrument="601825.SH")
    summary = summarise([day], seconds=1.0)
    assert summary["by_type"] == {"add": 5_286, "delete": 1_997, "trade": 5_370}
    assert summary["skipped"] == {}
    auction = (day.events["flags"] & int(EventFlag.AUCTION)) != 0
    crossed = (day.events["flags"] & int(EventFlag.CROSSED | EventFlag.LOCKED)) != 0
    assert not np.any(crossed & ~auction)
    assert np.any(crossed & auction)
    first = np.datetime64(int(day.events["event_ns"][0]), "ns")
    assert np.datetime64("2023-07-11T01:15") <= first < np.datetime64("2023-07-11T01:25")
    table = book_table([day])
    assert table.schema.metadata[b"tick_size"] == b"0.01"
    assert 0 < len(table) <= len(day)


def test_add_of_what_is_left_does_not_count_the_trades_before_it_twice(tmp_path: Path) -> None:
    folder = write_sse(
        tmp_path,
        [
            order("10:00:00.000", 2, "9.989999999999999", 300, 2, 1, 11),
            order("10:00:01.000", 2, "9.99", 200, 1, 4, 12),  # of 500, after 300 have traded
            order("10:00:03.000", 10, "9.99", 150, 1, 6, 12),
        ],
        [
            trade("10:00:01.000", 12, 11, 1, "9.99", 300, 2),
            trade("10:00:02.000", 12, 13, 2, "9.99", 50, 5),  # 13 traded in full at once: never added
        ],
    )
    (day,) = read_recordings(folder)
    assert day.skipped == {}
    touch = day.events[["bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]].tolist()
    assert touch == [(0, 0, 999, 300), (0, 0, 0, 0), (999, 200, 0, 0), (999, 150, 0, 0), (0, 0, 0, 0)]
    assert day.events["trade_lots"].tolist() == [0, 300, 0, -50, 0]


@pytest.mark.parametrize(
    ("where", "cell", "expected"),
    [
        (where, cell, expected)
        for where, header in (("SHorders", ORDER_HEADER), ("SHtrans", TRADE_HEADER))
        for cell, expected in GARBLED
        if cell.partition("=")[0] in header.split(",")
    ],
)
def test_garbled_cell_is_refused_with_file_row_and_column(tmp_path: Path, cell: str, expected: str, where: str) -> None:
    name, _, value = cell.partition("=")
    orders = [order(f"10:00:0{n}.000", 2, "9.99", 300, 2, 1 + n, 11 + n) for n in range(2)]
    trades = [trade(f"10:00:0{2 + n}.000", 21, 11 + n, 1, "9.99", 300, 3 + n) for n in range(2)]
    header, rows = (ORDER_HEADER, orders) if where == "SHorders" else (TRADE_HEADER, trades)
    cells = rows[1].split(",")
    cells[header.split(",").index(name)] = value
    rows[1] = ",".join(cells)
    with pytest.raises(FormatError, match=re.escape(f"{where}.csv: row 3, column {expected}")):
        read_recordings(write_sse(tmp_path, orders, trades), instrument="600000.SH")


def test_row_that_is_there_twice_is_applied_once_and_counted(tmp_path: Path) -> None:
    orders = [order("10:00:00.000", 2, "9.99", 300, 2, 1, 11), order("10:00:09.000", 10, "9.99", 100, 2, 9, 11)]
    trades = [trade("10:00:01.000", 12, 11, 1, "9.99", 100, 2), trade("10:00:02.000", 13, 11, 1, "9.99", 100, 3)]
    (tmp_path / "once").mkdir()
    (tmp_path / "again").mkdir()
    (once,) = read_recordings(write_sse(tmp_path / "once", orders, trades))
    (again,) = read_recordings(write_sse(tmp_path / "again", [*orders, orders[0]], [trades[0], *trades, trades[0]]))
    assert again.events.tobytes() == once.events.tobytes()
    assert once.events["ask_lots"].tolist() == [300, 200, 100, 0]
    assert (once.skipped, again.skipped) == ({}, {"repeated_row": 3})
    assert again.by_type == once.by_type


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        (trade("10:00:01.000", 12, 11, 1, "9.99", 200, 2), "SHtrans.csv: row 3, column ApplSeqNum: expected a number"),
        (trade("10:00:01.000", 12, 11, 1, "9.99", 100, 1), "SHtrans.csv: row 3, column ApplSeqNum: expected a number"),
    ],
)
def test_number_that_two_rows_give_to_different_messages_is_refused(tmp_path: Path, other: str, refused: str) -> None:
    orders = [order("10:00:00.000", 2, "9.99", 300, 2, 1, 11)]
    with pytest.raises(FormatError, match=re.escape(refused)):
        read_recordings(write_sse(tmp_path, orders, [trade("10:00:01.000", 12, 11, 1, "9.99", 100, 2), other]))


def test_row_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    whole = order("10:00:00.000", 2, "9.99", 300, 2, 1, 11)
    folder = write_sse(tmp_path, [whole, whole[:40]], [trade("10:00:01.000", 12, 11, 1, "9.99", 300, 2)])
    with pytest.raises(FormatError, match=r"SHorders\.csv: row 3: expected 9 columns, got 8"):
        read_recordings(folder)


def test_orders_without_their_trades_are_no_recording(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "SHorders.zip", "w") as archive:
        archive.writestr("SHorders.csv", ORDER_HEADER + "\n")
    with pytest.raises(UsageError, match="fits none of the formats"):
        read_recordings(tmp_path)
