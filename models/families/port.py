"""What every family of models offers, and what it refuses."""

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError

if TYPE_CHECKING:  # for types alone
    import optuna
    from onnx import ModelProto

Features = NDArray[np.float32]
Classes = NDArray[np.int8]
Config = TypeVar("Config")


class Fitted(Protocol):
    """A model that has learnt."""

    def scores(self, features: Features) -> NDArray[np.float32]:
        """Return P(down), P(flat), P(up) of each row, shape (n, 3); rows sum to 1."""
        ...

    def to_onnx(self) -> "ModelProto":
        """Return the same function as a graph: `features` (batch, d) in, `output` (batch, 3) out."""
        ...


class Family(Protocol[Config]):
    """How a kind of model is tuned and fitted."""

    @property
    def name(self) -> str:
        """The name manifests and commands use."""
        ...

    @property
    def window(self) -> int:
        """Vectors the model reads, oldest first; 1: the newest alone."""
        ...

    def suggest(self, trial: "optuna.Trial") -> Config:
        """Return the configuration that `trial` tries."""
        ...

    def default(self) -> Config:
        """Return the configuration used where nothing is tuned."""
        ...

    def fit(self, features: Features, classes: Classes, config: Config, seed: int) -> Fitted:
        """Learn from rows (n, d), or windows (n, w, d), and classes (n,); the same seed gives the same model.

        Raises:
            UsageError: a feature is NaN or infinite, or one of the three classes is missing.
        """
        ...


def refuse_unusable(features: Features, classes: Classes) -> None:
    """Refuse rows no family may learn from: serving abstains on NaN, so no model is taught what NaN means.

    Raises:
        UsageError: a feature is NaN or infinite, or one of the three classes is missing.
    """
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if bad.size:
        raise UsageError(f"training rows: expected finite features, got NaN or infinity in row {int(bad[0])}")
    missing = sorted({0, 1, 2} - set(np.unique(classes).tolist()))
    if missing:
        raise UsageError(f"training rows: expected classes down 0, flat 1, up 2, found none of {missing}")


def params_of(config: Any) -> dict[str, Any]:  # noqa: ANN401  each family has its own
    """Return a family's configuration as plain values, for logs."""
    return {name: getattr(config, name) for name in config.__struct_fields__}
