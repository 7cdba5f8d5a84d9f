"""A feature that knows the answer is not a discovery."""

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import ModelError

LIMIT = 0.9
"""Real order-flow features correlate 0.2 at best with the next tick; 0.9 is the future itself."""


def single_feature_ics(features: NDArray[np.float32], mid_move_bps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the information coefficient of each feature alone with the label, shape (d,).

    The larger in size of Pearson's and of Spearman's correlation, so that a monotone disguise does not help;
    0 where a feature or the label is constant.
    """
    plain = _correlations(features.astype(np.float64), mid_move_bps)
    ranks = _correlations(np.apply_along_axis(_ranks, 0, features), _ranks(mid_move_bps))
    return np.where(np.abs(ranks) > np.abs(plain), ranks, plain)


def refuse_leaks(
    features: NDArray[np.float32], mid_move_bps: NDArray[np.float64], names: tuple[str, ...], *, limit: float = LIMIT
) -> NDArray[np.float64]:
    """Return the single-feature information coefficients if all are credible.

    Raises:
        ModelError: a feature's coefficient is beyond `limit`: it was made from the future.
    """
    ics = single_feature_ics(features, mid_move_bps)
    worst = int(np.argmax(np.abs(ics)))
    if not abs(ics[worst]) <= limit:
        raise ModelError(f"feature {names[worst]!r}: IC {ics[worst]:.3f} with the label, limit {limit}: it looks ahead")
    return ics


def _correlations(columns: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    centred, aim = columns - columns.mean(axis=0), target - target.mean()
    scale = np.sqrt((centred**2).sum(axis=0) * (aim**2).sum())
    ics: NDArray[np.float64] = np.divide(centred.T @ aim, scale, out=np.zeros(columns.shape[1]), where=scale > 0)
    return ics


def _ranks(values: NDArray[np.generic]) -> NDArray[np.float64]:
    # Equal values share their mean rank, as Spearman's coefficient wants.
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2.0)[inverse]
    return ranks
