"""What every family of models offers, and what it refuses."""

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError

if TYPE_CHECKING:  # for types alone
    import optuna
    from onnx import ModelProto

Features = NDArray[np.float32]
Classes = NDArray[np.int8]
Targets = Classes | NDArray[np.float64]
"""Classes (n,), or moves of mid in bps (n,)."""
Target = Literal["direction", "move"]
DIRECTION: tuple[Target, ...] = ("direction",)
MOVE: tuple[Target, ...] = ("move",)
EITHER: tuple[Target, ...] = ("direction", "move")
Config = TypeVar("Config")


class Fitted(Protocol):
    """A model that has learnt."""

    def scores(self, features: Features) -> NDArray[np.float32]:
        """Return P(down), P(flat), P(up) of each row, (n, 3), rows sum to 1; or the expected move in bps, (n, 1)."""
        ...

    def to_onnx(self) -> "ModelProto":
        """Return the same function as a graph: `features` (batch, d) in, `output` (batch, 3 or 1) out."""
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

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it can learn: the class of the move, the move itself, or either."""
        ...

    def suggest(self, trial: "optuna.Trial") -> Config:
        """Return the configuration that `trial` tries."""
        ...

    def default(self) -> Config:
        """Return the configuration used where nothing is tuned."""
        ...

    def fit(self, features: Features, targets: Any, config: Config, seed: int) -> Fitted:  # noqa: ANN401  Targets; some learn one kind
        """Learn from rows (n, d), or windows (n, w, d), and Targets (n,); the same seed gives the same model.

        Raises:
            UsageError: a feature or a move is NaN or infinite, one of the three classes is missing, or the family
                cannot learn such targets.
        """
        ...


def learns_moves(targets: NDArray[np.generic]) -> bool:
    """Return whether `targets` are moves in bps rather than classes."""
    return targets.dtype.kind == "f" and targets.ndim == 1


def refuse_unusable(features: Features, targets: Targets, learnt: tuple[Target, ...] = DIRECTION) -> None:
    """Refuse rows no family may learn from: serving abstains on NaN, so no model is taught what NaN means.

    Args:
        features: rows (n, d).
        targets: (n,).
        learnt: what the family can learn.

    Raises:
        UsageError: a feature or a move is NaN or infinite, one of the three classes is missing, or the family cannot
            learn such targets.
    """
    wanted: Target = "move" if learns_moves(targets) else "direction"
    if wanted not in learnt:
        raise UsageError(f"targets: expected {' or '.join(learnt)}, got {wanted}")
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if bad.size:
        raise UsageError(f"training rows: expected finite features, got NaN or infinity in row {int(bad[0])}")
    if wanted == "move":
        bad = np.flatnonzero(~np.isfinite(targets))
        if bad.size:
            raise UsageError(f"training rows: expected finite moves, got NaN or infinity in row {int(bad[0])}")
        return
    missing = sorted({0, 1, 2} - set(np.unique(targets).tolist()))
    if missing:
        raise UsageError(f"training rows: expected classes down 0, flat 1, up 2, found none of {missing}")


def params_of(config: Any) -> dict[str, Any]:  # noqa: ANN401  each family has its own
    """Return a family's configuration as plain values, for logs."""
    return {name: getattr(config, name) for name in config.__struct_fields__}
