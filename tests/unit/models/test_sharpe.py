import math

import numpy as np
import pytest

from models.sharpe import bucketed, deflated_sharpe, expected_best, sharpe_ratio


def test_paper_example_of_a_hundred_trials():
    # Bailey & López de Prado 2014, numerical example: annual SR 2.5, 100 trials with variance 0.5 a year, five years of
    # days, skew -3, kurtosis 10: SR_0 = 0.1132 a day, deflated Sharpe ratio 0.9004.
    assert expected_best(100, 0.5 / 250) == pytest.approx(0.1132, abs=1e-4)


def test_deflated_ratio_is_the_papers_formula_with_the_samples_own_moments():
    generator = np.random.default_rng(1)
    sums = generator.gamma(2.0, size=400) - 1.7
    ratio = sums.mean() / sums.std(ddof=1)
    standard = (sums - sums.mean()) / sums.std()
    error = 1 - (standard**3).mean() * ratio + ((standard**4).mean() - 1) / 4 * ratio**2
    bar = expected_best(20, 0.01)
    trials = 0.1 * np.sqrt(19 / 20) * np.array([1, -1] * 10)  # variance 0.01
    said, held_to = deflated_sharpe(sums, trials=20, trial_sharpes=trials)
    assert held_to == pytest.approx(bar)
    assert said == pytest.approx(0.5 * (1 + math.erf((ratio - bar) * math.sqrt(399 / error) / math.sqrt(2))))


def test_best_of_many_worthless_rules_is_not_believed():
    generator = np.random.default_rng(0)
    believed = plainly = 0
    for _ in range(60):
        tried = generator.normal(size=(50, 200))
        best = tried[np.argmax(tried.mean(axis=1) / tried.std(axis=1))]
        sharpes = [sharpe_ratio(each) for each in tried]
        plainly += deflated_sharpe(best, trials=1)[0] > 0.95
        believed += deflated_sharpe(best, trials=50, trial_sharpes=sharpes)[0] > 0.95
    assert plainly > 50  # the best of fifty looks like a discovery nearly every time
    assert believed <= 6  # and is one in one case of twenty at most, give or take


def test_real_edge_survives_a_few_trials():
    sums = np.random.default_rng(2).normal(0.3, 1.0, size=250)
    assert deflated_sharpe(sums, trials=10)[0] > 0.95


def test_identical_trials_do_not_lower_the_bar():
    sums = np.random.default_rng(2).normal(0.1, 1.0, size=250)
    assert deflated_sharpe(sums, trials=10, trial_sharpes=[0.1] * 10)[1] > 0


@pytest.mark.parametrize("sums", [np.zeros(0), np.ones(5), np.zeros(100)])
def test_no_ratio_without_enough_periods_that_differ(sums):
    assert deflated_sharpe(sums, trials=3)[0] is None


def test_periods_are_cut_by_time_and_empty_ones_left_out():
    event_ns = np.array([0, 4, 10, 11, 35])
    assert bucketed(event_ns, np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 10).tolist() == [3.0, 7.0, 5.0]
    assert bucketed(event_ns[:0], np.zeros(0), 10).tolist() == []
