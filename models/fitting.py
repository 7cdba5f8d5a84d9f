"""What a family is taught of a dataset's rows, and how far off what it says of others is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.families.port import Family, Fitted, Target, Targets
from models.labels import FLAT
from models.metrics import Scores, log_losses


def target_of(family: Family[Any], wanted: Target) -> Target:
    """Return what the family is taught: what is wanted, or the one thing that it can learn."""
    return wanted if wanted in family.targets else family.targets[0]


def targets_of(rows: Dataset, target: Target) -> Targets:
    """Return each row's class, or its move of mid in bps."""
    return rows.mid_move_bps if target == "move" else rows.classes


def fit_on(family: Family[Any], rows: Dataset, config: object, seed: int, target: Target = "direction") -> Fitted:
    """Return the family fitted on `rows`, as it reads them, and taught `target` where it can learn that."""
    return family.fit(rows.features, targets_of(rows, target_of(family, target)), config, seed)


def losses(scores: Scores, rows: Dataset) -> NDArray[np.float64]:
    """Return the loss of each row, (n,): -ln P(true class) of (n, 3), the squared error in bps^2 of (n, 1)."""
    if scores.shape[1] == 3:
        return log_losses(scores, rows.classes)
    wrong: NDArray[np.float64] = (scores[:, 0].astype(np.float64) - rows.mid_move_bps) ** 2
    return wrong


def class_cut(scores: Scores, rows: Dataset) -> float:
    """Return the expected move in bps beyond which a class is said, so that flat is as often as in `rows`.

    0 for scores of three classes, where the likeliest is said.
    """
    if scores.shape[1] == 3:
        return 0.0
    return float(np.quantile(np.abs(scores[:, 0].astype(np.float64)), np.mean(rows.classes == FLAT)))
