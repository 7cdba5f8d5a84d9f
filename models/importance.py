"""Which features a model leans on: what its loss rises by when a column is shuffled."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.fitting import losses
from models.metrics import Scores

MAX_ROWS = 4000


def permutation_importance(
    scores_of: Callable[[NDArray[np.float32]], Scores], dataset: Dataset, *, seed: int
) -> NDArray[np.float64]:
    """Return the rise of the mean loss with each feature shuffled, shape (d,); 0 or less: not leant on.

    Args:
        scores_of: from rows (n, d) to probabilities (n, 3), or moves in bps (n, 1).
        dataset: held-out rows; at most MAX_ROWS of them are used, evenly spaced.
        seed: of the shuffling.
    """
    some = dataset.rows(np.unique(np.linspace(0, len(dataset) - 1, MAX_ROWS).astype(np.intp)))
    plain = losses(scores_of(some.features), some).mean()
    generator = np.random.default_rng(seed)
    rises = []
    rows = np.asarray(some.features)
    for column in range(rows.shape[-1]):
        shuffled = rows.copy()
        shuffled[..., column] = rows[generator.permutation(len(rows)), ..., column]
        rises.append(losses(scores_of(shuffled), some).mean() - plain)
    return np.array(rises)
