"""Wealth of bets that may start at any time: what lets a guardrail see a version that turns bad late."""

from math import inf, log
from typing import Final

START_MASS: Final = 0.5
"""Prior mass of the bets made from the start."""


def restart_weight(block: int, horizon_blocks: int) -> float:
    """Return the prior mass of bets that start at `block` (from 1).

    0.45 is spread evenly over the horizon and 0.05 over all that follows, so with the half of the
    start the masses sum to at most 1 and Ville's inequality holds for any horizon.
    """
    if block <= horizon_blocks:
        return 0.45 / horizon_blocks
    return 0.05 * horizon_blocks / (block * (block + 1.0))


def evidence_of(wealth: float, error_rate: float) -> float:
    """Return log wealth over log threshold: 1 and above trips; NaN counts as tripped, so inf."""
    if wealth != wealth:
        return inf
    return log(wealth) / -log(error_rate) if wealth > 0.0 else -inf
