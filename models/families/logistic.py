"""Multinomial logistic regression on normalised features: the linear baseline."""

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # no types are published

from models.families.dense import DenseModel
from models.families.port import DIRECTION, Classes, Features, refuse_unusable
from models.scaling import Scaling

if TYPE_CHECKING:
    import optuna


class LogisticConfig(Struct, frozen=True):
    """How strongly weights are held back; `strength` is the inverse, as scikit-learn's C."""

    strength: float = 0.01


class Logistic:
    """Linear in the normalised features."""

    name = "logistic"
    window = 1
    targets = DIRECTION

    def suggest(self, trial: "optuna.Trial") -> LogisticConfig:
        """Return the strength that `trial` tries."""
        return LogisticConfig(strength=trial.suggest_float("strength", 1e-4, 10.0, log=True))

    def default(self) -> LogisticConfig:
        """Return a strongly held-back model."""
        return LogisticConfig()

    def fit(self, features: Features, classes: Classes, config: LogisticConfig, seed: int) -> DenseModel:
        """Fit by L-BFGS; the optimum is unique, so the seed changes nothing."""
        refuse_unusable(features, classes)
        scaling = Scaling.of(features)
        solver = LogisticRegression(C=config.strength, max_iter=100, random_state=seed)
        with threadpool_limits(limits=1):  # a problem this small is solved while threads still wait for each other
            solver.fit(scaling.apply(features), classes)
        weights, bias = solver.coef_.T.astype(np.float32), solver.intercept_.astype(np.float32)
        return DenseModel(scaling, ((weights, bias),), self.name)


FAMILY = Logistic()
