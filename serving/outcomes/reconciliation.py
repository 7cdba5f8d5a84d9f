"""Paper against realised: whether what the trading system earns is what the mark-outs say, version by version.

Over decisions that have both, realised minus paper is averaged in blocks of 20 (neighbours share a market), and the
blocks' mean is given an interval that holds however often one looks: the asymptotic confidence sequence of
Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 52 (2024), eq. (2).
"""

from math import inf, log, sqrt
from typing import Final

from msgspec import Struct

from data_contracts.policy import Reconciliation

BLOCK: Final = 20
WINDOW_BLOCKS: Final = 500
"""After so many blocks the evidence begins anew, so that a long agreement does not hide a new difference; the error
rate is that of one window."""
_TUNED_BLOCKS: Final = 50
"""Where the interval is tuned to be narrowest."""


class Reading(Struct, frozen=True, kw_only=True):
    """How paper and realised stand."""

    model: str
    version: int
    matched: int
    """Decisions with both, in all."""
    mean_bps: float | None
    """Realised minus paper a decision, in the present window; None before its first block."""
    low_bps: float | None
    high_bps: float | None
    """The mean's interval; None while it has no end."""
    tolerance_bps: float
    raised: bool
    since_decision: int | None
    """Decision whose outcome raised the alarm."""

    @property
    def text(self) -> str:
        """Say it to a person."""
        if self.mean_bps is None or self.low_bps is None or self.high_bps is None:
            since = "since the alarm" if self.raised else "to compare"
            return f"too few outcomes {since}: {self.matched} decisions with both in all"
        interval = f"{self.low_bps:+.3g} to {self.high_bps:+.3g}"
        return (
            f"realised is {self.mean_bps:+.3g} bps a decision from paper ({interval}), "
            f"tolerance {self.tolerance_bps:g} bps, over {self.matched} decisions with both"
        )


class Turn(Struct, frozen=True, kw_only=True):
    """An alarm that was raised or cleared."""

    decision: int
    """That raised or cleared it: what says, read again after a restart, that it is the same turn."""
    reading: Reading


class Comparison(Struct):
    """The evidence on one version."""

    matched: int = 0
    blocks: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared deviations of the blocks' means (Welford)."""
    in_block: int = 0
    block_sum: float = 0.0
    raised: bool = False
    since_decision: int | None = None
    over: bool = False
    """The window has ended and the next block begins another; until then it can be read."""

    def fold(self, difference_bps: float, decision_id: int, policy: Reconciliation) -> bool:
        """Take realised minus paper of one decision; return whether the alarm was raised or cleared by it."""
        self.matched += 1
        self.block_sum += difference_bps
        self.in_block += 1
        if self.in_block < BLOCK:
            return False
        self._close_block()
        if self.blocks * BLOCK < policy.min_outcomes:
            return False
        low, high = self.interval(policy.error_rate)
        if not self.raised:
            agree = low <= policy.tolerance_bps and high >= -policy.tolerance_bps  # NaN does not agree
            if agree:
                if self.blocks >= WINDOW_BLOCKS:
                    self.over = True
                return False
            self.raised, self.since_decision = True, decision_id
        elif abs(self.mean) <= policy.tolerance_bps:
            self.raised, self.since_decision = False, None
        else:
            if self.blocks * BLOCK >= 2 * policy.min_outcomes:
                self.over = True  # the latest outcomes say whether they agree again
            return False
        self.over = True
        return True

    def interval(self, error_rate: float) -> tuple[float, float]:
        """Return where the mean difference lies, in bps."""
        if self.blocks < 2:
            return -inf, inf
        steepness = (-2.0 * log(error_rate) + log(1.0 - 2.0 * log(error_rate))) / _TUNED_BLOCKS
        t, scaled = self.blocks, self.blocks * steepness + 1.0
        deviation = sqrt(self.squares / (t - 1))
        margin = deviation * sqrt(2.0 * scaled / (t * t * steepness) * log(sqrt(scaled) / error_rate))
        return self.mean - margin, self.mean + margin

    def _close_block(self) -> None:
        if self.over:
            self.blocks, self.mean, self.squares, self.over = 0, 0.0, 0.0, False
        value = self.block_sum / self.in_block
        self.blocks += 1
        step = value - self.mean
        self.mean += step / self.blocks
        self.squares += step * (value - self.mean)
        self.in_block, self.block_sum = 0, 0.0


def reading(model: str, version: int, comparison: Comparison, policy: Reconciliation) -> Reading:
    """Return the comparison as it stands."""
    low, high = comparison.interval(policy.error_rate)
    known = comparison.blocks >= 2
    return Reading(
        model=model,
        version=version,
        matched=comparison.matched,
        mean_bps=comparison.mean if comparison.blocks else None,
        low_bps=low if known else None,
        high_bps=high if known else None,
        tolerance_bps=policy.tolerance_bps,
        raised=comparison.raised,
        since_decision=comparison.since_decision,
    )
