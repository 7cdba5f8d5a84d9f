"""Learning the move itself: how far from its mean, in standard deviations, which a net learns as it learns logits."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

HUBER_STDS: Final = 3.0
"""Beyond so many standard deviations a miss counts by its size, not by its square: one jump does not make the model,
and what is learnt stays near the mean that the decision rule wants."""


@dataclass(frozen=True)
class MoveScale:
    """Mean and standard deviation of the moves learnt from, in bps."""

    mean: float
    std: float

    @classmethod
    def of(cls, moves_bps: NDArray[np.float64]) -> "MoveScale":
        """Return them; a deviation of 1 where all moves are the same."""
        std = float(moves_bps.std())
        return cls(float(moves_bps.mean()), std if std > 0 else 1.0)

    def shrunk(self, moves_bps: NDArray[np.float64]) -> torch.Tensor:
        """Return moves (n,) in standard deviations, (n, 1)."""
        return torch.from_numpy(((moves_bps - self.mean) / self.std).astype(np.float32))[:, None]

    def out_of_bps(self, layer: nn.Linear) -> None:
        """Let a last layer that says bps say standard deviations: it goes on learning."""
        with torch.no_grad():
            layer.weight.div_(self.std)
            layer.bias.sub_(self.mean).div_(self.std)

    def into_bps(self, layer: nn.Linear) -> None:
        """Let a last layer that says standard deviations say bps."""
        with torch.no_grad():
            layer.weight.mul_(self.std)
            layer.bias.mul_(self.std).add_(self.mean)


def move_loss(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return Huber's loss of standardised moves (n, 1)."""
    return nn.functional.huber_loss(said, wanted, delta=HUBER_STDS)
