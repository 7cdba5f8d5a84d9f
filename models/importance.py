"""Which features a model leans on: what its loss rises by when a column is shuffled."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.metrics import Scores, log_losses

MAX_ROWS = 4000


def permutation_importance(
    scores_of: Callable[[NDArray[np.float32]], Scores], dataset: Dataset, *, seed: int
) -> NDArray[np.float64]:
    """Return the rise of the mean log loss with each feature shuffled, shape (d,); 0 or less: not leant on.

    Args:
        scores_of: from rows (n, d) to probabilities (n, 3).
        dataset: held-out rows; at most MAX_ROWS of them are used, evenly spaced.
        seed: of the shuffling.
    """
    some = dataset.rows(np.unique(np.linspace(0, len(dataset) - 1, MAX_ROWS).astype(np.intp)))
    plain = log_losses(scores_of(some.features), some.classes).mean()
    generator = np.random.default_rng(seed)
    rises = []
    rows = np.asarray(some.features)
    for column in range(rows.shape[-1]):
        shuffled = rows.copy()
        shuffled[..., column] = rows[generator.permutation(len(rows)), ..., column]
        rises.append(log_losses(scores_of(shuffled), some.classes).mean() - plain)
    return np.array(rises)
