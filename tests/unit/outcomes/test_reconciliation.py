"""Paper against realised: an honest alarm that comes, and goes when they agree again."""

import numpy as np
import pytest

from data_contracts.policy import Reconciliation
from serving.outcomes.reconciliation import Comparison, reading

POLICY = Reconciliation(tolerance_bps=0.5, min_outcomes=200, error_rate=0.01)


def differences(random: np.random.Generator, count: int, mean: float) -> np.ndarray:
    """Heavy-tailed and autocorrelated, sd 1."""
    shocks = random.standard_t(3, count) / np.sqrt(3)
    out = np.empty(count)
    last = 0.0
    for place, shock in enumerate(shocks):
        last = out[place] = 0.3 * last + np.sqrt(1 - 0.09) * shock
    return out + mean


def first_alarm(values: np.ndarray) -> int | None:
    comparison = Comparison()
    for place, value in enumerate(values):
        if comparison.fold(float(value), place, POLICY):
            return place
    return None


def test_at_the_edge_of_the_tolerance_the_error_rate_holds() -> None:
    random = np.random.default_rng(5)
    alarms = sum(first_alarm(differences(random, 4000, 0.5)) is not None for _ in range(150))
    assert alarms <= 5  # 150 at 1 %: more than 5 has a chance of 0.4 %


@pytest.mark.parametrize("mean", [1.0, -1.0])
def test_a_difference_twice_the_tolerance_is_found_within_a_thousand(mean: float) -> None:
    random = np.random.default_rng(6)
    found = [first_alarm(differences(random, 4000, mean)) for _ in range(40)]
    assert None not in found
    assert np.median(found) < 1000  # type: ignore[arg-type]


def test_the_alarm_is_cleared_when_they_agree_again_and_can_come_back() -> None:
    random = np.random.default_rng(7)
    comparison, turns = Comparison(), []
    for start, mean in enumerate((0.0, 2.0, 0.0, -2.0)):
        for place, value in enumerate(differences(random, 3000, mean)):
            if comparison.fold(float(value), start * 3000 + place, POLICY):
                turns.append((start, comparison.raised))
    assert turns == [(1, True), (2, False), (3, True)]
    assert comparison.since_decision is not None
    assert comparison.since_decision > 9000
    assert comparison.matched == 12_000


def test_a_long_agreement_does_not_hide_a_new_difference() -> None:
    random = np.random.default_rng(8)
    values = np.concatenate([differences(random, 95_000, 0.0), differences(random, 12_000, 1.5)])
    found = first_alarm(values)
    assert found is not None
    assert found > 95_000


def test_a_value_that_is_no_number_does_not_pass_for_agreement() -> None:
    comparison = Comparison()
    for place in range(200):
        comparison.fold(float("nan"), place, POLICY)
    assert comparison.raised


def test_what_is_said_names_difference_interval_and_tolerance() -> None:
    comparison = Comparison()
    assert "too few outcomes to compare: 0" in reading("m", 1, comparison, POLICY).text
    for place in range(2 * 199):
        comparison.fold(1.0 + 0.01 * (place % 7), place, POLICY)
        if comparison.raised:
            break
    said = reading("m", 1, comparison, POLICY)
    assert (said.raised, said.since_decision, said.matched) == (True, 199, 200)
