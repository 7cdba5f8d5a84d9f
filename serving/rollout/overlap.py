"""How many outcomes share time with one outcome's horizon, from the decisions themselves."""

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil, isfinite

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


class Opening:
    """Differences held until the overlap of their outcomes can be read off them."""

    def __init__(self) -> None:
        """Start with none."""
        self._held: list[tuple[int, float]] = []
        self._earliest, self._latest = 1 << 63, -(1 << 63)

    def __len__(self) -> int:
        return len(self._held)

    def add(self, event_ns: int, difference: float, horizon_ns: int) -> bool:
        """Hold one; return whether there are enough, over at least a horizon. NaN is enough at once."""
        self._held.append((event_ns, difference))
        self._earliest, self._latest = min(self._earliest, event_ns), max(self._latest, event_ns)
        enough = len(self._held) >= LEAST and self._latest - self._earliest >= horizon_ns
        return enough or not isfinite(difference)

    def overlap(self, horizon_ns: int) -> int:
        """Return how many outcomes overlap, by what is held."""
        return measure_overlap([at for at, _ in self._held], horizon_ns)

    def release(self) -> list[float]:
        """Return the differences in the order in which they came, and hold none."""
        held, self._held = self._held, []
        return [difference for _, difference in held]
