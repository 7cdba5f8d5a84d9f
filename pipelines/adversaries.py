"""Two versions that ought to be taken off: one trades at random, one is slow. Honest ONNX files, bad models."""

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

from data_contracts.manifest import MODEL_FILE, DecisionRule, Manifest, read_golden, verify_files
from market_data.feature_sets import live_feature_set
from models.latency import measure
from models.onnx_graph import INPUT, OUTPUT, Tensors, assemble, checked
from pipelines.package import package

_GRID = 64.0
"""Features are rounded to 1/64 and summed in whole numbers: exact in float32 in any order, on any machine."""
_REACH = 32.0
_SIDE = 256
"""Rows and columns of the matrices that `slow` multiplies."""
_ROUNDS = 5


def random_trader(champion: Path, folder: Path) -> Manifest:
    """Package a version that crosses the spread at almost every decision, on a side that knows nothing.

    Args:
        champion: folder of a packaged version; its model, features, label and golden inputs are taken over.
        folder: of the new version.
    """
    manifest = verify_files(champion)
    return _package_like(
        champion,
        folder,
        random_graph(manifest.inputs),
        family="random_trader",
        rule=DecisionRule(kind="up_minus_down", threshold=0.0),
        note="trades at random across the spread: made to be rolled back",
    )


def slow(champion: Path, folder: Path) -> Manifest:
    """Package a version with the champion's answers and milliseconds of wasted arithmetic a row."""
    manifest = verify_files(champion)
    graph = slow_graph(onnx.load(champion / MODEL_FILE))
    note = "same answers as its original after needless arithmetic: made to be rolled back"
    return _package_like(champion, folder, graph, family=f"slow_{manifest.family}", rule=manifest.rule, note=note)


def random_graph(inputs: int) -> ModelProto:
    """Return P(up) = (1 + sin(17 n)) / 2, P(down) = 1 - P(up), n a whole-number sum of the rounded features."""
    nodes = [
        helper.make_node("Clip", [INPUT, "low", "high"], ["near"]),
        helper.make_node("Mul", ["near", "grid"], ["fine"]),
        helper.make_node("Round", ["fine"], ["whole"]),
        helper.make_node("MatMul", ["whole", "odd"], ["sum"]),
        helper.make_node("Mul", ["sum", "turn"], ["angle"]),
        helper.make_node("Sin", ["angle"], ["wave"]),
        helper.make_node("Mul", ["wave", "half"], ["swing"]),
        helper.make_node("Add", ["swing", "half"], ["up"]),
        helper.make_node("Sub", ["one", "up"], ["down"]),
        helper.make_node("Sub", ["up", "up"], ["flat"]),
        helper.make_node("Concat", ["down", "flat", "up"], [OUTPUT], axis=1),
    ]
    # With |whole| <= 2048 and weights up to 2 d + 1 the sums stay far below 2^24, where float32 counts exactly.
    tensors: Tensors = {
        "low": np.float32(-_REACH),
        "high": np.float32(_REACH),
        "grid": np.float32(_GRID),
        "odd": np.arange(3, 2 * inputs + 3, 2, dtype=np.float32)[:, None],
        "turn": np.float32(17.0),
        "half": np.float32(0.5),
        "one": np.float32(1.0),
    }
    return assemble(nodes, tensors, inputs=inputs, outputs=3, name="random_trader")


def slow_graph(original: ModelProto) -> ModelProto:
    """Return `original` with matrix products, made from the input alone, added to its output at a weight of 1e-12.

    A matrix filled with the row's own mean is multiplied with itself; it depends on the input, so that no optimiser
    can work it out beforehand, and it is built when it is asked for, so that the file stays small.
    """
    graph = type(original.graph)()
    graph.CopyFrom(original.graph)
    for node in graph.node:
        node.output[:] = ["answer" if value == OUTPUT else value for value in node.output]
    nodes = [
        helper.make_node("ReduceMean", [INPUT, "waste_axis"], ["waste_mean"], keepdims=1),
        helper.make_node("Sigmoid", ["waste_mean"], ["waste_share"]),
        helper.make_node("Mul", ["waste_share", "waste_scale"], ["waste_cell"]),
        helper.make_node("Unsqueeze", ["waste_cell", "waste_axis_last"], ["waste_cube"]),
        helper.make_node("Expand", ["waste_cube", "waste_shape"], ["waste_0"]),
    ]
    nodes += [
        helper.make_node("MatMul", [f"waste_{index}", "waste_0"], [f"waste_{index + 1}"]) for index in range(_ROUNDS)
    ]
    nodes += [
        helper.make_node("ReduceMean", [f"waste_{_ROUNDS}", "waste_axes"], ["waste_rest"], keepdims=0),
        helper.make_node("Unsqueeze", ["waste_rest", "waste_axis"], ["waste_column"]),
        helper.make_node("Mul", ["waste_column", "waste_weight"], ["waste"]),
        helper.make_node("Add", ["answer", "waste"], [OUTPUT]),
    ]
    tensors = {
        "waste_axis": np.array([1], dtype=np.int64),
        "waste_axis_last": np.array([2], dtype=np.int64),
        "waste_axes": np.array([1, 2], dtype=np.int64),
        "waste_shape": np.array([1, _SIDE, _SIDE], dtype=np.int64),
        "waste_scale": np.float32(1 / _SIDE),
        "waste_weight": np.float32(1e-12),
    }
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), key) for key, value in tensors.items())
    return checked(graph)


def _package_like(
    champion: Path, folder: Path, graph: ModelProto, *, family: str, rule: DecisionRule, note: str
) -> Manifest:
    manifest, inputs = verify_files(champion), np.array(read_golden(champion).inputs, dtype=np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(graph.SerializeToString())
    latency, _ = measure(folder / MODEL_FILE, inputs, repeats=200)
    return package(
        folder,
        graph,
        model=manifest.model,
        family=family,
        feature_set=live_feature_set(manifest.feature_set, manifest.features),
        rule=rule,
        label=manifest.label,
        golden_inputs=inputs,
        data=manifest.data,
        parity_tolerance=max(manifest.parity_tolerance, 1e-4),
        latency=latency,
        notes=(note,),
    )
