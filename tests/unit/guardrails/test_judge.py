"""The project's judge of guardrails, at the smallest size that does not fail by chance."""

import math

import pytest

from benchmarks.guardrails import Check, judge, upper_limit
from tests.support.cli import ringcraft


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_guardrails_meet_every_goal() -> None:
    missed = [check for check in judge(deployments=400, effects=60) if check.decides and not check.met]
    assert not missed


def test_figure_that_is_no_number_meets_no_goal() -> None:
    assert not Check("", math.nan, 5.0, "%").met


def test_upper_limit_of_none_in_a_hundred_is_where_none_is_seen_once_in_forty() -> None:
    assert upper_limit(0, 100) == pytest.approx(1 - 0.025 ** (1 / 100))
    assert upper_limit(23, 1000) == pytest.approx(0.0343, abs=1e-4)
    assert upper_limit(7, 7) == 1.0


def test_sizes_are_the_guardrails_alone() -> None:
    done = ringcraft("bench", "features", "--seed", "3")
    assert done.returncode == 2
    assert "--seed: goes with guardrails, got features" in done.stderr
