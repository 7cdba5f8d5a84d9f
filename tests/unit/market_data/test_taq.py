"""Consolidated quotes and trades: the best over exchanges, who was the aggressor, and which trades count."""

import random
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import FormatError
from data_contracts.market_event import EventFlag
from market_data.formats.national_best import national_best
from market_data.reading import read_recordings

QUOTES = "DT,EX,BID,BIDSIZ,OFR,OFRSIZ,SYMBOL"
TRADES = "DT,EX,SYMBOL,COND,SIZE,PRICE,CORR"


def write(folder: Path, quotes: list[str], trades: list[str] | None = None, *, header: str = QUOTES) -> Path:
    path = folder / "ABC_20180102_quotes.csv"
    path.write_text("\n".join([header, *quotes]) + "\n")
    if trades is not None:
        (folder / "ABC_20180102_trades.csv").write_text("\n".join([TRADES, *trades]) + "\n")
    return path


def quote(at: str, venue: str, bid: float, bid_size: int, ask: float, ask_size: int, *more: str) -> str:
    return ",".join([f"2018-01-02T14:{at}Z", venue, str(bid), str(bid_size), str(ask), str(ask_size), "ABC", *more])


def trade(at: str, price: float, size: int, condition: str = "", correction: int = 0) -> str:
    return f"2018-01-02T14:{at}Z,N,ABC,{condition},{size},{price},{correction}"


