"""Ridge regression on normalised features: the linear baseline of expected moves."""

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from sklearn.linear_model import Ridge as Solver
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # no types are published

from models.families.dense import DenseModel
from models.families.port import MOVE, Features, Targets, refuse_unusable
from models.scaling import Scaling

if TYPE_CHECKING:
    import optuna


class RidgeConfig(Struct, frozen=True):
    """How strongly weights are held back."""

    strength: float = 1e-3
    """A row: of the mean square of a normalised feature, which is 1."""


class Ridge:
    """Linear in the normalised features; says the expected move in bps, whatever others are taught."""

    name = "ridge"
    window = 1
    targets = MOVE

    def suggest(self, trial: "optuna.Trial") -> RidgeConfig:
        """Return the strength that `trial` tries."""
        return RidgeConfig(strength=trial.suggest_float("strength", 1e-5, 1.0, log=True))

    def default(self) -> RidgeConfig:
        """Return a model that is hardly held back: enough to keep twins apart."""
        return RidgeConfig()

    def fit(self, features: Features, targets: Targets, config: RidgeConfig, seed: int) -> DenseModel:  # noqa: ARG002  part of the port
        """Solve the normal equations; the seed changes nothing."""
        refuse_unusable(features, targets, self.targets)
        scaling = Scaling.of(features)
        solver = Solver(alpha=config.strength * len(features), solver="cholesky")
        with threadpool_limits(limits=1):  # a problem this small is solved while threads still wait for each other
            solver.fit(scaling.apply(features).astype(np.float64), targets)
        weights = solver.coef_.astype(np.float32)[:, None]
        return DenseModel(scaling, ((weights, np.array([solver.intercept_], np.float32)),), self.name)


FAMILY = Ridge()
