"""Quantization-aware training: layers that compute in float what the exported graph will compute in int8."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from models.families.dense import DenseModel
from models.families.mlp import MlpConfig, learn, linear
from models.families.port import Features
from models.int8_graph import LEAST_WEIGHTS, MATRIX_AXES, STEPS, activation_scales

CALIBRATION_ROWS = 1024
"""About so many rows tell how far activations reach."""


class Int8Linear(nn.Linear):
    """A dense layer that sees its input and its weights as int8 will; gradients pass as if nothing were rounded.

    Source:
        Jacob et al. (2018), CVPR, arXiv 1712.05877.
    """

    def __init__(self, layer: nn.Linear, input_scale: float) -> None:
        """Start from `layer`, reading inputs in steps of `input_scale`."""
        super().__init__(layer.in_features, layer.out_features)
        self.load_state_dict(layer.state_dict())
        self.input_scale = input_scale

    def forward(self, values: Tensor) -> Tensor:
        """Return the layer's sums from rounded values and rounded weights."""
        return nn.functional.linear(_seen(values, self.input_scale), fake_int8(self.weight), self.bias)


def fake_int8(weights: Tensor) -> Tensor:
    """Return `weights` as they will come back from int8, one scale a tensor."""
    largest = float(weights.detach().abs().max())
    return _seen(weights, float(np.float32(largest / STEPS)) or 1.0)


def _seen(values: Tensor, scale: float) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(values, scale, 0, -STEPS - 1, STEPS)


def int8_tuned(
    model: DenseModel, features: Features, targets: Features, config: MlpConfig, seed: int
) -> tuple[DenseModel, Sequence[float]]:
    """Return `model` after learning in int8 but for its last layer, and the activation scales it learnt with."""
    calibration = features[:: max(1, len(features) // CALIBRATION_ROWS)]
    scales = activation_scales(model.hidden(calibration)[:-1])
    *hidden, last = (linear(layer) for layer in model.layers)
    layers = [*(Int8Linear(layer, scale) for layer, scale in zip(hidden, scales, strict=True)), last]
    return learn(model.scaling, layers, features, targets, config, seed), scales


@contextmanager
def int8_seen(net: nn.Module) -> Iterator[None]:
    """Let every pass through `net` see its weight matrices as they will come back from int8; learning stays in float.

    The rounded weights are there during the forward pass alone: gradients reach the float ones as if nothing were
    rounded.
    """
    floats: list[tuple[nn.Parameter, Tensor]] = []

    def round_all(*_: object) -> None:
        for weights in net.parameters():
            if sum(size > 1 for size in weights.shape) >= MATRIX_AXES and weights.numel() >= LEAST_WEIGHTS:
                floats.append((weights, weights.data))
                weights.data = fake_int8(weights.data)

    def give_back(*_: object) -> None:
        while floats:
            weights, kept = floats.pop()
            weights.data = kept

    hooks = [net.register_forward_pre_hook(round_all), net.register_forward_hook(give_back, always_call=True)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
