"""The PnL guard against the traps that honest-looking guards fall into; a few dozen seeds each."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.guardrails.pnl_guard import PnlGuard

EVENTS = 20_000
RUNS = 24


def guard(overlap: int = 1, **options: object) -> PnlGuard:
    return PnlGuard(error_rate=0.03, horizon=EVENTS, overlap=overlap, **options)


def tripped_at(watch: PnlGuard, values: np.ndarray) -> int | None:
    for at, value in enumerate(values.tolist(), 1):
        if watch.update(value):
            return at
    return None


def alarms(make, runs: int = RUNS, overlap: int = 1) -> int:
    return sum(tripped_at(guard(overlap), make(np.random.default_rng([91, seed]))) is not None for seed in range(runs))


def heavy(g: np.random.Generator, n: int = EVENTS) -> np.ndarray:
    return g.standard_t(3, n) / math.sqrt(3)


def test_version_that_loses_a_tenth_of_a_sd_is_taken_off_in_time() -> None:
    delays = [tripped_at(guard(), heavy(np.random.default_rng([5, s])) - 0.1) or EVENTS for s in range(RUNS)]
    assert np.median(delays) < 3000


def test_version_that_turns_bad_late_is_taken_off_soon_after() -> None:
    delays = []
    for seed in range(RUNS):
        values = heavy(np.random.default_rng([6, seed]))
        values[10_000:] -= 0.2
        at = tripped_at(guard(), values)
        assert at is None or at > 10_000
        delays.append((at or EVENTS) - 10_000)
    assert np.median(delays) < 2500


def test_equal_version_with_heavy_tails_is_kept() -> None:
    assert alarms(heavy) <= 3


def test_equal_version_with_rare_large_gains_is_kept() -> None:
    """Clipping at three standard deviations would take off every one of these."""

    def lottery(g: np.random.Generator) -> np.ndarray:
        wins = np.where(g.random(EVENTS) < 0.005, g.exponential(7.7, EVENTS), 0.0) - 0.005 * 7.7
        return g.standard_t(5, EVENTS) * 0.49 + wins

    assert alarms(lottery) <= 3


def test_equal_version_whose_volatility_grows_with_its_profit_is_kept() -> None:
    """A scale that follows PnL within 50 events would take off a third of these."""

    def leveraged(g: np.random.Generator) -> np.ndarray:
        out, v = np.empty(EVENTS), 1.0
        for t, z in enumerate(g.standard_normal(EVENTS).tolist()):
            out[t] = x = math.sqrt(v) * z
            v = 0.05 + 0.85 * v + 0.10 * max(x, 0.0) ** 2 * 2
        return out

    assert alarms(leveraged) <= 3


def test_equal_version_with_overlapping_outcomes_is_kept() -> None:
    """Blocks shorter than the overlap of 100 would take off half of these."""

    def overlapped(g: np.random.Generator) -> np.ndarray:
        return np.convolve(heavy(g, EVENTS + 99), np.full(100, 0.1), "valid")

    assert alarms(overlapped, overlap=100) <= 3


def test_equal_version_over_regimes_of_a_small_mean_is_kept() -> None:
    """Restarts without a margin would take off one in eleven."""

    def regimes(g: np.random.Generator) -> np.ndarray:
        return heavy(g) + np.where((np.arange(EVENTS) // 5000) % 2 == 0, 0.03, -0.03)

    assert alarms(regimes) <= 4


def test_equal_version_whose_differences_are_all_of_one_size_is_kept() -> None:
    """Block sums are then exactly 0 now and then, the first ones too: no scale to divide by."""
    assert alarms(lambda g: np.where(g.random(EVENTS) < 0.5, 1.0, -1.0)) <= 3


def test_equal_version_whose_dependence_outlasts_a_block_is_kept() -> None:
    """Neighbouring blocks alone, 1 + 2r, would take off one in four of these; an autoregression's tail does not."""

    def persistent(g: np.random.Generator) -> np.ndarray:
        out, last = np.empty(EVENTS), 0.0
        for t, shock in enumerate(heavy(g).tolist()):
            out[t] = last = 0.98 * last + shock
        return out

    assert alarms(persistent) <= 3


def test_version_that_loses_on_every_decision_is_taken_off_soon_after_the_warm_up() -> None:
    """A steady loss is no dependence between blocks: taken for one, it would be forgiven for as long again."""
    for loss in (1.0, 10.0):
        values = np.random.default_rng(2).standard_normal(EVENTS) - loss
        assert (tripped_at(guard(), values) or EVENTS) <= 720


@pytest.mark.parametrize("first", [-1e-120, -1e-99, 1e-99, 1e120])
def test_difference_too_small_to_measure_is_none_and_one_too_large_breaks_nothing(first: float) -> None:
    watch = guard()
    watch.update(first)
    for value in heavy(np.random.default_rng(3), 2000).tolist():
        watch.update(value)
    assert watch.events == 2000 + (abs(first) > 1e-100)


def test_margin_forgives_a_stretch_four_times_what_it_forgives_the_whole() -> None:
    """A drift between the two margins is found by bets from the start alone; one beyond both by either."""

    def evidence(drift: float) -> tuple[float, float]:
        watch = guard(margin_sd=0.2)
        for value in (np.random.default_rng(4).standard_normal(EVENTS) - drift).tolist():
            watch.update(value)
        return sum(watch.save()["from_start"]), sum(watch.save()["restarted"])

    from_start, restarted = evidence(0.12)
    assert from_start > 1 / 0.03 > 1 > restarted
    assert min(evidence(0.3)) > 1 / 0.03


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_difference_that_is_no_number_trips(bad: float) -> None:
    watch = guard()
    watch.update(1.0)
    assert watch.update(bad)
    assert watch.update(5.0)
    assert not watch.evidence < 1.0


def test_zero_differences_change_nothing() -> None:
    watch = guard()
    before = watch.save()
    for _ in range(1000):
        assert not watch.update(0.0)
    assert watch.save() == before


@given(at=st.integers(1, 3000), seed=st.integers(0, 50))
def test_saved_and_loaded_guard_goes_on_to_the_same_alarm(at: int, seed: int) -> None:
    values = (heavy(np.random.default_rng([8, seed]), 3000) - 0.3).tolist()
    straight, broken = guard(), guard()
    for value in values[:at]:
        straight.update(value)
        broken.update(value)
    broken = PnlGuard.load(json.loads(json.dumps(broken.save())))
    for value in values[at:]:
        assert straight.update(value) == broken.update(value)
    assert straight.save() == broken.save()


@given(scale=st.floats(1e-6, 1e6), seed=st.integers(0, 20))
def test_unit_of_pnl_does_not_matter(scale: float, seed: int) -> None:
    values = heavy(np.random.default_rng([9, seed]), 2000) - 0.3
    assert tripped_at(guard(), values) == tripped_at(guard(), values * scale)
