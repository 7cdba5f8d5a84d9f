"""Every exported graph has one shape: float32 `features`, (batch, d) or windows (batch, w, d), in; (batch, k) out."""

from collections.abc import Sequence
from string import ascii_letters
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from data_contracts.errors import ModelError
from models.scaling import CLIP, Scaling

INPUT: Final = "features"
OUTPUT: Final = "output"
OPSET: Final = 19
ML_OPSET: Final = 3
PACKED_TREES_ML_OPSET: Final = 5
"""The first that has TreeEnsemble."""
IR_VERSION: Final = 9
"""Old enough for every runtime that knows the operator sets."""

Tensors = dict[str, Any]
"""numpy arrays or scalars by name."""


def assemble(
    nodes: Sequence[NodeProto], tensors: Tensors, *, inputs: int, outputs: int, name: str, window: int = 1
) -> ModelProto:
    """Return a checked model over `nodes` and constant `tensors`, `window` vectors of `inputs` in, `outputs` out."""
    shape: list[str | int | None] = ["batch", inputs] if window == 1 else ["batch", window, inputs]
    graph = helper.make_graph(
        list(nodes),
        name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(np.asarray(value, order="C"), key) for key, value in tensors.items()],
    )
    return checked(graph)


def checked(graph: onnx.GraphProto) -> ModelProto:
    """Return the model around `graph` with the fixed operator sets, once onnx's checker passes it."""
    domains = {node.domain for node in graph.node}
    sets = [helper.make_opsetid("", OPSET)]
    if "ai.onnx.ml" in domains:
        packed = any(node.op_type == "TreeEnsemble" for node in graph.node)
        sets.append(helper.make_opsetid("ai.onnx.ml", PACKED_TREES_ML_OPSET if packed else ML_OPSET))
    model = helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION, producer_name="ringcraft")
    onnx.checker.check_model(model, full_check=True)
    return model


def normalised(scaling: Scaling, result: str) -> tuple[list[NodeProto], Tensors]:
    """Return nodes and constants that write the normalised, clipped input to `result`."""
    nodes = [
        helper.make_node("Sub", [INPUT, "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "inverse_std"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "clip_low", "clip_high"], [result]),
    ]
    return nodes, {
        "mean": scaling.mean,
        "inverse_std": scaling.inverse_std,
        "clip_low": np.float32(-CLIP).reshape(()),
        "clip_high": np.float32(CLIP).reshape(()),
    }


def dense_net(
    scaling: Scaling, layers: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], *, name: str
) -> ModelProto:
    """Return normalisation, dense layers with ReLU between, softmax at the end where there are three outputs.

    Args:
        scaling: over d features.
        layers: (weights (in, out), bias (out,)) in order; the last has 3 outputs, or 1: a move in bps.
        name: of the graph.
    """
    nodes, tensors = normalised(scaling, "h0")
    last, outputs = len(layers) - 1, layers[-1][1].size
    end = "logits" if outputs == 3 else OUTPUT
    for index, (weights, bias) in enumerate(layers):
        tensors |= {f"w{index}": weights, f"b{index}": bias}
        sums = end if index == last else f"s{index}"
        nodes.append(helper.make_node("Gemm", [f"h{index}", f"w{index}", f"b{index}"], [sums], name=f"dense{index}"))
        if index < last:
            nodes.append(helper.make_node("Relu", [sums], [f"h{index + 1}"]))
    if outputs == 3:
        nodes.append(helper.make_node("Softmax", ["logits"], [OUTPUT], axis=1))
    return assemble(nodes, tensors, inputs=len(scaling.mean), outputs=outputs, name=name)


def scores_only(model: ModelProto, *, inputs: int, outputs: int, name: str) -> ModelProto:
    """Return a converter's graph with a classifier's label output dropped and the names of our convention.

    Raises:
        ModelError: the graph has more than one input, or no scores as a tensor.
    """
    graph = model.graph
    tensors = [o.name for o in graph.output if o.type.HasField("tensor_type")]
    floats = [n for n in tensors if "label" not in n]
    if len(graph.input) != 1 or len(floats) != 1:
        raise ModelError(f"converted graph: expected one input and one score tensor, got {len(graph.input)}, {floats}")
    renamed = {graph.input[0].name: INPUT, floats[0]: OUTPUT}
    for node in graph.node:
        node.input[:] = [renamed.get(value, value) for value in node.input]
        node.output[:] = [renamed.get(value, value) for value in node.output]
    live = _live_nodes(graph.node)
    constants: Tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    used = {value for node in live for value in node.input}
    kept = {key: value for key, value in constants.items() if key in used}
    return assemble(live, kept, inputs=inputs, outputs=outputs, name=name)


def _live_nodes(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    # Walk back from the output: what feeds only the dropped label is left out.
    needed, live = {OUTPUT}, []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            live.append(node)
    return live[::-1]


def shortened(model: ModelProto) -> ModelProto:
    """Return `model` with one-letter names and without what says only what holds anyway: a small net is half names."""
    graph = model.graph
    names = [value for node in graph.node for value in (*node.input, *node.output)]
    inner = [value for value in dict.fromkeys(names) if value and value not in (INPUT, OUTPUT)]
    short = {old: _letters(index) for index, old in enumerate(inner)} | {INPUT: INPUT, OUTPUT: OUTPUT}
    graph.name = "g"
    for node in graph.node:
        node.name = ""
        node.input[:] = [short.get(value, value) for value in node.input]
        node.output[:] = [short.get(value, value) for value in node.output]
        if node.op_type == "Softmax" and [(a.name, a.i) for a in node.attribute] == [("axis", 1)]:
            del node.attribute[:]  # of two axes, the last: what the operator takes by itself
    for tensor in graph.initializer:
        tensor.name = short.get(tensor.name, tensor.name)
    # Left over from before the rewriting, and wrong by now.
    del graph.value_info[:]
    return checked(graph)


def _letters(index: int) -> str:
    return ascii_letters[index % 52] + (str(index // 52) if index >= 52 else "")
