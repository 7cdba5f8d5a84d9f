"""Mark-outs: one worked by hand, native code against the reference, and laws."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from data_contracts.errors import UsageError
from data_contracts.instrument import Instrument
from data_contracts.journal import MarkoutStatus
from data_contracts.market_event import MARKET_EVENT, EventFlag
from data_contracts.recording import Recording
from market_data.markouts import compute_markouts
from market_data.reading import read_recordings
from market_data.reference.markouts import reference_markouts

SECOND = 10**9


def recording(
    rows: list[tuple[int, int, int]], *, fee_bps: float = 0.0, stale_after_ns: int = 60 * SECOND
) -> Recording:
    """Return a recording of (event_ns, bid ticks, ask ticks)."""
    events = np.zeros(len(rows), dtype=MARKET_EVENT)
    events["event_ns"], events["bid_ticks"], events["ask_ticks"] = np.array(rows).T
    instrument = Instrument(
        symbol="TEST:X", tick_size="0.01", lot_size="1", currency="USD", fee_bps=fee_bps, stale_after_ns=stale_after_ns
    )
    return Recording(instrument=instrument, events=events, source=Path("made"), skipped={})


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 200))
    bid = 1000 + np.cumsum(rng.integers(-2, 3, count))
    times = np.cumsum(rng.integers(0, 5, count)) * SECOND // 2
    made = recording(list(zip(times, bid, bid + rng.integers(-1, 4, count), strict=True)), fee_bps=0.3)
    made.events["flags"] = np.where(rng.random(count) < 0.1, rng.choice([int(flag) for flag in EventFlag], count), 0)
    limit = draw(st.sampled_from([SECOND // 2, 60 * SECOND]))
    return replace(made, instrument=_with_limit(made.instrument, limit))


def _with_limit(instrument: Instrument, stale_after_ns: int) -> Instrument:
    return Instrument(
        symbol=instrument.symbol,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        currency=instrument.currency,
        fee_bps=instrument.fee_bps,
        stale_after_ns=stale_after_ns,
    )


def test_mark_out_worked_by_hand() -> None:
    made = recording(
        [
            (0, 9_999, 10_001),  # decided here, mid 10,000
            (SECOND // 2000, 10_000, 10_002),  # 0.5 ms on: stands at the entry, 1 ms after the decision; mid 10,001
            (4 * SECOND, 10_010, 10_014),  # stands at the mark, 5 s after the decision; mid 10,012
            (9 * SECOND, 9_000, 9_002),
        ],
        fee_bps=0.1,
    )
    first = compute_markouts(made, entry_latency_ns=SECOND // 1000, horizon_ns=5 * SECOND)[0]
    # Bought at 10,002, worth 10,012: 10 ticks of 10,001 are 9.9990 bps, less 0.1 of fees.
    assert first["buy_pnl_bps"] == pytest.approx(9.9990 - 0.1, abs=1e-4)
    # Sold at 10,000, worth 10,012: -12 ticks of 10,001 are -11.9988 bps, less 0.1.
    assert first["sell_pnl_bps"] == pytest.approx(-11.9988 - 0.1, abs=1e-4)
    # The mid went from 10,000 to 10,012: 12 bps.
    assert first["mid_move_bps"] == pytest.approx(12.0)
    assert first["status"] == MarkoutStatus.OK


@settings(max_examples=100, deadline=None)
@given(made=recordings(), latency=st.integers(0, 3), horizon=st.integers(1, 8))
def test_native_mark_outs_equal_the_reference(made: Recording, latency: int, horizon: int) -> None:
    when = {"entry_latency_ns": latency * SECOND // 2, "horizon_ns": horizon * SECOND // 2}
    native, reference = compute_markouts(made, **when), reference_markouts(made, **when)
    assert_array_equal(native["status"], reference["status"])
    for name in ("buy_pnl_bps", "sell_pnl_bps", "mid_move_bps"):
        assert_allclose(native[name], reference[name], rtol=1e-12, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(made=recordings(), data=st.data())
def test_cutting_the_future_off_leaves_resolved_mark_outs_alone(made: Recording, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(made)))
    whole = compute_markouts(made, entry_latency_ns=0, horizon_ns=2 * SECOND)
    part = compute_markouts(made.part(0, cut), entry_latency_ns=0, horizon_ns=2 * SECOND)
    resolved = part["status"] != MarkoutStatus.NEVER
    assert_array_equal(part[resolved], whole[:cut][resolved])


@given(made=recordings())
def test_buying_and_selling_together_pay_the_spread_and_two_fees(made: Recording) -> None:
    paid = compute_markouts(made, entry_latency_ns=0, horizon_ns=SECOND)
    reference = [row for row, status in enumerate(paid["status"]) if status == MarkoutStatus.OK]
    for row in reference:
        last = np.searchsorted(made.events["event_ns"], made.events["event_ns"][row], side="right") - 1
        bid, ask = int(made.events["bid_ticks"][last]), int(made.events["ask_ticks"][last])
        costs = 1e4 * (ask - bid) / (0.5 * (ask + bid)) + 2 * made.instrument.fee_bps
        assert paid["buy_pnl_bps"][row] + paid["sell_pnl_bps"][row] == pytest.approx(-costs)


def test_prices_on_a_finer_grid_earn_the_same_bps() -> None:
    rows = [(0, 999, 1001), (SECOND, 1003, 1005), (3 * SECOND, 1, 2)]
    coarse = compute_markouts(recording(rows), entry_latency_ns=0, horizon_ns=SECOND)[0]
    fine = compute_markouts(
        recording([(at, 10 * bid, 10 * ask) for at, bid, ask in rows]), entry_latency_ns=0, horizon_ns=SECOND
    )[0]
    assert fine["buy_pnl_bps"] == pytest.approx(coarse["buy_pnl_bps"])


def test_bad_times_are_refused() -> None:
    made = recording([(0, 1, 2)])
    with pytest.raises(UsageError, match="horizon: expected over 0 ns, got 0"):
        compute_markouts(made, entry_latency_ns=0, horizon_ns=0)
    with pytest.raises(UsageError, match="entry latency: expected 0 ns or more, got -1"):
        compute_markouts(made, entry_latency_ns=-1, horizon_ns=1)


def test_native_mark_outs_equal_the_reference_on_index_futures(test_data: Path) -> None:
    day = read_recordings(test_data / "cffex-if-ticks-202101")[1].part(13_500, 16_000)  # across the lunch break
    when = {"entry_latency_ns": 10**6, "horizon_ns": 10 * SECOND}
    native, reference = compute_markouts(day, **when), reference_markouts(day, **when)
    assert_array_equal(native["status"], reference["status"])
    assert_allclose(native["buy_pnl_bps"], reference["buy_pnl_bps"], rtol=1e-12, atol=1e-12)
    assert MarkoutStatus.OK in native["status"]
