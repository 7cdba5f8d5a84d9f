"""The graphs that the engine's benchmark runs: one of each kind of kernel, weights at random."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]
OPSET, IR_VERSION = 17, 8


def dense(widths: tuple[int, ...] = (64, 64, 64, 3)) -> ModelProto:
    """Return dense layers with ReLU between and softmax at the end."""
    random = np.random.default_rng(2)
    nodes: list[NodeProto] = []
    tensors: dict[str, Floats] = {}
    name = "features"
    for layer, (width, out) in enumerate(pairwise(widths)):
        tensors[f"w{layer}"] = _normal(random, width, out, spread=width**-0.5)
        tensors[f"b{layer}"] = _normal(random, out, spread=0.1)
        last = layer == len(widths) - 2
        nodes.append(helper.make_node("Gemm", [name, f"w{layer}", f"b{layer}"], [f"g{layer}"]))
        name = "output" if last else f"h{layer}"
        nodes.append(helper.make_node("Softmax" if last else "Relu", [f"g{layer}"], [name]))
    return _model(nodes, tensors, sizes=[widths[0]], outputs=widths[-1])


def lstm(window: int | None, width: int, hidden: tuple[int, ...]) -> ModelProto:
    """Return LSTM layers over a window, or over steps left open, and a dense output of the last state."""
    random = np.random.default_rng(3)
    nodes = [helper.make_node("Transpose", ["features"], ["x0"], perm=[1, 0, 2])]
    tensors: dict[str, Any] = {"one": np.array([1]), "zero": np.array([0])}
    inputs = width
    for layer, units in enumerate(hidden):
        tensors |= {
            f"w{layer}": _normal(random, 1, 4 * units, inputs, spread=inputs**-0.5),
            f"r{layer}": _normal(random, 1, 4 * units, units, spread=units**-0.5),
            f"b{layer}": _normal(random, 1, 8 * units, spread=0.1),
        }
        read = [f"x{layer}", f"w{layer}", f"r{layer}", f"b{layer}"]
        nodes.append(helper.make_node("LSTM", read, [f"y{layer}", f"last{layer}"], hidden_size=units))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", "one"], [f"x{layer + 1}"]))
        inputs = units
    tensors["head"] = _normal(random, inputs, 1)
    nodes.append(helper.make_node("Squeeze", [f"last{len(hidden) - 1}", "zero"], ["state"]))
    nodes.append(helper.make_node("MatMul", ["state", "head"], ["output"]))
    return _model(nodes, tensors, sizes=["steps" if window is None else window, width], outputs=1)


def forest(trees: int, depth: int, features: int) -> ModelProto:
    """Return full trees with splits at random that sum to one output."""
    random = np.random.default_rng(4)
    splits, nodes = 2**depth - 1, 2 ** (depth + 1) - 1
    numbers = np.arange(nodes)
    inner = numbers < splits
    leaves = numbers[~inner]
    columns: dict[str, Any] = {
        "nodes_treeids": np.repeat(np.arange(trees), nodes),
        "nodes_nodeids": np.tile(numbers, trees),
        "nodes_featureids": np.tile(inner, trees) * random.integers(features, size=trees * nodes),
        "nodes_values": np.tile(inner, trees) * random.normal(0, 0.7, trees * nodes).astype(np.float32),
        "nodes_truenodeids": np.tile(np.where(inner, 2 * numbers + 1, 0), trees),
        "nodes_falsenodeids": np.tile(np.where(inner, 2 * numbers + 2, 0), trees),
        "target_treeids": np.repeat(np.arange(trees), len(leaves)),
        "target_nodeids": np.tile(leaves, trees),
        "target_ids": np.zeros(trees * len(leaves), np.int64),
        "target_weights": random.normal(size=trees * len(leaves)).astype(np.float32),
    }
    modes = ["BRANCH_LT" if split else "LEAF" for split in inner.tolist()] * trees
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["output"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_modes=modes,
        **{key: values.tolist() for key, values in columns.items()},
    )
    return _model([node], {}, sizes=[features], outputs=1)


def _normal(random: np.random.Generator, *sizes: int, spread: float = 1.0) -> Floats:
    return (spread * random.standard_normal(sizes)).astype(np.float32)


def _model(nodes: list[NodeProto], tensors: dict[str, Any], *, sizes: Sequence[int | str], outputs: int) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", *sizes])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in tensors.items()],
    )
    sets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model
