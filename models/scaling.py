"""Normalisation learnt from training rows, computed the same way in numpy and inside the ONNX graph."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLIP = 8.0
"""Standard deviations; beyond them a feature says "extreme", not how much."""


@dataclass(frozen=True)
class Scaling:
    """(x - mean) * inverse_std, clipped to +-CLIP; both float32 (d,)."""

    mean: NDArray[np.float32]
    inverse_std: NDArray[np.float32]

    @classmethod
    def of(cls, features: NDArray[np.float32]) -> "Scaling":
        """Learn from training rows (n, d) only; a constant column becomes 0."""
        wide = features.astype(np.float64)
        std = wide.std(axis=0)
        inverse = np.divide(1.0, std, out=np.zeros_like(std), where=std > 1e-12)
        return cls(wide.mean(axis=0).astype(np.float32), inverse.astype(np.float32))

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the normalised rows, shape (n, d)."""
        scaled: NDArray[np.float32] = np.clip((features - self.mean) * self.inverse_std, -CLIP, CLIP, dtype=np.float32)
        return scaled
