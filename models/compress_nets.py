"""Smaller dense nets: units that say little pruned, students taught by the net, weights and activations in int8."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray
from onnx import ModelProto
from torch import nn

from models.compression import Candidate
from models.dataset import Dataset
from models.families.dense import DenseModel, Layer
from models.families.mlp import MlpConfig, learn, linear
from models.families.moves import MoveScale
from models.int8_graph import dense_int8, static, stored
from models.int8_learning import int8_tuned
from models.parity import INT8_TOLERANCE
from models.scaling import Scaling

PRUNED_SIZES = (0.25, 0.15)
"""Of the original's bytes, at most: how much is cut. The first is as little as is asked for."""
AWARE_SIZE = 0.2
"""The same before rounding nodes are added around every layer."""
STUDENT_SIZES = (0.25, 0.12)
CALIBRATION_ROWS = 1024
TUNING_EPOCHS = 6
STUDENT_EPOCHS = 20
_STORED = "weights kept as int8"
_STATIC = "hidden layers' weights and activations int8"


def net_candidates(model: DenseModel, learnt_from: Dataset, config: MlpConfig, seed: int) -> list[Candidate]:
    """Return `model` pruned, distilled and quantized: after training, calibrated on its rows, and while it learns.

    Whatever learns again learns what `model` says, not the labels: it stays close to it, row by row, which labels'
    noise would not let it.
    """
    return list(_candidates(model, learnt_from, config, seed))


def _candidates(model: DenseModel, learnt_from: Dataset, config: MlpConfig, seed: int) -> Iterator[Candidate]:
    rows = learnt_from.features
    calibration = rows[np.linspace(0, len(rows) - 1, CALIBRATION_ROWS).astype(np.intp)]
    said, whole = model.scores(rows), model.to_onnx().ByteSize()
    moves = MoveScale.of(said[:, 0].astype(np.float64)) if said.shape[1] == 1 else None
    wanted = said[:, 0].astype(np.float64) if moves else said
    tuning, learning = (structs.replace(config, epochs=n, weight_decay=0.0) for n in (TUNING_EPOCHS, STUDENT_EPOCHS))
    yield Candidate((f"{_STATIC}, calibrated after training",), quantize(model, calibration), INT8_TOLERANCE)
    yield Candidate((_STORED,), stored(model.to_onnx()), INT8_TOLERANCE)
    for size in PRUNED_SIZES:
        cut = _pruned_to(size * whole, model, calibration)
        if cut is not None:
            layers = [linear(layer) for layer in cut.layers]
            if moves:
                moves.out_of_bps(layers[-1])
            net = learn(cut.scaling, layers, rows, wanted, tuning, seed)
            yield Candidate(
                (f"hidden units pruned to {_widths(cut)}, tuned to the original", _STORED), _stored(net), INT8_TOLERANCE
            )
    cut = _pruned_to(AWARE_SIZE * whole, model, calibration)
    if cut is not None and not moves:
        aware, scales = int8_tuned(cut, rows, said, tuning, seed)
        graph = dense_int8(aware.scaling, aware.layers, scales)
        steps = (f"hidden units pruned to {_widths(cut)}", f"{_STATIC}, tuned to the original while rounded")
        yield Candidate(steps, graph, INT8_TOLERANCE)
    ends = (rows.shape[1], said.shape[1])
    for width in dict.fromkeys(_widest(size * whole, config.hidden, *ends) for size in STUDENT_SIZES):
        if width:
            net = student(model, rows, wanted, [width], learning, seed)
            yield Candidate((f"distilled into one hidden layer of {width}", _STORED), _stored(net), INT8_TOLERANCE)


def _pruned_to(most_bytes: float, model: DenseModel, features: NDArray[np.float32]) -> DenseModel | None:
    """Return `model` with as many hidden units as fit into `most_bytes` with int8 weights; None: not even two."""
    most = max(bias.size for _, bias in model.layers[:-1])
    for units in range(most, 1, -1):
        cut = prune_units(model, features, units / most)
        if _stored(cut).ByteSize() <= most_bytes:
            return cut
    return None


def _widest(most_bytes: float, most: int, inputs: int, outputs: int) -> int:
    """Return the units of one hidden layer that fit into `most_bytes` with int8 weights; 0: not even two."""
    scaling = Scaling(np.zeros(inputs, np.float32), np.ones(inputs, np.float32))
    for units in range(most, 1, -1):
        pairs = pairwise((inputs, units, outputs))
        layers = tuple((np.ones(pair, np.float32), np.zeros(pair[1], np.float32)) for pair in pairs)
        if _stored(DenseModel(scaling, layers, "mlp")).ByteSize() <= most_bytes:
            return units
    return 0


def _stored(net: DenseModel) -> ModelProto:
    return stored(net.to_onnx())


def student(
    model: DenseModel,
    features: NDArray[np.float32],
    wanted: NDArray[np.float32] | NDArray[np.float64],
    hidden: list[int],
    config: MlpConfig,
    seed: int,
) -> DenseModel:
    """Return a net of the widths `hidden`, taught `wanted`, shares (n, 3) or moves (n,); `model`'s scaling is kept.

    Source:
        Hinton, Vinyals, Dean (2015), arXiv 1503.02531, with a temperature of 1.
    """
    torch.manual_seed(seed)
    widths = (features.shape[1], *hidden, 3 if wanted.ndim == 2 else 1)
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    return learn(model.scaling, layers, features, wanted, config, seed)


def prune_units(model: DenseModel, features: NDArray[np.float32], share: float) -> DenseModel:
    """Return `model` with the `share` of each hidden layer's units that say most (at least 2).

    A unit's say is its mean activation over `features` times the size of its outgoing weights.
    """
    layers: list[Layer] = list(model.layers)
    for index, activation in enumerate(model.hidden(features)[1:]):
        weights, bias = layers[index]
        after, after_bias = layers[index + 1]
        say = np.abs(activation).mean(axis=0) * np.abs(after).sum(axis=1)
        kept = np.sort(np.argsort(-say, kind="stable")[: max(2, round(share * bias.size))])
        layers[index] = (weights[:, kept], bias[kept])
        layers[index + 1] = (after[kept], after_bias)
    return DenseModel(model.scaling, tuple(layers), model.name)


def quantize(model: DenseModel, calibration: NDArray[np.float32]) -> ModelProto:
    """Return `model` with its hidden layers in int8 (QDQ), ranges taken from the rows `calibration`.

    The last layer stays float32: it is small, and one int8 step of a logit is several hundredths of a probability.
    """
    graph = model.to_onnx()
    last = [node.name for node in graph.graph.node if node.op_type == "Gemm"][-1]
    return static(graph, calibration, kept=[last])


def _widths(net: DenseModel) -> str:
    return " and ".join(str(bias.size) for _, bias in net.layers[:-1])
