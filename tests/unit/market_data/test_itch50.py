"""ITCH 5.0 and the simulator that writes it: whole files, broken files, and what was planted."""

import contextlib
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import FormatError, UsageError
from data_contracts.journal import MarkoutStatus
from data_contracts.market_event import EventFlag
from market_data.feature_sets import TOUCH_V1
from market_data.features import compute_features
from market_data.formats.itch50 import beside_path
from market_data.markouts import compute_markouts
from market_data.reading import read_recordings
from market_data.simulator import read_truth, simulate


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "ring.itch"
    simulate(path, seed=1, events=30_000)
    return path


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate(tmp_path / name, seed=seed, seconds=120)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_recording_takes_instrument_and_date_from_the_file_beside_it(tape: Path) -> None:
    (day,) = read_recordings(tape)
    assert day.instrument.symbol == "SIM:RING"
    assert day.instrument.fee_bps == 0.1
    assert np.datetime64(int(day.events["event_ns"][0]), "ns") == np.datetime64("2026-01-05T09:30")
    assert day.skipped == {}
    assert len(day) >= 30_000


def test_book_is_two_sided_uncrossed_and_mostly_one_or_two_ticks_wide(tape: Path) -> None:
    events = read_recordings(tape)[0].events[1:]  # the first order stands alone
    assert not events["flags"].any()
    assert np.mean(events["ask_ticks"] - events["bid_ticks"] <= 2) > 0.9
    assert np.all(np.diff(events["event_ns"]) >= 0)


def test_truth_is_written_beside_and_its_signal_leads_the_mid(tape: Path) -> None:
    truth = read_truth(tape)
    assert truth.seed == 1
    assert 0.4 < truth.correlation < 0.75
    assert abs(len(truth.signal) - truth.seconds) <= 1
    assert 0.5 < np.std(truth.signal) < 1.5


def test_simple_rule_pays_the_spread_out_of_sample_where_chance_does_not(tape: Path) -> None:
    (day,) = read_recordings(tape)
    matrix, ready = compute_features(day, TOUCH_V1)
    paid = compute_markouts(day, entry_latency_ns=10**6, horizon_ns=5 * 10**9)
    usable = ready & (paid["status"] == MarkoutStatus.OK)
    cut = int(0.6 * len(day))
    train, test = np.flatnonzero(usable[:cut]), cut + np.flatnonzero(usable[cut:])
    inputs = np.column_stack([matrix, np.ones(len(matrix))])
    weights, *_ = np.linalg.lstsq(inputs[train], paid["mid_move_bps"][train], rcond=None)
    score = inputs[test] @ weights
    buy, sell = paid["buy_pnl_bps"][test], paid["sell_pnl_bps"][test]
    trades = np.concatenate([buy[score > 1.0], sell[score < -1.0]])
    assert len(trades) > 1000
    assert trades.mean() / trades.std() > 0.1
    assert (0.5 * (buy + sell)).mean() < -0.5  # either side at random loses half the spread and the fee


