"""What a decision rule would have earned on recorded decisions, and which threshold pays."""

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.metrics import Scores, signal

NEVER = 1.01
"""A threshold no difference of two probabilities reaches."""
NEVER_BPS = 1e6
"""A threshold no expected move reaches."""
NO_TRADE_NOTE = "no threshold paid its costs: this model does not trade"
MIN_TRADE_SHARE = 0.01
"""A threshold that trades less than once in a hundred decisions has too little evidence behind it."""
_QUANTILES = np.concatenate([np.linspace(0.0, 0.9, 19), np.linspace(0.91, 0.99, 9)])


def actions(scores: Scores, threshold: float) -> NDArray[np.int8]:
    """Return +1 buy, 0 nothing, -1 sell, shape (n,), as the live rule up_minus_down decides."""
    lead = signal(scores)
    return (lead > threshold).astype(np.int8) - (lead < -threshold).astype(np.int8)


def never(scores: Scores) -> float:
    """Return the threshold that no such score reaches."""
    return NEVER if scores.shape[1] == 3 else NEVER_BPS


def round_trip_bps(dataset: Dataset, taken: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return what each decision earned if it left at the touch: pnl_bps less half the spread then, and a second fee."""
    held = taken != 0
    return pnl_bps(dataset, taken) - np.where(held, dataset.exit_half_spread_bps + dataset.fee_bps, 0.0)


def strongest(scores: Scores, share: float) -> NDArray[np.int8]:
    """Return +1 or -1 for the `share` of the rows whose signal is largest in size, by its sign, else 0; shape (n,).

    A signal that is the same everywhere has no strongest rows.
    """
    lead = signal(scores)
    size = np.abs(lead)
    if not len(size) or size.max() - size.min() < 1e-12:
        return np.zeros(len(size), dtype=np.int8)
    return np.where(size >= np.quantile(size, 1 - share), np.sign(lead), 0).astype(np.int8)


def pnl_bps(dataset: Dataset, taken: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return what each decision earned in bps, shape (n,), net of half the spread and fees; 0 for no action."""
    return np.where(taken > 0, dataset.buy_pnl_bps, np.where(taken < 0, dataset.sell_pnl_bps, 0.0))


def max_drawdown_bps(earned: NDArray[np.float64]) -> float:
    """Return the deepest fall of the running sum below its highest point so far (start included), in bps."""
    running = np.concatenate([[0.0], np.cumsum(earned)])
    return float((np.maximum.accumulate(running) - running).max())


def carried_over(threshold: float, original: Scores, smaller: Scores) -> float:
    """Return the threshold at which `smaller` acts on as large a share of the same rows as `original` does.

    A compressed model says the same with a little less conviction; no label is looked at. A model that never trades
    goes on doing so.
    """
    if threshold >= never(original):
        return threshold
    share = float(np.mean(np.abs(signal(original)) <= threshold))
    return float(np.quantile(np.abs(signal(smaller)), share))


def choose_threshold(scores: Scores, dataset: Dataset) -> tuple[float, str | None]:
    """Return the threshold with the best net PnL per decision, and a note where none earns anything.

    Args:
        scores: out-of-fold (n, 3), or (n, 1) of expected moves: no row's model has seen it, or anything after it.
        dataset: the same n rows.

    Returns:
        A quantile of the signal's size that trades at least MIN_TRADE_SHARE of the rows; one that is never reached if
        no such one earns more than 0.
    """
    none = never(scores)
    best, best_pnl = none, 0.0
    for threshold in np.unique(np.quantile(np.abs(signal(scores)), _QUANTILES)):
        taken = actions(scores, float(threshold))
        earned = float(pnl_bps(dataset, taken).mean())
        if np.count_nonzero(taken) >= MIN_TRADE_SHARE * len(dataset) and earned > best_pnl:
            best, best_pnl = float(threshold), earned
    return best, None if best < none else NO_TRADE_NOTE
