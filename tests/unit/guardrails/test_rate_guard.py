import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.guardrails.mixture import restart_weight
from serving.guardrails.rate_guard import RATIOS, START_SHARES, RateGuard


def tripped_at(watch: RateGuard, values: np.ndarray) -> int | None:
    for at, value in enumerate(values.astype(int).tolist(), 1):
        if watch.update(value):
            return at
    return None


def test_rate_at_budget_is_kept() -> None:
    runs = [
        tripped_at(RateGuard(0.01, 0.01, 20_000), np.random.default_rng(s).random(20_000) < 0.01) for s in range(40)
    ]
    assert sum(at is not None for at in runs) <= 2


def test_one_in_twenty_late_is_taken_off_within_three_hundred_answers() -> None:
    runs = [
        tripped_at(RateGuard(0.01, 0.01, 20_000), np.random.default_rng(s).random(20_000) < 0.05) for s in range(40)
    ]
    assert np.median([at or 20_000 for at in runs]) < 300


def test_bursts_at_budget_are_kept_by_blocks_of_ten_bursts() -> None:
    """Answer by answer, stalls of twenty would take off every version."""

    def stalls(g: np.random.Generator) -> np.ndarray:
        late = np.zeros(20_000, bool)
        for start in np.flatnonzero(g.random(20_000) < 0.0005):
            late[start : start + 20] = True
        return late

    kept = [tripped_at(RateGuard(0.0105, 0.01, 20_000, 20), stalls(np.random.default_rng(s))) for s in range(40)]
    assert sum(at is not None for at in kept) <= 2
    naive = [tripped_at(RateGuard(0.0105, 0.01, 20_000, 1), stalls(np.random.default_rng(s))) for s in range(40)]
    assert sum(at is not None for at in naive) >= 35


@pytest.mark.parametrize("burst", [1, 3])
def test_answer_that_is_no_number_trips_by_the_end_of_its_block(burst: int) -> None:
    watch = RateGuard(0.01, 0.01, 1000, burst)
    watch.update(math.nan)
    assert any(watch.update(0) for _ in range(watch.block)) or watch.tripped
    assert not watch.evidence < 1.0


@given(at=st.integers(0, 400), seed=st.integers(0, 50), burst=st.sampled_from([1, 2]))
def test_saved_and_loaded_guard_goes_on_to_the_same_alarm(at: int, seed: int, burst: int) -> None:
    values = (np.random.default_rng(seed).random(400) < 0.03).astype(int).tolist()
    straight, broken = (RateGuard(0.01, 0.01, 1000, burst) for _ in range(2))
    for value in values[:at]:
        straight.update(value)
        broken.update(value)
    broken = RateGuard.load(json.loads(json.dumps(broken.save())))
    for value in values[at:]:
        assert straight.update(value) == broken.update(value)
    assert straight.save() == broken.save()


def answer_by_answer(p0: float, error_rate: float, horizon: int, values: list[int]) -> tuple[int | None, float]:
    """The guard's e-process written plainly: where it first trips, and the e-value at the end."""
    bets = [min((ratio - 1.0) / (1.0 - p0), 0.95 / p0) for ratio in RATIOS]
    wealth, tripped = [0.5 * share for share in START_SHARES], None
    for at, late in enumerate(values, 1):
        prior = restart_weight(at, horizon) / len(bets)
        wealth = [(held + prior) * (1.0 + bet * (late - p0)) for held, bet in zip(wealth, bets, strict=True)]
        if tripped is None and sum(wealth) >= 1.0 / error_rate:
            tripped = at
    return tripped, sum(wealth)


@given(
    seed=st.integers(0, 10_000),
    p0=st.sampled_from([0.001, 0.01, 0.2]),
    times=st.sampled_from([0.0, 1.0, 1.5, 5.0]),
    horizon=st.sampled_from([1, 100, 350, 5000]),
)
def test_answers_folded_together_weigh_what_they_weigh_one_by_one(
    seed: int, p0: float, times: float, horizon: int
) -> None:
    values = (np.random.default_rng(seed).random(400) < min(1.0, p0 * times)).astype(int).tolist()
    watch = RateGuard(p0, 0.01, horizon)
    tripped, e_value = answer_by_answer(p0, 0.01, horizon, values)
    assert tripped_at(RateGuard(p0, 0.01, horizon), np.array(values)) == tripped
    for value in values:
        watch.update(value)
    assert watch.e_value == pytest.approx(e_value, rel=1e-9)
    assert watch.tripped == (tripped is not None)