def test_best_is_over_exchanges_and_sizes_are_added_up(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [
            quote("30:00.001", "N", 10.00, 1, 10.05, 2),
            quote("30:00.002", "P", 10.01, 3, 10.06, 1),
            quote("30:00.003", "T", 10.01, 2, 10.05, 4),
            quote("30:00.004", "P", 0, 0, 10.04, 1),
            quote("30:00.005", "T", 10.01, 0, 10.05, 4),
        ],
    )
    (day,) = read_recordings(path)
    touch = day.events[["bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]].tolist()
    assert touch == [
        (1000, 100, 1005, 200),
        (1001, 300, 1005, 200),
        (1001, 500, 1005, 600),
        (1001, 200, 1004, 100),
        (1000, 100, 1004, 100),
    ]
    assert day.instrument.symbol == "US:ABC"
    assert np.datetime64(int(day.events["event_ns"][0]), "ns") == np.datetime64("2018-01-02T14:30:00.001")


def test_crossed_and_locked_are_flagged_and_old_quotes_that_are_crossed_given_up(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [
            quote("30:00.000", "N", 10.00, 1, 10.05, 2),
            quote("30:00.500", "P", 10.05, 1, 10.08, 2),  # locks N's offer
            quote("30:00.600", "P", 10.06, 1, 10.08, 2),  # crosses it: too young to be given up
            quote("30:02.000", "P", 10.06, 2, 10.08, 2),  # now it is old
        ],
    )
    (day,) = read_recordings(path)
    assert day.events["flags"].tolist() == [0, int(EventFlag.LOCKED), int(EventFlag.CROSSED), 0]
    assert day.events["ask_ticks"].tolist() == [1005, 1005, 1005, 1008]
    assert day.skipped == {"crossed_old_quote": 1}


def test_wild_quote_does_not_take_the_others_away(tmp_path: Path) -> None:
    path = write(tmp_path, [quote("30:00.000", "N", 10.00, 1, 10.05, 2), quote("30:09.000", "A", 0.01, 1, 0.02, 2)])
    (day,) = read_recordings(path)
    assert day.events["bid_ticks"].tolist() == [1000, 1000]
    assert day.events["flags"].tolist() == [0, int(EventFlag.CROSSED)]


def test_quotes_that_do_not_count_withdraw_their_exchange(tmp_path: Path) -> None:
    rows = [
        quote("30:00.001", "N", 10.00, 1, 10.05, 2, "R"),
        quote("30:00.002", "P", 10.02, 1, 10.03, 2, ""),
        quote("30:00.003", "P", 10.04, 1, 10.02, 2, "R"),  # against itself
        quote("30:00.004", "P", 10.02, 1, 10.03, 2, "R"),
        quote("30:00.005", "P", 10.02, 1, 10.03, 2, "N"),  # not firm
    ]
    (day,) = read_recordings(write(tmp_path, rows, header=f"{QUOTES},QU_COND"))
    assert day.events["bid_ticks"].tolist() == [1000, 1002, 1000, 1002, 1000]
    assert day.skipped == {"self_crossed_quote": 1, "ineligible_quote": 1}


def test_aggressor_is_told_by_the_quote_of_an_earlier_time_stamp_then_by_the_tick(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [quote("30:00.001", "N", 10.00, 1, 10.04, 2), quote("30:00.005", "N", 10.10, 1, 10.14, 2)],
        [
            trade("30:00.000", 10.03, 5),  # before any quote or trade: nobody knows
            trade("30:00.001", 10.00, 6),  # the quote of its own stamp is not known to be before it
            trade("30:00.002", 10.03, 7),
            trade("30:00.003", 10.0125, 8),
            trade("30:00.004", 10.02, 9),  # at the mid: above the last other price
            trade("30:00.005", 10.03, 10),  # against the quote of .001
            trade("30:00.006", 10.02, 11, "O"),
        ],
    )
    (day,) = read_recordings(path)
    trades = day.events[day.events["trade_ticks"] > 0]
    assert trades["trade_lots"].tolist() == [0, -6, 7, -8, 9, 10, 0]
    assert trades["trade_ticks"].tolist() == [1003, 1000, 1003, 1001, 1002, 1003, 1002]
    assert day.events["trade_lots"].tolist() == [0, -6, 0, 7, -8, 9, 10, 0, 0]
    assert trades["bid_ticks"].tolist() == [0, 0, 1000, 1000, 1000, 1000, 1010]
    assert not day.events["reserved"].any()


def test_trades_that_do_not_count_are_counted_by_condition(tmp_path: Path) -> None:
    trades = [
        trade("30:00.002", 10.02, 1),
        trade("30:00.002", 10.02, 1, "F I"),
        trade("30:00.002", 10.02, 1, "", 8),
        trade("30:00.002", 10.02, 1, "ZI"),
        trade("30:00.002", 10.02, 1, "4 B"),
        trade("30:00.001", 10.02, 1),
    ]
    (day,) = read_recordings(write(tmp_path, [quote("30:00.001", "N", 10.0, 1, 10.04, 2)], trades))
    assert day.skipped == {"out_of_order": 1, "cancelled_trade": 1, "late_trade": 1, "trade_not_at_market": 1}
    assert np.count_nonzero(day.events["trade_ticks"]) == 2
    assert day.by_type == {"quote": 1, "trade": 6}


def test_best_is_what_a_plain_table_of_exchanges_says() -> None:
    chance = np.random.default_rng(5)
    count = 2_000
    venues = chance.choice(list("NPTZ"), count)
    bids = chance.integers(990, 1000, count)
    touches = np.stack([bids, chance.integers(1, 9, count), chance.integers(1000, 1010, count), bids % 7 + 1], axis=1)
    touches[chance.random(count) < 0.1, :2] = 0
    best, given_up = national_best(np.arange(count) * 10**9, venues, touches)
    assert given_up == 0  # never crossed
    standing: dict[str, list[int]] = {}
    for row in range(count):
        standing[str(venues[row])] = touches[row].tolist()
        bid = max(each[0] for each in standing.values())
        ask = min(each[2] for each in standing.values())
        lots = sum(each[1] for each in standing.values() if each[0] == bid)
        assert best[row].tolist() == [bid, lots, ask, sum(e[3] for e in standing.values() if e[2] == ask)]


def test_real_day_is_seldom_crossed_and_its_trades_lie_at_the_best(test_data: Path) -> None:
    (day,) = read_recordings(test_data / "us-taq-xxx-2018")
    assert day.by_type == {"quote": 66_695, "trade": 39_470}
    trades = day.events[day.events["trade_ticks"] > 0]
    assert len(trades) == 39_470 - day.skipped["late_trade"] - day.skipped["trade_not_at_market"]
    assert np.mean((day.events["flags"] & int(EventFlag.CROSSED)) != 0) < 0.02
    usable = trades[trades["flags"] == 0]
    inside = (usable["trade_ticks"] >= usable["bid_ticks"] - 2) & (usable["trade_ticks"] <= usable["ask_ticks"] + 2)
    assert inside.mean() > 0.85  # quotes are missing from the recording


@pytest.mark.parametrize(
    ("quotes", "trades", "message"),
    [
        (["x,N,10,1,11,1,ABC"], [], "row 2, column DT: expected a time as 'iso', got 'x'"),
        ([quote("30:00.001", "N", -1, 1, 11, 1)], [], "row 2, column BID: expected a price of 0 or more"),
        ([quote("30:00.001", "", 1, 1, 11, 1)], [], "row 2, column EX: expected an exchange"),
        (["2018-01-02T14:30:00Z,N,ten,1,11,1,ABC"], [], "row 2, column BID: expected a finite number or nothing"),
        ([quote("30:00.001", "N", 1, 1, 11, 1)], [trade("30:00.001", 0, 1)], "row 2, column PRICE: expected a price"),
        ([quote("30:00.001", "N", 1, 1, 11, 1)], [trade("30:00.001", 1, 0)], "row 2, column SIZE: expected a whole"),
        ([quote("30:00.001", "N", 1, 1, 11, 1)], ["1,2"], "expected"),
    ],
)
def test_bad_cell_is_refused_with_its_row_and_column(
    tmp_path: Path, quotes: list[str], trades: list[str], message: str
) -> None:
    path = write(tmp_path, quotes, trades or None)
    with pytest.raises(FormatError, match=message):
        read_recordings(path)


def test_garbled_files_are_refused_or_read_and_never_crash(tmp_path: Path) -> None:
    chance = random.Random(9)
    path = write(tmp_path, [quote(f"30:{i:02}.001", "NPT"[i % 3], 10.0, 1, 10.05, 2) for i in range(40)])
    whole = path.read_bytes()
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            (day,) = read_recordings(path)
            assert np.all(day.events["bid_ticks"] >= 0)
        except FormatError as error:
            assert str(tmp_path) in str(error)  # noqa: PT017  an error or none, both are right


def test_row_of_another_stock_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [quote("30:00.001", "N", 10.00, 1, 10.05, 2).replace("ABC", "XYZ")])
    with pytest.raises(FormatError, match="row 2, column SYMBOL: expected ABC, got 'XYZ'"):
        read_recordings(path)
