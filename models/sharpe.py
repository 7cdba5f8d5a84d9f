"""The Sharpe ratio of a rule, and what is left of it once one remembers how many rules were tried."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

_NORMAL: Final = NormalDist()
_EULER: Final = 0.5772156649015329
MAX_BUCKETS: Final = 250
MIN_BUCKETS: Final = 10
"""Fewer say nothing about a spread, let alone a skew."""


def bucket_ns(event_ns: NDArray[np.int64], horizon_ns: int) -> int:
    """Return how long the periods are over which earnings are summed: five horizons, at least a 250th of the span.

    Sums over several horizons depend on each other far less than decisions do, as the ratio's error supposes.
    """
    span = int(event_ns[-1] - event_ns[0]) if len(event_ns) else 0
    return max(5 * horizon_ns, -(-span // MAX_BUCKETS), 1)


def bucketed(event_ns: NDArray[np.int64], earned_bps: NDArray[np.float64], width_ns: int) -> NDArray[np.float64]:
    """Return the earnings (n,) summed over periods of `width_ns`; periods without a decision are left out."""
    if not len(event_ns):
        return np.zeros(0)
    periods = (event_ns - event_ns[0]) // width_ns
    starts = np.flatnonzero(np.diff(periods, prepend=-1))
    return np.add.reduceat(earned_bps, starts)


def sharpe_ratio(sums: NDArray[np.float64]) -> float | None:
    """Return mean over standard deviation, a period; None with too few periods or none that differs."""
    if len(sums) < MIN_BUCKETS:
        return None
    spread = float(sums.std(ddof=1))
    return float(sums.mean()) / spread if spread > 0 else None


def expected_best(trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of `trials` worthless rules reaches on average.

    Args:
        trials: rules tried, at least 1.
        variance: of the trials' Sharpe ratios.

    Source:
        Bailey & López de Prado (2014), Journal of Portfolio Management 40(5), eq. for SR_0.
    """
    if trials <= 1:
        return 0.0
    high, higher = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - _EULER) * high + _EULER * higher)


def deflated_sharpe(
    sums: NDArray[np.float64], *, trials: int, trial_sharpes: Sequence[float] = ()
) -> tuple[float | None, float]:
    """Return the probability that the true Sharpe ratio is above 0 once `trials` were made, and the bar it was held to.

    Args:
        sums: earnings a period, (t,), in time order.
        trials: configurations that were tried before this one was shown, at least 1.
        trial_sharpes: their ratios as far as they are known. What is taken as their variance is never less than that
            of a worthless rule's estimate, 1 / (t - 1): trials alike in what they lose must not lower the bar.

    Returns:
        None where the ratio cannot be measured. With one trial it is the probabilistic Sharpe ratio against 0.

    Source:
        Bailey & López de Prado (2014), The Deflated Sharpe Ratio; skew and kurtosis as in eq. (2).
    """
    ratio = sharpe_ratio(sums)
    periods = len(sums)
    floor = 1 / (periods - 1) if periods > 1 else 1.0
    seen = float(np.var(trial_sharpes, ddof=1)) if len(trial_sharpes) > 1 else 0.0
    bar = expected_best(trials, max(floor, seen))
    if ratio is None:
        return None, bar
    standard = (sums - sums.mean()) / sums.std()
    skew, kurtosis = float((standard**3).mean()), float((standard**4).mean())
    error = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    if not error > 0:
        return None, bar
    return _NORMAL.cdf((ratio - bar) * math.sqrt(periods - 1) / math.sqrt(error)), bar
