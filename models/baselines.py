"""What any model has to beat: simple rules and linear fits, held to the same rows and costs."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.families import family
from models.labels import FLAT
from models.metrics import Scores
from models.scaling import Scaling

BASELINES: Final = ("majority", "logistic", "ridge", "rule")
RULES: Final = {
    "queue_imbalance": (1.0, "buy the heavier side of the queue"),
    "leader_move_1s_bps": (1.0, "follow the leader's last second"),
    "mid_move_1_ticks": (-1.0, "bet that the last move is taken back"),
}
"""By feature: its sign in the rule, and the rule in words; the first that a dataset has is used."""
_RIDGE: Final = 1e-3
"""Of the mean square of a normalised feature, which is 1: enough to keep twins apart, little enough to bias nothing."""


class Baseline(NamedTuple):
    """A fitted baseline: scores (n, 3) or (n, 1) of features (n, d), and beyond which score a class is said."""

    name: str
    scores: Callable[[NDArray[np.float32]], Scores]
    cut: float = 0.0


def fit_baseline(name: str, rows: Dataset, *, seed: int) -> Baseline:
    """Return the baseline called `name`, one of BASELINES, fitted on `rows`.

    `majority` says the class shares, `logistic` is the family with its default; `ridge` expects a move of mid in bps,
    and `rule` is one feature with its sign: both say a class as often as `rows` have it.
    """
    if name == "ridge":
        return _said_as_often(_ridge(rows), rows)
    if name == "rule":
        return _said_as_often(_rule(rows), rows)
    kind = family(name)
    return Baseline(name, kind.fit(rows.features, rows.classes, kind.default(), seed).scores)


def rule_in_words(names: tuple[str, ...]) -> str:
    """Return what `rule` does on a dataset with these features."""
    feature = _rule_feature(names)
    return RULES[feature][1] if feature else "nothing: no feature of this set makes a simple rule"


def _ridge(rows: Dataset) -> Baseline:
    scaling = Scaling.of(newest(rows.features))
    scaled = scaling.apply(newest(rows.features)).astype(np.float64)
    gram = scaled.T @ scaled + _RIDGE * len(rows) * np.eye(scaled.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (rows.mid_move_bps - rows.mid_move_bps.mean())).astype(np.float32)
    mean = np.float32(rows.mid_move_bps.mean())

    def scores(features: NDArray[np.float32]) -> Scores:
        return np.asarray(scaling.apply(newest(features)) @ weights + mean, dtype=np.float32)[:, None]

    return Baseline("ridge", scores)


def _rule(rows: Dataset) -> Baseline:
    feature = _rule_feature(rows.names)
    if feature is None:
        return Baseline("rule", lambda features: np.zeros((len(features), 1), dtype=np.float32))
    column, sign = rows.names.index(feature), np.float32(RULES[feature][0])
    return Baseline("rule", lambda features: sign * newest(features)[:, [column]])


def newest(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the newest vector of each row, (n, d): that of windows (n, w, d), or the row itself."""
    return features[:, -1] if features.ndim == 3 else features


def _rule_feature(names: tuple[str, ...]) -> str | None:
    return next((name for name in RULES if name in names), None)


def _said_as_often(made: Baseline, rows: Dataset) -> Baseline:
    sizes = np.abs(made.scores(rows.features)[:, 0].astype(np.float64))
    flat = float(np.mean(rows.classes == FLAT))
    return made._replace(cut=float(np.quantile(sizes, flat)))
