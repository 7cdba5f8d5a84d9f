"""DBN: written with Databento's own package, read by ours; the rules of market-by-order, and hostile bytes."""

import bisect
import random
from pathlib import Path

import databento_dbn as databento
import numpy as np
import pytest
import zstandard
from support.dbn_files import CLEAR, LAST, MAYBE_BAD, SNAPSHOT, START, UNIT, head, order, write

from data_contracts.errors import FormatError, UsageError
from data_contracts.market_event import EventFlag
from market_data.reading import read_recordings

ES = "cme-es-mbo-20231225"


def touches(path: Path) -> list[tuple[int, ...]]:
    (day,) = read_recordings(path)
    return day.events[["bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]].tolist()


def test_real_hour_applies_whole_and_is_never_crossed_once_it_trades(test_data: Path) -> None:
    snapshot, hour = read_recordings(test_data / ES, depth=True)
    assert (len(snapshot), hour.instrument.symbol, hour.instrument.tick_size) == (1, "GLBX:ESH4", "0.25")
    assert (hour.skipped, hour.gaps) == ({}, 0)
    assert hour.by_type == {"add": 29_216, "cancel": 17_999, "modify": 12_233, "fill": 6_371, "trade": 2_973}
    events = hour.events
    trades = events[events["trade_ticks"] > 0]
    assert len(trades) == 2_973
    assert np.abs(trades["trade_lots"]).sum() == 9_892 - 44  # one trade of 44 has no aggressor
    opened = events["event_ns"] > np.datetime64("2023-12-25T23:00:00.15", "ns").astype("int64")
    assert not events["flags"][opened].any()
    before = events["flags"][events["event_ns"] < np.datetime64("2023-12-25T23:00", "ns").astype("int64")]
    # Crossed from 22:39:55 on, until the opening trade: the venue gathers orders.
    assert [int(each) for each in np.unique(before)] == [0, int(EventFlag.CROSSED | EventFlag.AUCTION)]
    assert int(events["trade_lots"][len(before)]) == 0
    assert not events["flags"][len(before)]
    assert hour.depth is not None
    for position, name in enumerate(("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")):
        assert np.array_equal(hour.depth[:, position, 0], events[name])


def test_real_records_are_those_that_databentos_own_decoder_gives(test_data: Path) -> None:
    path = test_data / ES / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
    reader = databento.DBNDecoder(compression=databento.Compression.ZSTD)
    theirs = [each for each in reader.write_and_decode(path.read_bytes()) if isinstance(each, databento.MBOMsg)]
    expected = [(each.sequence, each.price // 250_000_000) for each in theirs if each.action == databento.Action.TRADE]
    (hour,) = read_recordings(path)
    trades = hour.events[hour.events["trade_ticks"] > 0]
    assert trades[["sequence", "trade_ticks"]].tolist() == expected


class PlainBook:
    """Orders in a dict, prices in sorted lists: slow, and plain enough to be right."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[str, int, int]] = {}
        self.lots: dict[tuple[str, int], int] = {}
        self.prices: dict[str, list[int]] = {"B": [], "A": []}

    def change(self, side: str, ticks: int, lots: int) -> None:
        if (side, ticks) not in self.lots:
            bisect.insort(self.prices[side], ticks)
        self.lots[side, ticks] = self.lots.get((side, ticks), 0) + lots
        if self.lots[side, ticks] == 0:
            del self.lots[side, ticks]
            self.prices[side].remove(ticks)

    def apply(self, each: "databento.MBOMsg") -> None:
        action = str(each.action)
        old = self.orders.pop(each.order_id, None) if action in "AMC" else None
        left = 0
        if old is not None:
            left = max(old[2] - each.size, 0) if action == "C" else 0
            self.change(old[0], old[1], left - old[2])
            if left:
                self.orders[each.order_id] = (old[0], old[1], left)
        if action in "AM":
            self.orders[each.order_id] = (str(each.side), each.price // 250_000_000, each.size)
            self.change(*self.orders[each.order_id])

    def touch(self) -> tuple[int, ...]:
        bid, ask = self.prices["B"][-1], self.prices["A"][0]
        return bid, self.lots["B", bid], ask, self.lots["A", ask]


def test_real_hours_touch_is_that_of_a_plain_book_over_databentos_own_records(test_data: Path) -> None:
    path = test_data / ES / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
    reader = databento.DBNDecoder(compression=databento.Compression.ZSTD)
    records = [each for each in reader.write_and_decode(path.read_bytes()) if isinstance(each, databento.MBOMsg)]
    book, expected = PlainBook(), []
    for each, following in zip(records, [*records[1:], None], strict=True):
        book.apply(each)
        snapshot_ends = each.flags & SNAPSHOT and not (following and following.flags & SNAPSHOT)
        if (snapshot_ends or each.flags & LAST) and book.touch() not in expected[-1:]:
            expected.append(book.touch())
    (hour,) = read_recordings(path)
    touch = hour.events[["bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]].tolist()
    assert [now for before, now in zip([None, *touch], touch, strict=False) if now != before] == expected
    assert len(expected) > 20_000


def test_trade_and_fill_change_nothing_the_cancel_after_them_does(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        CLEAR,
        order("A", "B", 1, 99.75, 5, 2),
        order("A", "A", 2, 100.25, 3, 3),
        order("A", "A", 3, 100.50, 1, 3),
        order("T", "B", 9, 100.25, 2, 4, flags=0),
        order("F", "A", 2, 100.25, 2, 4, flags=0),
        order("C", "A", 2, 100.25, 2, 4),
    )
    (day,) = read_recordings(path)
    assert day.instrument.tick_size == "0.25"  # the greatest that divides every price
    assert day.skipped == {}
    assert touches(path)[-1] == (399, 5, 401, 1)
    assert day.events[-1][["trade_ticks", "trade_lots", "event_ns", "receive_ns"]].tolist() == (
        401, 2, START + 4, START + 9,
    )  # fmt: skip
    assert day.by_type == {"add": 3, "cancel": 1, "clear": 1, "fill": 1, "trade": 1}


def test_book_is_told_only_where_the_venues_event_ends(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        CLEAR,
        order("A", "B", 1, 99.75, 5, 2),
        order("C", "B", 1, 99.75, 5, 3, flags=0),
        order("A", "B", 2, 100.00, 5, 3),
        order("A", "A", 3, 100.25, 5, 4, flags=0),  # the file ends within it
    )
    (day,) = read_recordings(path)
    assert touches(path) == [(399, 5, 0, 0), (400, 5, 0, 0)]
    assert day.skipped == {"unfinished_event": 1}


def test_snapshot_replaces_the_book_at_the_time_it_was_received(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        CLEAR,
        order("A", "B", 1, 99.75, 5, 10),
        order("A", "B", 2, 99.50, 7, 50, flags=SNAPSHOT),
        order("A", "A", 3, 100.25, 2, 51, flags=SNAPSHOT),
        order("A", "B", 4, 99.50, 1, 200),
    )
    (day,) = read_recordings(path)
    assert touches(path) == [(399, 5, 0, 0), (398, 7, 401, 2), (398, 8, 401, 2)]
    assert day.events["event_ns"].tolist() == [START + 10, START + 56, START + 200]
    assert not day.events["flags"][1:].any()


def test_what_rested_before_the_file_began_is_a_gap_until_the_book_is_cleared(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        order("A", "B", 1, 99.75, 5, 2),
        order("A", "A", 2, 100.00, 5, 3),
        order("R", "N", 0, 0, 0, 4, flags=0),
        order("A", "B", 3, 99.75, 5, 5),
        order("A", "A", 4, 100.00, 5, 6, flags=LAST | MAYBE_BAD),
    )
    (day,) = read_recordings(path)
    gap, one_sided = int(EventFlag.GAP), int(EventFlag.ONE_SIDED)
    assert day.events["flags"].tolist() == [gap | one_sided, gap, one_sided, gap]
    assert day.gaps == 2


def test_what_cannot_be_applied_is_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        CLEAR,
        order("A", "B", 1, 99.75, 5, 2),
        order("A", "B", 1, 99.75, 5, 3),
        order("C", "B", 8, 99.75, 5, 4),
        order("C", "B", 1, 99.75, 9, 5),
        order("M", "A", 6, 100.00, 5, 6),
        order("A", "A", 7, 100.25, 5, 7, publisher=2),
        order("A", "A", 8, 100.25, 0, 8),
        order("A", "A", 9, 100.25, 1, 9, instrument=8),
    )
    (day,) = read_recordings(path, instrument="ESZ3")
    assert day.skipped == {
        "duplicate_order": 1,
        "unknown_order": 2,
        "over_executed": 1,
        "other_publisher": 1,
        "off_grid_order": 1,
    }
    with pytest.raises(UsageError, match="expected one of GLBX:8, GLBX:ESZ3"):
        read_recordings(path)


def test_definitions_or_a_file_beside_name_the_tick(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAR, order("A", "B", 1, 99.0, 5, 2))
    assert read_recordings(path)[0].instrument.tick_size == "99"
    definition = databento.InstrumentDefMsg(
        publisher_id=1,
        instrument_id=7,
        ts_event=START,
        ts_recv=START,
        min_price_increment=250_000_000,
        display_factor=UNIT,
        raw_symbol="ESZ3",
        asset="ES",
        security_type="FUT",
        instrument_class=databento.InstrumentClass.FUTURE,
        security_update_action=databento.SecurityUpdateAction.ADD,
        unit_of_measure_qty=50 * UNIT,
        currency="USD",
    )
    (tmp_path / "es.definition.dbn").write_bytes(head("definition") + bytes(definition))
    (day,) = read_recordings(tmp_path)
    assert (day.instrument.tick_size, day.instrument.multiplier, day.events["bid_ticks"].tolist()) == (
        "0.25",
        50,
        [396],
    )
    beside = '{"instrument": {"symbol": "GLBX:ESZ3", "tick_size": "0.5", "lot_size": "1", "currency": "EUR"}}'
    (tmp_path / "es.mbo.dbn.instrument.json").write_text(beside)
    assert read_recordings(path)[0].events["bid_ticks"].tolist() == [198]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "fits none"),
        (b"DBN", "byte 0: expected DBN and its version"),
        (head()[:40], "byte 4: expected a head of"),
        (head() + order("A", "B", 1, 99.75, 5, 2)[:50], r"byte \d+: expected a whole record"),
        (head() + b"\x01" * 56, r"byte \d+: expected the length of the record's type"),
        (head(), "records: expected records of mbo, got none"),
        (head() + order("A", "B", 1, -1.0, 5, 2), "expected over 0"),
        (head() + order("A", "N", 1, 1.0, 5, 2), "mbo record 1: expected side A or B"),
        (head("ohlcv-1s") + order("A", "B", 1, 1.0, 5, 2), "head: expected schema mbo"),
    ],
)
def test_broken_bytes_are_refused_with_their_place(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / ("es.dbn" if data else "es")
    path.write_bytes(data)
    with pytest.raises((FormatError, UsageError), match=message):
        read_recordings(path)


def test_garbled_bytes_are_refused_or_read_with_what_was_wrong_counted(tmp_path: Path) -> None:
    chance = random.Random(3)
    records = [CLEAR]
    for number in range(1, 60):
        side = chance.choice("AB")
        price = 100 + (1 if side == "A" else -1) * chance.randint(1, 8) * 0.25
        records.append(order("A", side, number, price, chance.randint(1, 9), number + 1))
        if number > 9 and number % 3 == 0:
            records.append(order("C", side, number - 9, price, 1, number + 1))
    whole = head() + b"".join(records)
    path = tmp_path / "es.mbo.dbn"
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.2:
            del data[chance.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            for symbol in ("GLBX:ESZ3", "GLBX:7"):
                try:
                    for day in read_recordings(path, instrument=symbol):
                        assert np.all(day.events["bid_lots"] >= 0)
                        assert np.all(day.events["ask_lots"] >= 0)
                        assert np.all(np.diff(day.events["event_ns"]) >= 0)
                except UsageError:
                    continue  # the symbol or the id was hit
        except FormatError as error:
            refused += 1
            assert str(path) in str(error)  # noqa: PT017  an error or none, both are right
    assert refused > 50


def test_zst_inside_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAR, order("A", "B", 1, 99.75, 5, 2), order("A", "A", 2, 100.0, 5, 3))
    packed = tmp_path / "packed.mbo.dbn.zst"
    packed.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
    assert touches(packed) == touches(path)
