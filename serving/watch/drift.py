"""Prediction drift: the version's outputs now against those of the rollout's beginning.

The population stability index over tenths of the reference, window by window. Under no drift it is about chi-squared
times (1/n + 1/m) (Yurdakul & Naranjo 2020, "Statistical properties of the population stability index", Journal of
Risk Model Validation 14(4)); n and m are divided by how many decisions one output persists for, as the reference
shows it. The limit is the larger of the policy's and of what chance reaches in so many windows.
"""

from bisect import bisect_left, bisect_right
from math import log
from statistics import NormalDist
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.watch_policy import DriftWatch as DriftPolicy
from serving.watch.alarm import Watch
from serving.watch.ranks import mean_ranks

BINS: Final = 10
BATCHES: Final = (20, 10)
WINDOWS: Final = 200
"""That the error rate is spread over: a hundred thousand decisions by windows of five hundred."""
IN_A_ROW: Final = 2
_CLEAR: Final = 0.6


class DriftWatch(Watch):
    """Compares windows of outputs with the first one."""

    name: ClassVar[str] = "drift"

    def __init__(self, policy: DriftPolicy) -> None:
        """Start with nothing seen."""
        super().__init__(policy.action)
        self._policy = policy
        self._first: list[float] = []
        self._edges: list[float] = []
        self._expected: list[float] = []
        self._counts: list[int] = []
        self._in_window = 0
        self._persistence = 1.0
        self._limit = policy.psi_max
        self._psi: float | None = None
        self._beyond = 0
        """Windows in a row beyond the limit."""

    def fold(self, score: float) -> None:
        """Fold one output of the version, a finite number."""
        if not self._expected:
            self._first.append(score)
            if len(self._first) >= self._policy.reference_decisions:
                self._learn()
            return
        # Twice the place, plus one where it sits on an edge: outputs of few values fall on edges, not between.
        self._counts[bisect_left(self._edges, score) + bisect_right(self._edges, score)] += 1
        self._in_window += 1
        if self._in_window >= self._policy.window_decisions:
            self._close()

    def _learn(self) -> None:
        values = np.array(self._first)
        self._first = []
        self._edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS)).tolist()
        places = np.searchsorted(self._edges, values, "left") + np.searchsorted(self._edges, values, "right")
        self._expected = np.bincount(places, minlength=2 * len(self._edges) + 1).astype(float).tolist()
        self._persistence = persistence(values)
        self._counts = [0] * len(self._expected)
        used = sum(count > 0 for count in self._expected)
        n, m = self._policy.reference_decisions, self._policy.window_decisions
        chance = _chi_squared(max(1, used - 1), (self._policy.error_rate / WINDOWS) ** (1.0 / IN_A_ROW))
        self._limit = max(self._policy.psi_max, chance * self._persistence * (1.0 / n + 1.0 / m))

    def _close(self) -> None:
        self._psi = stability_index(self._expected, self._counts)
        self._beyond = 0 if self._psi < self._limit else self._beyond + 1
        self._counts, self._in_window = [0] * len(self._expected), 0

    def exceeded(self) -> bool:
        """Whether the last windows are beyond the limit, one after the other: a passing burst is no drift."""
        return self._beyond >= IN_A_ROW

    def recovered(self) -> bool:
        """Whether the last whole window is well below the limit again."""
        return self._psi is not None and self._psi <= _CLEAR * self._limit

    def rearm(self) -> None:
        """Go on against the same reference."""

    def value(self) -> float | None:
        """Return the index of the last whole window."""
        return self._psi

    def limit(self) -> float | None:
        """Return the limit, as wide as the outputs' persistence asks for."""
        return self._limit

    def text(self) -> str:
        """Say the index and what it is held against."""
        if not self._expected:
            return f"{len(self._first):,} of {self._policy.reference_decisions:,} outputs for reference"
        if self._psi is None:
            return f"{self._in_window:,} of {self._policy.window_decisions:,} outputs of the first window"
        return (
            f"outputs of the last {self._policy.window_decisions:,} answers against the rollout's first "
            f"{self._policy.reference_decisions:,}: stability index {self._psi:.2f}, limit {self._limit:.2f}"
        )

    def save(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "raised_at": self.raised_at,
            "first": list(self._first),
            "edges": list(self._edges),
            "expected": list(self._expected),
            "counts": list(self._counts),
            "in_window": self._in_window,
            "persistence": self._persistence,
            "limit": self._limit,
            "psi": self._psi,
            "beyond": self._beyond,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up where `save` left off."""
        self.raised_at, self._first, self._edges = state["raised_at"], list(state["first"]), list(state["edges"])
        self._expected, self._counts = list(state["expected"]), list(state["counts"])
        self._in_window, self._persistence = state["in_window"], state["persistence"]
        self._limit, self._psi, self._beyond = state["limit"], state["psi"], state["beyond"]


def stability_index(expected: list[float], counted: list[int]) -> float:
    """Return the population stability index of two histograms; half a count keeps an empty bin finite."""
    used = [(e + 0.5, c + 0.5) for e, c in zip(expected, counted, strict=True) if e or c]
    n, m = sum(e for e, _ in used), sum(c for _, c in used)
    return sum((c / m - e / n) * log((c / m) / (e / n)) for e, c in used)


def persistence(values: NDArray[np.float64]) -> float:
    """Return how many values one independent value is worth, by the means of batches, of level or of size."""
    ranks = mean_ranks(values) - (len(values) + 1) / 2.0
    return max(1.0, *(_inflation(series, batches) for series in (ranks, np.abs(ranks)) for batches in BATCHES))


def _inflation(series: NDArray[np.float64], batches: int) -> float:
    size = len(series) // batches
    means = series[: size * batches].reshape(batches, size).mean(axis=1)
    variance = float(series.var())
    return size * float(means.var(ddof=1)) / variance if variance > 0.0 else 1.0


def _chi_squared(degrees: int, beyond: float) -> float:
    """Return the quantile that chi-squared exceeds with chance `beyond` (Wilson & Hilferty 1931)."""
    z = NormalDist().inv_cdf(1.0 - beyond)
    spread = 2.0 / (9.0 * degrees)
    return float(degrees * (1.0 - spread + z * spread**0.5) ** 3)
