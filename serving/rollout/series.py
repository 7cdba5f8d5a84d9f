"""How a rollout's evidence and PnL went, decision by decision, thin enough to keep and to draw."""

from typing import Final, NamedTuple

POINTS_MAX: Final = 512


class Point(NamedTuple):
    """One decision of a rollout, once folded."""

    folded: int
    """Decisions judged so far, this one included."""
    decision: int
    event_ns: int
    evidence: tuple[float, ...]
    """Of each guardrail and of the promotion test, in the order of `NAMES`: log e-value over log threshold."""
    judged_bps: float
    """PnL of the version that is judged, on paper: as if it had taken every decision."""
    control_bps: float


NAMES: Final = ("pnl", "latency", "errors", "promotion")


class Series:
    """At most POINTS_MAX points, evenly spread over all of them: every second is left out whenever it is full.

    What is kept depends on nothing but how many were offered, so that live, restarted and offline folds agree.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.points: list[Point] = []
        self._stride = 1
        self._offered = 0

    def due(self) -> bool:
        """Count one decision; return whether its point is to be added."""
        self._offered += 1
        return self._offered % self._stride == 0

    def add(self, point: Point) -> None:
        """Keep the point of a decision that is due."""
        self.points.append(point)
        if len(self.points) >= POINTS_MAX:
            self.points = self.points[1::2]
            self._stride *= 2

    def close(self, point: Point) -> None:
        """Keep the last point of all, due or not."""
        if not self.points or self.points[-1].folded != point.folded:
            self.points.append(point)
