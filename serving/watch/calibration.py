"""Calibration: what comes of the version's outputs, as the slope of what was realised on what was predicted.

A model that predicts bps is held against the mid's move in bps, one that predicts probabilities against its
direction: P(up) - P(down) is the direction's mean where the model is right. (Where "up" means beyond a threshold
that the journal does not know, small moves point the same way and only make the slope steeper.) The slope is at least
b where the mean of s(y - bs) is not below nothing, s predicted and y realised: the PnL guard's e-process tests that,
whatever the tails, and stays honest however often one looks. Outputs of other kinds cannot be judged.
"""

from math import isfinite
from typing import Any, ClassVar, Final

from data_contracts.watch_policy import CalibrationWatch as CalibrationPolicy
from serving.guardrails.pnl_guard import PnlGuard
from serving.rollout.overlap import LEAST, measure_overlap
from serving.watch.alarm import Watch

HORIZON: Final = 100_000
PROBABILITIES, EXPECTED_BPS = 3, 1
"""How many outputs a model of each kind gives."""


class Slope:
    """Slope through the origin, of late."""

    __slots__ = ("count", "products", "squares")

    def __init__(self) -> None:
        self.count, self.products, self.squares = 0, 0.0, 0.0

    def add(self, predicted: float, realised: float, decay: float) -> None:
        """Fold one pair; older ones weigh less by `decay` each time."""
        self.count += 1
        self.products += predicted * realised - decay * self.products
        self.squares += predicted * predicted - decay * self.squares

    @property
    def value(self) -> float | None:
        """The slope; None before the first prediction that is not 0."""
        return self.products / self.squares if self.squares > 0.0 else None


class CalibrationWatch(Watch):
    """Holds the version's outputs against what came."""

    name: ClassVar[str] = "calibration"

    def __init__(self, policy: CalibrationPolicy) -> None:
        """Start with nothing seen."""
        super().__init__(policy.action)
        self._policy = policy
        self._decay = 0.693 / policy.window_decisions
        self._test: PnlGuard | None = None
        self._overlap = 0
        self._held: list[tuple[int, float]] = []
        """Until the overlap of outcomes can be read off them: event time, and what the test will fold."""
        self._mine, self._other = Slope(), Slope()
        self._outputs = 0
        """How many the version gives."""
        self._since = 0

    def fold(
        self, event_ns: int, horizon_ns: int, move_bps: float, mine: tuple[float, int], other: tuple[float, int] | None
    ) -> None:
        """Fold one decision whose mark-out could be taken.

        Args:
            event_ns: of the decision.
            horizon_ns: from decision to mark.
            move_bps: of the mid.
            mine: score and number of outputs of the version that is judged.
            other: of the one it is held against; None where it gave none.
        """
        score, self._outputs = mine
        realised = realised_by(self._outputs, move_bps)
        if realised is None or not isfinite(score):
            return
        self._mine.add(score, realised, self._decay)
        self._since += 1
        if other is not None and isfinite(other[0]):
            beside = realised_by(other[1], move_bps)
            if beside is not None:
                self._other.add(other[0], beside, self._decay)
        self._bet(event_ns, horizon_ns, score * (realised - self._policy.slope_min * score))

    def _bet(self, event_ns: int, horizon_ns: int, gained: float) -> None:
        if self._test is not None:
            self._test.update(gained)
        elif gained:
            self._held.append((event_ns, gained))
            times = [at for at, _ in self._held] if len(self._held) >= LEAST else []
            if times and max(times) - min(times) >= horizon_ns:
                self._overlap = measure_overlap(times, horizon_ns)
                self.rearm()
                held, self._held = self._held, []
                for _, one in held:
                    self._bet(event_ns, horizon_ns, one)

    def exceeded(self) -> bool:
        """Whether the slope is below its limit."""
        return self._test is not None and self._test.tripped

    def recovered(self) -> bool:
        """Whether of late the slope is half as much again as its limit, and above nothing."""
        slope = self._mine.value
        wanted = max(1.5 * self._policy.slope_min, self._policy.slope_min + 0.05)
        return slope is not None and self._since >= self._policy.window_decisions and slope >= wanted

    def settle(self, decision: int) -> bool | None:
        """As every watch; decisions are counted from the alarm on."""
        changed = super().settle(decision)
        if changed:
            self._since = 0
        return changed

    def rearm(self) -> None:
        """Begin a new test."""
        self._test = PnlGuard(error_rate=self._policy.error_rate, horizon=HORIZON, overlap=self._overlap)

    def value(self) -> float | None:
        """Return the version's slope, of late."""
        return self._mine.value

    def limit(self) -> float | None:
        """Return the least that is asked for."""
        return self._policy.slope_min

    def text(self) -> str:
        """Say the slopes of both, and what of."""
        if not self._mine.count:
            if self._outputs not in (0, PROBABILITIES, EXPECTED_BPS):
                return f"not known: of {self._outputs} outputs nobody says what they predict"
            return "no mark-out of an answer yet"
        what = "direction" if self._outputs == PROBABILITIES else "bps"
        beside = "" if self._other.value is None else f"; the other's slope {self._other.value:.2f}"
        return (
            f"realised on predicted {what}: slope {self._mine.value or 0.0:.2f} over its newest answers, "
            f"1 keeps what it promises, limit {self._policy.slope_min:g}{beside}"
        )

    def save(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "raised_at": self.raised_at,
            "test": self._test.save() if self._test is not None else None,
            "overlap": self._overlap,
            "held": [list(one) for one in self._held],
            "slopes": [[slope.count, slope.products, slope.squares] for slope in (self._mine, self._other)],
            "outputs": self._outputs,
            "since": self._since,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up where `save` left off."""
        self.raised_at, self._overlap = state["raised_at"], state["overlap"]
        self._test = PnlGuard.load(state["test"]) if state["test"] is not None else None
        self._held = [(at, gained) for at, gained in state["held"]]
        for slope, saved in zip((self._mine, self._other), state["slopes"], strict=True):
            slope.count, slope.products, slope.squares = saved
        self._outputs, self._since = state["outputs"], state["since"]


def realised_by(outputs: int, move_bps: float) -> float | None:
    """Return what a model with so many outputs predicted the mean of; None where nobody knows."""
    if outputs == EXPECTED_BPS:
        return move_bps
    if outputs == PROBABILITIES:
        return float((move_bps > 0.0) - (move_bps < 0.0))
    return None
