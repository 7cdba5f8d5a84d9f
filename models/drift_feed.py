"""Whether a feed itself behaves otherwise: how much of a move of the mid is taken back by the next one.

The bounce is the lag-1 autocorrelation of mid moves, event by event. It asks nothing of a model and has no unit, so a
louder market alone does not change it; a venue that begins to flicker does.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.market_event import UNUSABLE
from data_contracts.recording import Recording
from models.drift import DriftResult, block_rows, draw_blocks, memory_rows

Floats = NDArray[np.float64]

MIN_BOUNCE: Final = 0.1
"""A smaller change of the autocorrelation is too small to act on."""
MIN_SESSIONS: Final = 4
"""Fewer do not tell how much one session differs from the next."""


def moves_of(recording: Recording) -> Floats:
    """Return (n, 2): each mid move times the one before, and its square, in ticks squared; usable events only."""
    events = recording.events[(recording.events["flags"] & UNUSABLE) == 0]
    moves = np.diff((events["bid_ticks"] + events["ask_ticks"]) / 2.0)
    return np.column_stack([moves[1:] * moves[:-1], moves[1:] ** 2])


def bounce_of(moves: Floats) -> float:
    """Return the autocorrelation of what moves_of gave; 0 where nothing moved."""
    product, square = moves.sum(axis=0)
    return float(product / square) if square > 0 else 0.0


def bounce_drift(reference: Floats, current: Floats, *, alpha: float, seed: int) -> DriftResult:
    """Return whether the bounce has changed between two windows, by permutation of blocks as in models.drift."""
    block = block_rows(len(reference), len(current), memory_rows(reference[:, :1], current[:, :1]))
    parts = [part[len(part) % block :].reshape(-1, block, 2).sum(axis=1) for part in (reference, current)]
    sums = np.concatenate(parts)
    before = draw_blocks(len(sums), len(parts[0]), seed) @ sums
    change = np.abs(_ratio(sums.sum(axis=0) - before) - _ratio(before))
    p_value = float(np.mean(change >= change[0] - 1e-12))
    drifted = bool(p_value <= alpha and change[0] >= MIN_BOUNCE)
    return DriftResult(
        column="bounce", test="bounce", value=float(change[0]), p_value=p_value, limit=MIN_BOUNCE, drifted=drifted
    )


def session_drift(
    reference: Sequence[float], current: float, *, alpha: float, name: str = "bounce", least: float = MIN_BOUNCE
) -> DriftResult:
    """Return whether one session differs from others by more than they differ from each other.

    Two-sided prediction interval for one further value, Student's t with k - 1 degrees: (x - mean) / (s sqrt(1 + 1/k)).
    Exact for sessions that are independent and about normal.

    Args:
        reference: one value of each of k sessions, at least MIN_SESSIONS.
        current: of the session asked about.
        alpha: chance of a false alarm.
        name: of what the values are.
        least: a smaller change is no drift, however certain.
    """
    from scipy.stats import t  # comes with scikit-learn

    values, k = np.asarray(reference, dtype=np.float64), len(reference)
    spread = float(values.std(ddof=1)) * math.sqrt(1 + 1 / k)
    change = abs(current - float(values.mean()))
    p_value = float(2 * t.sf(change / spread, k - 1)) if spread > 0 else float(change == 0)
    drifted = bool(p_value <= alpha and change >= least)
    return DriftResult(column=name, test="session", value=change, p_value=p_value, limit=least, drifted=drifted)


def _ratio(sums: Floats) -> Floats:
    ratio: Floats = np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] > 0)
    return ratio
