"""The rate guard: takes a version off when more than a budgeted share of its answers is late, or fails."""

from typing import Any, Final, Self

from serving.guardrails.mixture import START_MASS, evidence_of, restart_weight

RATIOS: Final = (1.3, 2.0, 4.0, 10.0, 40.0)
"""Rates bet on, as multiples of the budget."""
START_SHARES: Final = (0.10, 0.25, 0.35, 0.20, 0.10)
"""Of the mass of the bets made from the start: most where two to five times the budget is found soonest."""


class RateGuard:
    """Watches yes/no events whose rate must not exceed a budget.

    Each block multiplies a bet by 1 + lambda (f - p0), f the block's share of events: an e-value whenever the
    expected share is at most p0, whatever the dependence inside the block.

    Where a block is one answer, those within the limit are only counted, and folded together when an answer breaks
    it: a run of them multiplies a bet by a power and adds to it a geometric series. They lose wealth, but for what a
    restart adds, so it is on an answer that breaks the limit that the guard trips.
    """

    def __init__(self, p0: float, error_rate: float, horizon: int, burst: int = 1) -> None:
        """Start with nothing seen.

        Args:
            p0: budgeted rate, in (0, 1).
            error_rate: chance of ever tripping while the rate is within budget.
            horizon: answers over which detection is tuned.
            burst: answers that one cause hits together; 1: isolated ones. Blocks are ten bursts long.
        """
        self.p0, self.error_rate, self.burst = p0, error_rate, burst
        self.block = 1 if burst <= 1 else 10 * burst
        self.horizon_blocks = max(1, horizon // self.block)
        cap = (0.95 if self.block == 1 else 0.4) / p0
        bets = [min((ratio - 1.0) / (1.0 - p0), cap) for ratio in RATIOS]
        # A single answer is an event or is not: both growths are known beforehand.
        self._bets = bets
        self._no = [1.0 - bet * p0 for bet in bets]
        self._wealth = [START_MASS * share for share in START_SHARES]
        self._threshold = 1.0 / error_rate
        self._judged = self._in_block = self._quiet = 0
        self._counted_until = self.horizon_blocks if self.block == 1 else 0
        self._hits = 0.0
        self.events = 0
        self.exceeded = 0
        self.tripped = False

    def update(self, exceeded: float) -> bool:
        """Fold one answer: 1 if it broke the limit, 0 if not. Return whether the guard has tripped. NaN trips."""
        self.events += 1
        if not exceeded and self._judged < self._counted_until:
            self._judged += 1
            self._quiet += 1
            return self.tripped
        self._in_block += 1
        if exceeded:
            self._hits += exceeded
            self.exceeded += 1
        if self._in_block >= self.block:
            self._bet()
        return self.tripped

    def _bet(self) -> None:
        share, self._hits, self._in_block = self._hits / self.block, 0.0, 0
        wealth, self._quiet = self._settled(), 0
        self._judged += 1
        prior = restart_weight(self._judged, self.horizon_blocks) / len(RATIOS)
        self._wealth = [
            (held + prior) * (no + bet * share) for held, no, bet in zip(wealth, self._no, self._bets, strict=True)
        ]
        if not sum(self._wealth) < self._threshold:  # NaN trips
            self.tripped = True

    def _settled(self) -> list[float]:
        """Return the wealth with the answers that were only counted."""
        run = self._quiet
        if not run:
            return self._wealth
        prior = restart_weight(1, self.horizon_blocks) / len(RATIOS)
        return [
            held * no**run + prior * no * (1.0 - no**run) / (bet * self.p0)
            for held, no, bet in zip(self._wealth, self._no, self._bets, strict=True)
        ]

    @property
    def e_value(self) -> float:
        """Evidence against "within budget"; the guard trips at 1 / error_rate."""
        return sum(self._settled())

    @property
    def evidence(self) -> float:
        """Log e-value over log threshold: 1 trips."""
        return evidence_of(self.e_value, self.error_rate)

    def save(self) -> dict[str, Any]:
        """Return the whole state as JSON can hold it."""
        return {
            "p0": self.p0,
            "error_rate": self.error_rate,
            "burst": self.burst,
            "horizon_blocks": self.horizon_blocks,
            "wealth": list(self._wealth),
            "counts": [self._judged, self._quiet, self._in_block, self.events, self.exceeded],
            "hits": self._hits,
            "tripped": self.tripped,
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Self:
        """Return the guard that `save` described; going on gives the same alarms."""
        guard = cls(state["p0"], state["error_rate"], 1, state["burst"])
        guard.horizon_blocks = state["horizon_blocks"]
        guard._counted_until = guard.horizon_blocks if guard.block == 1 else 0
        guard._wealth = list(state["wealth"])
        guard._judged, guard._quiet, guard._in_block, guard.events, guard.exceeded = state["counts"]
        guard._hits, guard.tripped = state["hits"], state["tripped"]
        return guard
