"""DBN by levels, trades alone, and what the venue says of its trading; written with Databento's own package."""

from pathlib import Path

import databento_dbn as databento
import pytest
from support.dbn_files import CLEAR, LAST, MAYBE_BAD, START, UNIT, head, order, write

from data_contracts.market_event import EventFlag
from market_data.reading import read_recordings


def quote(
    action: str, side: str, price: float, size: int, at: int, *, bid: float, ask: float, flags: int, venue: int = 1
) -> bytes:
    return bytes(
        databento.MBP1Msg(
            publisher_id=venue,
            instrument_id=7,
            ts_event=START + at,
            price=round(price * UNIT),
            size=size,
            action=databento.Action(action),
            side=databento.Side(side),
            depth=0,
            ts_recv=START + at + 5,
            flags=flags,
            sequence=at,
            levels=databento.BidAskPair(round(bid * UNIT), round(ask * UNIT), 3, 4, 1, 1),
        )
    )


@pytest.mark.parametrize(("schema", "ask"), [("mbp-1", 402), ("tbbo", 401), (None, 402)])
def test_levels_are_read_with_their_trades(tmp_path: Path, schema: str | None, ask: int) -> None:
    path = write(
        tmp_path,
        quote("A", "B", 100.0, 3, 1, bid=100.0, ask=100.25, flags=LAST),
        quote("T", "B", 100.25, 4, 2, bid=100.0, ask=100.25, flags=0),
        quote("C", "A", 100.25, 4, 2, bid=100.0, ask=100.5, flags=LAST),
        schema=schema,
    )
    (day,) = read_recordings(path, depth=True)
    trade = day.events[1]
    assert trade[["bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]].tolist() == (400, 3, ask, 4)
    assert trade[["trade_ticks", "trade_lots"]].tolist() == (401, 4)
    assert day.depth is not None
    assert day.depth[1, 2, 0] == ask


def deep(action: str, at: int, bids: list[tuple[float, int]], asks: list[tuple[float, int]], **more: int) -> bytes:
    """One record of mbp-10; a level that is not there has no price."""
    none = (databento.UNDEF_PRICE / UNIT, 0)
    pairs = []
    for level in range(10):
        bid, bid_size = bids[level] if level < len(bids) else none
        ask, ask_size = asks[level] if level < len(asks) else none
        prices = (
            databento.UNDEF_PRICE if size == 0 else round(price * UNIT)
            for price, size in ((bid, bid_size), (ask, ask_size))
        )
        pairs.append(databento.BidAskPair(*prices, bid_size, ask_size, 1, 1))
    return bytes(
        databento.MBP10Msg(
            publisher_id=1,
            instrument_id=7,
            ts_event=START + at,
            price=round(more.get("price", 400) * UNIT / 4),
            size=more.get("size", 1),
            action=databento.Action(action),
            side=databento.Side(chr(more.get("side", ord("B")))),
            depth=0,
            ts_recv=START + at + 5,
            flags=more.get("flags", LAST),
            sequence=at,
            levels=pairs,
        )
    )


def test_ten_levels_are_kept_as_databentos_own_package_writes_them(tmp_path: Path) -> None:
    bids = [(100 - 0.25 * level, 5 + level) for level in range(10)]
    asks = [(100.25 + 0.5 * level, 9 - level) for level in range(3)]
    path = write(
        tmp_path,
        deep("A", 1, bids, asks),
        deep("T", 2, bids, asks, price=401, size=4, flags=0),
        deep("C", 2, bids, asks[1:]),
        deep("C", 3, [], asks[1:], flags=LAST | MAYBE_BAD),
        schema="mbp-10",
        name="es.mbp-10.dbn",
    )
    (day,) = read_recordings(path, depth=True)
    assert day.depth is not None
    assert day.events[["bid_ticks", "bid_lots", "ask_ticks", "ask_lots", "trade_ticks", "trade_lots"]].tolist() == [
        (400, 5, 401, 9, 0, 0),
        (400, 5, 403, 8, 401, 4),  # the trade, with the book as its event leaves it
        (400, 5, 403, 8, 0, 0),
        (0, 0, 403, 8, 0, 0),
    ]
    assert day.depth[0].tolist() == [
        [400 - level for level in range(10)],
        [5 + level for level in range(10)],
        [401, 403, 405, *[0] * 7],
        [9, 8, 7, *[0] * 7],
    ]
    assert day.events["flags"][-1] == int(EventFlag.ONE_SIDED | EventFlag.GAP)
    assert day.gaps == 1


def test_trades_alone_have_no_touch_and_keep_their_aggressors(tmp_path: Path) -> None:
    traded = [
        bytes(
            databento.TradeMsg(
                publisher_id=1,
                instrument_id=7,
                ts_event=START + at,
                price=round(price * UNIT),
                size=size,
                action=databento.Action.TRADE,
                side=databento.Side(side),
                depth=0,
                ts_recv=START + at + 5,
                flags=LAST,
                sequence=at,
            )
        )
        for at, price, size, side in ((1, 100.25, 3, "B"), (2, 100.0, 2, "A"), (3, 100.0, 7, "N"))
    ]
    (day,) = read_recordings(write(tmp_path, *traded, schema="trades", name="es.trades.dbn"), depth=True)
    assert day.depth is None
    found = day.events[["bid_ticks", "ask_ticks", "trade_ticks", "trade_lots", "event_ns", "receive_ns"]].tolist()
    assert found == [
        (0, 0, 401, 3, START + 1, START + 6),
        (0, 0, 400, -2, START + 2, START + 7),
        (0, 0, 400, 0, START + 3, START + 8),
    ]
    assert (day.events["flags"] == int(EventFlag.ONE_SIDED)).all()
    assert day.by_type == {"trade": 3}


def status(action: "databento.StatusAction", at: int, instrument: int = 7) -> bytes:
    return bytes(databento.StatusMsg(1, instrument, START + at, START + at, action=action))


@pytest.mark.parametrize("schema", ["mbo", None])
def test_what_the_venue_says_of_its_trading_is_flagged(tmp_path: Path, schema: str | None) -> None:
    actions = databento.StatusAction
    said = [
        status(actions.PRE_OPEN, 2),
        status(actions.TRADING, 4),
        status(actions.PRE_CLOSE, 5),  # trades on
        status(actions.HALT, 5, instrument=8),
        status(actions.HALT, 6),
    ]
    orders = [CLEAR, order("A", "A", 1, 101.0, 5, 1)]
    orders += [order("A", "B", number, 100.0, 1, number) for number in range(2, 8)]
    if schema is None:  # a live capture has them all in one stream
        path = write(tmp_path, *orders[:4], *said, *orders[4:], schema=None, name="es.dbn")
    else:
        (tmp_path / "es.status.dbn").write_bytes(head("status") + b"".join(said))
        path = write(tmp_path, *orders)
    (day,) = read_recordings(path, instrument="ESZ3")
    auction, halted = int(EventFlag.AUCTION), int(EventFlag.HALTED)
    assert day.events["flags"].tolist() == [int(EventFlag.ONE_SIDED), auction, auction, 0, 0, halted, halted]
    assert read_recordings(tmp_path if schema else path)[0].events.tobytes() == day.events.tobytes()


def test_levels_of_another_publisher_are_left_out_and_counted(tmp_path: Path) -> None:
    quotes = [
        quote("A", "B", 100.0, 3, 1, bid=100.0, ask=100.25, flags=LAST),
        quote("A", "B", 90.0, 3, 2, bid=90.0, ask=90.25, flags=LAST, venue=2),
        quote("A", "B", 100.0, 3, 3, bid=100.0, ask=100.5, flags=LAST),
    ]
    (day,) = read_recordings(write(tmp_path, *quotes, schema="mbp-1"))
    assert day.events["sequence"].tolist() == [1, 3]
    assert day.skipped == {"other_publisher": 1}


def test_levels_of_an_event_that_does_not_end_are_left_out_and_counted(tmp_path: Path) -> None:
    quotes = [
        quote("A", "B", 100.0, 3, 1, bid=100.0, ask=100.25, flags=LAST),
        quote("T", "B", 100.25, 4, 9, bid=100.0, ask=100.25, flags=0),
    ]
    (day,) = read_recordings(write(tmp_path, *quotes, schema="mbp-1"))
    assert day.events["event_ns"].tolist() == [START + 1]
    assert day.skipped == {"unfinished_event": 1}


def test_levels_of_a_file_that_marks_no_event_stand_after_each_record(tmp_path: Path) -> None:
    quotes = [quote("A", "B", 100.0, 3, at, bid=100.0, ask=100.0 + at / 4, flags=0) for at in (1, 2, 3)]
    (day,) = read_recordings(write(tmp_path, *quotes, schema="mbp-1"))
    assert (day.events["ask_ticks"] - day.events["bid_ticks"]).tolist() == [1, 2, 3]
