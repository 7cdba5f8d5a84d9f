"""Classification metrics as functions of additive parts, so that one bootstrap serves them all."""

import numpy as np
from numpy.typing import NDArray

from models.labels import DOWN, FLAT, UP

Scores = NDArray[np.float32]
Classes = NDArray[np.int8]


def signal(scores: Scores) -> NDArray[np.float64]:
    """Return P(up) - P(down), or the expected move of scores (n, 1), shape (n,): what a rule's threshold is held to."""
    if scores.shape[1] == 1:
        return scores[:, 0].astype(np.float64)
    lead: NDArray[np.float64] = scores[:, UP].astype(np.float64) - scores[:, DOWN]
    return lead


def predicted(scores: Scores, *, cut: float = 0.0) -> NDArray[np.intp]:
    """Return the class said, shape (n,): the likeliest of three, or the side of an expected move beyond `cut`."""
    if scores.shape[1] == 3:
        likeliest: NDArray[np.intp] = scores.argmax(axis=1)
        return likeliest
    lead = signal(scores)
    side: NDArray[np.intp] = FLAT + (lead > cut).astype(np.intp) - (lead < -cut).astype(np.intp)
    return side


def confusion_rows(scores: Scores, classes: Classes, *, cut: float = 0.0) -> NDArray[np.float64]:
    """Return one-hot rows over the nine cells (true class x predicted class), shape (n, 9)."""
    cells = 3 * classes.astype(np.intp) + predicted(scores, cut=cut)
    rows: NDArray[np.float64] = np.eye(9)[cells]
    return rows


def mcc(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Matthews' correlation of three classes from cell sums (b, 9); 0 where one class is all there is.

    Source:
        Gorodkin (2004), Computational Biology and Chemistry 28(5), R_K.
    """
    table = cells.reshape(-1, 3, 3)
    total, right = table.sum(axis=(1, 2)), np.trace(table, axis1=1, axis2=2)
    true, said = table.sum(axis=2), table.sum(axis=1)
    top = right * total - (true * said).sum(axis=1)
    scale = np.sqrt((total**2 - (said**2).sum(axis=1)) * (total**2 - (true**2).sum(axis=1)))
    r_k: NDArray[np.float64] = np.divide(top, scale, out=np.zeros_like(top), where=scale > 0)
    return r_k


def f1_macro(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean F1 of the three classes from cell sums (b, 9); a class never seen nor said counts 0."""
    table = cells.reshape(-1, 3, 3)
    hits, both = np.diagonal(table, axis1=1, axis2=2), table.sum(axis=2) + table.sum(axis=1)
    f1: NDArray[np.float64] = np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0).mean(axis=1)
    return f1


def accuracy(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share predicted right from cell sums (b, 9)."""
    right: NDArray[np.float64] = cells[:, [0, 4, 8]].sum(axis=1) / cells.sum(axis=1)
    return right


def correlation_rows(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the parts of Pearson's correlation, shape (n, 6)."""
    # Centring first changes nothing and keeps the sums of squares from cancelling.
    x, y = left - left.mean(), right - right.mean()
    return np.column_stack([np.ones_like(x), x, y, x * x, y * y, x * y])


def correlation(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation from sums (b, 6); 0 where one side is constant."""
    n, x, y, xx, yy, xy = parts.T
    scale = np.sqrt(np.maximum(xx - x * x / n, 0) * np.maximum(yy - y * y / n, 0))
    r: NDArray[np.float64] = np.divide(xy - x * y / n, scale, out=np.zeros_like(n), where=scale > 1e-12)
    return r


def r_squared(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 - squared error / squared move from sums (b, 2): the share explained against expecting no move.

    Source:
        Gu, Kelly and Xiu (2020), Review of Financial Studies 33(5): not against the mean, which nobody knows ahead.
    """
    none = np.full(len(parts), np.nan)
    left: NDArray[np.float64] = np.divide(parts[:, 0], parts[:, 1], out=none, where=parts[:, 1] > 0)
    return 1.0 - left


def log_losses(scores: Scores, classes: Classes) -> NDArray[np.float64]:
    """Return -ln P(true class) of each row, shape (n,), probabilities floored at 1e-7."""
    right = scores[np.arange(len(classes)), classes].astype(np.float64)
    losses: NDArray[np.float64] = -np.log(np.maximum(right, 1e-7))
    return losses


def brier_scores(scores: Scores, classes: Classes) -> NDArray[np.float64]:
    """Return the squared distance of each row's probabilities from what happened, summed over classes, shape (n,).

    Source:
        Brier (1950), Monthly Weather Review 78(1): 0 is certain and right, 2 certain and wrong.
    """
    missed = scores.astype(np.float64)
    missed[np.arange(len(classes)), classes] -= 1.0
    squares: NDArray[np.float64] = (missed**2).sum(axis=1)
    return squares


def mean(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean from sums (b, 2) of value and 1; NaN where nothing was counted."""
    none = np.full(len(parts), np.nan)
    means: NDArray[np.float64] = np.divide(parts[:, 0], parts[:, 1], out=none, where=parts[:, 1] > 0)
    return means


def calibration(
    scores: Scores, classes: Classes, *, bins: int = 10
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return mean said probability, observed share and count of equal-count bins, over all three classes' scores."""
    said = scores.astype(np.float64).ravel()
    happened = (np.arange(3)[None, :] == classes[:, None]).ravel()
    groups = np.array_split(np.argsort(said, kind="stable"), bins)
    groups = [group for group in groups if group.size]
    return (
        np.array([said[group].mean() for group in groups]),
        np.array([happened[group].mean() for group in groups]),
        np.array([group.size for group in groups]),
    )


def calibration_error(scores: Scores, classes: Classes) -> float:
    """Return the expected calibration error: mean |said - observed| over the bins, weighted by their counts."""
    said, observed, count = calibration(scores, classes)
    return float(np.average(np.abs(said - observed), weights=count))
