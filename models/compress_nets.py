"""Smaller nets: hidden units that say little are cut out and the rest fine-tuned, then weights become int8."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from models.compression import Candidate
from models.dataset import Dataset
from models.families.dense import DenseModel, Layer
from models.families.mlp import MlpConfig, fine_tune
from models.onnx_graph import INPUT, shortened
from models.parity import INT8_TOLERANCE

KEPT_SHARES = (1.0, 0.5, 0.25)
CALIBRATION_ROWS = 1024
FINE_TUNE_EPOCHS = 4


def net_candidates(model: DenseModel, learnt_from: Dataset, config: MlpConfig, seed: int) -> list[Candidate]:
    """Return pruned forms of `model`, in float32 and statically quantized to int8 (calibrated on training rows)."""
    return list(_candidates(model, learnt_from, config, seed))


def _candidates(model: DenseModel, learnt_from: Dataset, config: MlpConfig, seed: int) -> Iterator[Candidate]:
    rows = learnt_from.features
    calibration = rows[np.linspace(0, len(rows) - 1, CALIBRATION_ROWS).astype(np.intp)]
    again = MlpConfig(config.hidden, config.learning_rate, config.weight_decay, FINE_TUNE_EPOCHS, config.batch_rows)
    for share in KEPT_SHARES:
        net, steps = model, tuple[str, ...]()
        if share < 1.0:
            cut = prune_units(model, calibration, share)
            net = fine_tune(cut, rows, learnt_from.classes, again, seed)
            widths = " and ".join(str(bias.size) for _, bias in net.layers[:-1])
            steps = (f"hidden units pruned to {widths}, {FINE_TUNE_EPOCHS} epochs of fine-tuning",)
            yield Candidate(steps, net.to_onnx())
        int8 = quantize(net.to_onnx(), calibration)
        yield Candidate((*steps, "hidden layers' weights and activations int8, static"), int8, INT8_TOLERANCE)


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


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # the library publishes no types
    def __init__(self, features: NDArray[np.float32]) -> None:
        self._batches = iter([{INPUT: features}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


def quantize(model: ModelProto, calibration: NDArray[np.float32]) -> ModelProto:
    """Return `model` with its hidden layers in int8 (QDQ form), ranges taken from the rows `calibration`.

    The last layer stays float32: it is small, and one int8 step of a logit is several hundredths of a probability.
    """
    last = [node.name for node in model.graph.node if node.op_type == "Gemm"][-1]
    with tempfile.TemporaryDirectory() as folder, _root_log_level(logging.ERROR):
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantize_static(
            str(source),
            str(target),
            _Rows(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Gemm", "Relu"],
            nodes_to_exclude=[last],
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            # Seven bits: without VNNI, processors add pairs of products in 16 bits, and eight overflow there.
            reduce_range=True,
        )
        return shortened(onnx.load(target))


@contextmanager
def _root_log_level(level: int) -> Iterator[None]:
    # The library advises, through the root logger, a shape inference that these graphs do not need.
    root, before = logging.getLogger(), logging.getLogger().level
    root.setLevel(level)
    try:
        yield
    finally:
        root.setLevel(before)