@pytest.mark.parametrize("arguments", [{"seconds": 0}, {"seconds": 1e9}, {"events": 0}, {"seconds": float("nan")}])
def test_simulator_refuses_counts_out_of_bounds(tmp_path: Path, arguments: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        simulate(tmp_path / "x.itch", seed=1, **arguments)  # type: ignore[arg-type]


def test_simulator_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        simulate(tmp_path / "absent" / "x.itch", seed=1, seconds=10)


def test_packed_file_reads_as_the_plain_one(tape: Path, tmp_path: Path) -> None:
    packed = tmp_path / "ring.itch.gz"
    packed.write_bytes(gzip.compress(tape.read_bytes(), compresslevel=1))
    beside_path(packed).write_bytes(beside_path(tape).read_bytes())
    assert read_recordings(packed)[0].fingerprint == read_recordings(tape)[0].fingerprint


def test_file_with_nothing_beside_it_is_nasdaq_on_the_day_in_its_name(tape: Path, tmp_path: Path) -> None:
    alone = tmp_path / "01302020.NASDAQ_ITCH50"
    alone.write_bytes(tape.read_bytes())
    (day,) = read_recordings(alone)
    assert day.instrument.symbol == "NASDAQ:RING"
    first = np.datetime64(int(day.events["event_ns"][0]), "ns")
    assert first == np.datetime64("2020-01-30T14:30")  # 09:30 in New York


def test_unknown_stock_is_refused_with_the_choices(tape: Path) -> None:
    with pytest.raises(UsageError, match="expected one of SIM:RING; got 'AAPL'"):
        read_recordings(tape, instrument="AAPL")


def test_truncated_file_is_refused_with_the_offset(tape: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.itch"
    cut.write_bytes(tape.read_bytes()[:1000])
    with pytest.raises(FormatError, match=r"byte \d+: expected a whole message, got the end of the bytes"):
        read_recordings(cut)


def test_unknown_message_type_is_skipped_and_counted(tape: Path, tmp_path: Path) -> None:
    whole = read_recordings(tape)[0]
    data = tape.read_bytes()
    newer = tmp_path / "newer.itch"
    newer.write_bytes(data[:14] + b"\x00\x05z1234" + data[14:])
    beside_path(newer).write_bytes(beside_path(tape).read_bytes())
    (day,) = read_recordings(newer)
    assert day.skipped == {"unknown_type": 1}
    assert np.array_equal(day.events["bid_ticks"], whole.events["bid_ticks"])
    assert sum(day.by_type.values()) == sum(whole.by_type.values())


def test_wrong_length_of_a_known_type_is_refused_with_the_offset(tape: Path, tmp_path: Path) -> None:
    data = bytearray(tape.read_bytes())
    data[14 + 2] = ord("D")  # the directory's 39 bytes are no deletion's
    broken = tmp_path / "broken.itch"
    broken.write_bytes(data)
    with pytest.raises(FormatError, match=r"byte 14: expected the length of the message's type"):
        read_recordings(broken)


@settings(max_examples=60, deadline=None)
@given(hits=st.lists(st.tuples(st.integers(0, 4999), st.integers(0, 255)), max_size=20), size=st.integers(0, 5000))
def test_garbled_bytes_give_a_recording_or_one_clear_error(
    tape: Path, tmp_path_factory: pytest.TempPathFactory, hits: list[tuple[int, int]], size: int
) -> None:
    data = bytearray(tape.read_bytes()[:size])
    for position, value in hits:
        if position < size:
            data[position] = value
    path = tmp_path_factory.getbasetemp() / "garbled.itch"
    path.write_bytes(data)
    with contextlib.suppress(FormatError, UsageError):  # anything else fails the test
        read_recordings(path, format="itch50")


def test_unreadable_description_beside_the_file_is_refused(tape: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ring.itch"
    copy.write_bytes(tape.read_bytes())
    beside_path(copy).write_text('{"date": "2026-01-05"}')
    with pytest.raises(FormatError, match="expected instrument and date"):
        read_recordings(copy)


def message(kind: str, body: bytes, *, locate: int = 1) -> bytes:
    whole = kind.encode() + struct.pack(">HHHI", locate, 0, 0, 1) + body
    return struct.pack(">H", len(whole)) + whole


def listed(symbol: str, *, locate: int = 1) -> bytes:
    return message("R", symbol.encode().ljust(8) + bytes(20), locate=locate)


def add(reference: int, side: str, price: int) -> bytes:
    return message("A", struct.pack(">QcI8sI", reference, side.encode(), 100, b"RING    ", price))


def test_hidden_trade_beside_an_empty_side_has_no_aggressor(tmp_path: Path) -> None:
    hidden = message("P", struct.pack(">QcI8sIQ", 0, b"B", 10, b"RING    ", 1_000_000, 1))
    path = tmp_path / "a.itch"
    path.write_bytes(listed("RING") + hidden + add(1, "B", 1_000_000) + hidden + add(2, "S", 1_000_300) + hidden)
    events = read_recordings(path)[0].events
    assert events["trade_lots"][events["trade_ticks"] > 0].tolist() == [0, 0, -10]


def test_operational_halt_is_lifted_by_the_market_that_called_it(tmp_path: Path) -> None:
    steps = [message("h", b"RING    " + said.encode()) for said in ("QH", "BT", "QT")]
    path = tmp_path / "a.itch"
    path.write_bytes(listed("RING") + add(1, "B", 1_000_000) + add(2, "S", 1_000_300) + steps[0] + steps[1] + steps[2])
    events = read_recordings(path)[0].events
    halted = (events["flags"] & int(EventFlag.HALTED)) != 0
    assert list(zip(events["sequence"].tolist(), halted.tolist(), strict=True))[-2:] == [(4, True), (6, False)]


@pytest.mark.parametrize("second", [("OTHER", 1), ("RING", 2)])
def test_directory_that_contradicts_itself_is_refused(tmp_path: Path, second: tuple[str, int]) -> None:
    path = tmp_path / "a.itch"
    path.write_bytes(listed("RING") + listed("RING") + listed(second[0], locate=second[1]) + add(1, "B", 1_000_000))
    with pytest.raises(FormatError, match="stock directory: expected one locate code a stock, all day, got locate"):
        read_recordings(path, format="itch50", instrument="RING")
