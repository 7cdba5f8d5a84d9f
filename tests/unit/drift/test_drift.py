"""Drift is found where it is, and where nothing changed it is claimed no more often than stated."""

from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT
from data_contracts.recording import Recording
from models.drift import column_drift, edge_loss
from models.drift_feed import bounce_drift, bounce_of, moves_of, session_drift
from pipelines.steps.drift import DriftRequest, drift_between

NAMES = ("a", "b", "c", "d")
ALPHA = 0.05


def remembering(generator: np.random.Generator, rows: int, columns: int, memory: float) -> np.ndarray:
    """Heavy-tailed columns that remember the row before, and share half of what happens."""
    shocks = generator.standard_t(4, (rows + 200, columns)) + generator.standard_t(4, (rows + 200, 1))
    for i in range(1, len(shocks)):
        shocks[i] = memory * shocks[i - 1] + shocks[i]
    return shocks[200:]


# Of 24, four at a rate of 5 % are an accident of one in forty; of 200, twenty one of five hundred. Seeds are fixed.
@pytest.mark.parametrize(
    ("memory", "runs", "most"),
    [
        (0.9, 24, 4),
        pytest.param(0.0, 200, 19, marks=pytest.mark.long),
        pytest.param(0.9, 200, 19, marks=pytest.mark.long),
    ],
)
def test_false_alarms_stay_within_the_stated_rate(memory, runs, most):
    alarms = np.zeros(3)
    for run in range(runs):
        generator = np.random.default_rng(run)
        rows = remembering(generator, 4000, len(NAMES), memory)
        earned = rows[:, 0]
        alarms[0] += any(
            r.p_value <= ALPHA / 2 for r in column_drift(rows[:2500], rows[2500:], NAMES, alpha=ALPHA, seed=run)
        )
        alarms[1] += edge_loss(earned[:2500], earned[2500:], name="x", alpha=ALPHA, seed=run).drifted
        moves = np.column_stack([rows[1:, 1] * rows[:-1, 1], rows[1:, 1] ** 2])
        alarms[2] += bounce_drift(moves[:2500], moves[2500:], alpha=ALPHA, seed=run).p_value <= ALPHA
    assert alarms.max() <= most, alarms


def test_naive_test_of_the_same_rows_cries_wolf():
    from scipy.stats import ks_2samp

    alarms = 0
    for run in range(20):
        rows = remembering(np.random.default_rng(run), 4000, 1, 0.9)[:, 0]
        alarms += ks_2samp(rows[:2500], rows[2500:]).pvalue <= ALPHA
    assert alarms >= 5


def test_one_column_that_moved_is_named_and_the_others_are_not():
    generator = np.random.default_rng(3)
    rows = remembering(generator, 6000, len(NAMES), 0.5)
    rows[4000:, 2] = 1.8 * rows[4000:, 2] + 1.0
    found = column_drift(rows[:4000], rows[4000:], NAMES, alpha=ALPHA, seed=1)
    assert {(r.column, r.test) for r in found if r.drifted} == {("c", "psi"), ("c", "ks")}


def test_certain_but_small_difference_is_no_alarm():
    generator = np.random.default_rng(4)
    rows = generator.normal(size=(200_000, 1))
    rows[100_000:] += 0.05
    found = column_drift(rows[:100_000], rows[100_000:], ("a",), alpha=ALPHA, seed=1)
    assert min(r.p_value for r in found) < 0.01
    assert not any(r.drifted for r in found)


def test_lost_edge_is_found_and_a_gain_is_not_a_loss():
    generator = np.random.default_rng(5)
    earned = generator.standard_t(3, 20_000) * 0.5
    earned[:10_000] += 0.2
    assert edge_loss(earned[:10_000], earned[10_000:], name="x", alpha=0.01, seed=1).drifted
    assert not edge_loss(earned[10_000:], earned[:10_000], name="x", alpha=0.01, seed=1).drifted


def test_session_is_held_against_how_sessions_differ():
    calm = [0.01, 0.08, -0.06, 0.0, 0.01]
    assert session_drift(calm, -0.30, alpha=0.01).drifted
    assert not session_drift(calm, -0.12, alpha=0.01).drifted
    wild = [0.3, -0.3, 0.2, -0.2, 0.1]
    assert not session_drift(wild, -0.40, alpha=0.01).drifted


def test_windows_too_short_are_refused_with_their_rows():
    with pytest.raises(UsageError, match="expected at least 480 rows in both windows, got 1000 and 100"):
        column_drift(np.zeros((1000, 1)), np.zeros((100, 1)), ("a",), alpha=ALPHA, seed=1)


def quotes(name: str, seed: int, flicker: float) -> Recording:
    generator = np.random.default_rng(seed)
    rows = 12_000
    events = np.zeros(rows, dtype=MARKET_EVENT)
    events["event_ns"] = np.cumsum(generator.integers(200_000_000, 800_000_000, rows))
    steps = generator.choice([-1, 0, 1], rows).cumsum()
    mid = 10_000 + steps + np.where(generator.random(rows) < flicker, generator.choice([-4, 4], rows), 0)
    events["bid_ticks"], events["ask_ticks"] = mid - 1, mid + 1
    events["bid_lots"] = events["ask_lots"] = 5
    return Recording(Instrument(symbol="V:S", tick_size="0.01", lot_size="1", currency="USD"), events, Path(name), {})


def test_feed_that_begins_to_flicker_is_found_by_windows_and_by_sessions():
    calm = [quotes(f"day{i}", i, 0.0) for i in range(5)]
    request = DriftRequest(reference="", source="", feature_set="quotes_v1")
    quiet = drift_between(calm[:4], calm[4:], request)
    assert not quiet.drifted, quiet.found
    loud = drift_between(calm[:4], [quotes("day9", 9, 0.3)], request)
    assert {"bounce", "session"} <= {r.test for r in loud.found}
    assert bounce_of(moves_of(calm[0])) > bounce_of(moves_of(quotes("x", 9, 0.3))) + 0.2


def test_other_instruments_are_not_compared():
    other = quotes("o", 1, 0.0)
    moved = Recording(
        Instrument(symbol="V:T", tick_size="0.01", lot_size="1", currency="USD"), other.events, Path("o"), {}
    )
    with pytest.raises(UsageError, match="one instrument, got"):
        drift_between([other], [moved], DriftRequest(reference="", source=""))


@pytest.mark.long
def test_real_venue_that_changes_is_found_on_both_days_and_the_other_stays_quiet(test_data):
    from market_data.reading import read_recordings

    folder = test_data / "fx-gold-ticks-201405"
    days = ["20140501", "20140505", "20140506", "20140507", "20140509"]
    found: dict[str, set[str]] = {}
    for venue in ("oanda_eurusd", "fxcm_eurusd"):
        moves = {
            day: moves_of(read_recordings(folder / venue / f"{day}_quote.zip")[0])
            for day in [*days, "20140502", "20140508"]
        }
        alarms = set()
        for day, one in moves.items():
            calm = [bounce_of(moves[other]) for other in days if other != day]
            if session_drift(calm, bounce_of(one), alpha=0.01).drifted:
                alarms.add(day)
        found[venue] = alarms
    assert found == {"oanda_eurusd": {"20140502", "20140508"}, "fxcm_eurusd": set()}
