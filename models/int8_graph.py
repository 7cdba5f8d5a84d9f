"""Graphs in int8: weights alone, or weights and activations (QDQ).

Weights alone (`stored`): a weight matrix W becomes an int8 constant and a `DequantizeLinear` by one constant scale.
Our kernels multiply it out when the model is loaded, so that a decision costs what it cost before; ONNX Runtime does it
again for every row.

Weights and activations (`static`, and `dense_int8` for nets that learnt it): QuantizeLinear and DequantizeLinear, one
after the other, before every hidden layer; weights as above.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from models.onnx_graph import INPUT, OUTPUT, Tensors, assemble, checked, normalised, shortened
from models.scaling import CLIP, Scaling

STEPS: Final = 127
"""int8 levels on either side of zero."""
LEAST_WEIGHTS: Final = 24
"""Elements under which a scale and a node cost more than int8 saves."""
MATRIX_AXES: Final = 2
"""Dimensions over 1 that make a constant a matrix."""

Floats = NDArray[np.float32]


def scale_of(weights: Floats) -> float:
    """Return the float32 step of `weights` in int8; 1 where all are zero."""
    return float(np.float32(np.abs(weights).max() / STEPS)) or 1.0


def rounded(weights: Floats, scale: float) -> NDArray[np.int8]:
    """Return `weights` in steps of `scale`; ties go to the even step, as in ONNX and PyTorch."""
    steps: NDArray[np.int8] = np.clip(np.round(weights / np.float32(scale)), -STEPS, STEPS).astype(np.int8)
    return steps


def stored(model: ModelProto) -> ModelProto:
    """Return `model` with every weight matrix kept as int8; biases and normalisation stay float32.

    A matrix is a float32 constant that reaches over 1 in two dimensions at least.
    """
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    del graph.node[:], graph.initializer[:]
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or not _matrix(values):
            graph.initializer.append(tensor)
            continue
        name, scale = tensor.name, scale_of(values)
        graph.initializer.append(numpy_helper.from_array(rounded(values, scale), f"{name}_q"))
        graph.initializer.append(numpy_helper.from_array(np.array(scale, np.float32), f"{name}_s"))
        graph.node.append(helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_s"], [name]))
    graph.node.extend(model.graph.node)
    return shortened(checked(graph))


def _matrix(values: NDArray[np.float32]) -> bool:
    return sum(size > 1 for size in values.shape) >= MATRIX_AXES and values.size >= LEAST_WEIGHTS


def dense_int8(
    scaling: Scaling, layers: Sequence[tuple[Floats, Floats]], activation_scales: Sequence[float]
) -> ModelProto:
    """Return normalisation and dense layers with ReLU between, all but the last in int8, softmax at the end.

    The last layer stays float32: it is small, and one int8 step of a logit is several hundredths of a probability.

    Args:
        scaling: over d features.
        layers: float weights (in, out), rounded here to steps of their own scale, and bias (out,).
        activation_scales: int8 step of what each layer but the last reads.
    """
    nodes, tensors = normalised(scaling, "h0")
    tensors |= {"zero": np.int8(0).reshape(())}
    for index, (weights, bias) in enumerate(layers[:-1]):
        step = scale_of(weights)
        tensors |= {f"w{index}": rounded(weights, step), f"ws{index}": np.float32(step).reshape(()), f"b{index}": bias}
        tensors |= {f"s{index}": np.float32(activation_scales[index]).reshape(())}
        nodes += [
            helper.make_node("QuantizeLinear", [f"h{index}", f"s{index}", "zero"], [f"q{index}"]),
            helper.make_node("DequantizeLinear", [f"q{index}", f"s{index}", "zero"], [f"x{index}"]),
            helper.make_node("DequantizeLinear", [f"w{index}", f"ws{index}"], [f"v{index}"]),
            helper.make_node("Gemm", [f"x{index}", f"v{index}", f"b{index}"], [f"y{index}"]),
            helper.make_node("Relu", [f"y{index}"], [f"h{index + 1}"]),
        ]
    weights, bias = layers[-1]
    last: Tensors = {"w": weights, "b": bias}
    nodes += [
        helper.make_node("Gemm", [f"h{len(layers) - 1}", "w", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [OUTPUT], axis=1),
    ]
    graph = assemble(nodes, tensors | last, inputs=len(scaling.mean), outputs=bias.size, name="dense")
    return shortened(graph)


def activation_scales(hidden: Sequence[Floats]) -> list[float]:
    """Return the int8 step of each layer's input from what it reads on calibration rows; the first is the clip's."""
    return [CLIP / STEPS, *(scale_of(values) for values in hidden[1:])]


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # the library publishes no types
    def __init__(self, features: Floats) -> None:
        self._batches = iter([{INPUT: features}])

    def get_next(self) -> dict[str, Floats] | None:
        return next(self._batches, None)


def static(model: ModelProto, calibration: Floats, *, kept: Sequence[str] = ()) -> ModelProto:
    """Return `model` with dense and convolution layers in int8 (QDQ), ranges taken from the rows `calibration`.

    Args:
        model: a float32 graph.
        calibration: rows as the graph reads them.
        kept: nodes that stay float32, by name; recurrent layers do in any case.
    """
    with tempfile.TemporaryDirectory() as folder, _root_log_level(logging.ERROR):
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantize_static(
            str(source),
            str(target),
            _Rows(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Gemm", "MatMul", "Conv", "Relu"],
            nodes_to_exclude=list(kept),
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
