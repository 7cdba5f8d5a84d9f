"""Dense layers over normalised features: what linear models and the multi-layer perceptron all become."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from models.families.port import Features
from models.onnx_graph import dense_net
from models.scaling import Scaling

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights (in, out) and bias (out,)."""


@dataclass(frozen=True)
class DenseModel:
    """Normalise, then layers with ReLU between them, and softmax at the end where there are three outputs."""

    scaling: Scaling
    layers: tuple[Layer, ...]
    name: str

    def hidden(self, features: Features) -> list[NDArray[np.float32]]:
        """Return what each layer reads: the normalised rows, then each ReLU's output."""
        values = [self.scaling.apply(features)]
        for weights, bias in self.layers[:-1]:
            values.append(np.maximum(values[-1] @ weights + bias, 0))
        return values

    def scores(self, features: Features) -> NDArray[np.float32]:
        """Return P(down), P(flat), P(up), shape (n, 3), or the expected move in bps, (n, 1)."""
        weights, bias = self.layers[-1]
        logits: NDArray[np.float32] = self.hidden(features)[-1] @ weights + bias
        if bias.size == 1:
            return logits
        lifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float32] = lifted / lifted.sum(axis=1, keepdims=True)
        return shares.astype(np.float32)

    def to_onnx(self) -> ModelProto:
        """Return the same layers as a graph, normalisation inside."""
        return dense_net(self.scaling, self.layers, name=self.name)
