"""How many outcomes share time with one outcome's horizon, from the decisions themselves."""

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil

LEAST = 200
"""Differences looked at before the overlap is frozen."""


def measure_overlap(times_ns: Sequence[int], horizon_ns: int) -> int:
    """Return how many later decisions fall within one horizon of a decision, on average, rounded up.

    The average is over decisions and not over time, so that bursts count for as much as they weigh.

    Args:
        times_ns: event time of decisions, in any order.
        horizon_ns: from decision to mark.
    """
    ordered = sorted(times_ns)
    last = ordered[-1]
    counts = [
        bisect_right(ordered, start + horizon_ns) - at - 1
        for at, start in enumerate(ordered)
        if start + horizon_ns <= last
    ]
    return max(1, ceil(sum(counts) / len(counts))) if counts else len(ordered)
