"""What goes to hftbacktest and comes back; the program itself runs where it can be installed."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from data_contracts.errors import MissingDependencyError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT
from data_contracts.recording import Recording
from market_data.reading import read_recordings
from models.backtest import environment
from models.backtest.bridge import MISSED, TAKEN, Terms, run
from models.backtest.decisions import learnt_decisions
from models.backtest.events import DEPTH, TRADE, local_times, replayed
from ringcraft.commands.backtest import backtest

INSTRUMENT = Instrument(symbol="TEST:ABC", tick_size="0.1", lot_size="0.01", currency="USD")
BUY, SELL = 1 << 29, 1 << 28
MS = 1_000_000


def walk(rows: int = 300, seed: int = 0) -> Recording:
    generator = np.random.default_rng(seed)
    events, depth = np.zeros(rows, dtype=MARKET_EVENT), np.zeros((rows, 4, DEPTH_LEVELS), dtype=np.int64)
    events["event_ns"] = 10**18 + np.cumsum(generator.integers(0, 20 * MS, rows))
    events["receive_ns"] = events["event_ns"] - 10**9 + generator.integers(0, MS, rows)  # another clock
    best = 1000 + np.cumsum(generator.integers(-1, 2, rows))
    for row in range(rows):
        for side, sign in ((0, -1), (2, 1)):
            there = np.sort(generator.choice(15, DEPTH_LEVELS - int(generator.integers(0, 3)), replace=False))
            depth[row, side, : len(there)] = best[row] + sign * (1 + there)
            depth[row, side + 1, : len(there)] = generator.integers(1, 4, len(there))
    for name, column in zip(("bid_ticks", "bid_lots", "ask_ticks", "ask_lots"), range(4), strict=True):
        events[name] = depth[:, column, 0]
    traded = generator.random(rows) < 0.2
    events["trade_ticks"][traded], events["trade_lots"][traded] = best[traded], generator.choice([-2, 3], traded.sum())
    return Recording(INSTRUMENT, events, Path("walk"), {}, depth=depth)


def test_replayed_rows_rebuild_every_view_of_the_book():
    recording = walk()
    # An instant's rows are told apart by their place, so give every event an instant of its own.
    recording.events["event_ns"] = 10**18 + np.arange(len(recording)) * MS
    rows = replayed(recording, feed_latency_ns=MS)
    book: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}
    at = 0
    for event, view in zip(recording.events, recording.depth, strict=True):
        while at < len(rows) and rows["exch_ts"][at] == event["event_ns"]:
            row = rows[at]
            at += 1
            if int(row["ev"]) & 0xFF == DEPTH:
                side = book[BUY if int(row["ev"]) & BUY else SELL]
                ticks, lots = round(row["px"] / 0.1), round(row["qty"] / 0.01)
                side.pop(ticks, None) if lots == 0 else side.__setitem__(ticks, lots)
        for side, column in ((BUY, 0), (SELL, 2)):
            expected = {int(t): int(q) for t, q in zip(view[column], view[column + 1], strict=True) if q}
            assert book[side] == expected
    assert at == len(rows)


def test_trades_keep_their_aggressor_and_go_before_what_they_changed():
    recording = walk()
    rows = replayed(recording, feed_latency_ns=MS)
    trades = rows[(rows["ev"] & 0xFF) == TRADE]
    lots = recording.events["trade_lots"][recording.events["trade_lots"] != 0]
    assert np.where(trades["ev"] & BUY, 1, -1).tolist() == np.sign(lots).tolist()
    np.testing.assert_allclose(trades["qty"], np.abs(lots) * 0.01)


def test_local_time_takes_the_clocks_offset_out_and_never_falls():
    recording = walk()
    local = local_times(recording, feed_latency_ns=3 * MS)
    assert (np.diff(local) >= 0).all()
    assert (local - recording.events["event_ns"]).min() >= 3 * MS
    assert (local - recording.events["event_ns"]).min() < 4 * MS


def test_recording_of_the_touch_alone_is_refused():
    whole = walk()
    with pytest.raises(UsageError, match="expected levels of the book"):
        replayed(Recording(INSTRUMENT, whole.events, Path("touch"), {}), feed_latency_ns=0)


def test_environment_that_cannot_be_made_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.sys, "executable", "/bin/false")
    with pytest.raises(MissingDependencyError, match="hftbacktest's environment: venv failed: no message"):
        environment.python_of(tmp_path / "env")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_real_depth_is_traded_through_hftbacktest(test_data: Path, tmp_path: Path):
    python = environment.python_of(Path("build/envs/hftbacktest").resolve())
    capture = test_data / "binance-ws-20240808" / "usdm_btcusdt_20240808.gz"
    (recording,) = read_recordings(capture, format=None, instrument=None, depth=True)
    decided = learnt_decisions(
        recording,
        "logistic",
        horizon_ns=2 * 10**9,
        entry_latency_ns=2 * MS,
        min_interval_ns=5 * 10**8,
        learn_share=0.5,
        act_share=0.5,
        seed=1,
    )
    terms = {"hold_ns": 2 * 10**9, "order_latency_ns": 3 * MS, "response_latency_ns": 4 * MS}
    taken, each = run(recording, decided.rows, decided.sides, Terms(**terms), python=python, work=tmp_path / "take")
    assert taken.traded + taken.missed + taken.busy + taken.unfinished == taken.decisions == len(decided.rows)
    assert taken.traded > 20
    assert taken.median_wait_ms == pytest.approx(7.0)  # there and back
    # In and out by taking, without fees, it cannot differ from mark-outs by more than market moves in milliseconds.
    assert abs(taken.net_bps.value) < 2.0
    dear, _ = run(
        recording, decided.rows, decided.sides, Terms(**terms, taker_fee_bps=5.0), python=python, work=tmp_path / "dear"
    )
    assert dear.net_bps.value == pytest.approx(taken.net_bps.value - 10.0, abs=0.02)
    joined, _ = run(
        recording, decided.rows, decided.sides, Terms(**terms, entry="join"), python=python, work=tmp_path / "join"
    )
    assert joined.missed > 0
    assert joined.traded < taken.traded
    assert np.isnan(each.pnl_bps[each.status != TAKEN]).all()
    assert MISSED not in each.status


def test_no_environment_is_made_for_a_recording_that_is_not_there(tmp_path: Path) -> None:
    done = CliRunner().invoke(backtest, [str(tmp_path / "none.gz"), "--environment", str(tmp_path / "environment")])
    assert done.exit_code != 0
    assert not (tmp_path / "environment").exists()
