"""What one arm did and earned: counts, PnL, latency, and a curve thin enough to draw."""

from math import exp, log
from typing import Final

_RATIO: Final = log(1.08)
"""Latency buckets are 8 % wide: a quantile is right within 4 %."""
_CURVE_MAX: Final = 200


class ArmTally:
    """Running totals of one version within one rollout."""

    def __init__(self, version: int, arm: str) -> None:
        """Start at zero."""
        self.version, self.arm = version, arm
        self.decisions = self.trades = self.late = self.failed = 0
        self.pnl_bps = self.paper_pnl_bps = 0.0
        self.curve: list[tuple[int, float]] = []
        self._stride = self._since = 0
        self._buckets: dict[int, int] = {}
        self._answers = 0

    def acted(self, event_ns: int, action: int, pnl_bps: float) -> None:
        """Count a decision this arm took live, and what it earned."""
        self.decisions += 1
        self.trades += action != 0
        self.pnl_bps += pnl_bps
        self._since += 1
        if self._since > self._stride:
            self._since = 0
            self.curve.append((event_ns, self.pnl_bps))
            if len(self.curve) >= _CURVE_MAX:
                self.curve = self.curve[1::2]
                self._stride = 2 * self._stride + 1

    def answered(self, latency_ns: int, *, late: bool, failed: bool) -> None:
        """Count one answer, live or shadow."""
        self._answers += 1
        self.late += late
        self.failed += failed
        bucket = int(log(max(latency_ns, 1)) / _RATIO)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def latency_us(self, quantile: float) -> float | None:
        """Return the latency quantile in microseconds; None before the first answer."""
        wanted, seen = quantile * self._answers, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return exp((bucket + 0.5) * _RATIO) / 1000.0
        return None

    def latency_steps(self) -> list[tuple[float, float]]:
        """Return (microseconds, share of answers that took no longer), one for each bucket that holds any."""
        steps, seen = [], 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            steps.append((exp((bucket + 1) * _RATIO) / 1000.0, seen / self._answers))
        return steps
